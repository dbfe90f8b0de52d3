#!/bin/sh
# A virtual microphone without sound hardware: a PulseAudio of its own whose default microphone hears
# what is played into it, and an ALSA configuration through which PortAudio finds it. All of it lives
# in one folder and in the printed variables; nothing outside is changed.
#
#   sh tests/microphone_setup.sh packages      install what it needs (Debian, Ubuntu; as root)
#   sh tests/microphone_setup.sh start FOLDER  start it and print the variables, one NAME=value a line
#   sh tests/microphone_setup.sh stop FOLDER   unplug it
#
# Use: export $(sh tests/microphone_setup.sh start /tmp/mic); paplay clip.wav & rtspk listen --mic
set -eu

usage() {
    echo "usage: $0 packages | start FOLDER | stop FOLDER" >&2
    exit 2
}

daemon() {
    # XDG_RUNTIME_DIR and HOME keep its files out of the user's own.
    env -u DISPLAY -u DBUS_SESSION_BUS_ADDRESS -u PULSE_SERVER \
        HOME="$folder" XDG_RUNTIME_DIR="$folder" PULSE_RUNTIME_PATH="$folder" pulseaudio "$@"
}

case "${1:-}" in
packages)
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils
    exit 0
    ;;
start | stop)
    [ $# -eq 2 ] || usage
    mkdir -p "$2"
    folder=$(cd "$2" && pwd)
    ;;
*)
    usage
    ;;
esac

if [ "$1" = stop ]; then
    daemon --kill
    exit 0
fi

chmod 700 "$folder"
cat > "$folder/asound.conf" << 'END'
pcm.!default { type pulse }
ctl.!default { type pulse }
pcm.virtual_microphone { type pulse }
END
# --daemonize returns once the socket is there.
daemon -n --daemonize --exit-idle-time=-1 --log-target="file:$folder/pulse.log" \
    --load="module-native-protocol-unix auth-anonymous=1 socket=$folder/native" \
    --load="module-null-sink sink_name=rtspk rate=48000 channels=1" > "$folder/start.log" 2>&1
echo "PULSE_SERVER=unix:$folder/native"
echo "PULSE_COOKIE=$folder/cookie"
echo "ALSA_CONFIG_PATH=$folder/asound.conf"

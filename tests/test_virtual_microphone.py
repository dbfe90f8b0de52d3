"""The microphone with real sound: played into a virtual device and heard through PortAudio."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

# A process of its own hears it, since PortAudio reads its settings once, as it starts.
RECORD = """
import json, sys, threading
import numpy as np
from rtspk.errors import DeviceError
from rtspk.microphone import Microphone, list_devices

if sys.argv[2] == "own-rate":
    import sounddevice
    check = sounddevice.check_input_settings
    def only_its_own_rate(**settings):
        if settings["samplerate"] == 16000:
            raise sounddevice.PortAudioError("Invalid sample rate")
        check(**settings)
    sounddevice.check_input_settings = only_its_own_rate

chunks, problem = [], None
with Microphone() as microphone:
    def stop():
        sys.stdin.read()
        microphone.stop()
    threading.Thread(target=stop, daemon=True).start()
    try:
        for chunk in microphone:
            if not chunks:
                print("ready", flush=True)
            assert chunk.start == (chunks[-1].end if chunks else 0)
            chunks.append(chunk)
    except DeviceError as error:
        problem = str(error)
np.save(sys.argv[1], np.concatenate([chunk.samples for chunk in chunks]))
print(json.dumps({
    "rate": microphone.rate, "problem": problem, "overruns": microphone.overruns,
    "devices": [device.name for device in list_devices()] if problem is None else [],
}))
"""


@pytest.fixture
def recorder(virtual_microphone, tmp_path):
    """Start a recording process, wait until it hears, and end it with the fixture."""
    started = []

    def start(mode="16-khz"):
        process = subprocess.Popen(
            [sys.executable, "-c", RECORD, str(tmp_path / "heard.npy"), mode],
            env=virtual_microphone.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def babble(seconds, seed):
    """Make noise that comes and goes like syllables: it fits itself at one place only."""
    rng = np.random.default_rng(seed)
    n = round(seconds * 16000)
    loudness = np.repeat(rng.uniform(0, 0.4, n // 1600 + 1), 1600)[:n]
    return (np.convolve(rng.standard_normal(n), np.ones(4) / 4, "same") * loudness).astype(np.float32)


def likeness(recording, clip):
    """Return the highest normalised correlation of the clip with any place in the recording."""
    size = 1 << (len(recording) + len(clip)).bit_length()
    product = np.fft.irfft(np.fft.rfft(recording, size) * np.conj(np.fft.rfft(clip, size)), size)
    energy = np.concatenate([[0.0], np.cumsum(recording.astype(np.float64) ** 2)])
    windows = energy[len(clip) :] - energy[: -len(clip)]
    scores = product[: len(windows)] / np.sqrt(np.maximum(windows, 1e-3) * np.sum(clip**2))
    return float(scores.max())


@pytest.mark.parametrize(("mode", "rate"), [("16-khz", 16000), ("own-rate", 44100)])
def test_what_is_played_is_what_the_microphone_hears(virtual_microphone, recorder, tmp_path, mode, rate):
    clip = babble(2.0, seed=7)
    process = recorder(mode)
    virtual_microphone.play(np.concatenate([clip, np.zeros(16000, np.float32)]))
    out, err = process.communicate(timeout=60)
    answer = json.loads(out)
    assert answer["problem"] is None
    assert answer["rate"] == rate
    assert answer["devices"] == ["virtual_microphone", "default"]
    assert err == ""
    recording = np.load(tmp_path / "heard.npy")
    assert likeness(recording, clip) > 0.9
    assert likeness(recording, babble(2.0, seed=8)) < 0.2


def test_unplugging_ends_a_recording_with_an_error_and_not_a_hang(virtual_microphone, recorder):
    process = recorder()
    virtual_microphone.unplug()
    assert process.wait(timeout=60) == 0
    assert "unplugged" in json.loads(process.stdout.read())["problem"]


def test_a_frozen_sound_server_ends_a_recording_with_an_error_and_not_a_hang(virtual_microphone, recorder):
    process = recorder()
    server = int((virtual_microphone.folder / "pid").read_text())
    os.kill(server, signal.SIGSTOP)
    try:
        assert process.wait(timeout=60) == 0
    finally:
        os.kill(server, signal.SIGCONT)
    assert "unplugged" in json.loads(process.stdout.read())["problem"]


def test_a_recording_ends_at_ctrl_c(recorder):
    process = recorder()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert err.rstrip().endswith("KeyboardInterrupt"), (process.returncode, out, err)


def test_a_machine_without_microphones_is_told_in_one_line(virtual_microphone):
    virtual_microphone.unplug()
    told = subprocess.run(
        [sys.executable, "-c", "from rtspk.microphone import *; print(list_devices()); Microphone()"],
        env=virtual_microphone.env,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.stdout == "[]\n"
    assert told.stderr.splitlines()[0].startswith("Traceback"), "PortAudio's libraries printed something"
    assert told.stderr.splitlines()[-1].endswith("wanted a microphone, got a machine without one")

"""`rtspk listen` on a conversation of two people, one of whom is enrolled from another recording."""

import contextlib
import json
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from rtspk.audio import read_audio, write_wav
from rtspk.rttm import parse_rttm, read_rttm

ANNA = "Анна Bell"


@pytest.fixture
def talk(voices, tmp_path):
    """Six seconds of a, a pause, six seconds of b: the file, and its samples as 16-bit numbers."""
    pause = np.zeros(8000, np.float32)
    sound = np.concatenate([read_audio(voices.a1)[:96000], pause, read_audio(voices.b1)[:96000], pause])
    write_wav(tmp_path / "my talk.wav", sound)
    return (tmp_path / "my talk.wav"), (tmp_path / "my talk.wav").read_bytes()[44:]


@pytest.fixture
def gallery(rtspk, voices, tmp_path):
    assert rtspk("enroll", ANNA, voices.a2, "--gallery", tmp_path / "voices.db").returncode == 0
    return tmp_path / "voices.db"


def events_of(text):
    return [json.loads(line) for line in text.splitlines()]


def last_said(events):
    """Each segment as it stands at the end."""
    segments = {}
    for event in events:
        if event["type"] == "segment":
            segments[event["id"]] = event
        for change in event.get("changes", []):
            segments[change["id"]] = {**segments[change["id"]], **change}
    return sorted(segments.values(), key=lambda segment: segment["start"])


def seconds_of(name, segments):
    return sum(s["end"] - s["start"] for s in segments if s["name"] == name)


def test_a_config_says_what_no_option_does(rtspk, talk, gallery, tmp_path):
    (tmp_path / "room.toml").write_text("max_speakers = 1\n")
    for options, speakers in ((), 1), (("--max-speakers", "2"), 2):
        said = rtspk("listen", talk[0], "--gallery", gallery, "--config", "room.toml", *options)
        assert events_of(said.stdout)[-1]["speakers"] == speakers


def test_a_file_and_the_same_sound_on_stdin_give_the_same_events_with_names(rtspk, talk, gallery):
    path, pcm = talk
    from_file = rtspk("listen", path, "--gallery", gallery, "--picture", "talk.png")
    assert (from_file.returncode, from_file.stderr) == (0, "")
    events = events_of(from_file.stdout)
    assert events[-1] == {"type": "end", "audio_ms": 13000, "speakers": 2}
    segments = last_said(events)
    assert all(segment["state"] == "final" for segment in segments)
    assert seconds_of(ANNA, [s for s in segments if s["end"] < 6.5]) > 4.0
    assert seconds_of(ANNA, [s for s in segments if s["start"] > 7.0]) < 1.0
    assert seconds_of(None, [s for s in segments if s["start"] > 6.0]) > 3.0
    assert ANNA in from_file.stdout
    assert (path.parent / "talk.png").read_bytes().startswith(b"\x89PNG")

    from_stdin = rtspk("listen", "-", "--rate", 16000, "--gallery", gallery, stdin=pcm)
    assert (from_stdin.returncode, from_stdin.stderr) == (0, "")
    assert from_stdin.stdout == from_file.stdout

    for source in ("-", "/dev/stdin") if sys.platform == "linux" else ("-",):  # a container, read once
        from_pipe = rtspk("listen", source, "--gallery", gallery, stdin=path.read_bytes())
        assert (from_pipe.returncode, from_pipe.stderr) == (0, "")
        assert from_pipe.stdout == from_file.stdout


def test_a_label_is_enrolled_under_its_name_once_the_sound_is_over(rtspk, talk, tmp_path):
    said = rtspk("listen", talk[0], "--gallery", tmp_path / "new.db", "--label", "S2=O'Neil = Bo")
    assert (said.returncode, said.stderr) == (0, "S2 is enrolled as O'Neil = Bo\n")
    events = events_of(said.stdout)
    assert events[-1]["type"] == "end"
    assert seconds_of("O'Neil = Bo", last_said(events)) > 3.0
    again = rtspk("listen", talk[0], "--gallery", tmp_path / "new.db").stdout
    assert seconds_of("O'Neil = Bo", last_said(events_of(again))) > 3.0


def test_a_label_that_nobody_has_leaves_the_outputs_and_says_so(rtspk, talk, tmp_path):
    said = rtspk("listen", talk[0], "--gallery", tmp_path / "new.db", "--label", "S9=Anna")
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert "got 'S9'" in said.stderr
    assert events_of(said.stdout)[-1]["type"] == "end"


def test_rttm_is_written_whole_under_the_stem_and_the_names(rtspk, talk, gallery):
    path, _ = talk
    done = rtspk("listen", path, "--gallery", gallery, "--output", "out.rttm")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    turns = parse_rttm((path.parent / "out.rttm").read_text(encoding="utf-8"))
    assert {turn.file for turn in turns} == {"my_talk"}
    assert "Анна_Bell" in {turn.speaker for turn in turns}
    for one in turns:
        assert not any(one.speaker == other.speaker and one.end == other.start for other in turns)


# As `python -m rtspk`, but Ctrl-C works also in the background of a shell that has it ignored.
COMMAND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from rtspk.cli import main
main()
"""


class Listening:
    """`rtspk listen`, or another verb, in the background; its events come one by one."""

    def __init__(self, args, env, cwd, verb="listen"):
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, verb, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
        )
        self.watchdog = threading.Timer(200, self.process.kill)
        self.watchdog.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.watchdog.cancel()

    def event(self, fits):
        """The next event that fits."""
        for line in self.process.stdout:
            event = json.loads(line)
            if fits(event):
                return event
        raise AssertionError(f"no such event: {self.process.stderr.read().decode()}")

    def interrupt(self, number=signal.SIGINT):
        """Press Ctrl-C; returns the exit status, the rest of the events, and stderr."""
        self.process.send_signal(number)
        rest = [json.loads(line) for line in self.process.stdout]
        said = self.process.stderr.read().decode()
        return self.process.wait(), rest, said


def is_segment(event):
    return event["type"] == "segment"


def test_a_reader_that_has_had_enough_ends_it_quietly(talk, user_env, tmp_path):
    with Listening([talk[0]], user_env, tmp_path) as listening:
        listening.event(is_segment)
        listening.process.stdout.close()
        said = listening.process.stderr.read()
        assert (listening.process.wait(), said) == (0, b"")


def test_ctrl_c_on_stdin_finishes_the_session(talk, user_env, tmp_path):
    args = ["-", "--rate", "16000", "--picture", "talk.png"]
    with Listening(args, user_env, tmp_path) as listening:
        listening.process.stdin.write(talk[1][: 2 * 80000])
        listening.process.stdin.flush()
        listening.event(is_segment)
        status, rest, said = listening.interrupt()
    assert (status, said) == (0, "")
    assert rest[-1]["type"] == "end"
    assert any(is_segment(event) and event["state"] == "final" for event in rest)
    assert (tmp_path / "talk.png").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_file_that_is_ended_by_a_signal_leaves_what_was_heard_and_130(talk, user_env, tmp_path, number):
    with Listening([talk[0], "--pace", "realtime", "--picture", "talk.png"], user_env, tmp_path) as listening:
        listening.event(is_segment)
        status, rest, said = listening.interrupt(number)
    assert (status, said) == (130, "")
    assert rest[-1]["type"] == "end"
    assert rest[-1]["audio_ms"] < 13000
    assert (tmp_path / "talk.png").exists()


def test_a_demo_that_is_ended_leaves_both_of_its_files(user_env, tmp_path):
    with Listening(["--pace", "4"], user_env, tmp_path, "demo") as demo:
        demo.event(lambda event: is_segment(event) and event["state"] == "final")
        status, rest, said = demo.interrupt()
    assert status == 130
    turns = read_rttm(tmp_path / "demo.rttm")
    assert turns
    assert max(turn.end for turn in turns) <= rest[-1]["audio_ms"] / 1000 < 56.0
    assert (tmp_path / "demo.png").exists()
    assert "wrote demo.rttm and demo.png" in said


@contextlib.contextmanager
def half_served(path):
    """A web server that sends the first half of a file: its address, and its only connection."""
    data = path.read_bytes()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: {len(data)}\r\n\r\n"
    connections = queue.SimpleQueue()

    def answer():
        connection, _ = server.accept()
        connection.recv(4096)
        connection.sendall(head.encode() + data[: len(data) // 2])
        connections.put(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=answer)
        answering.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/talk.wav", connections
        answering.join()


def test_a_url_has_the_name_of_its_file(rtspk, tmp_path):
    write_wav(tmp_path / "the talk.v2.wav", np.zeros(16000, np.float32))
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/the%20talk.v2.wav?key=a/b.mp3"
        done = rtspk("listen", url, "--format", "json")
        server.shutdown()
    assert json.loads(done.stdout)["file"] == "the talk.v2"
    done = rtspk("listen", "file:the talk.v2.wav", "--format", "json")
    assert json.loads(done.stdout)["file"] == "the talk.v2"


def test_ctrl_c_ends_a_url_that_sends_nothing_more(talk, user_env, tmp_path):
    with (
        half_served(talk[0]) as (url, connections),
        Listening([url, "--picture", "talk.png"], user_env, tmp_path) as listening,
    ):
        listening.event(is_segment)
        status, rest, said = listening.interrupt()
        connections.get().close()
    assert (status, said) == (130, "")
    assert rest[-1]["type"] == "end"
    assert (tmp_path / "talk.png").exists()


def test_a_url_that_breaks_off_leaves_what_was_heard_and_says_so(talk, user_env, tmp_path):
    with (
        half_served(talk[0]) as (url, connections),
        Listening([url, "--picture", "talk.png"], user_env, tmp_path) as listening,
    ):
        listening.event(is_segment)
        with connections.get() as connection:  # closed at once, it resets the line
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rest = [json.loads(line) for line in listening.process.stdout]
        said = listening.process.stderr.read().decode()
        assert listening.process.wait() == 2
    assert said.startswith(f"rtspk: {url}: wanted to read to its end, got ")
    assert rest[-1]["type"] == "end"
    assert (tmp_path / "talk.png").exists()


@contextlib.contextmanager
def playing(microphone, sound):
    """Play again and again: what plays before the microphone is open is not heard."""
    done = threading.Event()

    def play():
        while not done.is_set():
            microphone.play(sound)

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        done.set()
        player.join()


@pytest.fixture
def microphone_env(virtual_microphone, user_env):
    settings = ("PULSE_SERVER", "PULSE_COOKIE", "ALSA_CONFIG_PATH")
    return {**user_env, **{key: virtual_microphone.env[key] for key in settings}}


def test_the_microphone_is_labelled_live_and_ctrl_c_ends_it_in_order(
    virtual_microphone, microphone_env, voices, gallery, tmp_path
):
    args = ["--mic", "--format", "jsonl", "--gallery", gallery, "--picture", "talk.png"]
    with Listening(args, microphone_env, tmp_path) as listening:
        with playing(virtual_microphone, read_audio(voices.a1)[:96000]):
            named = listening.event(lambda event: is_segment(event) and event["name"] == ANNA)
        status, rest, said = listening.interrupt()
    assert named["speaker"] == "S1"
    assert status == 0, said
    assert rest[-1]["type"] == "end"
    assert (tmp_path / "talk.png").exists()
    assert all("lost" in line for line in said.splitlines())  # a busy machine may lose sound, and says so


def test_a_microphone_that_is_unplugged_leaves_its_outputs_and_says_so(
    virtual_microphone, microphone_env, voices, tmp_path
):
    with Listening(["--mic", "--picture", "talk.png"], microphone_env, tmp_path) as listening:
        with playing(virtual_microphone, read_audio(voices.a1)[:96000]):
            listening.event(is_segment)
        virtual_microphone.unplug()
        rest = [json.loads(line) for line in listening.process.stdout]
        said = listening.process.stderr.read().decode()
        assert listening.process.wait() == 2
    assert said.splitlines()[-1].startswith("rtspk: wanted sound from microphone")
    assert rest[-1]["type"] == "end"
    assert (tmp_path / "talk.png").exists()

"""`rtspk serve` as a process, and `rtspk listen --server` before it."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request

import numpy as np
import pytest
from websockets.sync.server import serve

from rtspk.audio import read_audio, write_wav
from rtspk.client import Client
from rtspk.rttm import parse_rttm


class Serving:
    """A server in the background; its port is free."""

    def __init__(self, env, cwd, *args):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rtspk", "serve", "--port", "0", *map(str, args)],
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            cwd=cwd,
        )
        starting, said = (self.process.stderr.readline() for _ in range(2))
        assert starting.startswith("rtspk: starting, "), starting
        assert "serving at" in said, said
        self.port = int(said.rsplit(":", 1)[1])
        self.url = f"ws://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.read()


@pytest.fixture
def talk(voices, tmp_path):
    pause = np.zeros(8000, np.float32)
    sound = np.concatenate([read_audio(voices.a1)[:64000], pause, read_audio(voices.b1)[:64000]])
    write_wav(tmp_path / "talk.wav", sound)
    return tmp_path / "talk.wav", sound


def test_listen_gives_the_same_lines_with_a_server_as_without(rtspk, talk, voices, user_env, tmp_path):
    assert rtspk("enroll", "Anna", voices.a2, "--gallery", "voices.db").returncode == 0
    alone = rtspk("listen", talk[0], "--gallery", "voices.db")
    with Serving(user_env, tmp_path, "--gallery", "voices.db") as serving:
        served = rtspk("listen", talk[0], "--server", serving.url)
        rttm = rtspk("listen", talk[0], "--server", serving.url, "--format", "rttm")
    assert (served.returncode, served.stderr) == (0, "")
    assert served.stdout == alone.stdout
    assert '"name": "Anna"' in served.stdout
    assert rttm.stdout.startswith("SPEAKER talk 1 ")


def test_sigterm_finishes_sessions_and_ends_with_status_0(talk, user_env, tmp_path):
    with Serving(user_env, tmp_path, "--gallery", "v.db") as serving, Client(serving.url) as client:
        client.push(talk[1])
        assert b"rtspk_sessions" in serving.get("/metrics")
        serving.process.send_signal(signal.SIGTERM)
        events = [event.to_json() for event in client.finish()]
        assert events[-1]["type"] == "end"
        assert "draining" in [warning.code for warning in client.warnings()]
        assert serving.process.wait(60) == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_over_tls_with_a_token_the_lines_are_the_same(rtspk, talk, user_env, tmp_path):
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    secret = "a-token-of-the-tests"
    (tmp_path / "tokens.toml").write_text(
        f'[[tokens]]\nname = "web"\nscopes = ["listen"]\ntoken = "{secret}"\n', encoding="utf-8"
    )
    args = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tokens", "tokens.toml", "--gallery", "v.db"]
    with Serving(user_env, tmp_path, *args) as serving:
        url = serving.url.replace("ws://", "wss://")
        trusting = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
        served = rtspk("listen", talk[0], "--server", url, "--token", secret, env=trusting)
        refused = rtspk("listen", talk[0], "--server", url, "--token", "another-token-word", env=trusting)
        unknown = rtspk("listen", talk[0], "--server", url, "--token", secret)
    assert served.stdout == rtspk("listen", talk[0], "--gallery", "v.db").stdout
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "token" in refused.stderr
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    assert "certificate" in unknown.stderr


def test_the_schema_is_printed_and_nothing_is_served(rtspk):
    done = rtspk("serve", "--schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["title"] == "rtspk protocol 1"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--host", "0.0.0.0"], "wanted tokens and TLS for the public address"),
        (["--port", "70000"], "wanted a port of 0 to 65535"),
        (["--tls-cert", "cert.pem"], "together with its key"),
        (["--overload", "cry"], "drop-oldest"),
        (["--max-sessions", "0"], "wanted --max-sessions of 1 or more"),
        (["--tokens", "none.toml"], "none.toml"),
        (["--config", "none.toml"], "none.toml"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(rtspk, args, words):
    done = rtspk("serve", *args)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert words in done.stderr


def test_a_port_that_is_taken_is_one_line(rtspk, user_env, tmp_path):
    with Serving(user_env, tmp_path, "--gallery", "v.db") as serving:
        done = rtspk("serve", "--port", serving.port, "--gallery", "v.db")
    assert (done.returncode, done.stderr.count("\n")) == (2, 2), done.stderr
    assert "\nrtspk: wanted to listen at 127.0.0.1" in done.stderr


def test_a_model_is_the_servers_and_not_the_listeners(rtspk, talk):
    done = rtspk("listen", talk[0], "--server", "ws://127.0.0.1:1", "--model", "x")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


SAID = [
    {"type": "ready", "session": "s", "resume_token": "t", "resume_seconds": 60.0, "model": "m"}
    | {"latency": 1.0, "resumed": False, "received": 0, "audio_ms": 0},
    {"type": "warning", "code": "clipping", "message": "the sound clips"},
    {"type": "speaker", "seq": 1, "event": "new", "speaker": "S1"},
    {"type": "segment", "seq": 2, "id": 1, "rev": 1, "start": 0.5, "end": 1.5, "speaker": "S1", "name": None}
    | {"state": "final", "score": 0.7, "confidence": 0.9, "overlap": False},
]


def test_live_sound_whose_server_is_gone_at_its_end_leaves_what_was_said(rtspk, talk, tmp_path):
    def answer(line):
        line.recv()
        for message in SAID:
            line.send(json.dumps(message))
        while line.recv() != '{"type":"end"}':
            pass
        line.close(4000)

    pcm = talk[0].read_bytes()[44:]
    with serve(answer, "127.0.0.1", 0) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}"
        done = rtspk("listen", "-", "--rate", 16000, "--server", url, "-o", "out.rttm", stdin=pcm)
        listener.shutdown()
    warning, failure = done.stderr.splitlines()
    assert (done.returncode, warning) == (2, "rtspk: the sound clips")
    assert "resumed by somebody else" in failure
    (turn,) = parse_rttm((tmp_path / "out.rttm").read_text(encoding="utf-8"))
    assert (turn.start, turn.end) == (0.5, 1.5)

"""Sound is read from files and URLs as they come: long ones, odd names, old tags; their durations."""

import threading
import tracemalloc
import wave
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from rtspk.audio import decoded, duration_seconds, loudest, read_audio, stream_audio, write_wav
from rtspk.container import opened
from rtspk.errors import AudioError
from tests.conftest import SECONDS, encode, speechlike


def test_a_long_file_is_never_whole_in_memory(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(8000 * 240, np.float32), 8000)
    tracemalloc.start()
    try:
        samples = sum(len(chunk.samples) for chunk in stream_audio(tmp_path / "a.wav"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert samples == 240 * 16000
    assert most < 3_000_000  # all of it would be 15 MB


def test_the_duration_is_what_the_container_says(tmp_path):
    encode(tmp_path / "a.flac", speechlike(44100)[None], 44100, "flac")
    assert duration_seconds(tmp_path / "a.flac") == pytest.approx(SECONDS, abs=1e-3)
    encode(tmp_path / "a.webm", speechlike(48000)[None], 48000, "libopus")
    assert duration_seconds(tmp_path / "a.webm") == pytest.approx(SECONDS, abs=0.05)


def test_a_live_container_knows_no_duration(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
    assert duration_seconds(tmp_path / "a.wav") is None


def two_tracks(path, *sounds):
    """Write a container with a track for each sound [shape=(n,)] at 16 kHz."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_f32le", rate=16000, layout="mono") for _ in sounds]
        for stream, sound in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
            frame.sample_rate, frame.pts = 16000, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def test_what_a_video_shows_before_its_sound_begins_is_silence(tmp_path):
    with av.open(str(tmp_path / "late.mkv"), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        stream = container.add_stream("pcm_f32le", rate=16000, layout="mono")
        for number in range(30):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            picture.pts = number
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(np.full((1, 16000), 0.25, np.float32), format="flt", layout="mono")
        frame.sample_rate, frame.pts = 16000, 24000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    sound = read_audio(tmp_path / "late.mkv")
    assert len(sound) == pytest.approx(40000, abs=32)
    np.testing.assert_array_equal(np.flatnonzero(sound), np.arange(24000, len(sound)))


def test_of_several_audio_tracks_one_is_heard_and_the_others_are_told(tmp_path, caplog):
    path = tmp_path / "two.mkv"
    two_tracks(path, np.zeros(16000, np.float32), np.full(16000, 0.25, np.float32))
    assert not read_audio(path).any()
    assert "two.mkv: audio track 1 of 2 is heard (`rtspk listen --track N` hears another)" in caplog.text
    caplog.clear()
    with opened(path, track=2) as recording:
        assert all((block == 0.25).all() for _, block in decoded(recording))
    assert not caplog.text
    with pytest.raises(AudioError, match=r"wanted an audio track of 1 to 2, got 3"), opened(path, track=3):
        pass


@pytest.mark.parametrize("name", ["12:30:00.wav", "a%20b #1.wav", "-x.wav", "é.wav"])
def test_odd_names_are_names_of_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_wav(name, np.ones(100, np.float32) / 2)
    np.testing.assert_array_equal(read_audio(name), np.ones(100) / 2)
    np.testing.assert_array_equal(read_audio(Path(name)), np.ones(100) / 2)


def test_an_unknown_protocol_is_refused_by_name():
    with pytest.raises(AudioError, match=r"^gopher7://x/a\.wav: wanted a URL .*, got protocol 'gopher7'$"):
        read_audio("gopher7://x/a.wav")


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Print nothing."""


@pytest.fixture
def web(tmp_path):
    """Serve the folder on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_path_may_be_said_as_file(tmp_path, monkeypatch):
    write_wav(tmp_path / "a.wav", speechlike(16000))
    monkeypatch.chdir(tmp_path)
    for where in ("file:a.wav", f"file:{tmp_path}/a.wav", f"file://{tmp_path}/a.wav"):
        np.testing.assert_array_equal(read_audio(where), speechlike(16000))
    (tmp_path / "a.wav").rename("file:a.wav")  # and a name may begin like that
    np.testing.assert_array_equal(read_audio("file:a.wav"), speechlike(16000))


def test_a_url_is_read_like_a_file(tmp_path, web):
    encode(tmp_path / "a.flac", speechlike(16000)[None], 16000, "flac")
    np.testing.assert_array_equal(read_audio(f"http://{web}/a.flac"), speechlike(16000))
    assert duration_seconds(f"http://{web}/a.flac") == pytest.approx(SECONDS)


def test_a_url_without_a_file_is_refused_without_its_password(web):
    with pytest.raises(AudioError) as caught:
        read_audio(f"http://anna:secret@{web}/missing.flac")
    assert str(caught.value).startswith(f"http://{web}/missing.flac: wanted to open it, got ")
    assert "404" in str(caught.value)


def test_tags_in_an_encoding_of_long_ago_are_no_reason_to_refuse_a_file(tmp_path):
    write_wav(tmp_path / "plain.wav", np.zeros(1600, np.float32))
    header, data = (tmp_path / "plain.wav").read_bytes().split(b"data", 1)
    artist = b"IART" + (4).to_bytes(4, "little") + "Müll".encode("latin-1")
    tags = b"LIST" + (4 + len(artist)).to_bytes(4, "little") + b"INFO" + artist
    (tmp_path / "tagged.wav").write_bytes(header + tags + b"data" + data)
    assert len(read_audio(tmp_path / "tagged.wav")) == 1600
    assert duration_seconds(tmp_path / "tagged.wav") == 0.1


def test_the_loudest_window_is_the_one_found_by_trying_all():
    rng = np.random.default_rng(3)
    for length in (1, 7, 50, 60, 61):
        samples = rng.normal(size=60).astype(np.float32)
        best = max(
            (samples[at : at + length] for at in range(max(1, 60 - length + 1))),
            key=lambda window: float(np.square(window, dtype=np.float64).sum()),
        )
        np.testing.assert_array_equal(loudest(samples, length), best)

"""Damaged files are read on at their time; what is no sound is refused in one line."""

import io
import logging
import os
import socket

import av
import numpy as np
import pytest
import soxr

from rtspk import container
from rtspk.audio import read_audio, stream_audio, stream_pcm, write_wav
from rtspk.errors import AudioError
from tests.conftest import SECONDS, encode, likeness, speechlike


def damage(path, fraction=0.02):
    """Write noise over a stretch in the middle of a file."""
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(5).bytes(round(len(data) * fraction))
    data[len(data) // 2 : len(data) // 2 + len(noise)] = noise
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.flac", "flac", 16000),
        ("a.ogg", "libopus", 48000),
        ("a.webm", "libopus", 48000),
        ("a.m4a", "aac", 44100),
    ],
)
def test_behind_damage_the_sound_goes_on_at_its_time(tmp_path, capfd, caplog, name, codec, rate):
    encode(tmp_path / name, speechlike(rate, 14)[None], rate, codec)
    whole = read_audio(tmp_path / name)
    damage(tmp_path / name)
    with caplog.at_level(logging.WARNING, "rtspk"):
        heard = read_audio(tmp_path / name)
    assert abs(len(heard) - len(whole)) <= 1600
    assert np.corrcoef(heard[:64000], whole[:64000])[0, 1] > 0.98
    assert likeness(heard[-48000:], whole[-48000:], most=1600)[0] > 0.98
    assert capfd.readouterr().err == ""


def test_a_damaged_mp3_goes_on(tmp_path, capfd):
    encode(tmp_path / "a.mp3", speechlike(44100, 12)[None], 44100, "libmp3lame")
    damage(tmp_path / "a.mp3")
    assert len(read_audio(tmp_path / "a.mp3")) > 11 * 16000
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile secret.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ],
    ids=["concat", "hls", "sdp"],
)
def test_what_names_other_files_is_refused_where_all_must_be_in_one(tmp_path, text):
    write_wav(tmp_path / "secret.wav", speechlike(16000))
    (tmp_path / "list.m3u8").write_text(text)
    with pytest.raises(AudioError, match="got a playlist, or a format that is not taken here"):
        list(stream_audio(tmp_path / "list.m3u8", contained=True))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", "pcm_s16le"),
        ("a.flac", "flac"),
        ("a.ogg", "libopus"),
        ("a.webm", "libopus"),
        ("a.m4a", "aac"),
        ("a.mp3", "libmp3lame"),
        ("a.ts", "aac"),
        ("a.aiff", "pcm_s16be"),
    ],
)
def test_a_recording_is_whole_in_its_file(tmp_path, name, codec):
    encode(tmp_path / name, speechlike(48000)[None], 48000, codec)
    assert sum(len(chunk.samples) for chunk in stream_audio(tmp_path / name, contained=True)) > 16000


def test_a_file_that_was_cut_off_gives_what_is_there(tmp_path):
    write_wav(tmp_path / "a.wav", speechlike(16000))
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(data[: 44 + 2 * 10000 + 1])
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav"), speechlike(16000)[:10000])


def test_a_hole_in_the_timestamps_becomes_silence(tmp_path):
    sound = speechlike(48000)
    encode(tmp_path / "a.mkv", sound[None], 48000, "flac", drop=range(10, 15))
    encode(tmp_path / "whole.mkv", sound[None], 48000, "flac")
    heard, whole = read_audio(tmp_path / "a.mkv"), read_audio(tmp_path / "whole.mkv")
    assert abs(len(heard) - len(whole)) <= 16
    silent = np.flatnonzero((heard == 0) & (np.abs(whole) > 1e-3))
    assert silent[-1] - silent[0] > 1600
    assert likeness(heard[silent[-1] + 100 :], whole[silent[-1] + 100 :], most=16)[0] > 0.98


def test_a_file_that_changes_its_rate_midway_is_read_on(tmp_path):
    for name, rate in (("1.ts", 48000), ("2.ts", 32000)):
        encode(tmp_path / name, speechlike(rate)[None], rate, "aac")
    (tmp_path / "a.ts").write_bytes((tmp_path / "1.ts").read_bytes() + (tmp_path / "2.ts").read_bytes())
    heard = read_audio(tmp_path / "a.ts")
    assert len(heard) == pytest.approx(2 * SECONDS * 16000, abs=4000)
    second = soxr.resample(speechlike(32000), 32000, 16000)
    assert likeness(heard[SECONDS * 16000 :], second, most=3200)[0] > 0.98


@pytest.fixture
def bad_files(tmp_path):
    write_wav(tmp_path / "good.wav", speechlike(16000))
    good = (tmp_path / "good.wav").read_bytes()
    (tmp_path / "text.wav").write_text("These are words, and not a sound.\n" * 50)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "half.wav").write_bytes(good[:20])
    (tmp_path / "none.wav").write_bytes(good[:44])
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(30000))
    (tmp_path / "folder").mkdir()
    encode(tmp_path / "both.mp4", speechlike(16000)[None], 16000, "aac", with_video=True)
    with av.open(str(tmp_path / "both.mp4")) as both, av.open(str(tmp_path / "video.mp4"), "w") as video:
        copied = video.add_stream_from_template(both.streams.video[0])
        for packet in both.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                video.mux(packet)
    bad = np.array([[0.1] * 8000 + [np.nan] + [0.1] * 100], np.float32)
    encode(tmp_path / "nan.wav", bad, 16000, "pcm_f32le")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("text.wav", "wanted sound that FFmpeg reads, got data of no known format"),
        ("empty.wav", "wanted an audio file, got an empty file"),
        ("half.wav", "wanted sound that FFmpeg reads, got data of no known format"),
        ("none.wav", "wanted sound, got no samples that decode"),
        ("noise.mp3", "wanted sound that FFmpeg reads, got data of no known format"),
        ("missing.wav", "wanted an audio file, got no such file"),
        ("folder", "wanted an audio file, got a directory"),
        ("video.mp4", "wanted an audio stream, got only video"),
        ("nan.wav", "wanted samples about -1 to 1, got nan at 0.500 s"),
        ("x" * 300, "wanted an audio file, got "),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(bad_files, capfd, name, said):
    with pytest.raises(AudioError) as caught:
        read_audio(bad_files / name)
    assert str(caught.value).startswith(f"{bad_files / name}: {said}")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert capfd.readouterr() == ("", "")


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    write_wav(tmp_path / "a.wav", np.zeros(10, np.float32))
    (tmp_path / "a.wav").chmod(0)
    if os.geteuid() == 0:  # root reads everything, so FFmpeg's answer has to be played

        def refuse(*_, **__):
            raise av.error.PermissionError(13, "Permission denied")

        monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(AudioError, match=r"a\.wav: wanted a file that may be read, got permission denied$"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("seconds", [0, -1, 1e-6])
def test_a_chunk_without_a_sample_is_refused(tmp_path, seconds):
    with pytest.raises(AudioError, match="at least one sample"):
        list(stream_audio(tmp_path / "a.wav", chunk_seconds=seconds))


def test_a_server_that_never_answers_is_said_plainly(monkeypatch):
    monkeypatch.setattr(container, "OPEN_SECONDS", 0.25)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.wav"
        with pytest.raises(AudioError) as caught:
            read_audio(url)
    assert str(caught.value) == f"{url}: wanted to open it, got no answer within 0.25 s"


@pytest.mark.parametrize(("second", "cancelled"), [(-1.0, True), (-0.5, False), (1.0, False)])
def test_channels_that_cancel_each_other_are_told(tmp_path, caplog, second, cancelled):
    sound = speechlike(16000)
    both = np.stack([sound, sound * np.float32(second)])
    encode(tmp_path / "a.wav", both, 16000, "pcm_s16le", "stereo")
    raw = io.BytesIO((both.T * 32767).astype("<i2").tobytes())
    for read in (lambda: read_audio(tmp_path / "a.wav"), lambda: list(stream_pcm(raw, 16000, channels=2))):
        caplog.clear()
        read()
        assert ("the channels cancel each other" in caplog.text) == cancelled

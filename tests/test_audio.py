import io
import logging
import os
import threading
import tracemalloc
import wave
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from rtspk.audio import duration_seconds, loudest, read_audio, stream_audio, stream_pcm, write_wav
from rtspk.errors import AudioError

SECONDS = 3
LOSSY = [
    ("a.mp3", "libmp3lame", 44100),
    ("a.mp3", "libmp3lame", 22050),
    ("a.ogg", "libopus", 48000),
    ("a.opus", "libopus", 16000),
    ("a.webm", "libopus", 48000),
    ("a.m4a", "aac", 44100),
    ("a.m4a", "aac", 48000),
    ("a.ts", "aac", 32000),
    ("a.mkv", "libmp3lame", 48000),
    ("a.mp4", "aac", 22050),
]
EXACT = [
    ("a.wav", "pcm_s16le", 8000),
    ("a.wav", "pcm_s16le", 16000),
    ("a.wav", "pcm_s16le", 44100),
    ("a.wav", "pcm_s24le", 22050),
    ("a.wav", "pcm_s32le", 16000),
    ("a.wav", "pcm_u8", 8000),
    ("a.wav", "pcm_f32le", 48000),
    ("a.wav", "pcm_f64le", 16000),
    ("a.wav", "pcm_s64le", 16000),
    ("a.flac", "flac", 8000),
    ("a.flac", "flac", 16000),
    ("a.flac", "flac", 22050),
    ("a.flac", "flac", 48000),
    ("a.mkv", "flac", 44100),
    ("a.mp4", "flac", 48000),
    ("a.aiff", "pcm_s16be", 44100),
]


def speechlike(rate, seconds=SECONDS, seed=3):
    """Make noise below 3 kHz whose loudness changes like syllables, on the grid of 8 bits."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequencies = np.fft.rfftfreq(n, 1 / rate)
    spectrum[(frequencies > 3000) | (frequencies < 100)] = 0
    loudness = np.interp(np.arange(n) / rate, np.arange(seconds * 8 + 1) / 8, rng.random(seconds * 8 + 1))
    sound = np.fft.irfft(spectrum, n) * loudness
    return (np.rint(sound / np.abs(sound).max() * 100) / 128).astype(np.float32)


def encode(path, sound, rate, codec, layout="mono", with_video=False, drop=()):
    """Write sound [shape=(channels, n)] with PyAV; packets whose numbers are in `drop` go missing."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        if codec in ("aac", "libmp3lame", "libopus"):
            stream.bit_rate = 64_000 * (1 + len(sound))
        packets = []
        if with_video:
            video = container.add_stream("mpeg4", rate=25)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            for _ in range(round(sound.shape[1] / rate * 25)):
                picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                packets += video.encode(picture)
            packets += video.encode(None)
        fitting = av.AudioResampler(format=stream.codec_context.format.name, layout=layout, rate=rate)
        # Interleaved: PyAV miscounts the planes of 8 channels and more.
        frame = av.AudioFrame.from_ndarray(sound.T.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        heard = [packet for each in fitting.resample(frame) for packet in stream.encode(each)]
        heard += stream.encode(None)
        container.mux([*packets, *(packet for number, packet in enumerate(heard) if number not in drop)])


def stereo(sound):
    """Split a sound over two channels whose mean it is; both stay on the grid of 16 bits."""
    side = np.float32(0.125) * np.roll(sound, 100)
    return np.stack([sound + side, sound - side])


def likeness(heard, wanted, most=1200):
    """Return the correlation after the best shift of up to `most` samples, and that shift."""
    n = min(len(heard), len(wanted)) - 2 * most
    middle = wanted[most : most + n]
    best = int(np.argmax(np.correlate(heard[: n + 2 * most], middle, "valid")))
    return np.corrcoef(heard[best : best + n], middle)[0, 1], best - most


def check_chunks(path, seconds):
    """Check that chunks are contiguous, mono float32, of one length but for the last, and join them."""
    chunks = list(stream_audio(path, chunk_seconds=seconds))
    size = round(seconds * 16000)
    assert [chunk.start for chunk in chunks] == [size * i for i in range(len(chunks))]
    assert {len(chunk.samples) for chunk in chunks[:-1]} <= {size}
    assert 0 < len(chunks[-1].samples) <= size
    assert {chunk.samples.dtype for chunk in chunks} == {np.dtype(np.float32)}
    return np.concatenate([chunk.samples for chunk in chunks])


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize(("name", "codec", "rate"), EXACT)
def test_lossless_sound_is_exactly_the_mean_of_its_channels_at_16_khz(tmp_path, name, codec, rate, layout):
    sound = speechlike(rate)
    encode(tmp_path / name, stereo(sound) if layout == "stereo" else sound[None], rate, codec, layout)
    wanted = sound if rate == 16000 else soxr.resample(sound, rate, 16000)
    # The side of a stereo sound leaves the grid of 8 bits.
    fine = 1 / 100 if (codec, layout) == ("pcm_u8", "stereo") else 1e-6
    np.testing.assert_allclose(check_chunks(tmp_path / name, 0.1), wanted, atol=fine)


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize(("name", "codec", "rate"), LOSSY)
def test_lossy_sound_is_nearly_the_same_and_at_the_same_time(tmp_path, name, codec, rate, layout):
    sound = speechlike(rate)
    with_video = name == "a.mp4"
    encode(
        tmp_path / name, stereo(sound) if layout == "stereo" else sound[None], rate, codec, layout, with_video
    )
    heard = check_chunks(tmp_path / name, 0.25)
    alike, shift = likeness(heard, speechlike(16000) if rate == 16000 else soxr.resample(sound, rate, 16000))
    assert alike > 0.98
    assert abs(shift) <= 1105  # the delay of an encoder, where its container does not tell
    assert abs(len(heard) - SECONDS * 16000) <= 2400


@pytest.mark.parametrize(("layout", "channels"), [("5.1", 6), ("7.1", 8), ("hexadecagonal", 16)])
def test_many_channels_become_their_mean(tmp_path, layout, channels):
    sound = np.stack([speechlike(16000, seed=seed) for seed in range(channels)])
    encode(tmp_path / "a.wav", sound, 16000, "pcm_s16le", layout)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), sound.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("channels", "layout"), [(7, "6.1"), (8, "7.1"), (9, "9 channels"), (16, "hexadecagonal")]
)
def test_many_planes_are_read_without_what_lies_behind_them(tmp_path, channels, layout):
    sound = np.stack([speechlike(48000, seed=seed) for seed in range(channels)])
    encode(tmp_path / "a.wv", sound, 48000, "wavpack", layout)
    assert likeness(read_audio(tmp_path / "a.wv"), soxr.resample(sound.mean(axis=0), 48000, 16000))[0] > 0.9


@given(seconds=st.floats(1 / 16000, 4.0))
@settings(deadline=None, max_examples=20)
def test_any_length_of_chunks_gives_the_same_sound(tmp_path_factory, seconds):
    path = tmp_path_factory.getbasetemp() / "chunks.flac"
    if not path.exists():
        encode(path, speechlike(22050)[None], 22050, "flac")
    np.testing.assert_array_equal(check_chunks(path, max(seconds, 0.002)), read_audio(path))


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


@pytest.mark.parametrize("name", ["12:30:00.wav", "a%20b #1.wav", "-x.wav", "é.wav"])
def test_odd_names_are_names_of_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_wav(name, np.ones(100, np.float32) / 2)
    np.testing.assert_array_equal(read_audio(name), np.ones(100) / 2)
    np.testing.assert_array_equal(read_audio(Path(name)), np.ones(100) / 2)


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


def pcm(sound, encoding):
    return (sound * 32768).astype("<i2").tobytes() if encoding == "s16le" else sound.astype("<f4").tobytes()


class Dribble(io.RawIOBase):
    """A pipe whose reads return pieces of the given lengths."""

    def __init__(self, data, lengths):
        super().__init__()
        self.data, self.lengths = data, iter(lengths)

    def read(self, size=-1):
        length = next(self.lengths, size)
        taken, self.data = self.data[:length], self.data[length:]
        return taken


@given(lengths=st.lists(st.integers(1, 3000), max_size=30))
@settings(deadline=None)
@pytest.mark.parametrize(
    ("encoding", "channels", "rate"),
    [("s16le", 1, 8000), ("s16le", 2, 44100), ("f32le", 1, 16000), ("f32le", 3, 48000)],
)
def test_pcm_is_the_same_however_its_bytes_arrive(encoding, channels, rate, lengths):
    sound = speechlike(8000, 1)
    sides = np.stack([sound] * channels)
    chunks = list(
        stream_pcm(Dribble(pcm(sides.T, encoding), lengths), rate, encoding=encoding, channels=channels)
    )
    assert [chunk.start for chunk in chunks] == [0, *(chunk.end for chunk in chunks[:-1])]
    wanted = sound if rate == 16000 else soxr.resample(sound, rate, 16000)
    heard = np.concatenate([chunk.samples for chunk in chunks])
    np.testing.assert_allclose(heard, wanted, atol=1e-6)


def test_pcm_comes_out_of_a_live_pipe_at_once():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb", buffering=0) as sink:
        chunks = stream_pcm(source, 16000)
        for start, length in ((0, 101), (101, 1)):
            sink.write(pcm(np.full(length, 0.5), "s16le"))
            chunk = next(chunks)  # a reader that waited for more would hang here
            assert (chunk.start, len(chunk.samples)) == (start, length)


def test_half_a_sample_at_the_end_of_pcm_is_left_out():
    chunks = list(stream_pcm(io.BytesIO(b"\0\x40\0\x40\0"), 16000))
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks]), [0.5, 0.5])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e37])
def test_pcm_that_is_no_sound_is_refused_with_its_time(bad):
    sound = np.zeros(40000, np.float32)
    sound[36000] = bad
    with pytest.raises(AudioError, match=r"the PCM stream: wanted .* got \S+ at 4\.500 s$"):
        list(stream_pcm(io.BytesIO(sound.tobytes()), 8000, encoding="f32le"))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"rate": 10}, "rate of 1000 to 384000 Hz, got 10"),
        ({"rate": 16000, "encoding": "s24le"}, "one of s16le, f32le, got 's24le'"),
        ({"rate": 16000, "channels": 0}, "at least one channel, got 0"),
    ],
)
def test_pcm_of_an_unknown_kind_is_refused(wanted, said):
    with pytest.raises(AudioError, match=said):
        list(stream_pcm(io.BytesIO(bytes(100)), **wanted))


@pytest.mark.parametrize("data", [b"", b"\0"])
def test_pcm_without_a_sample_is_refused(data):
    with pytest.raises(AudioError, match="wanted sound, got no samples"):
        list(stream_pcm(io.BytesIO(data), 16000))


def test_a_written_wav_is_read_back_and_clipped(tmp_path):
    sound = np.append(speechlike(22050), np.float32([2.0, -2.0]))
    write_wav(tmp_path / "a.wav", sound, 22050)
    with wave.open(str(tmp_path / "a.wav")) as file:
        back = np.frombuffer(file.readframes(-1), "<i2") / 32768
    np.testing.assert_array_equal(back, np.clip(sound, -1, 32767 / 32768))


def test_less_than_one_sample_at_16_khz_is_an_empty_sound(tmp_path):
    write_wav(tmp_path / "a.wav", np.ones(1, np.float32), 48000)
    assert read_audio(tmp_path / "a.wav").shape == (0,)


def test_a_wav_of_two_channels_is_not_written(tmp_path):
    with pytest.raises(AudioError, match=r"got shape \(2, 10\)"):
        write_wav(tmp_path / "a.wav", np.zeros((2, 10), np.float32))


def test_the_loudest_window_is_the_one_found_by_trying_all():
    rng = np.random.default_rng(3)
    for length in (1, 7, 50, 60, 61):
        samples = rng.normal(size=60).astype(np.float32)
        best = max(
            (samples[at : at + length] for at in range(max(1, 60 - length + 1))),
            key=lambda window: float(np.square(window, dtype=np.float64).sum()),
        )
        np.testing.assert_array_equal(loudest(samples, length), best)

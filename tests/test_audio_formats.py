"""Every format, rate and layout becomes the same sound at 16 kHz, in chunks of any length."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from rtspk.audio import read_audio, stream_audio
from tests.conftest import SECONDS, encode, likeness, speechlike

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


def stereo(sound):
    """Split a sound over two channels whose mean it is; both stay on the grid of 16 bits."""
    side = np.float32(0.125) * np.roll(sound, 100)
    return np.stack([sound + side, sound - side])


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

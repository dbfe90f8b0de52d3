"""Raw PCM: the same however its bytes arrive, at once, and refused where it is no sound."""

import io
import os

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from rtspk.audio import stream_pcm
from rtspk.errors import AudioError
from tests.conftest import speechlike


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

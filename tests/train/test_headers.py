"""A header says how long a file is, without its sound being decoded."""

import av
import numpy as np
import pytest

from rtspk.audio import read_audio, write_wav
from rtspk.errors import AudioError
from rtspk.train.headers import Header, read_header, read_headers

HISS = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)


def encode(path, codec: str, sample_format: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16_000, layout="mono", format=sample_format)
        values = (HISS * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(values, "s16", "mono")
        frame.sample_rate = 16_000
        fifo = av.AudioResampler(sample_format, "mono", 16_000, frame_size=stream.frame_size or None)
        for part in [*fifo.resample(frame), *fifo.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "sample_format"),
    [
        ("a.wav", "pcm_s16le", "s16"),
        ("a.flac", "flac", "s16"),
        ("a.opus", "libopus", "s16"),
        ("a.mp3", "libmp3lame", "s16p"),
        ("a.m4a", "aac", "fltp"),
    ],
)
def test_a_header_gives_the_length_that_decoding_gives(tmp_path, name, codec, sample_format):
    encode(tmp_path / name, codec, sample_format)
    header = read_header(tmp_path / name)
    assert header.samples == pytest.approx(len(read_audio(tmp_path / name)), abs=1_700)
    assert header.channels == 1


def test_the_rate_is_the_files_own_and_the_length_is_at_ours(tmp_path):
    write_wav(tmp_path / "a.wav", HISS[:8_000], rate=8_000)
    assert read_header(tmp_path / "a.wav") == Header(16_000, 8_000, 1, "pcm_s16le")


def test_what_cannot_be_read_answers_with_its_error_beside_the_others(tmp_path):
    write_wav(tmp_path / "a.wav", HISS)
    (tmp_path / "b.wav").write_text("no sound")
    done = []
    found = read_headers(
        [tmp_path / name for name in ("b.wav", "a.wav", "c.wav")], lambda *at: done.append(at)
    )
    assert found[tmp_path / "a.wav"] == Header(40_000, 16_000, 1, "pcm_s16le")
    assert isinstance(found[tmp_path / "b.wav"], AudioError)
    assert "no such file" in str(found[tmp_path / "c.wav"])
    assert done[-1] == (3, 3)

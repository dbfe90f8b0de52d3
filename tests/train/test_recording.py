"""Sound files written block by block."""

import numpy as np
import pytest

from rtspk.audio import read_audio
from rtspk.errors import ConfigError
from rtspk.train.recording import write_sound


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_blocks_are_read_back_as_one_sound_to_the_bit(tmp_path, kind):
    rng = np.random.default_rng(0)
    blocks = [rng.uniform(-1.2, 1.2, n).astype(np.float32) for n in (5_000, 1, 12_345)]
    path = tmp_path / f"a.{kind}"
    assert write_sound(path, blocks) == 17_346
    want = np.clip(np.rint(np.concatenate(blocks) * 32768), -32768, 32767) / 32768
    np.testing.assert_array_equal(read_audio(path), want)
    first = path.read_bytes()
    write_sound(path, blocks)
    assert path.read_bytes() == first


def test_a_failure_leaves_what_was_there(tmp_path):
    def broken():
        yield np.zeros(100, np.float32)
        raise RuntimeError("midway")

    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="midway"):
        write_sound(path, broken())
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.wav"]
    with pytest.raises(ConfigError, match=r"ends in \.wav or \.flac, got a\.mp3"):
        write_sound(tmp_path / "a.mp3", [])

"""Decoded speech on disk is what the files hold."""

import errno

import numpy as np
import pytest

from rtspk.audio import read_audio, write_wav
from rtspk.errors import AudioError
from rtspk.train.store import SampleStore


def test_a_stretch_of_the_store_is_that_stretch_of_the_file(tmp_path):
    rng = np.random.default_rng(0)
    for name, rate in (("a", 16_000), ("b", 22_050)):
        write_wav(tmp_path / f"{name}.wav", rng.normal(0, 0.1, 12 * rate).astype(np.float32), rate)
    files = [tmp_path / "b.wav", tmp_path / "a.wav"]
    store = SampleStore.build(files, tmp_path / "cache", lambda *_: None)
    for file in files:
        whole = read_audio(file)
        assert store.offsets[file][1] == len(whole)
        assert store.read(file, 161_000, 170_000) == pytest.approx(whole[161_000:170_000], abs=1e-4)
    with pytest.raises(AudioError, match="wanted a file of this store"):
        store.read(tmp_path / "c.wav", 0, 1)


def test_a_file_that_was_written_anew_is_decoded_anew(tmp_path):
    file = tmp_path / "a.wav"
    for seconds in (1, 2):
        write_wav(file, np.full(16_000 * seconds, 0.25 * seconds, np.float32), 16_000)
        store = SampleStore.build([file], tmp_path / "cache", lambda *_: None)
        assert store.read(file, 0, 64_000) == pytest.approx(
            np.full(16_000 * seconds, 0.25 * seconds), abs=1e-4
        )


def test_a_full_disk_is_named_and_leaves_no_store(tmp_path):
    file, cache = tmp_path / "a.wav", tmp_path / "cache"
    write_wav(file, np.full(160_000, 0.25, np.float32), 16_000)
    SampleStore.build([file], cache, lambda *_: None)
    (index,), (data,) = cache.glob("*.npy"), cache.glob("*.s16")
    index.unlink()
    data.unlink()
    data.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        SampleStore.build([file], cache, lambda *_: None)
    assert caught.value.errno == errno.ENOSPC
    assert not index.exists()

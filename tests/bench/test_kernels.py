import sys

import numpy as np
import pytest

from rtspk.bench import kernels


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(kernels, "SECONDS", 1)


@pytest.mark.usefixtures("short")
def test_every_case_is_timed_against_the_peers_that_are_here():
    results = kernels.run(seed=5, runs=2)
    assert {result.case for result in results} >= {
        "log_mel_chunks_10ms",
        "log_mel_file_60s",
        "rfft_power_512",
    }
    for result in results:
        assert result.bench == "kernels"
        assert (result.seed, result.runs) == (5, 2)
        assert result.value > 0.0
        assert (result.peer is None) == (result.peer_value is None) == (result.ratio is None)


@pytest.mark.usefixtures("short")
def test_absent_peers_are_left_out(monkeypatch):
    for package in ("kaldi_native_fbank", "torch", "torchaudio"):
        monkeypatch.setitem(sys.modules, package, None)
    peers = {result.case: result.peer for result in kernels.run(runs=1)}
    assert peers["log_mel_chunks_10ms"] is None
    assert peers["mfcc_file_60s"] is None
    assert peers["rfft_power_512"] == "numpy.fft.rfft"


@pytest.mark.usefixtures("short")
def test_torch_gets_its_threads_back():
    torch = pytest.importorskip("torch", reason="the torch extra is not installed")
    before = torch.get_num_threads()
    kernels.run(runs=1)
    assert torch.get_num_threads() == before


def test_the_sound_is_the_seeds_own_and_in_range():
    sound = kernels.speech_like(16000, seed=1)
    np.testing.assert_array_equal(sound, kernels.speech_like(16000, seed=1))
    assert not np.array_equal(sound, kernels.speech_like(16000, seed=2))
    assert sound.dtype == np.float32
    assert 0.05 < np.abs(sound).max() <= 1.0

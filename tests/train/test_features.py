"""Training hears what the engine hears."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.torch_features import TorchLogMel  # noqa: E402
from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.kernels.mel import MelConfig, log_mel  # noqa: E402
from rtspk.kernels.mfcc import MfccConfig, mfcc  # noqa: E402
from rtspk.train.features import FeatureConfig, TorchMfcc, build_features  # noqa: E402


def noise():
    return np.random.default_rng(0).normal(0, 0.1, (2, 8000)).astype(np.float32)


@pytest.mark.parametrize("window_type", ["povey", "hamming", "hann"])
def test_log_mel_in_torch_is_that_of_the_kernel(window_type):
    config = MelConfig(window_type=window_type)
    samples = noise()
    batched = TorchLogMel(config)(torch.from_numpy(samples)).numpy()
    for row, own in zip(samples, batched, strict=True):
        assert np.abs(log_mel(row, config) - own).max() < 1e-3


@pytest.mark.parametrize("config", [MfccConfig(), MfccConfig(mels=80, num_ceps=40, lifter=0.0)], ids=str)
def test_mfcc_in_torch_is_that_of_the_kernel(config):
    samples = noise()
    batched = TorchMfcc(config)(torch.from_numpy(samples)).numpy()
    for row, own in zip(samples, batched, strict=True):
        assert np.abs(mfcc(row, config) - own).max() < 2e-3


def test_a_recipe_chooses_log_mel_or_mfcc_by_name():
    samples = noise()
    mel = FeatureConfig(hop=200, mels=40)
    cepstra = FeatureConfig(kind="mfcc", hop=200, mels=40, coefficients=30, lifter=11.0)
    answers = [build_features(config)(torch.from_numpy(samples)).numpy()[1] for config in (mel, cepstra)]
    assert [answer.shape[1] for answer in answers] == [mel.width, cepstra.width] == [40, 30]
    assert np.abs(log_mel(samples[1], MelConfig(hop=200, mels=40)) - answers[0]).max() < 1e-3
    wanted = mfcc(samples[1], MfccConfig(hop=200, mels=40, num_ceps=30, lifter=11.0))
    assert np.abs(wanted - answers[1]).max() < 2e-3


def test_more_cepstra_than_mel_bands_are_refused():
    with pytest.raises(ConfigError, match="wanted 1 to 23 cepstra"):
        FeatureConfig(kind="mfcc", mels=23)


def test_all_tables_move_with_the_module():
    moved = build_features(FeatureConfig(kind="mfcc")).to("meta")
    assert {name for name, _ in moved.named_buffers()} == {"taper", "filters", "transform"}
    assert all(table.is_meta for table in moved.buffers())

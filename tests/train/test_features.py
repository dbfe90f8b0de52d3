"""Training hears what the engine hears."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.kernels.mel import MelConfig, log_mel  # noqa: E402 - behind the skip
from rtspk.train.features import TorchLogMel  # noqa: E402


@pytest.mark.parametrize("window_type", ["povey", "hamming", "hann"])
def test_log_mel_in_torch_is_that_of_the_kernel(window_type):
    config = MelConfig(window_type=window_type)
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 8000)).astype(np.float32)
    batched = TorchLogMel(config)(torch.from_numpy(samples)).numpy()
    for row, own in zip(samples, batched, strict=True):
        assert np.abs(log_mel(row, config) - own).max() < 1e-3

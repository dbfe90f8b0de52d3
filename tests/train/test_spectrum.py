"""What is hidden from the network is little, and the rest stays as it was."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.train.spectrum import mask_spectrum  # noqa: E402 - behind the skip


def test_masked_spectra_keep_most_of_the_features():
    torch.manual_seed(0)
    features = torch.randn(4, 100, 80)
    masked = mask_spectrum(features, torch.ones(4, 100))
    changed = (masked != features).float().mean()
    assert 0.02 < changed < 0.5


def test_no_strength_hides_nothing():
    features = torch.randn(4, 100, 80)
    assert torch.equal(mask_spectrum(features, torch.ones(4, 100), 0.0), features)

"""Changes of sound do what their names say."""

import numpy as np
import pytest

from rtspk.train.augment import AugmentConfig, Augmenter, telephone, with_noise, with_room


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, length).astype(np.float32)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_noise_is_added_at_the_wanted_ratio(snr_db):
    speech = noise(16_000)
    added = with_noise(speech, noise(16_000, 1), snr_db) - speech
    ratio = 10 * np.log10(np.square(speech).mean() / np.square(added).mean())
    assert ratio == pytest.approx(snr_db, abs=0.1)


def test_a_room_is_a_convolution():
    speech, response = noise(500), noise(60, 1)
    assert with_room(speech, response) == pytest.approx(np.convolve(speech, response)[:500], abs=1e-5)


def test_a_telephone_has_no_sound_above_four_kilohertz():
    heard = np.abs(np.fft.rfft(telephone(noise(16_000))))
    assert heard[4_300:].mean() < 0.02 * heard[500:3_000].mean()


def test_a_changed_crop_is_finite_as_long_as_before_and_at_a_sane_level():
    config = AugmentConfig(room=1, noise=1, babble=1, telephone=0.5, lowpass=0.5, clipping=0.5, codec=0.5)
    augment = Augmenter(config, [noise(800)], [noise(3_000)])
    for seed in range(20):
        out = augment(noise(8_000), [noise(2_000)], np.random.default_rng(seed))
        assert out.shape == (8_000,)
        assert out.dtype == np.float32
        assert np.isfinite(out).all()
        assert 0.001 < np.sqrt(np.square(out).mean()) < 0.5


def test_silence_stays_finite():
    augment = Augmenter(AugmentConfig(room=1, noise=1, babble=1), [noise(800)], [noise(3_000)])
    out = augment(np.zeros(4_000, np.float32), [np.zeros(100, np.float32)], np.random.default_rng(0))
    assert np.isfinite(out).all()


def test_music_and_noise_have_ratios_of_their_own():
    config = AugmentConfig(
        room=0,
        noise=1,
        babble=0,
        telephone=0,
        lowpass=0,
        clipping=0,
        codec=0,
        noise_snr_db=(0, 0),
        music_snr_db=(20, 20),
    )
    tone = np.sin(np.arange(8_000) / 5).astype(np.float32)
    for banks, snr_db in (([noise(9_000)], []), 0.0), (([], [noise(9_000)]), 20.0):
        out = Augmenter(config, [], *banks)(tone, [], np.random.default_rng(0)).astype(np.float64)
        kept = out @ tone / (tone @ tone) * tone
        ratio = 10 * np.log10(np.square(kept).mean() / np.square(out - kept).mean())
        assert ratio == pytest.approx(snr_db, abs=0.5)

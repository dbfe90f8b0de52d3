"""Crops are changed side by side as they are one by one."""

from dataclasses import fields

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.train import augment  # noqa: E402 - behind the skip
from rtspk.train.augment import AugmentConfig, Augmenter  # noqa: E402
from rtspk.train.batched_augment import BatchedAugmenter  # noqa: E402

RATE, COUNT = 16_000, 16
SHARES = [f.name for f in fields(AugmentConfig) if isinstance(f.default, float) and f.default < 1.0]
NOTHING = dict.fromkeys(SHARES, 0.0)


def batched(*, rooms=(), noises=(), music=(), seats=(), **changes) -> BatchedAugmenter:
    banks = [[np.asarray(one, np.float32) for one in bank] for bank in (rooms, noises, music, seats)]
    return BatchedAugmenter(Augmenter(AugmentConfig(**{**NOTHING, **changes}), *banks))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def crops():
    rng = np.random.default_rng(0)
    return torch.from_numpy((rng.standard_normal((COUNT, RATE)) * 0.1).astype(np.float32))


def rms(x):
    return x.square().mean(1).sqrt()


def level_of(crop: np.ndarray) -> np.ndarray:
    return crop / np.sqrt(np.square(crop).mean())


def test_without_changes_only_the_level_is_another(crops):
    changed = batched(level_db=(-20.0, -20.0))(crops)
    torch.testing.assert_close(changed, crops * (0.1 / rms(crops))[:, None], rtol=1e-4, atol=1e-6)


def test_a_room_is_that_of_the_slow_twin(crops):
    response = np.exp(-np.arange(700) / 100.0) * np.random.default_rng(1).standard_normal(700)
    response[0] = 1.0
    changed = batched(rooms=[response], room=1.0)(crops).numpy()
    for own, got in zip(crops.numpy(), changed, strict=True):
        wanted = augment.with_room(own, response.astype(np.float32))
        np.testing.assert_allclose(level_of(got), level_of(wanted), atol=1e-4)


def test_a_telephone_is_that_of_the_slow_twin_within_its_filters(crops):
    # Speech-like sound: what lies at the edge of the band depends on the filter.
    dull = torch.fft.rfft(crops)
    dull[:, 3_000:] = 0.0
    dull = torch.fft.irfft(dull, RATE)
    changed = batched(telephone=1.0, level_db=(-20.0, -20.0))(dull).numpy()
    for own, got in zip(dull.numpy(), changed, strict=True):
        wanted = augment.telephone(0.1 * level_of(own).astype(np.float32))
        apart = (got - wanted)[500:-500]
        assert np.sqrt(np.square(apart).mean()) < 0.03 * np.sqrt(np.square(wanted).mean())


def test_noise_is_as_loud_as_asked_and_music_as_its_own(crops):
    hum = np.sin(np.arange(5_000) * 0.3)
    for bank, key in (({"noises": [hum]}, "noise_snr_db"), ({"music": [hum]}, "music_snr_db")):
        made = batched(**bank, noise=1.0, level_db=(0.0, 0.0), **{key: (10.0, 10.0)})
        noisy = made(crops).numpy()
        for own, got in zip(crops.numpy(), noisy, strict=True):
            scale = (got @ own) / (own @ own)
            added = got - scale * own
            snr_db = 20.0 * np.log10(np.linalg.norm(scale * own) / np.linalg.norm(added))
            assert snr_db == pytest.approx(10.0, abs=0.5)


def test_a_short_noise_goes_round(crops):
    tick = np.zeros(1_000, np.float32)
    tick[0] = 1.0
    added = batched(noises=[tick], noise=1.0, noise_snr_db=(-60.0, -60.0), level_db=(0.0, 0.0))(crops)
    loud = (added.abs() > 0.5 * added.abs().amax(1, keepdim=True)).sum(1)
    assert set(loud.tolist()) == {16}


def test_babble_is_of_other_crops(crops):
    silent = crops.clone()
    silent[1:] = 0.0
    babbled = batched(babble=1.0, babble_snr_db=(0.0, 0.0), level_db=(0.0, 0.0))(silent)
    own = level_of(silent[0].numpy())
    np.testing.assert_allclose(level_of(babbled[0].numpy()), own, atol=1e-4)  # nobody else says anything


def test_a_far_seat_is_heard_over_a_hum(crops):
    changed = batched(seats=[np.ones(1)], far=1.0, hum_snr_db=(10.0, 10.0), level_db=(0.0, 0.0))(crops)
    for own, got in zip(crops.numpy(), changed.numpy(), strict=True):
        likeness = got @ own / np.linalg.norm(got) / np.linalg.norm(own)
        assert likeness == pytest.approx(np.sqrt(10.0 / 11.0), abs=0.02)


def test_a_low_pass_leaves_what_is_below_it_and_nothing_above(crops):
    level = {"level_db": (-20.0, -20.0)}
    same, dull = (torch.fft.rfft(batched(**level, lowpass=share)(crops)).abs() for share in (0.0, 1.0))
    torch.testing.assert_close(dull[:, :2_999], same[:, :2_999], rtol=1e-3, atol=1e-3)
    assert float(dull[:, 7_001:].max()) < 1e-3 * float(same.max())


def test_a_microphone_raises_and_lowers_bands(crops):
    same = batched(level_db=(-20.0, -20.0))(crops)
    changed = batched(microphone=1.0, level_db=(-20.0, -20.0))(crops)
    ratio = torch.fft.rfft(changed).abs() / torch.fft.rfft(same).abs().clamp(min=1e-6)
    decibels = 20.0 * ratio.clamp(min=1e-6).log10()
    assert 2.0 < float(decibels[:, 50:7_900:400].std()) < 6.0


def test_clipping_cuts_off_what_is_above_a_share_of_the_peak(crops):
    level = {"level_db": (-20.0, -20.0)}
    same, cut = (batched(**level, clipping=share)(crops) for share in (0.0, 1.0))
    ceiling = cut.abs().amax(1, keepdim=True)
    shares = ceiling / same.abs().amax(1, keepdim=True)
    assert 0.299 < float(shares.min()) < float(shares.max()) < 0.901
    torch.testing.assert_close(cut, same.clamp(-ceiling, ceiling))


def test_each_change_takes_its_share(crops):
    many = crops.repeat(64, 1)
    response = np.array([1.0, 0.0, 0.9], np.float32)
    changed = batched(rooms=[response], room=0.25, level_db=(-20.0, -20.0))(many)
    same = batched(level_db=(-20.0, -20.0))(many)
    share = float(((changed - same).abs().amax(1) > 1e-3).float().mean())
    assert share == pytest.approx(0.25, abs=0.05)
    assert torch.allclose(batched(rooms=[response], room=1.0, level_db=(-20.0, -20.0))(many, 0.0), same)


def test_the_seed_says_what_is_heard(crops):
    made = batched(rooms=[np.array([1.0, 0.5])], room=0.5, noises=[np.ones(99)], noise=0.5, babble=0.5)
    torch.manual_seed(3)
    first = made(crops)
    second = made(crops)
    torch.manual_seed(3)
    assert torch.equal(made(crops), first)
    assert not torch.equal(second, first)


@pytest.mark.parametrize("samples", [15_999, 16_000])
def test_length_and_onset_stay(samples):
    crop = torch.zeros(COUNT, samples)
    crop[:, 4_000:9_000] = torch.randn(COUNT, 5_000)
    everything = dict.fromkeys(SHARES, 1.0) | {"codec": 0.0}
    response = np.exp(-np.arange(2_000) / 300.0)
    made = batched(rooms=[response], noises=[np.ones(50)], seats=[response], **everything)
    assert made(crop).shape == crop.shape
    quiet = batched(rooms=[response], room=1.0)(crop)
    assert float(quiet[:, :3_900].abs().max()) < 1e-5


def test_workers_keep_what_needs_an_encoder():
    left = AugmentConfig(codec=0.3, far=0.5, microphone=0.5).codecs()
    assert left.codec == 0.3
    assert [getattr(left, name) for name in SHARES if name != "codec"] == [0.0] * (len(SHARES) - 1)


def test_one_by_one_a_far_seat_and_a_microphone_change_a_crop():
    rng = np.random.default_rng(0)
    crop = rng.standard_normal(RATE).astype(np.float32)
    config = AugmentConfig(**{**NOTHING, "far": 1.0, "microphone": 1.0})
    far = Augmenter(config, [], [], seats=[np.ones(1, np.float32)])
    changed = far(crop, [], np.random.default_rng(1))
    assert changed.shape == crop.shape
    assert changed.dtype == np.float32
    likeness = float(changed @ crop / np.linalg.norm(changed) / np.linalg.norm(crop))
    assert 0.5 < likeness < 0.99


def test_a_microphone_lifts_the_band_that_it_says():
    crop = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    lifted = augment.microphone(crop, np.array([0.0, 0.0, 20.0]))
    ratio = np.abs(np.fft.rfft(lifted)) / np.abs(np.fft.rfft(crop))
    assert ratio[10] == pytest.approx(1.0, abs=0.05)
    assert ratio[7_990] == pytest.approx(10.0, rel=0.05)

"""Crops of conversations and what the segmenter should answer to them, against slow twins."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.powerset import CLASSES, MEMBERS, class_of, reordered  # noqa: E402 - behind the skip
from rtspk.errors import ConfigError  # noqa: E402
from rtspk.train.activity_batches import (  # noqa: E402
    ActivityBatches,
    ActivityDataConfig,
    local_classes,
    target,
)
from rtspk.train.activity_set import ActivitySet  # noqa: E402

PLAIN = ActivityDataConfig(
    batch=2, crop_seconds=2.0, short_share=0.0, noise=0.0, events=0.0, tilt=0.0, masked=0.0
)


def drawn_bits(rng, frames, speakers=5):
    """Who is active, each speaker in a few runs: nobody to everybody at once."""
    active = np.repeat(rng.random((-(-frames // 10), speakers)) < 0.25, 10, axis=0)[:frames]
    return (active @ (1 << np.arange(speakers))).astype(np.uint16)


def drawn_chances(rng, frames):
    return rng.dirichlet(np.full(CLASSES, 0.3), frames).astype(np.float32)


@pytest.fixture
def pieces():
    rng = np.random.default_rng(0)
    return ActivitySet(
        rng.normal(8, 3, (3, 1000, 20)).astype(np.float16),
        np.stack([drawn_bits(rng, 250) for _ in range(3)]),
        drawn_chances(rng, 750).reshape(3, 250, CLASSES).astype(np.float16),
    )


def test_a_batch_depends_on_the_seed_and_its_number_alone(pieces):
    config = replace(PLAIN, short_share=0.5, noise=0.5, tilt=0.5, swell=0.5, masked=0.5)
    one, two = (ActivityBatches(pieces, config, 7, 9) for _ in range(2))
    assert len(one) == 9
    two[0]  # asked before, as by a run that was not killed
    for got, wanted in zip(one[5], two[5], strict=True):
        assert torch.equal(got, wanted)
    other = ActivityBatches(pieces, PLAIN, 8, 9)
    plain = ActivityBatches(pieces, PLAIN, 7, 9)
    assert not torch.equal(plain[5][0], plain[6][0])
    assert not torch.equal(plain[5][0], other[5][0])


def test_a_crop_is_a_stretch_of_a_piece_and_its_target_that_of_the_same_frames(pieces):
    features, targets = ActivityBatches(pieces, PLAIN, 0, 1)[0]
    assert features.shape == (2, 200, 20)
    assert targets.shape == (2, 50, CLASSES)
    assert features.dtype == targets.dtype == torch.float32
    for crop, wanted in zip(features.numpy(), targets.numpy(), strict=True):
        places = [
            (p, t) for p in range(3) for t in range(201) if (pieces.features[p, t * 4] == crop[0]).all()
        ]
        ((p, t),) = places
        assert np.array_equal(crop, pieces.features[p, t * 4 : t * 4 + 200].astype(np.float32))
        bits, taught = pieces.speakers[p, t : t + 50], pieces.taught[p, t : t + 50].astype(np.float32)
        assert np.array_equal(wanted, target(bits, taught, 0.5))


def test_a_crop_may_be_a_whole_piece(pieces):
    batches = ActivityBatches(pieces, replace(PLAIN, crop_seconds=10.0), 0, 1)
    features, targets = batches[0]
    assert features.shape == (2, 1000, 20)
    assert any(np.array_equal(features[0], one.astype(np.float32)) for one in pieces.features)
    assert targets.shape == (2, 250, CLASSES)


def test_some_batches_are_shorter_and_none_is_too_short(pieces):
    config = replace(PLAIN, batch=1, short_share=0.5, shortest_seconds=0.6)
    lengths = [len(ActivityBatches(pieces, config, 0, 60)[step][1][0]) for step in range(60)]
    assert 15 < lengths.count(50) < 45
    assert 15 <= min(lengths) < 25
    assert max(lengths) == 50


def test_without_a_teacher_the_reference_is_the_target(pieces):
    alone = replace(pieces, taught=np.zeros((0, 250, CLASSES), np.float16))
    _, targets = ActivityBatches(alone, PLAIN, 0, 1)[0]
    assert set(targets.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(targets.sum(-1), torch.ones(2, 50))


def changed(pieces, steps=1, **shares):
    """Pairs of crops: as they are, and changed."""
    one = ActivityBatches(pieces, replace(PLAIN, crop_seconds=10.0, batch=1, **shares), 0, steps)
    for step in range(steps):
        crop = one[step][0][0].numpy()
        # Noise changes all of it, a tilt too: the piece is the one that goes with it best.
        rows = [piece.astype(np.float32) for piece in pieces.features]
        yield max(rows, key=lambda own: np.corrcoef(own.ravel(), crop.ravel())[0, 1]), crop


def test_a_tilt_is_the_same_at_all_times(pieces):
    ((rows, crop),) = changed(pieces, tilt=1.0)
    apart = crop - rows
    assert apart == pytest.approx(np.broadcast_to(apart[0], apart.shape), abs=1e-4)
    assert np.ptp(apart[0]) > 0.1


def test_noise_only_adds(pieces):
    ((rows, crop),) = changed(pieces, noise=1.0)
    assert (crop >= rows - 1e-4).all()
    assert (crop > rows + 0.01).any()
    assert crop.dtype == np.float32


def test_a_mask_levels_a_band_and_any_band_comes(pieces):
    hit = np.zeros(20, int)
    for rows, crop in changed(pieces, 120, masked=1.0):
        bands = np.flatnonzero((crop == crop[0]).all(0))
        hit[bands] += 1
        assert 1 <= len(bands) <= 5
        assert np.array_equal(bands, np.arange(bands[0], bands[-1] + 1))
        assert crop[0, bands] == pytest.approx(rows[:, bands].mean(0), abs=1e-3)
        kept = np.setdiff1d(np.arange(20), bands)
        assert np.array_equal(crop[:, kept], rows[:, kept])
    assert (hit > 0).all()


def test_a_crop_of_few_mels_can_be_masked(pieces):
    few = replace(pieces, features=pieces.features[..., :2])
    features, _ = ActivityBatches(few, replace(PLAIN, masked=1.0), 0, 1)[0]
    assert features.shape == (2, 200, 2)


def slow_classes(bits):
    """Frame by frame, with sets."""
    frames = [{i for i in range(16) if b >> i & 1} for b in bits.tolist()]
    spoken = [sum(i in frame for frame in frames) for i in range(16)]
    local = sorted(range(16), key=lambda i: (-spoken[i], i))[:3]
    classes, known = [], []
    for frame in frames:
        heard = [k for k in range(3) if local[k] in frame]
        known.append(len(frame) == len(heard) <= 2)
        heard = heard[:2]
        classes.append(next(c for c in range(CLASSES) if np.flatnonzero(MEMBERS[c]).tolist() == heard))
    return classes, known


@pytest.mark.parametrize("seed", range(6))
def test_classes_are_those_of_the_three_who_speak_most(seed):
    bits = drawn_bits(np.random.default_rng(seed), 120, speakers=(1, 3, 5, 16)[seed % 4])
    classes, known = local_classes(bits)
    wanted_classes, wanted_known = slow_classes(bits)
    assert classes.tolist() == wanted_classes
    assert known.tolist() == wanted_known


@pytest.mark.parametrize("seed", range(6))
def test_a_target_is_the_reference_and_of_it_a_share_as_the_teacher_says(seed):
    rng = np.random.default_rng(seed)
    bits, taught, share = drawn_bits(rng, 80, (2, 3, 5)[seed % 3]), drawn_chances(rng, 80), rng.random()
    classes, known = slow_classes(bits)
    tried = []
    for order in permutations(range(3)):
        # Speaker i of the reference is speaker order[i] of the teacher.
        moved = np.zeros((80, CLASSES))
        for c in range(CLASSES):
            theirs = np.zeros(3, bool)
            theirs[[order[i] for i in np.flatnonzero(MEMBERS[c])]] = True
            moved[:, c] = taught[:, class_of(theirs)]
        agreement = sum(moved[t, c] for t, c in enumerate(classes) if known[t])
        tried.append((agreement, moved))
    best = max(tried, key=lambda one: one[0])[1]
    got = target(bits, taught, share)
    assert got.dtype == np.float32
    for t in range(80):
        exact = np.eye(CLASSES)[classes[t]]
        wanted = share * best[t] + (1 - share) * exact if known[t] else best[t]
        assert got[t] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("k", range(6))
def test_a_teacher_that_is_right_under_other_numbers_agrees_with_the_reference(k):
    bits = np.repeat(np.array([1, 2, 3, 4, 6, 0, 5], np.uint16), 5)
    exact = target(bits, None, 0.5)
    assert np.array_equal(target(bits, exact[:, reordered()[k]], 0.5), exact)


def test_what_the_classes_cannot_say_is_left_to_the_teacher():
    bits = np.array([1, 1, 1, 2, 2, 4, 7, 8], np.uint16)  # three at once, then a fourth speaker
    taught = drawn_chances(np.random.default_rng(0), 8)
    got = target(bits, taught, 0.0)
    assert np.array_equal(got[:6], target(bits, None, 0.0)[:6])
    assert np.sort(got[6:]) == pytest.approx(np.sort(taught[6:]))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("crop_seconds", 10.5, "crops of 0.04 to 10 s"),
        ("shortest_seconds", 3.0, "crops of 0.04 to 10 s"),
        ("shortest_seconds", 0.0, "crops of 0.04 to 10 s"),
        ("teacher_share", 1.5, "wanted teacher_share of 0 to 1, got 1.5"),
        ("noise", -0.1, "wanted noise of 0 to 1, got -0.1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, value, message):
    with pytest.raises(ConfigError, match=message):
        replace(PLAIN, **{name: value})


def test_so_many_of_the_crops_are_unlabelled_ones_in_which_the_teacher_alone_counts(pieces):
    rng = np.random.default_rng(3)
    chances = drawn_chances(rng, 500).reshape(2, 250, CLASSES).astype(np.float16)
    unlabelled = ActivitySet(np.full((2, 1000, 20), 30.0, np.float16), np.zeros((2, 250), np.uint16), chances)
    config = replace(PLAIN, batch=40, unlabelled_share=0.25)
    seen = 0
    for step in range(10):
        features, targets = ActivityBatches(pieces, config, 0, 10, unlabelled)[step]
        ours = (features == 30.0).all(dim=(1, 2))
        seen += int(ours.sum())
        for crop in targets[ours].numpy():
            orders = chances.astype(np.float32)[:, :, reordered()]  # (2, 250, 6, 7)
            starts = range(250 - len(crop) + 1)
            assert any(
                np.allclose(orders[piece, at : at + len(crop), k], crop, atol=1e-6)
                for piece in range(2)
                for k in range(6)
                for at in starts
            )
    assert 0.15 < seen / 400 < 0.35


def test_a_swell_moves_all_pitches_alike_and_slowly(pieces):
    plain = ActivityBatches(pieces, PLAIN, 0, 1)[0][0].numpy()
    # The first crop is drawn before any chance is spent on changes, so it is the same one.
    moved = (ActivityBatches(pieces, replace(PLAIN, swell=1.0), 0, 1)[0][0].numpy() - plain)[0]
    assert moved == pytest.approx(np.repeat(moved[:, :1], 20, axis=1), abs=1e-4)
    assert moved.std() > 0.1
    assert np.abs(np.diff(moved[:, 0])).max() < 0.1

"""What a step sees depends on the seed and the step alone."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.train.augment import AugmentConfig, Augmenter  # noqa: E402
from rtspk.train.batches import Batches  # noqa: E402
from rtspk.train.manifest import read_manifest  # noqa: E402
from rtspk.train.recipe import Recipe  # noqa: E402
from rtspk.train.store import SampleStore  # noqa: E402


@pytest.fixture
def batches(pack, recipe_file, tmp_path):
    recipe = Recipe.read(recipe_file)
    utterances = read_manifest(pack / "train.csv")
    store = SampleStore.build([u.path for u in utterances], tmp_path, lambda *_: None)
    noise = np.random.default_rng(0).normal(0, 0.1, 9000).astype(np.float32)
    return Batches(
        utterances, store, Augmenter(AugmentConfig(), [], [noise]), recipe.features, recipe.data, 1, 10
    )


def test_a_step_is_the_same_whenever_it_is_asked_for(batches):
    first, again = batches[3], (batches[7], batches[3])[1]
    for name in ("samples", "mask", "speakers", "targets"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(batches[4].speakers, first.speakers) or not torch.equal(
        batches[4].samples, first.samples
    )


@pytest.mark.parametrize(
    ("speakers", "changes", "wanted"),
    [
        (1, {"targets": "", "each": 2, "batch": 2}, "wanted two speakers or more to tell apart, got 1"),
        (
            4,
            {"batch": 5, "unlabelled": 0.0},
            "wanted at least 5 speakers for batches of 5 with 1 crops each",
        ),
        (4, {"each": 3, "unlabelled": 0.5}, "wanted room for 3 crops of a speaker in batches of 3, got 1 of"),
    ],
)
def test_batches_that_the_speakers_do_not_allow_are_refused(speakers, changes, wanted, batches):
    known = [u for own in batches.speakers[:speakers] for u in own]
    unknown = replace(known[0], speaker="")
    data = replace(batches.data, **changes)
    with pytest.raises(ConfigError, match=wanted):
        Batches([*known, unknown], batches.store, batches.augmenter, batches.features, data, 1, 10)


def test_a_batch_has_different_speakers_and_their_own_targets(batches):
    for step in range(10):
        batch = batches[step]
        assert len(set(batch.speakers.tolist())) == 3
        assert (batch.targets // 2).tolist() == batch.speakers.tolist()


def test_masks_fit_the_frames_and_are_never_empty(batches):
    for step in range(10):
        batch = batches[step]
        assert batch.mask.shape == (3, 1 + (batch.samples.shape[1] - 400) // 160)
        assert (batch.mask.sum(1) > 0).all()
        assert torch.isfinite(batch.samples).all()


def test_late_steps_are_longer(batches):
    batches.data = replace(batches.data, late_share=0.5, late_crop_seconds=(1.0, 1.1))
    early = max(batches[step].samples.shape[1] for step in range(5))
    late = min(batches[step].samples.shape[1] for step in range(5, 10))
    assert early < late


def test_a_share_of_a_batch_is_of_nobody_known_and_speakers_may_come_in_pairs(batches):
    own = [u for who in batches.speakers for u in who]
    nobody = [replace(u, speaker="") for u in own]
    data = replace(batches.data, batch=8, each=2, unlabelled=0.25)
    mixed = Batches(own + nobody, batches.store, batches.augmenter, batches.features, data, 1, 10)
    speakers = mixed[0].speakers.tolist()
    assert speakers[6:] == [-1, -1]
    assert speakers[0:6:2] == speakers[1:6:2]


def test_a_faster_voice_fills_its_crop(batches):
    fast = [replace(u, speed=1.25, speaker=f"{u.speaker}@1.25") for who in batches.speakers for u in who]
    data = replace(batches.data, crop_seconds=(0.5, 0.6), masked=0.0, gap=0.0)
    other = Batches(fast, batches.store, batches.augmenter, batches.features, data, 1, 4)
    assert other[0].mask.all()
    assert len(batches.store.read(fast[0].path, 0, 16_000, 1.25)) == 12_800


def test_a_short_utterance_is_padded_and_what_is_behind_it_is_not_listened_to(batches):
    short = [replace(u, end=u.start + 8_000) for who in batches.speakers for u in who]
    data = replace(batches.data, crop_seconds=(1.0, 1.1), late_crop_seconds=(1.0, 1.1), masked=0.0, gap=0.0)
    quiet = Augmenter(AugmentConfig(noise=0, babble=0, codec=0, telephone=0, lowpass=0), [], [])
    batch = Batches(short, batches.store, quiet, batches.features, data, 1, 4)[0]
    frames = 1 + (8_000 - 400) // 160
    assert batch.mask[:, :frames].all()
    assert not batch.mask[:, frames:].any()
    assert not batch.samples[:, 8_000:].any()


def test_other_speeds_are_speakers_of_their_own_whom_no_teacher_heard(batches):
    own = [u for who in batches.speakers for u in who]
    long = [replace(own[0], end=own[0].start + 36_000), *own[1:]]
    data = replace(batches.data, batch=5, speeds=(0.9, 1.1))
    more = Batches(long, batches.store, batches.augmenter, batches.features, data, 1, 20)
    assert len(more.speakers) == len(batches.speakers) + 2
    taught = {
        (int(s), int(t))
        for step in range(20)
        for s, t in zip(more[step].speakers, more[step].targets, strict=True)
    }
    for speaker, target in taught:
        assert (target < 0) == (more.speakers[speaker][0].speed != 1.0)
    assert any(target < 0 for _, target in taught)


def test_too_few_speakers_for_a_batch_are_said(batches):
    own = [u for who in batches.speakers for u in who]
    with pytest.raises(ConfigError, match="at least 8 speakers for batches of 8 with 1 crops each, got 4"):
        Batches(
            own, batches.store, batches.augmenter, batches.features, replace(batches.data, batch=8), 1, 10
        )


def test_the_shortest_crops_have_a_mask_of_their_length(batches):
    batches.data = replace(batches.data, crop_seconds=(0.1, 0.1), late_share=0.0, masked=1.0)
    batch = batches[0]
    assert batch.mask.shape == (3, 5)
    assert batch.samples.shape == (3, 1040)

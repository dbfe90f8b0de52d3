"""What a model says of the speech that it was trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtspk.audio import write_wav

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.conformer import Conformer, ConformerConfig  # noqa: E402 - behind the skip
from rtspk.train.features import FeatureConfig, build_features  # noqa: E402
from rtspk.train.manifest import Utterance, at_speeds  # noqa: E402
from rtspk.train.scoring import CentredEmbedder, cohort_of, sets_of, voices  # noqa: E402
from rtspk.train.store import SampleStore  # noqa: E402

HALF_AN_HOUR = 1800 * 16_000


def utterance(file, speaker, dataset="a", licence="CC0"):
    return Utterance(Path(file), 0, HALF_AN_HOUR, speaker, dataset, "", "", licence, -1)


def test_sets_are_counted_with_speech_of_nobody_known():
    utterances = [utterance("1", "a/1"), utterance("2", "a/1"), utterance("3", "a/2")]
    utterances += [utterance("4", ""), utterance("5", "", "b", "MIT")]
    assert sets_of(utterances) == [("a", "CC0", 2, 2.0), ("b", "MIT", 0, 0.5)]


def test_copies_at_other_speeds_are_neither_more_speakers_nor_more_hours():
    utterances = [utterance("1", "a/1"), utterance("2", "a/2@home")]
    assert sets_of(at_speeds(utterances, (0.9, 1.1))) == [("a", "CC0", 2, 1.0)]
    only_faster = [replace(utterances[0], speaker="a/1@1.1", speed=1.1)]
    assert sets_of(only_faster) == [("a", "CC0", 1, 0.5)]


@pytest.fixture
def talkers(tmp_path):
    """Three speakers of noise; the second has little, and the third only at another speed."""
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{number}.wav" for number in range(3)]
    for file in files:
        write_wav(file, rng.normal(0, 0.1, 40_000).astype(np.float32))
    store = SampleStore.build(files, tmp_path, lambda *_: None)
    long, short, fast = (
        replace(utterance("x", f"a/{n}"), path=file, end=40_000) for n, file in enumerate(files)
    )
    return [[long], [replace(short, end=8_000)], [replace(fast, speed=1.1)]], store


def test_the_cohort_is_of_speakers_with_enough_speech_at_their_own_speed(talkers):
    speakers, store = talkers
    torch.manual_seed(0)
    config = ConformerConfig(channels=4, width=16, blocks=1, heads=2, pooling_width=8, dimension=12)
    embedder = CentredEmbedder(Conformer(config), torch.randn(12)).eval()
    features = build_features(FeatureConfig())
    cohort = cohort_of(embedder, features, speakers, store, 0)
    assert cohort.shape == (1, 12)
    assert cohort.norm(dim=1).item() == pytest.approx(1.0, abs=1e-5)
    (alone,) = voices(embedder, features, speakers[:1], store)
    assert torch.allclose(cohort[0], alone, atol=1e-5)
    assert cohort_of(embedder, features, speakers[1:], store, 0).shape == (0, 12)

"""Speakers held out of training: their trials, and what the network hears of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.errors import ConfigError

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.train.development import Development, embed_all  # noqa: E402 - behind the skip
from rtspk.train.features import FeatureConfig, build_features  # noqa: E402
from rtspk.train.manifest import Utterance  # noqa: E402
from rtspk.train.store import SampleStore  # noqa: E402


class Counting(torch.nn.Module):
    """Answers with how many frames it is to listen to, and how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, features, mask):
        return torch.stack([mask.sum(1), torch.full((len(mask),), float(features.shape[1]))], 1)


@pytest.mark.parametrize(("window", "hop"), [(400, 160), (320, 320)])
def test_all_frames_of_a_crop_are_listened_to_whatever_the_hop(window, hop):
    features = build_features(FeatureConfig(window=window, hop=hop))
    crops = [np.ones(window + hop * more, np.float32) for more in (0, 9, 4)]
    assert embed_all(Counting(), features, crops).tolist() == [[1, 10], [10, 10], [5, 10]]


@pytest.fixture
def utterances(tmp_path):
    write_wav(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 160_000).astype(np.float32))
    whole = Utterance(tmp_path / "a.wav", 0, 40_000, "set/a", "set", "en", "f", "", -1)
    return [replace(whole, start=at, end=at + 40_000) for at in (0, 40_000, 80_000, 120_000)]


@pytest.mark.parametrize("gender", [None, "m"])
def test_speakers_without_one_to_be_told_from_are_refused_before_anything_is_learnt(
    gender, utterances, tmp_path
):
    store = SampleStore.build([Path(tmp_path / "a.wav")], tmp_path, lambda _done, _of: None)
    others = [replace(u, speaker="set/b", gender=gender) for u in utterances] if gender else []
    with pytest.raises(ConfigError, match="wanted two speakers or more of one data set and gender"):
        Development(utterances + others, store, 0)
    assert Development([*utterances, replace(utterances[0], speaker="set/b")], store, 0).same.sum() == 6

"""Accuracy on speakers that training knows, on utterances that it does not."""

import numpy as np
import pytest

from rtspk.audio import write_wav

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.train.closed_set import ClosedSet  # noqa: E402 - behind the skip
from rtspk.train.features import FeatureConfig, build_features  # noqa: E402
from rtspk.train.losses import Softmax  # noqa: E402
from rtspk.train.manifest import Utterance  # noqa: E402
from rtspk.train.store import SampleStore  # noqa: E402


class Pitch(torch.nn.Module):
    """Which of three mel bands is loudest."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.eye(3))

    def forward(self, features, mask):
        mean = (features * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        return mean @ self.weight


@pytest.fixture
def utterances(tmp_path):
    made = []
    for speaker, hertz in enumerate((500, 2000, 4500)):
        for number, seconds in enumerate((0.5, 0.9, 7.0)):
            path = tmp_path / f"{speaker}-{number}.wav"
            time = np.arange(int(seconds * 16_000)) / 16_000
            write_wav(path, (0.1 * np.sin(2 * np.pi * hertz * time)).astype(np.float32))
            made.append(Utterance(path, 0, len(time), f"a/{speaker}", "a", "", "", "", -1))
    return made


def test_the_accuracy_is_the_share_of_utterances_named_right(utterances, tmp_path):
    store = SampleStore.build([u.path for u in utterances], tmp_path / "cache", lambda *_: None)
    features = build_features(FeatureConfig(mels=3))
    classifier = Softmax(3, 3)
    with torch.no_grad():
        classifier.weight.copy_(torch.eye(3))
    speakers = [[u for u in utterances if u.speaker == f"a/{s}"] for s in range(3)]
    right = ClosedSet(utterances, speakers, store, seed=0)
    assert len(right.utterances) == 9
    assert right.accuracy(Pitch(), classifier, features) == 1.0
    # A classifier that numbers two speakers the other way round names only the third right.
    wrong = ClosedSet(utterances, [speakers[1], speakers[0], speakers[2]], store, seed=0)
    assert wrong.accuracy(Pitch(), classifier, features) == pytest.approx(1 / 3)
    chances = right.probabilities(Pitch(), classifier, features)
    assert torch.allclose(chances.sum(1), torch.ones(9), atol=1e-5)


def test_speakers_that_the_classifier_does_not_know_are_left_out(utterances, tmp_path):
    store = SampleStore.build([u.path for u in utterances], tmp_path / "cache", lambda *_: None)
    known = ClosedSet(utterances, [[u] for u in utterances[:4:3]], store, seed=0)
    assert {u.speaker for u in known.utterances} == {"a/0", "a/1"}

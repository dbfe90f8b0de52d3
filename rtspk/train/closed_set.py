"""How well the classifier names its own speakers, on utterances of theirs that it was not trained on."""

import numpy as np
import torch
from torch import Tensor, nn

from rtspk.audio import loudest
from rtspk.engine.torch_features import TorchLogMel
from rtspk.train.development import embed_all
from rtspk.train.losses import Classifier
from rtspk.train.manifest import Utterance
from rtspk.train.store import SampleStore
from rtspk.types import samples_of

__all__ = ["ClosedSet"]

LONGEST: int = samples_of(6.0)  # of an utterance is heard: its loudest stretch
TOGETHER: int = 256  # utterances that are in memory at a time
MOST: int = 2000  # utterances that are measured, drawn from all


class ClosedSet:
    """Utterances kept out of training, and who of the classifier's speakers says each."""

    def __init__(
        self, utterances: list[Utterance], speakers: list[list[Utterance]], store: SampleStore, seed: int
    ) -> None:
        number = {own[0].speaker: index for index, own in enumerate(speakers)}
        known = [u for u in utterances if u.speaker in number]
        drawn = np.random.default_rng((seed, 2)).permutation(len(known))[:MOST]
        self.utterances = sorted(
            (known[i] for i in drawn), key=lambda u: u.duration
        )  # batches of like length
        self.speakers = torch.tensor([number[u.speaker] for u in self.utterances])
        self._store = store

    def accuracy(self, network: nn.Module, classifier: Classifier, features: TorchLogMel) -> float:
        """The share of utterances whose likeliest speaker is the right one."""
        likeliest = self.probabilities(network, classifier, features).argmax(1)
        return float((likeliest == self.speakers).float().mean())

    @torch.no_grad()
    def probabilities(self, network: nn.Module, classifier: Classifier, features: TorchLogMel) -> Tensor:
        """Each utterance's probability of each speaker, float32 [shape=(utterances, speakers)].

        The mean of several networks' probabilities is their ensemble's.
        """
        rows = []
        for at in range(0, len(self.utterances), TOGETHER):
            part = self.utterances[at : at + TOGETHER]
            crops = [loudest(self._store.read(u.path, u.start, u.end, u.speed), LONGEST) for u in part]
            vectors = torch.from_numpy(embed_all(network, features, crops))
            rows.append(torch.softmax(classifier.logits(vectors.to(classifier.weight.device)), 1).cpu())
        return torch.cat(rows)

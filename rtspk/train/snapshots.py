"""Snapshots: the run at the end of each cycle, and what they are worth together (arXiv:1704.00109)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rtspk.engine.torch_features import TorchLogMel
from rtspk.train.closed_set import ClosedSet
from rtspk.train.development import Development
from rtspk.train.losses import Classifier
from rtspk.train.scoring import CentredEmbedder

__all__ = ["Ensemble", "Snapshot", "Worth", "compare"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A network as it was, and the classifier that it had."""

    embedder: CentredEmbedder
    classifier: Classifier


class Ensemble(nn.Module):
    """Several embedders as one: their unit vectors side by side, so that its cosine is the mean of theirs."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Unit vectors, float32 [shape=(B, members * dimension)]; arguments as for a network."""
        vectors = [member(features, mask) for member in self.members]
        return torch.cat(vectors, 1) * len(vectors) ** -0.5


@dataclass(frozen=True, slots=True)
class Worth:
    """The ensemble beside the best of its snapshots, counted from 1; empty where it was not measured."""

    eer: dict[str, float]  # equal error rate by length, of the ensemble
    best_eer: dict[str, float]  # of the snapshot with the lowest mean over the lengths
    best_by_eer: int
    accuracy: float | None  # of the ensemble's mean probability
    best_accuracy: float | None
    best_by_accuracy: int

    def row(self) -> dict[str, dict[str, float]]:
        """As the log has it."""
        row: dict[str, dict[str, float]] = {}
        if self.eer:
            best = {**self.best_eer, "snapshot": self.best_by_eer}
            row |= {"ensemble_eer": self.eer, "best_snapshot_eer": best}
        if self.accuracy is not None and self.best_accuracy is not None:
            best = {"accuracy": self.best_accuracy, "snapshot": self.best_by_accuracy}
            row |= {"ensemble_accuracy": {"accuracy": self.accuracy}, "best_snapshot_accuracy": best}
        return row


def compare(
    snapshots: Sequence[Snapshot],
    features: TorchLogMel,
    development: Development | None,
    closed_set: ClosedSet | None,
    progress: Callable[[int, int], None],
) -> Worth:
    """Measure every snapshot and the ensemble of all.

    Args:
        snapshots: at least one
        features: where the snapshots are
        development: for error rates of voices that training never heard; None leaves them out
        closed_set: for the accuracy among the speakers of training; None leaves it out
        progress: called with models measured and models in all
    """
    rates: list[dict[str, float]] = []
    accuracies: list[float] = []
    together: Tensor | None = None
    for number, one in enumerate(snapshots):
        progress(number, len(snapshots) + 1)
        if development is not None:
            rates.append(development.error_rates(one.embedder, features))
        if closed_set is not None:
            likely = closed_set.probabilities(one.embedder.network, one.classifier, features)
            accuracies.append(_accuracy(likely, closed_set))
            together = likely if together is None else together + likely
    progress(len(snapshots), len(snapshots) + 1)
    own: dict[str, float] = {}
    if development is not None:
        own = development.error_rates(Ensemble([one.embedder for one in snapshots]), features)
    best = min(range(len(rates)), key=lambda i: sum(rates[i].values()), default=-1)
    best_named = max(range(len(accuracies)), key=accuracies.__getitem__, default=-1)
    accuracy = _accuracy(together, closed_set) if together is not None and closed_set is not None else None
    progress(len(snapshots) + 1, len(snapshots) + 1)
    return Worth(
        eer=own,
        best_eer=rates[best] if rates else {},
        best_by_eer=best + 1,
        accuracy=accuracy,
        best_accuracy=accuracies[best_named] if accuracies else None,
        best_by_accuracy=best_named + 1,
    )


def _accuracy(likely: Tensor, closed_set: ClosedSet) -> float:
    return float((likely.argmax(1) == closed_set.speakers).float().mean())

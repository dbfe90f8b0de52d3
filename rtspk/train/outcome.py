"""What a run leaves: its model with all that is measured of it, and what its snapshots are worth together."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rtspk.engine.torch_features import TorchLogMel
from rtspk.train.batches import Batches
from rtspk.train.closed_set import ClosedSet
from rtspk.train.development import Development
from rtspk.train.losses import build_classifier
from rtspk.train.network import SpeakerNetwork, build_network
from rtspk.train.progress import Progress
from rtspk.train.recipe import Recipe
from rtspk.train.scoring import CentredEmbedder, centred, cohort_of, sets_of
from rtspk.train.snapshots import Snapshot, compare

__all__ = ["Outcome", "snapshot_name"]


def snapshot_name(number: int) -> str:
    """The file of what a cycle ended with, counted from 1."""
    return f"snapshot-{number}.pt"


class Outcome:
    """Of one run; it changes nothing of it.

    Args:
        recipe: what is trained
        batches: of its training speakers
        development: speakers held out of training, if any
        closed_sets: by name, utterances of training speakers that are
        features: where the network is
        device: that this is
    """

    def __init__(
        self,
        recipe: Recipe,
        batches: Batches,
        development: Development | None,
        closed_sets: Mapping[str, ClosedSet],
        features: TorchLogMel,
        device: torch.device,
    ) -> None:
        self._recipe, self._batches, self._features, self._device = recipe, batches, features, device
        self._development, self._closed_sets = development, closed_sets

    def network(self, weights: dict[str, Tensor]) -> SpeakerNetwork:
        """A network with these weights, to measure."""
        network = build_network(self._recipe.model, self._recipe.features.width)
        network.load_state_dict(weights)
        return network.to(self._device).eval()

    def model(
        self,
        weights: dict[str, Tensor],
        step: int,
        accuracy: dict[str, float],
        examples: dict[str, Tensor],
    ) -> dict[str, object]:
        """A finished model, as `rtspk export` takes it.

        Args:
            weights: of the network
            step: that the run is at
            accuracy: of the classifier, by closed set
            examples: what the network hears, for those whose ranges are fixed at export
        """
        embedder, held = self._centred(weights), self._development
        calibration = held.calibration(embedder, self._features) if held else None
        speakers, unlabelled = self._batches.speakers, self._batches.unlabelled
        return {
            "recipe": json.dumps(asdict(self._recipe)),
            "step": step,
            "average": weights,
            "mean": embedder.mean,
            "compensation": embedder.compensation,
            "cohort": cohort_of(
                embedder, self._features, speakers, self._batches.store, self._recipe.loop.seed
            ),
            "calibration": asdict(calibration) if calibration else {},
            "eer": held.error_rates(embedder, self._features) if held else {},
            "accuracy": accuracy,
            **examples,
            "sets": sets_of([u for own in speakers for u in own] + unlabelled),
        }

    def snapshots_worth(self, folder: Path, progress: Progress) -> dict[str, int | dict[str, float]]:
        """What the snapshots in a run's folder are worth together, as the log has it.

        Empty where there are not several, or nothing to measure on.
        """
        paths = [folder / snapshot_name(number) for number in range(1, self._recipe.loop.cycles + 1)]
        states = [torch.load(p, weights_only=True, map_location="cpu") for p in paths if p.is_file()]
        closed_set = self._closed_sets.get("validation") or self._closed_sets.get("test")
        if len(states) < 2 or (self._development is None and closed_set is None):
            return {}
        worth = compare(
            [self._restored(state) for state in states],
            self._features,
            self._development,
            closed_set,
            lambda done, of: progress("compare snapshots", done, of),
        )
        return {"snapshots": len(states), **worth.row()}

    def _centred(self, weights: dict[str, Tensor]) -> CentredEmbedder:
        made, recipe = self._batches, self._recipe
        augmenter = replace(made.augmenter, config=recipe.augment)  # with all changes, not codecs alone
        network = self.network(weights)
        embedder = centred(network, self._features, made.speakers, made.store, augmenter, recipe.loop.seed)
        return embedder.to(self._device)

    def _restored(self, state: dict[str, Any]) -> Snapshot:
        network = self.network(state["average"])
        classifier = build_classifier(self._recipe.loss, network.dimension, len(self._batches.speakers))
        classifier.load_state_dict(state["margin"])
        embedder = CentredEmbedder(network, state["mean"], state.get("compensation"))
        return Snapshot(embedder.to(self._device).eval(), classifier.to(self._device))

"""All that has weights in a training run: the network, and what its losses learn beside it."""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from rtspk.engine.residual_conformer import ResidualConformer
from rtspk.errors import ConfigError
from rtspk.train.batches import Batch
from rtspk.train.borrow import borrow
from rtspk.train.losses import Teachers, build_classifier, similarity_loss
from rtspk.train.network import build_network
from rtspk.train.recipe import Recipe
from rtspk.train.stretches import embed_in_stretches

__all__ = ["Learner"]


class Learner(nn.Module):
    """All that has weights: the network, the classifier (under the name margin), the teachers' heads."""

    def __init__(self, recipe: Recipe, speakers: int, widths: list[int]) -> None:
        super().__init__()
        self.loss, self.stretches = recipe.loss, recipe.data.stretches
        self.network = build_network(recipe.model, recipe.features.width)
        self.margin = build_classifier(recipe.loss, self.network.dimension, speakers)
        self.teachers = Teachers(self.network.dimension, widths)
        if self.stretches and not isinstance(self.network, ResidualConformer):
            raise ConfigError(f"wanted data.stretches = 0 for a {recipe.model.network}, got {self.stretches}")
        self._freeze(recipe.model.freeze)

    def forward(
        self, features: Tensor, batch: Batch, targets: list[Tensor], grown: float, margin: float | None = None
    ) -> tuple[Tensor, dict[str, float]]:
        """The weighted loss of a batch, and its parts; `grown` is how far the margin has come, 0 to 1.

        A margin that is given is taken as it is, in place of the one that grows.
        """
        if margin is None:
            margin = self.loss.margin * grown
        embeddings = self._embed(features, batch.mask).float()
        with torch.autocast(features.device.type, enabled=False):
            parts = {"margin": self.margin(embeddings, batch.speakers, margin)}
            weights = {"margin": self.loss.margin_weight}
            if targets:  # they come first, and the classifier's weight grows beside them
                weights["margin"] *= grown
                parts["teacher"] = self.teachers(embeddings, targets)
                weights["teacher"] = self.loss.teacher_weight
                parts["similarity"] = similarity_loss(embeddings, targets)
                weights["similarity"] = self.loss.similarity_weight
        loss = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        return loss, {name: float(value.detach()) for name, value in parts.items()}

    def _embed(self, features: Tensor, mask: Tensor) -> Tensor:
        drawn = self.stretches > 0.0 and torch.rand(()).item() < self.stretches
        if drawn and isinstance(self.network, ResidualConformer):
            return embed_in_stretches(self.network, features, mask)
        whole: Tensor = self.network(features, mask)
        return whole

    def train(self, mode: bool = True) -> Self:
        """Training mode for all but the batch norms of what is frozen: their statistics stay as they are."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm):
                module.train(mode and module.weight.requires_grad)
        return self

    def begin_from(self, path: Path) -> bool:
        """Begin with the weights of another run of the same network.

        Heads of other teachers begin anew, and so does a classifier of other speakers.

        Returns:
            Whether the classifier begins anew.
        """
        try:
            learnt: dict[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")["learner"]
            own = self.state_dict()
            beside = {n for n in own if not n.startswith("network.")}
            new = _other_parts(own, learnt, beside | {n for n in learnt if not n.startswith("network.")})
            kept = {n: value for n, value in learnt.items() if n.partition(".")[0] not in new}
            missing, unknown = self.load_state_dict(kept, strict=False)
        except OSError as error:
            raise ConfigError(f"wanted last.pt of a run at {path}, got {error.strerror}") from error
        except Exception as error:  # torch raises many kinds for a damaged file
            said = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"wanted last.pt of a run of the same network at {path}, got another file: {said}"
            ) from error
        # Residual layers may be added: they are the identity at first.
        lost = [n for n in missing if n.startswith("network.") and ".residuals." not in n]
        if lost or unknown:
            raise ConfigError(
                f"wanted last.pt of a run of the same network at {path}, got one that differs: "
                f"{', '.join((lost or unknown)[:3])}"
            )
        return "margin" in new

    @torch.no_grad()
    def borrow(
        self, path: Path, features: Tensor, mask: Tensor, targets: list[Tensor], rows: list[list[int]]
    ) -> None:
        """Begin with a public network: trunk and projection, the heads of the teachers, and the classifier.

        Args:
            path: an ONNX file as `rtspk.train.borrow` takes it
            features: float32 [shape=(B, T, mels)], speech to compare on
            mask: float32 [shape=(B, T)]
            targets: the teachers' tables; one is of the public network itself
            rows: of the tables, for each speaker
        """
        if not isinstance(self.network, ResidualConformer):
            raise ConfigError(f"wanted model.network = residual_conformer to begin with {path}, got another")
        directions, own = borrow(self.network, path, features, mask, targets)
        voices = targets[own] @ directions.T  # as the network answers, for every row that is in the table
        for head, target in zip(self.teachers.heads, targets, strict=True):
            assert isinstance(head, nn.Linear)
            heard = (target.square().sum(1) > 0) & (voices.square().sum(1) > 0)
            head.weight.copy_(torch.linalg.lstsq(voices[heard], target[heard]).solution.T)
            head.bias.zero_()
        self.margin.place(torch.stack([voices[own].mean(0) for own in rows]))

    def _freeze(self, prefixes: tuple[str, ...]) -> None:
        for prefix in prefixes:
            frozen = [p for name, p in self.named_parameters() if f"{name}.".startswith(f"{prefix}.")]
            if not frozen:
                parts = sorted({f"network.{name}" for name, _ in self.network.named_children()})
                raise ConfigError(f"wanted parts to freeze out of {', '.join(parts)}, got {prefix!r}")
            for parameter in frozen:
                parameter.requires_grad = False


def _other_parts(own: dict[str, Tensor], learnt: dict[str, Tensor], names: set[str]) -> set[str]:
    """The parts (margin, teachers) of which some weight is missing or of another shape."""
    return {
        name.partition(".")[0]
        for name in names
        if name not in own or name not in learnt or own[name].shape != learnt[name].shape
    }

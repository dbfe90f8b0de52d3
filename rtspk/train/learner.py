"""All that has weights in a training run: the network, and what its losses learn beside it."""

import torch
from torch import Tensor, nn

from rtspk.engine.conformer import Conformer
from rtspk.train.batches import Batch
from rtspk.train.losses import AngularMargin, Teachers, similarity_loss
from rtspk.train.recipe import Recipe

__all__ = ["Learner"]


class Learner(nn.Module):
    """All that has weights: the network, the margin's speakers, the teachers' heads."""

    def __init__(self, recipe: Recipe, speakers: int, widths: list[int]) -> None:
        super().__init__()
        self.loss = recipe.loss
        self.network = Conformer(recipe.model)
        self.margin = AngularMargin(recipe.model.dimension, speakers, recipe.loss.scale)
        self.teachers = Teachers(recipe.model.dimension, widths)

    def forward(
        self, features: Tensor, batch: Batch, targets: list[Tensor], grown: float
    ) -> tuple[Tensor, dict[str, float]]:
        """The weighted loss of a batch, and its parts; `grown` is how far the margin has come, 0 to 1."""
        embeddings = self.network(features, batch.mask).float()
        with torch.autocast(features.device.type, enabled=False):
            parts = {
                "margin": self.margin(embeddings, batch.speakers, self.loss.margin * grown),
                "teacher": self.teachers(embeddings, targets),
                "similarity": similarity_loss(embeddings, targets),
            }
        loss = (
            self.loss.margin_weight * grown * parts["margin"]
            + self.loss.teacher_weight * parts["teacher"]
            + self.loss.similarity_weight * parts["similarity"]
        )
        return loss, {name: float(value.detach()) for name, value in parts.items()}

"""What the embedder is taught by: a classifier of speakers, and teachers' vectors."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.train.recipe import LossConfig

__all__ = [
    "UNKNOWN",
    "AngularMargin",
    "Classifier",
    "Softmax",
    "Teachers",
    "build_classifier",
    "similarity_loss",
]

UNKNOWN = -1  # the speaker of an unlabelled utterance
APART: float = 0.1  # length of the noise that keeps a speaker's sub-centres from beginning as one


class AngularMargin(nn.Module):
    """Cosine softmax with a margin: AAM-softmax (arXiv:1801.07698) or AM-softmax (arXiv:1801.05599).

    A speaker may have several sub-centres, of which the nearest counts (J. Deng et al., ECCV 2020): odd
    recordings gather at one of their own.
    """

    def __init__(
        self,
        dimension: int,
        speakers: int,
        scale: float,
        subcentres: int = 1,
        kind: Literal["aam", "am"] = "aam",
    ) -> None:
        super().__init__()
        self.scale, self.subcentres, self.kind = scale, subcentres, kind
        self.weight = nn.Parameter(torch.randn(speakers * subcentres, dimension) * dimension**-0.5)

    def forward(self, embeddings: Tensor, speakers: Tensor, margin: float) -> Tensor:
        """Cross-entropy with the right speaker moved away by a margin.

        Args:
            embeddings: float32 [shape=(B, dimension)], any length
            speakers: int64 [shape=(B,)], -1 where nobody knows
            margin: radians for AAM, of the cosine for AM; 0 at the start of training and full later
        """
        cosine = self._cosine(embeddings)
        rows = speakers.clamp(min=0)[:, None]  # of nobody known: any column, since the loss ignores it
        own = cosine.gather(1, rows).squeeze(1)
        moved = own - margin if self.kind == "am" else _turned(own, margin)
        logits = self.scale * cosine.scatter(1, rows, moved[:, None])
        return F.cross_entropy(logits, speakers, ignore_index=UNKNOWN)

    def logits(self, embeddings: Tensor) -> Tensor:
        """Scores without a margin, float32 [shape=(B, speakers)]; their softmax is a probability."""
        return self.scale * self._cosine(embeddings)

    @torch.no_grad()
    def place(self, voices: Tensor) -> None:
        """Begin where the speakers' voices lie, float32 [shape=(speakers, dimension)]."""
        centres = F.normalize(voices).repeat_interleave(self.subcentres, 0).to(self.weight)
        if self.subcentres > 1:
            centres = centres + APART * F.normalize(torch.randn_like(centres))
        self.weight.copy_(centres)

    def _cosine(self, embeddings: Tensor) -> Tensor:
        cosine = F.linear(F.normalize(embeddings), F.normalize(self.weight)).clamp(-1 + 1e-6, 1 - 1e-6)
        if self.subcentres > 1:
            cosine = cosine.view(len(cosine), -1, self.subcentres).amax(2)
        return cosine  # (B, speakers)


class Softmax(nn.Module):
    """Plain cross-entropy over a linear layer."""

    def __init__(self, dimension: int, speakers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(speakers, dimension) * dimension**-0.5)
        self.bias = nn.Parameter(torch.zeros(speakers))

    def forward(self, embeddings: Tensor, speakers: Tensor, margin: float) -> Tensor:  # noqa: ARG002 - it knows no margin
        """Cross-entropy; arguments as for AngularMargin."""
        return F.cross_entropy(self.logits(embeddings), speakers, ignore_index=UNKNOWN)

    def logits(self, embeddings: Tensor) -> Tensor:
        """Scores, float32 [shape=(B, speakers)]; their softmax is a probability."""
        return F.linear(embeddings, self.weight, self.bias)

    def place(self, voices: Tensor) -> None:
        """Begin as at random: where a voice lies says nothing of a hyperplane's length and offset."""


Classifier = AngularMargin | Softmax


def build_classifier(config: LossConfig, dimension: int, speakers: int) -> Classifier:
    """The classifier that a recipe wants."""
    if config.classifier == "softmax":
        return Softmax(dimension, speakers)
    return AngularMargin(dimension, speakers, config.scale, config.subcentres, config.classifier)


class Teachers(nn.Module):
    """One linear head for each teacher; cosine distance between its answer and the teacher's vector."""

    def __init__(self, dimension: int, widths: list[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(dimension, width) for width in widths)

    def forward(self, embeddings: Tensor, targets: list[Tensor]) -> Tensor:
        """Mean distance (1 - cosine) over the utterances that each teacher heard, and over the teachers.

        Args:
            embeddings: float32 [shape=(B, dimension)]
            targets: each teacher's unit vectors, float32 [shape=(B, width)]; zero where it did not hear
        """
        distances = []
        for head, target in zip(self.heads, targets, strict=True):
            heard = target.square().sum(1)  # (B,), 1 or 0
            apart = (1.0 - F.cosine_similarity(head(embeddings), target)) * heard
            distances.append(apart.sum() / heard.sum().clamp(min=1.0))
        return torch.stack(distances).mean()


def similarity_loss(embeddings: Tensor, targets: list[Tensor]) -> Tensor:
    """How far the batch's cosines are from the teachers' mean cosines (after arXiv:1907.09682).

    Verification is decided by cosines between utterances, so these are taught as they are. Each pair's
    mean is over the teachers that heard both.
    """
    own = F.normalize(embeddings)
    heard = [target.square().sum(1) for target in targets]
    teachers = torch.stack([torch.outer(one, one) for one in heard]).sum(0)  # (B, B)
    wanted = torch.stack([target @ target.T for target in targets]).sum(0) / teachers.clamp(min=1.0)
    counted = (teachers > 0.5) & ~torch.eye(len(own), dtype=torch.bool, device=own.device)
    return ((own @ own.T - wanted).square() * counted).sum() / counted.sum().clamp(min=1)


def _turned(own: Tensor, margin: float) -> Tensor:
    """Cosine of an angle made larger by a margin in radians."""
    sine = (1.0 - own.square()).sqrt()
    moved = own * math.cos(margin) - sine * math.sin(margin)
    # Beyond pi - margin the moved angle would turn back: fall linearly instead.
    return torch.where(own > math.cos(math.pi - margin), moved, own - math.sin(margin) * margin)

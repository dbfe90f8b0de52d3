"""What the embedder is taught by: a margin over speakers, and teachers' vectors."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

__all__ = ["AngularMargin", "Teachers", "similarity_loss"]


UNKNOWN = -1  # the speaker of an unlabelled utterance


class AngularMargin(nn.Module):
    """Additive angular margin over speakers (AAM-softmax, arXiv:1801.07698)."""

    def __init__(self, dimension: int, speakers: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.randn(speakers, dimension) * dimension**-0.5)

    def forward(self, embeddings: Tensor, speakers: Tensor, margin: float) -> Tensor:
        """Cross-entropy with the right speaker's angle enlarged by `margin` radians.

        Args:
            embeddings: float32 [shape=(B, dimension)], any length
            speakers: int64 [shape=(B,)], -1 where nobody knows
            margin: radians, 0 at the start of training and the full margin later
        """
        cosine = F.linear(F.normalize(embeddings), F.normalize(self.weight)).clamp(-1 + 1e-6, 1 - 1e-6)
        rows = speakers.clamp(min=0)[:, None]  # of nobody known: any column, since the loss ignores it
        own = cosine.gather(1, rows).squeeze(1)
        sine = (1.0 - own.square()).sqrt()
        moved = own * math.cos(margin) - sine * math.sin(margin)
        # Beyond pi - margin the moved angle would turn back: fall linearly instead.
        moved = torch.where(own > math.cos(math.pi - margin), moved, own - math.sin(margin) * margin)
        logits = self.scale * cosine.scatter(1, rows, moved[:, None])
        return F.cross_entropy(logits, speakers, ignore_index=UNKNOWN)


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

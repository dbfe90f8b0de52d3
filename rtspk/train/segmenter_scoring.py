"""How well a segmenter hears who speaks within windows, on conversations kept out of training."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtspk.engine.powerset import MEMBERS, ORDERS
from rtspk.engine.segmenter import ROWS
from rtspk.metrics.pooled import Pooled
from rtspk.train.activity_batches import local_classes
from rtspk.train.activity_set import FRAMES_PER_SECOND, PIECE_FRAMES, ActivitySet

__all__ = ["LocalError", "local_error", "measure"]


@dataclass(frozen=True, slots=True)
class LocalError(Pooled):
    """Frames of a speaker that are missed, too many, or another local speaker's; `+` pools windows."""

    miss: float = 0.0
    false_alarm: float = 0.0
    confusion: float = 0.0
    total: float = 0.0  # frames of speech, each once for every speaker in it

    def rates(self) -> dict[str, float]:
        """The local diarization error rate and its parts, as shares of the speech."""
        total = max(1.0, self.total)
        parts = {"miss": self.miss, "false_alarm": self.false_alarm, "confusion": self.confusion}
        return {"der": sum(parts.values()) / total, **{name: value / total for name, value in parts.items()}}


def local_error(said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> LocalError:
    """The error of one window under the best order of its speakers.

    Args:
        said: bool [shape=(frames, 3)]
        truth: bool [shape=(frames, 3)]
    """
    heard, meant = said.sum(1), truth.sum(1)
    right = max(int((said[:, order] & truth).sum()) for order in ORDERS)
    both = int(np.minimum(heard, meant).sum())
    return LocalError(
        miss=float(np.maximum(meant - heard, 0).sum()),
        false_alarm=float(np.maximum(heard - meant, 0).sum()),
        confusion=float(both - right),
        total=float(meant.sum()),
    )


@torch.no_grad()
def measure(
    network: nn.Module | None, pieces: ActivitySet, seconds: float, device: torch.device
) -> LocalError:
    """The error over windows that lie one behind another in all pieces; without a network, the teacher's."""
    frames = round(seconds * FRAMES_PER_SECOND)
    total = LocalError()
    for piece in range(len(pieces)):
        starts = list(range(0, PIECE_FRAMES - frames + 1, frames))
        if network is None:
            chances = [
                torch.from_numpy(pieces.taught[piece, at : at + frames].astype(np.float32)) for at in starts
            ]
        else:
            rows = [pieces.features[piece, at * ROWS : (at + frames) * ROWS] for at in starts]
            heard: Tensor = network(torch.from_numpy(np.stack(rows).astype(np.float32)).to(device))
            chances = list(heard.cpu())
        for at, chance in zip(starts, chances, strict=True):
            classes, _ = local_classes(pieces.speakers[piece, at : at + frames])
            total += local_error(MEMBERS[chance.argmax(-1).numpy()], MEMBERS[classes])
    return total

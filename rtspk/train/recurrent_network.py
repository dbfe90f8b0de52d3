"""pyannote's recurrences and what is behind them as a torch network that hears several frames at a step.

It begins with the public weights: what they say of a frame, they say of the mean of a step's frames.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from rtspk.engine.recurrence import DIRECTIONS, GATES
from rtspk.kernels.convolution import SLOPE
from rtspk.train.adopt import Weights
from rtspk.types import FloatArray

__all__ = ["GroupedRecurrences", "stacked"]

TO_TORCH = [0, 2, 3, 1]  # from ONNX's order of gates (input, output, forget, cell) to torch's
TO_ONNX = [0, 3, 1, 2]
WAYS = ("", "_reverse")


class GroupedRecurrences(nn.Module):
    """Frames, `group` at a step, to logarithms of the chances of the seven classes."""

    def __init__(self, weights: Weights, group: int) -> None:
        super().__init__()
        inner = weights.recurrences[0][0]
        self.group = group
        self.lstm = nn.LSTM(
            inner.shape[-1] * group,
            weights.recurrences[0][1].shape[-1],
            len(weights.recurrences),
            bidirectional=True,
            batch_first=True,
        )
        self.layers = nn.ModuleList(nn.Linear(*weight.shape) for weight, _ in weights.layers)
        with torch.no_grad():
            for number, tables in enumerate(weights.recurrences):
                self._begin(number, tables)
            for layer, (weight, bias) in zip(self.layers, weights.layers, strict=True):
                assert isinstance(layer, nn.Linear)
                layer.weight.copy_(torch.from_numpy(weight.T.copy()))
                layer.bias.copy_(torch.from_numpy(bias))

    def forward(self, steps: Tensor) -> Tensor:
        """float32 [shape=(B, S, group * width)] to float32 [shape=(B, S, 7)]."""
        x, _ = self.lstm(steps)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), float(SLOPE))
        return torch.log_softmax(self.layers[-1](x).float(), dim=-1)

    def _begin(self, number: int, tables: list[FloatArray]) -> None:
        inner, recurrent, bias = tables
        for way, name in enumerate(WAYS):
            own = inner[way]
            if number == 0:
                own = np.concatenate([own / self.group] * self.group, axis=1)
            added = bias[way].reshape(2, -1).sum(0)
            for kind, table in (("weight_ih", own), ("weight_hh", recurrent[way]), ("bias_ih", added)):
                self._parameter(kind, number, name).copy_(torch.from_numpy(_ordered(table, TO_TORCH)))
            spare = self._parameter("bias_hh", number, name)  # one bias is enough
            spare.zero_()
            spare.requires_grad = False

    def _parameter(self, kind: str, number: int, way: str) -> nn.Parameter:
        found = getattr(self.lstm, f"{kind}_l{number}{way}")
        assert isinstance(found, nn.Parameter)
        return found


def _ordered(table: FloatArray, order: list[int]) -> FloatArray:
    """A table whose rows are those of four gates, these in another order."""
    gates = table.reshape(GATES, -1, *table.shape[1:])
    return np.ascontiguousarray(gates[order].reshape(table.shape))


def stacked(weights: dict[str, Tensor]) -> tuple[list[list[FloatArray]], list[list[FloatArray]]]:
    """Recurrences and layers of a `GroupedRecurrences` as `rtspk.train.adopt.Weights` has them."""

    def both(kind: str, number: int) -> FloatArray:
        """Of both directions."""
        tables = [weights[f"lstm.{kind}_l{number}{name}"].numpy() for name in WAYS]
        return np.stack([_ordered(table, TO_ONNX) for table in tables])

    recurrences = []
    for number in range(sum(name.startswith("lstm.weight_hh") for name in weights) // DIRECTIONS):
        bias = both("bias_ih", number)
        bias = np.concatenate([bias, np.zeros_like(bias)], axis=1)
        recurrences.append([both("weight_ih", number), both("weight_hh", number), bias])
    count = sum(name.startswith("layers.") for name in weights) // 2
    layers = [
        [weights[f"layers.{number}.weight"].numpy().T, weights[f"layers.{number}.bias"].numpy()]
        for number in range(count)
    ]
    return recurrences, layers

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
WAYS = ("forth", "back")  # one network for each, so that what goes forth can be stopped and go on

State = tuple[Tensor, Tensor]  # hidden and cell, float32 [shape=(1, B, 128)] each


class GroupedRecurrences(nn.Module):
    """Frames, `group` at a step, to logarithms of the chances of the seven classes."""

    def __init__(self, weights: Weights, group: int) -> None:
        super().__init__()
        self.group = group
        for way, name in enumerate(WAYS):
            layers = [
                _begun(tables, way, group if n == 0 else 1) for n, tables in enumerate(weights.recurrences)
            ]
            self.add_module(name, nn.ModuleList(layers))
        self.layers = nn.ModuleList(nn.Linear(*weight.shape) for weight, _ in weights.layers)
        with torch.no_grad():
            for layer, (weight, bias) in zip(self.layers, weights.layers, strict=True):
                assert isinstance(layer, nn.Linear)
                layer.weight.copy_(torch.from_numpy(weight.T.copy()))
                layer.bias.copy_(torch.from_numpy(bias))

    def forward(self, steps: Tensor) -> Tensor:
        """float32 [shape=(B, S, group * width)] to float32 [shape=(B, S, 7)]."""
        return self._hear(steps, [], steps.shape[1])[0]

    def going_on(self, steps: Tensor, first: int, hop: int, reach: int) -> tuple[Tensor, Tensor]:
        """Hear a window and then a hop at a time, as `rtspk.engine.recurrent` does.

        Args:
            steps: float32 [shape=(B, S, group * width)]
            first: steps of the window
            hop: steps between it and the next end, and so on; what is no whole hop at the end is not heard
            reach: steps that are heard again with the next hop

        Returns:
            what was said of steps each time that they were heard, float32 [shape=(B, N, 7)], and which steps
            these were, int64 [shape=(N,)]
        """
        said, heard, at = [], [], 0
        states: list[State] = []
        for end in range(first, steps.shape[1] + 1, hop):
            kept = max(1, end - at - reach)
            answer, states = self._hear(steps[:, at:end], states, kept)
            said.append(answer)
            heard.append(torch.arange(at, end))
            at += kept
        return torch.cat(said, dim=1), torch.cat(heard)

    def _hear(self, x: Tensor, states: list[State], kept: int) -> tuple[Tensor, list[State]]:
        """What it says from the states before the first step, and the states behind `kept` of them."""
        behind: list[State] = []
        for number, (forth, back) in enumerate(
            zip(*(self.get_submodule(name) for name in WAYS), strict=True)
        ):
            once, state = forth(x[:, :kept], states[number] if states else None)
            if kept < x.shape[1]:
                once = torch.cat([once, forth(x[:, kept:], state)[0]], dim=1)
            again, _ = back(x.flip(1))
            x = torch.cat([once, again.flip(1)], dim=2)
            behind.append(state)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), float(SLOPE))
        return torch.log_softmax(self.layers[-1](x).float(), dim=-1), behind


def _begun(tables: list[FloatArray], way: int, group: int) -> nn.LSTM:
    """A recurrence in one direction with the public weights of it."""
    inner, recurrent, bias = (table[way] for table in tables)
    layer = nn.LSTM(inner.shape[-1] * group, recurrent.shape[-1], batch_first=True)
    own = {
        "weight_ih_l0": np.concatenate([inner / group] * group, axis=1),
        "weight_hh_l0": recurrent,
        "bias_ih_l0": bias.reshape(2, -1).sum(0),
    }
    with torch.no_grad():
        for name, table in own.items():
            layer.get_parameter(name).copy_(torch.from_numpy(_ordered(table, TO_TORCH)))
        spare = layer.get_parameter("bias_hh_l0")  # one bias is enough
        spare.zero_()
    spare.requires_grad = False
    return layer


def _ordered(table: FloatArray, order: list[int]) -> FloatArray:
    """A table whose rows are those of four gates, these in another order."""
    gates = table.reshape(GATES, -1, *table.shape[1:])
    return np.ascontiguousarray(gates[order].reshape(table.shape))


def stacked(weights: dict[str, Tensor]) -> tuple[list[list[FloatArray]], list[list[FloatArray]]]:
    """Recurrences and layers of a `GroupedRecurrences` as `rtspk.train.adopt.Weights` has them."""

    def both(kind: str, number: int) -> FloatArray:
        """Of both directions."""
        tables = [weights[f"{name}.{number}.{kind}_l0"].numpy() for name in WAYS]
        return np.stack([_ordered(table, TO_ONNX) for table in tables])

    recurrences = []
    for number in range(sum(".weight_hh" in name for name in weights) // DIRECTIONS):
        bias = both("bias_ih", number)
        bias = np.concatenate([bias, np.zeros_like(bias)], axis=1)
        recurrences.append([both("weight_ih", number), both("weight_hh", number), bias])
    count = sum(name.startswith("layers.") for name in weights) // 2
    layers = [
        [weights[f"layers.{number}.weight"].numpy().T, weights[f"layers.{number}.bias"].numpy()]
        for number in range(count)
    ]
    return recurrences, layers

"""Convolutions that learn without the part of oneDNN which is faulty on some processors.

Where a processor has AVX2 and no AVX-512, torch 2.11's gradient of a convolution's weights by oneDNN ends in
"double free or corruption", or never ends. What a convolution answers, and the gradient of what it hears, are
sound there and two to four times as fast as torch's own kernels: so these stay.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["is_faulty", "spared"]

Network = TypeVar("Network", bound=nn.Module)


def is_faulty() -> bool:
    """Whether this processor is such a one."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"


def spared(network: Network) -> Network:
    """The same network, whose convolutions learn their weights by torch's own kernels."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            # Of this one alone: its weights keep their names.
            module._conv_forward = partial(_convolve, module)  # type: ignore[method-assign]  # noqa: SLF001 - made to be replaced
    return network


def _convolve(module: nn.Conv1d | nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    assert module.padding_mode == "zeros"
    assert not isinstance(module.padding, str)
    shape = module.stride, module.padding, module.dilation, module.groups
    answer: Tensor = _Convolution.apply(x, weight, bias, *shape)  # type: ignore[no-untyped-call] # torch's own
    return answer


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch gives it no type
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        none = (0,) * len(stride)
        ctx.shape = stride, padding, dilation, False, none, groups
        return torch.convolution(x, weight, bias, *ctx.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        hears, learns, leans, *_ = ctx.needs_input_grad
        ask = partial(torch.ops.aten.convolution_backward, gradient, x, weight, [len(weight)], *ctx.shape)
        heard = ask([True, False, False])[0] if hears else None
        with _without_onednn():
            _, learnt, leant = ask([False, learns, leans]) if learns or leans else (None, None, None)
        return heard, learnt, leant, None, None, None, None


@contextmanager
def _without_onednn() -> Iterator[None]:
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]  # torch types it as what it is inside
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before

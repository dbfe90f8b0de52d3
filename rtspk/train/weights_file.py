"""A torch network's weights as the bytes of a safetensors file, in half precision."""

from torch import nn

__all__ = ["halved"]


def halved(network: nn.Module, about: dict[str, str]) -> bytes:
    """All weights and buffers by name; `about` says how to build the network again."""
    from safetensors.torch import save

    weights = {
        name: value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for name, value in network.state_dict().items()
    }
    return save(weights, about)

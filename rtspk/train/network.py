"""The networks that a recipe may choose, behind one face: features and a mask in, a voice out."""

from dataclasses import dataclass, field
from typing import Literal

from rtspk.engine.conformer import Conformer, ConformerConfig
from rtspk.engine.pooling import PoolingKind
from rtspk.engine.residual_conformer import ResidualConformer, ResidualConformerConfig
from rtspk.train.resnet import ResNet, ResNetConfig
from rtspk.train.transformer import Transformer, TransformerConfig

__all__ = ["NetworkConfig", "SpeakerNetwork", "build_network", "describe"]

# Each has `dimension`, `frames_multiple` and forward(features (B, T, mels), mask (B, T)) -> (B, dimension).
SpeakerNetwork = Conformer | ResidualConformer | ResNet | Transformer

POOLINGS: dict[PoolingKind, str] = {
    "statistics": "attentive statistics",
    "attention": "self-attention",
    "mean": "mean",
}


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Which network, its sizes, and what of it does not train."""

    network: Literal["conformer", "residual_conformer", "resnet", "transformer"] = "conformer"
    freeze: tuple[str, ...] = ()  # such as "network.layer2": parts that stay as `start` gave them
    conformer: ConformerConfig = field(default_factory=ConformerConfig)
    residual_conformer: ResidualConformerConfig = field(default_factory=ResidualConformerConfig)
    resnet: ResNetConfig = field(default_factory=ResNetConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)


def build_network(config: NetworkConfig, inputs: int = 80) -> SpeakerNetwork:
    """Make the network that a recipe wants.

    Args:
        config: which, and its sizes
        inputs: numbers in a frame of features: mel bands or cepstra
    """
    if config.network == "residual_conformer":
        return ResidualConformer(config.residual_conformer, inputs)
    if config.network == "resnet":
        return ResNet(config.resnet, inputs)
    if config.network == "transformer":
        return Transformer(config.transformer, inputs)
    return Conformer(config.conformer, inputs)


def describe(config: NetworkConfig) -> str:
    """A network in a few words, for people.

    >>> describe(NetworkConfig(network="resnet"))
    'ResNet-34 of 32 channels, attentive statistics pooling'
    """
    if config.network == "residual_conformer":
        inner = config.residual_conformer.conformer
        pooling = inner.pooling
        layers = sum(config.residual_conformer.blocks)
        what = f"{layers} residual blocks, Conformer of {inner.blocks} blocks, width {inner.width}"
    elif config.network == "resnet":
        pooling = config.resnet.pooling
        what = f"ResNet-{config.resnet.depth} of {config.resnet.channels} channels"
    elif config.network == "transformer":
        pooling = config.transformer.pooling
        what = f"Transformer of {config.transformer.blocks} blocks, width {config.transformer.width}"
    else:
        pooling = config.conformer.pooling
        what = f"Conformer of {config.conformer.blocks} blocks, width {config.conformer.width}"
    return f"{what}, {POOLINGS[pooling]} pooling"

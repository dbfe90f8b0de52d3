"""Checkpoint to what the engine runs: ONNX and safetensors with halved weights, a card, and a word for people."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.config import to_settings
from rtspk.engine.calibration import Calibration
from rtspk.engine.conformer import Conformer
from rtspk.errors import ModelError
from rtspk.files import write_atomically
from rtspk.kernels.mel import MelConfig
from rtspk.train.recipe import Recipe

__all__ = ["CentredEmbedder", "Checkpoint", "export_model", "read_checkpoint"]

SMALLEST_HALVED: int = 1024  # numbers; smaller tables stay in single precision


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a training run leaves: its recipe, the averaged network, and how far it came."""

    recipe: Recipe
    network: Conformer
    step: int


class CentredEmbedder(nn.Module):
    """The network as it ships: the training speakers' mean taken off, and unit length."""

    mean: Tensor

    def __init__(self, network: Conformer, mean: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Unit vectors, float32 [shape=(B, dimension)]; arguments as for the Conformer."""
        return F.normalize(self.network(features, mask) - self.mean)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of `rtspk train`.

    Raises:
        ModelError: the file is missing or no such checkpoint.
    """
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        recipe = to_settings(json.loads(state["recipe"]), Recipe, str(path))
        network = Conformer(recipe.model)
        network.load_state_dict(state["average"])
        return Checkpoint(recipe, network.eval(), int(state["step"]))
    except FileNotFoundError as error:
        raise ModelError(f"wanted a checkpoint at {path}, got nothing there") from error
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ModelError(f"wanted a checkpoint of rtspk train in {path}, got: {error}") from error


def export_model(
    checkpoint: Checkpoint, mean: Tensor, calibration: Calibration, threshold: float, identity: str, out: Path
) -> None:
    """Write `model.onnx`, `weights.safetensors` and `card.toml` into a folder.

    Args:
        checkpoint: of a finished run
        mean: of training speakers' answers, float32 [shape=(dimension,)]
        calibration: fitted on speakers held out of training
        threshold: cosine from which two long clips count as one voice
        identity: the model's id, which every gallery remembers
        out: a folder, made where it is missing
    """
    from safetensors.torch import save

    out.mkdir(parents=True, exist_ok=True)
    model = CentredEmbedder(checkpoint.network, mean).eval()
    data = _onnx(model, checkpoint.recipe.features)
    write_atomically(out / "model.onnx", data)
    weights = {
        name: value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for name, value in model.state_dict().items()
    }
    write_atomically(out / "weights.safetensors", save(weights))
    card = _card(checkpoint.recipe, calibration, threshold, identity, hashlib.sha256(data).hexdigest())
    write_atomically(out / "card.toml", card.encode())


def _onnx(model: CentredEmbedder, features: MelConfig) -> bytes:
    import onnx

    example = (torch.randn(2, 160, features.mels), torch.ones(2, 160))
    batch, frames = torch.export.Dim("batch", min=1), torch.export.Dim("frames", min=8)
    program = torch.onnx.export(
        model,
        example,
        input_names=["features", "mask"],
        output_names=["embedding"],
        dynamic_shapes=({0: batch, 1: frames}, {0: batch, 1: frames}),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise ModelError("wanted an ONNX program from torch, got none")
    proto: onnx.ModelProto = program.model_proto
    _halve(proto)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def _halve(proto: "onnx.ModelProto") -> None:  # type: ignore[name-defined] # noqa: F821 - imported where it is needed
    """Store large tables in half precision, with a cast in front of each; the arithmetic stays in single."""
    import onnx
    from onnx import numpy_helper

    casts = []
    for table in proto.graph.initializer:
        if table.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(table)
        if values.size < SMALLEST_HALVED:
            continue
        name = table.name
        table.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes: Sequence[onnx.NodeProto] = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([*casts, *nodes])


def _card(recipe: Recipe, calibration: Calibration, threshold: float, identity: str, digest: str) -> str:
    lines = [
        "# How this model is fed and what its scores mean; README.md beside it says where it comes from.",
        f'id = "{identity}"',
        'file = "model.onnx"',
        'licence = "Apache-2.0"',
        f'source = "rtspk train {recipe.name}, seed {recipe.loop.seed}, {recipe.loop.steps} steps"',
        f'sha256 = "{digest}"',
        f"dimension = {recipe.model.dimension}",
        'mask_input = "mask"',
        f"threshold = {threshold:.4f}",
        "",
        "[features]",
        *(_entry(name, value) for name, value in asdict(recipe.features).items()),
        "",
        "[calibration]",
        *(f"{name} = {value:.5g}" for name, value in asdict(calibration).items()),
    ]
    return "\n".join(lines) + "\n"


def _entry(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()}"
    return f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}"

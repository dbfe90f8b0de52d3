"""A public segmenter on samples to what the engine runs: its ONNX in eight bits, and a card."""

import hashlib
from pathlib import Path

import numpy as np

from rtspk.engine.powerset import CLASSES
from rtspk.errors import ModelError
from rtspk.files import write_atomically
from rtspk.train.onnx_file import narrowed
from rtspk.types import samples_of

__all__ = ["adopt_segmenter"]

SECONDS: float = 10.0  # what pyannote's segmenters hear at once


def adopt_segmenter(path: Path, out: Path, licence: str) -> str:
    """Write `model.onnx` and `card.toml` into a folder.

    Args:
        path: ONNX from samples [shape=(batch, 1, n)] at 16 kHz to logarithms of the chances of the seven
            classes of `rtspk.engine.powerset` [shape=(batch, frames, 7)], as pyannote's segmentation-3.0
        out: a folder, made where it is missing
        licence: of the network

    Returns:
        The model's id: the file's name and a digest of the network.

    Raises:
        ModelError: the file is no such network.
    """
    import onnxruntime

    program = narrowed(path)
    session = onnxruntime.InferenceSession(program, providers=["CPUExecutionProvider"])
    silence = np.zeros((1, 1, samples_of(SECONDS)), np.float32)
    try:
        (answer,) = session.run(None, {session.get_inputs()[0].name: silence})
    except Exception as error:  # ONNX Runtime has no public base class for its errors
        raise ModelError(f"wanted a network on samples in {path}, got one that does not take them") from error
    if answer.ndim != 3 or answer.shape[-1] != CLASSES:
        raise ModelError(f"wanted {CLASSES} classes a frame of {path}, got shape {answer.shape}")
    identity = f"{path.stem}-{hashlib.sha256(program).hexdigest()[:8]}"
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "model.onnx", program)
    lines = [
        "# How this model is fed, and where it comes from.",
        f'id = "{identity}"',
        'file = "model.onnx"',
        f'licence = "{licence}"',
        f'source = "rtspk export {path.name}"',
        f"seconds = {SECONDS:g}",
        'input = "samples"',
        "memory = 0.0",  # windows of ten seconds are best taken as they are, and below 0.8 barks are
        "birth_certainty = 0.8",  # people (bench/LOG.md)
    ]
    write_atomically(out / "card.toml", ("\n".join(lines) + "\n").encode())
    return identity

"""How fast the embedder is: a window by itself, many at once, and how much of the chip that takes.

The first rows are what every user gets, on one thread, in seconds of the processor. Rows of torch are there
where torch is.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtspk.bench.latency import voices
from rtspk.bench.report import Result, Timings, compare, machine, timed, versions
from rtspk.engine.backend import cuda_missing
from rtspk.engine.embedder import Embedder, EmbedderCard, find_card, load_embedder
from rtspk.kernels.mel import log_mel
from rtspk.types import FloatArray, Segment, Window

if TYPE_CHECKING:
    from torch import Tensor

    from rtspk.engine.torch_embedder import TorchEmbedder

__all__ = ["run"]

LENGTHS: tuple[float, ...] = (1.5, 3.0)  # seconds of a window
BATCHES: tuple[int, ...] = (1, 8, 32, 128)
MOST_ON_CPU: int = 8  # at once: its caches hold no more, and more take minutes
PACKAGES = ("onnxruntime", "torch")
AT_LEAST: float = 0.2  # seconds that a batch is repeated for, so that the clock's grain does not count


def run(
    seed: int = 0, runs: int = 7, model: Path | None = None, peer: Path | None = None
) -> Iterator[Result]:
    """Time the embedder, one result after another.

    Args:
        seed: of the voice-like sound
        runs: of each case; medians count
        model: folder of the model to time; None is the bundled one
        peer: folder of another model, timed in turn with ours on the same sound, features included
    """
    ours = load_embedder(model)
    other = load_embedder(peer) if peer else None
    for seconds in LENGTHS:
        sound = voices(seconds, seed)
        timings = compare(
            partial(_heard, ours, sound),
            None if other is None else partial(_heard, other, sound),
            max(runs, 5) * 10,
            time.process_time,
        )
        name = None if other is None else other.card.id
        yield timed("embedder", f"onnx_cpu_window_{seconds:g}s", timings, name, seed, PACKAGES, seconds)
    card = find_card(model)
    if (card.parent / "weights.safetensors").is_file() and ours.card.mask_input:
        yield from _torch(ours.card, card.parent, seed, runs)


def _heard(embedder: Embedder, sound: FloatArray) -> FloatArray:
    """A vector from samples: features and network, as a window costs."""
    return embedder.embed([_window(embedder.card, sound)])[0].vector


def _window(card: EmbedderCard, sound: FloatArray) -> Window:
    rows = log_mel(sound, card.features)
    return Window(Segment(0, len(sound)), rows, np.ones(len(rows), np.float32), len(sound))


def _torch(card: EmbedderCard, folder: Path, seed: int, runs: int) -> Iterator[Result]:
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("safetensors") is None:
        return
    import torch

    from rtspk.engine.torch_embedder import TorchEmbedder

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for device in ("cpu", *([] if cuda_missing() else ["cuda"])):
            embedder = TorchEmbedder(card, folder, device)
            window = _window(card, voices(LENGTHS[-1], seed))
            features = torch.from_numpy(window.features)[None].to(device)
            peak, work = _peak(device), _operations(embedder, features)
            for batch in BATCHES if device == "cuda" else [n for n in BATCHES if n <= MOST_ON_CPU]:
                timings = _timings(partial(embedder.embed, [window] * batch), runs)
                yield timed(
                    "embedder",
                    f"torch_{device}_batch_{batch}",
                    timings,
                    None,
                    seed,
                    PACKAGES,
                    batch * LENGTHS[-1],
                )
                crops = [voices(LENGTHS[-1], seed)] * batch
                whole = _timings(partial(embedder.embed_samples, crops), runs)
                case = f"torch_{device}_batch_{batch}_with_features"
                yield timed("embedder", case, whole, None, seed, PACKAGES, batch * LENGTHS[-1])
                rate = batch / statistics.median(timings.ours)
                yield _count(f"torch_{device}_batch_{batch}_embeddings", rate, "1/s", seed, runs)
                yield _count(f"torch_{device}_batch_{batch}_peak", rate * work / peak, "of peak", seed, runs)
    finally:
        torch.set_num_threads(threads)


def _timings(call: Callable[[], object], runs: int) -> Timings:
    """Seconds of one call, each the mean of as many as fill a fifth of a second."""
    call()
    begin = time.perf_counter()
    call()
    repeats = max(1, round(AT_LEAST / (time.perf_counter() - begin)))
    seconds = []
    for _ in range(runs):
        begin = time.perf_counter()
        for _ in range(repeats):
            call()
        seconds.append((time.perf_counter() - begin) / repeats)
    return Timings(tuple(seconds), ())


def _operations(embedder: "TorchEmbedder", features: "Tensor") -> int:
    """Floating-point operations of one window, a multiplication and an addition counted as two.

    Convolutions count as they are written; by Winograd's algorithm they take less than half as many, so a
    share of the peak may be above one.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        embedder.answer(features, torch.ones(features.shape[:2], device=features.device))
    return int(counter.get_total_flops())


def _peak(device: str) -> float:
    """Floating-point operations a second of a large matrix product, in the precision of the backend."""
    import torch

    size = 8192 if device == "cuda" else 1536
    one = torch.randn(size, size, device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)

    def product() -> None:
        one @ one
        if device == "cuda":
            torch.cuda.synchronize()

    return 2.0 * size**3 / min(_timings(product, 5).ours)


def _count(case: str, value: float, unit: str, seed: int, runs: int) -> Result:
    return Result(
        bench="embedder",
        case=case,
        value=value,
        unit=unit,
        peer=None,
        peer_value=None,
        ratio=None,
        runs=runs,
        machine=machine(),
        seed=seed,
        versions=versions(*PACKAGES),
    )

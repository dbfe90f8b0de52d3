"""The embedder on torch: windows of many sessions in one call, on a GPU by recorded graphs.

It needs torch, and so `rtspk.engine.backend` imports it only where it is wanted.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.config import to_settings
from rtspk.engine.conformer import Conformer, ConformerConfig
from rtspk.engine.embedder import EmbedderCard, read_cohort, read_voicing, refuse_silent
from rtspk.engine.residual_conformer import ResidualConformer, ResidualConformerConfig
from rtspk.engine.torch_features import TorchLogMel
from rtspk.errors import ConfigError, ModelError
from rtspk.types import Embedding, FloatArray, Window

__all__ = ["TorchEmbedder", "can_run"]

WEIGHTS = "weights.safetensors"
FRAMES: int = 8  # windows are padded to multiples of so many frames, as the networks take them and no more
LARGEST: int = 128  # windows in one call; batches are padded to powers of two up to it
MOST_GRAPHS: int = 64  # shapes recorded; a graph holds its own memory, and the rest run as they come


def _conformer(config: dict[str, object], source: str, mels: int) -> Conformer:
    return Conformer(to_settings(config, ConformerConfig, source), mels)


def _residual_conformer(config: dict[str, object], source: str, mels: int) -> ResidualConformer:
    return ResidualConformer(to_settings(config, ResidualConformerConfig, source), mels)


NETWORKS: dict[str, Callable[[dict[str, object], str, int], Conformer | ResidualConformer]] = {
    "conformer": _conformer,
    "residual_conformer": _residual_conformer,
}


class TorchEmbedder:
    """A backend for many windows at once; safe for threads, one call at a time on a GPU."""

    def __init__(self, card: EmbedderCard, folder: Path, device: str) -> None:
        if not card.mask_input:
            raise ModelError(f"wanted a network that takes a mask, for torch, got {card.id}")
        self.card = card
        self.cohort = read_cohort(card, folder)
        self.voicing = read_voicing(card, folder)
        self.trunk: None = None  # a GPU hears whole windows, of many sessions at once
        self.device = torch.device(device)
        self._network, self._mean, self._compensation = _read(folder / WEIGHTS, card)
        self._network.to(self.device)
        self._mean = self._mean.to(self.device)
        self._compensation = self._compensation.to(self.device)
        self._features = TorchLogMel(card.features).to(self.device)
        self._shapes: dict[tuple[int, int], _Shape] = {}
        self._lock = threading.Lock()

    def embed(self, windows: Sequence[Window]) -> list[Embedding]:
        """One unit vector for each window, in order; windows of like length go through together."""
        for window in windows:
            refuse_silent(window)
        groups = [-(-len(window.features) // FRAMES) for window in windows]
        vectors: dict[int, FloatArray] = {}
        with self._lock:
            for part in _alike(groups):
                answers = self._embed([windows[number] for number in part], groups[part[0]] * FRAMES)
                vectors |= dict(zip(part, answers, strict=True))
        return [Embedding(vectors[n], w.segment, w.net_speech) for n, w in enumerate(windows)]

    def embed_samples(self, crops: Sequence[FloatArray]) -> FloatArray:
        """Unit vectors of whole crops, features and all on the device, float32 [shape=(crops, dimension)].

        For many clips at once, such as an archive: no window waits for a CPU.

        Args:
            crops: float32 [shape=(n,)] at 16 kHz each, of at least one frame

        Raises:
            ModelError: a crop that is shorter, or holds what no sound has.
        """
        features = self.card.features
        shortest = min((len(crop) for crop in crops), default=features.window)
        if shortest < features.window:
            raise ModelError(f"wanted crops of {features.window} samples or more, got one of {shortest}")
        counts = [1 + (len(crop) - features.window) // features.hop for crop in crops]
        vectors = np.zeros((len(crops), self.card.dimension), np.float32)
        for part in _alike([-(-count // FRAMES) for count in counts]):
            frames = -(-counts[part[0]] // FRAMES) * FRAMES
            samples = torch.zeros(len(part), features.window + (frames - 1) * features.hop)
            mask = torch.zeros(len(part), frames)
            for row, number in enumerate(part):
                samples[row, : len(crops[number])] = torch.from_numpy(crops[number])
                mask[row, : counts[number]] = 1.0
            with self._lock:
                rows = self._features(samples.to(self.device))
                vectors[part] = self.voices(self.answer(rows, mask.to(self.device)))
        return vectors

    def _embed(self, windows: list[Window], frames: int) -> FloatArray:
        """Vectors of up to LARGEST windows, none longer than `frames` [shape=(windows, dimension)]."""
        batch = 1 << (len(windows) - 1).bit_length()
        shape = self._shapes.get((batch, frames))
        if shape is None:
            recorded = self.device.type == "cuda" and len(self._shapes) < MOST_GRAPHS
            shape = _Shape(self, batch, frames, recorded=recorded)
            if len(self._shapes) < MOST_GRAPHS:
                self._shapes[batch, frames] = shape
        return shape.run(windows)

    @torch.no_grad()
    def answer(self, features: Tensor, mask: Tensor) -> Tensor:
        """Unit vectors, float32 [shape=(B, dimension)], of features and a mask that lie on the device."""
        cuda = self.device.type == "cuda"
        # A graph must not hold on to casts of the weights that autocast keeps for one call.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=cuda, cache_enabled=False):
            answer = self._network(features, mask)
        return F.normalize((answer.float() - self._mean) @ self._compensation)

    def voices(self, answer: Tensor) -> FloatArray:
        """Unit vectors off the device, float32 [shape=(B, dimension)]; ModelError where one is none."""
        found: FloatArray = answer.cpu().numpy()
        if not (np.linalg.norm(found, axis=1) > 0.5).all():  # nor is NaN above anything
            raise ModelError(f"wanted voices from {self.card.id}, got NaN, infinity or nothing")
        return found


def _alike(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of what is of one size, at most LARGEST at once."""
    groups: dict[int, list[int]] = defaultdict(list)
    for number, size in enumerate(sizes):
        groups[size].append(number)
    for own in groups.values():
        yield from (own[at : at + LARGEST] for at in range(0, len(own), LARGEST))


class _Shape:
    """Buffers of one batch size and length, on both sides, and on a GPU the recorded work between them."""

    def __init__(self, owner: TorchEmbedder, batch: int, frames: int, *, recorded: bool) -> None:
        cuda = owner.device.type == "cuda"
        mels = owner.card.features.mels
        self._owner = owner
        self._host = torch.zeros(batch, frames, mels + 1, pin_memory=cuda)  # the mask is the last column
        self._input = torch.zeros(batch, frames, mels + 1, device=owner.device) if cuda else self._host
        self._graph = self._record() if recorded else None

    def run(self, windows: list[Window]) -> FloatArray:
        """Vectors of the windows [shape=(windows, dimension)]."""
        self._host.zero_()
        for row, window in enumerate(windows):
            length = len(window.features)
            self._host[row, :length, :-1] = torch.from_numpy(np.ascontiguousarray(window.features))
            self._host[row, :length, -1] = torch.from_numpy(np.ascontiguousarray(window.mask))
        if self._input is not self._host:
            self._input.copy_(self._host, non_blocking=True)
        if self._graph is None:
            answer = self._answer()
        else:
            self._graph.replay()
            answer = self._recorded
        return self._owner.voices(answer[: len(windows)])

    def _answer(self) -> Tensor:
        return self._owner.answer(self._input[..., :-1].contiguous(), self._input[..., -1].contiguous())

    def _record(self) -> torch.cuda.CUDAGraph:
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call] # torch leaves it without types
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # what torch sets up at first calls must not be recorded
            for _ in range(3):
                self._answer()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._recorded = self._answer()
        return graph


def can_run(folder: Path) -> bool:
    """Whether a model folder holds weights that this backend builds a network for."""
    from safetensors import SafetensorError, safe_open

    path = folder / WEIGHTS
    if not path.is_file():
        return False
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("network") in NETWORKS
    except SafetensorError:
        return False


def _read(path: Path, card: EmbedderCard) -> tuple[Conformer | ResidualConformer, Tensor, Tensor]:
    """The network with its weights, and what its answers go through: less a mean, times a compensation."""
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise ModelError("wanted safetensors for the torch backend: pip install rtspk[torch]") from error
    if not path.is_file():
        raise ModelError(f"wanted weights for torch at {path}, got nothing there")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no mapping
        kind = about.get("network", "no word of what it is")
        if kind not in NETWORKS:
            raise ModelError(f"wanted a network of {', '.join(NETWORKS)} in {path}, got {kind}")
        config, mels = json.loads(about["config"]), card.features.mels
        network = NETWORKS[kind](config, str(path), mels)
        mean = state.pop("mean")
        compensation = state.pop("compensation", torch.eye(len(mean)))
        network.load_state_dict({name.removeprefix("network."): value for name, value in state.items()})
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, ConfigError) as error:
        said = (str(error).splitlines() or [""])[0]
        raise ModelError(
            f"wanted weights of {card.id} in {path}, got a file that does not fit: {said}"
        ) from error
    return network.eval(), mean, compensation

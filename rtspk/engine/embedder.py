"""Voices as unit vectors: any ONNX embedder whose card says how it wants to be fed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from rtspk.config import read_toml
from rtspk.engine.calibration import Calibration
from rtspk.engine.cohort import Cohort
from rtspk.engine.head import AT_ONCE, Head, MaskedFrames
from rtspk.engine.network import Network
from rtspk.engine.trunk import Trunk, picture
from rtspk.engine.voicing import Voicing
from rtspk.errors import ModelError
from rtspk.kernels.mel import MelConfig
from rtspk.types import Embedding, FloatArray, Window

__all__ = [
    "BUNDLED",
    "Embedder",
    "EmbedderCard",
    "OnnxEmbedder",
    "find_card",
    "load_embedder",
    "read_card",
    "read_cohort",
    "read_voicing",
    "refuse_silent",
]

Answer = Callable[[Sequence[MaskedFrames]], Iterable[FloatArray]]

BUNDLED: Path = Path(__file__).parents[1] / "models"


@dataclass(frozen=True, slots=True)
class EmbedderCard:
    """What `card.toml` beside a network says of it."""

    id: str  # stands in every gallery that it makes
    file: str
    licence: str
    dimension: int
    source: str = ""
    trunk: str = ""  # a network before `file`, which then takes its frames: what a stream goes through once
    trunk_tables: str = ""  # a .npz of the same trunk, for kernels of our own where those are faster
    head_tables: str = ""  # likewise of `file`, where it is the rest of such a network
    features_input: str = "features"
    mask_input: str = ""  # empty: the network knows no mask, and gets the wanted frames alone
    frames_multiple: int = 1  # the network wants whole groups of so many frames
    centre_features: bool = False  # subtract the mean over time before the network
    mean: tuple[float, ...] = ()  # subtracted from its answers; empty where the network is centred
    voicing: str = ""  # a .npy of what tells voices from other sounds (`Voicing`)
    cohort: str = ""  # a .npy of other speakers' vectors, for scores that mean the same for every voice
    features: MelConfig = field(default_factory=MelConfig)
    # A plain slope for models that were not calibrated: even odds at a cosine of 0.4.
    calibration: Calibration = field(default_factory=lambda: Calibration(scale=15.0, offset=-6.0))

    @property
    def networks(self) -> tuple[str, ...]:
        """The files of its networks, the one that answers at the end."""
        return (self.trunk, self.file) if self.trunk else (self.file,)


class Embedder(Protocol):
    """What the engine needs of a backend."""

    @property
    def card(self) -> EmbedderCard:
        """How it is fed, and what its scores mean."""

    @property
    def cohort(self) -> Cohort | None:
        """Other speakers' voices, where the model comes with them."""

    @property
    def voicing(self) -> Voicing | None:
        """What tells voices from other sounds, where the model comes with it."""

    @property
    def trunk(self) -> Trunk | None:
        """What all windows of a stream share, where windows may hold its frames in place of features."""

    def embed(self, windows: Sequence[Window]) -> list[Embedding]:
        """One unit vector for each window, in order."""


class OnnxEmbedder:
    """The CPU backend; a window's vector does not depend on the windows beside it."""

    def __init__(self, card: EmbedderCard, folder: Path, threads: int = 1) -> None:
        self.card = card
        self.cohort = read_cohort(card, folder)
        self.voicing = read_voicing(card, folder)
        self.trunk = _trunk(card, folder, threads)
        if self.trunk is not None and not card.mask_input:
            raise ModelError(f"wanted a mask_input on the card of {card.file}, which pools frames, got none")
        self._answer: Answer
        self._answer = _head(card, folder) if card.head_tables else _by_onnx(card, folder, threads)
        self._mean = np.array(card.mean, np.float32)

    def embed(self, windows: Sequence[Window]) -> list[Embedding]:
        """One unit vector for each window, in order.

        A few go through the last network at once. The answer to a window stays the same to the last bit
        whatever else is asked.
        """
        embeddings = []
        for first in range(0, len(windows), AT_ONCE):
            few = windows[first : first + AT_ONCE]
            answers = self._answer([self._inputs(window) for window in few])
            embeddings += [
                Embedding(self._unit(answer), window.segment, window.net_speech)
                for window, answer in zip(few, answers, strict=True)
            ]
        return embeddings

    def _unit(self, vector: FloatArray) -> FloatArray:
        card = self.card
        if vector.shape != (card.dimension,):
            raise ModelError(f"wanted {card.dimension} numbers from {card.file}, got {vector.size}")
        if self._mean.size:
            vector = vector - self._mean
        norm = float(np.linalg.norm(vector))
        if not np.isfinite(norm) or norm == 0.0:
            raise ModelError(f"wanted a voice from {card.file}, got a vector of length {norm}")
        return (vector / np.float32(norm)).astype(np.float32)

    def _inputs(self, window: Window) -> MaskedFrames:
        """What the last network wants of a window."""
        refuse_silent(window)
        card, features, mask = self.card, window.features, window.mask
        if not window.encoded:
            if not card.mask_input:
                features = features[mask > 0]
            if card.centre_features:
                features = features - features.mean(0)
            missing = -len(features) % card.frames_multiple
            if missing:
                features = np.concatenate([features, np.zeros((missing, features.shape[1]), np.float32)])
                mask = np.concatenate([mask, np.zeros(missing, np.float32)])
            if self.trunk is not None:
                features = self.trunk(picture(features, mask))
                mask = mask.reshape(-1, self.trunk.group).max(1)
        return features, mask


def _head(card: EmbedderCard, folder: Path) -> Answer:
    if not card.trunk:
        raise ModelError(f"wanted a trunk before the head_tables on the card of {card.file}, got none")
    tables = folder / card.head_tables
    if not tables.is_file():
        raise ModelError(f"wanted the tables of {card.file} at {tables}, got nothing there")
    return Head.read(tables)


def _by_onnx(card: EmbedderCard, folder: Path, threads: int) -> Answer:
    """One by one: on a CPU a batch gains nothing there."""
    network = Network(folder / card.file, threads)
    wanted = {card.features_input, card.mask_input} - {""}
    if wanted != set(network.inputs):
        raise ModelError(
            f"wanted inputs {', '.join(sorted(wanted))} in {card.file}, got {', '.join(network.inputs)}"
        )

    def answer(features: FloatArray, mask: FloatArray) -> FloatArray:
        masks = {card.mask_input: mask[None]} if card.mask_input else {}
        return network.run({card.features_input: features[None]} | masks)[0].reshape(-1)

    return lambda windows: [answer(*window) for window in windows]


def _trunk(card: EmbedderCard, folder: Path, threads: int) -> Trunk | None:
    if not card.trunk:
        return None
    tables = folder / card.trunk_tables if card.trunk_tables else None
    return Trunk(folder / card.trunk, card.frames_multiple, threads, tables)


def refuse_silent(window: Window) -> None:
    """Refuse a window in which nothing is to be heard.

    Raises:
        ModelError: it has no rows, or none on its mask.
    """
    if not len(window.features) or not window.mask.any():
        raise ModelError(f"wanted a window with speech, got none between samples {window.segment}")


def read_cohort(card: EmbedderCard, folder: Path) -> Cohort | None:
    """The cohort that a model comes with, if it does.

    Raises:
        ModelError: it is missing, damaged, or of another model.
    """
    if not card.cohort:
        return None
    cohort = Cohort.read(folder / card.cohort)
    if cohort.vectors.shape[1] != card.dimension:
        raise ModelError(
            f"wanted a cohort of {card.dimension} numbers a voice, got {cohort.vectors.shape[1]}"
        )
    return cohort


def read_voicing(card: EmbedderCard, folder: Path) -> Voicing | None:
    """What tells voices from other sounds, if a model comes with it.

    Raises:
        ModelError: it is missing, damaged, or of another model.
    """
    if not card.voicing:
        return None
    voicing = Voicing.read(folder / card.voicing)
    if len(voicing.normal) != card.dimension:
        raise ModelError(
            f"wanted {card.dimension} numbers and an offset in {card.voicing}, got {len(voicing.normal)}"
        )
    return voicing


def find_card(path: Path | None = None) -> Path:
    """The card of a model: in its folder, the card itself, or by default that of the model of rtspk."""
    card = BUNDLED / "embedder" if path is None else path
    if card.is_dir():
        card = card / "card.toml"
    if not card.is_file():
        raise ModelError(f"wanted a model card at {card}, got nothing there")
    return card


def read_card(path: Path | None = None) -> EmbedderCard:
    """What the card of a model says; a path as `find_card` takes it."""
    return read_toml(find_card(path), EmbedderCard)


def load_embedder(path: Path | None = None, threads: int = 1) -> OnnxEmbedder:
    """Load an embedder.

    Args:
        path: a folder with a `card.toml`, or the card itself; None is the model that comes with rtspk
        threads: for the network

    Raises:
        ModelError: the folder or its network is missing or damaged.
        ConfigError: the card is no valid card.
    """
    card = find_card(path)
    return OnnxEmbedder(read_card(card), card.parent, threads)

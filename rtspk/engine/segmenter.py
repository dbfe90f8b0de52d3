"""Who of up to three local speakers is active in each 40 ms: the network, and how it is fed.

Local means within one window: which voice is number 1 is new in each.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rtspk.config import read_toml
from rtspk.engine.network import Network
from rtspk.engine.powerset import CLASSES, LOCAL_SPEAKERS, speaker_probabilities
from rtspk.engine.recurrence import Asking, Passage, Told, alone
from rtspk.engine.recurrent import FRAME, Hearing, RecurrentNetwork
from rtspk.engine.rows import RAW_ROW, raw_rows
from rtspk.errors import ModelError
from rtspk.kernels.mel import MelConfig, log_mel
from rtspk.types import SAMPLE_RATE, FloatArray

__all__ = ["ACTIVITY_HOP", "LIGHT", "ROWS", "Segmenter", "SegmenterCard", "find_segmenter", "load_segmenter"]

ACTIVITY_HOP: int = 640  # samples, 40 ms: what is decided at once
ROWS: int = 4  # feature rows of 10 ms in it
LEAST: int = 2  # activity frames that a network takes
SILENT: dict[str, float] = {"samples": 10.0**-7.9, "log-mel": math.exp(7.0)}  # power 79 dB below full scale
BELOW: float = 10.0**-3.0  # where all is soft: 30 dB below the mean of the last seconds,
LEAST_SILENT: float = 10.0**-2.1  # but not more than 21 dB lower: 16-bit numbers hold nothing there
MODELS: Path = Path(__file__).parents[1] / "models"
BUNDLED: Path = MODELS / "segmenter"
LIGHT: str = "light"  # the name of the smaller one that comes with rtspk


@dataclass(frozen=True, slots=True)
class SegmenterCard:
    """What `card.toml` beside the network says of it."""

    id: str
    file: str
    licence: str
    source: str = ""
    seconds: float = 5.0  # what it heard at once in training; it takes less, not more
    input: Literal["log-mel", "samples"] = "log-mel"
    refresh: int = 2  # hops between two windows that one on samples hears as a whole
    memory: float = 0.5  # how much earlier windows count in what they and a later one know of
    birth_certainty: float = 0.0  # where it is above the tracker's gate of that name, it is the gate
    features: MelConfig = field(default_factory=MelConfig)


class Segmenter:
    """Shared by all sessions; it remembers nothing. One on samples goes on in a stream's `Hearing`."""

    def __init__(self, card: SegmenterCard, folder: Path, threads: int = 1) -> None:
        self.card = card
        self._network = (
            Network(folder / card.file, threads)
            if card.input == "log-mel"
            else RecurrentNetwork(folder, card.refresh)
        )
        self.frames = round(card.seconds * SAMPLE_RATE / ACTIVITY_HOP)  # of the longest window

    @property
    def features(self) -> MelConfig | None:
        """What its rows of 10 ms are made by; None where they are samples."""
        return self.card.features if self.card.input == "log-mel" else None

    def rows(self, samples: FloatArray) -> FloatArray:
        """A whole recording as the network hears it, float32 [shape=(rows, width)]."""
        return raw_rows(samples) if self.features is None else log_mel(samples, self.features)

    def hearing(self) -> Hearing | None:
        """What a stream remembers before its first sample; None where windows are heard anew at each hop."""
        return self._network.empty() if isinstance(self._network, RecurrentNetwork) else None

    def hear(self, block: FloatArray, hearing: Hearing) -> None:
        """Take the next samples of a stream, float32 [shape=(n,)]: a hop of them, or the last."""
        alone(self.take(block, hearing), self.tell)

    def take(self, block: FloatArray, hearing: Hearing) -> Asking[None]:
        """As `hear`, but asks what is in passages, which many streams can be told together."""
        assert isinstance(self._network, RecurrentNetwork)
        return self._network.take(block, hearing)

    def tell(self, passages: Sequence[Passage]) -> list[Told]:
        """What is in passages, in order; each is told the same whatever others are."""
        assert isinstance(self._network, RecurrentNetwork)
        return self._network.recurrence(passages)

    def heard(self, hearing: Hearing) -> tuple[int, FloatArray]:
        """The chance of each local speaker to be active in the last seconds of a stream.

        Returns:
            the first activity frame, and float32 [shape=(frames, 3)] from there to the last whole one
        """
        last = hearing.received // ACTIVITY_HOP
        first = max(-(-hearing.begin * FRAME // ACTIVITY_HOP), last - self.frames)
        if not len(hearing.classes):
            return first, np.zeros((last - first, LOCAL_SPEAKERS), np.float32)
        assert isinstance(self._network, RecurrentNetwork)
        classes = self._network.at(_middles(first, last), hearing.classes, hearing.begin * FRAME)
        loud = hearing.power[(first - last) * ROWS - hearing.received % ACTIVITY_HOP // RAW_ROW :]
        count, _, power = (sum(column) for column in zip(*hearing.levels, strict=True))
        is_loud = loud[: (last - first) * ROWS].reshape(-1, ROWS).max(1) > self._silent(power / count)
        return first, np.asarray(speaker_probabilities(classes) * is_loud[:, None], np.float32)

    def speakers(self, rows: FloatArray) -> FloatArray:
        """The chance of each local speaker to be active, in one window.

        Args:
            rows: float32 [shape=(rows, width)]; in whole groups of four, no more than the window's

        Returns:
            float32 [shape=(rows / 4, 3)]; zero where there is no sound at all
        """
        chances = speaker_probabilities(self._classes(rows))
        return np.asarray(chances * self._loud(rows)[:, None], np.float32)

    def speech(self, rows: FloatArray) -> FloatArray:
        """The chance that somebody speaks, and the chance that two do, in a recording of any length.

        Windows overlap by half, and where two know of a frame, the one counts in whose middle it is.

        Args:
            rows: float32 [shape=(rows, width)]; those behind the last whole group of four are left out

        Returns:
            float32 [shape=(rows / 4, 2)]
        """
        frames = len(rows) // ROWS
        out = np.zeros((frames, 2), np.float32)
        step = self.frames // 2
        for first in range(0, max(1, frames - self.frames + step), step):
            last = min(frames, first + self.frames)
            first = max(0, last - self.frames)  # noqa: PLW2901 - the last window ends with the recording
            own = rows[first * ROWS : last * ROWS]
            classes = self._classes(own)
            heard = np.stack([1.0 - classes[:, 0], classes[:, 4:].sum(1)], axis=1) * self._loud(own)[:, None]
            kept = first + (step // 2 if first else 0)
            out[kept:last] = heard[kept - first :]
        return out

    def _loud(self, rows: FloatArray) -> NDArray[np.bool_]:
        """Which activity frames of a window hold any sound, bool [shape=(rows / 4,)]."""
        power = np.square(rows).mean(1) if self.features is None else np.exp(rows.mean(1))
        return np.asarray(
            power.reshape(-1, ROWS).max(1) > self._silent(float(power.mean()) if len(power) else 0.0)
        )

    def _silent(self, power: float) -> float:
        """The power up to which there is no sound, where the mean of the last seconds is `power`."""
        usual = SILENT[self.card.input]
        return min(usual, max(LEAST_SILENT * usual, BELOW * power))

    def _classes(self, rows: FloatArray) -> FloatArray:
        frames = len(rows) // ROWS
        if len(rows) % ROWS or frames > self.frames:
            raise ModelError(
                f"wanted whole groups of {ROWS} rows, at most {self.frames * ROWS}, got {len(rows)} rows"
            )
        if frames < LEAST:  # nothing to compare with: nobody is heard
            out = np.zeros((frames, CLASSES), np.float32)
            out[:, 0] = 1.0
            return out
        if isinstance(self._network, RecurrentNetwork):
            # It normalises over what it hears, and was taught ten seconds: silence is behind what is shorter.
            sound = np.zeros(self.frames * ACTIVITY_HOP, np.float32)
            sound[: rows.size] = rows.reshape(-1)
            return self._network.at(_middles(0, frames), self._network.classes(sound, rows.size), 0)
        (name,) = self._network.inputs
        chances: FloatArray = np.exp(self._network.run({name: rows[None]})[0][0])
        return chances


def _middles(first: int, last: int) -> NDArray[np.int64]:
    """The samples in the middles of the activity frames [first, last), int64 [shape=(frames,)]."""
    return np.arange(first, last) * ACTIVITY_HOP + ACTIVITY_HOP // 2


def find_segmenter(name: str | Path | None = None) -> Path:
    """The folder of a segmenter: "light" is the smaller one that comes with rtspk, None the other one."""
    if name is None or str(name) == "":
        return BUNDLED
    return MODELS / "segmenter-light" if str(name) == LIGHT else Path(name)


def load_segmenter(folder: Path = BUNDLED, threads: int = 1) -> Segmenter:
    """Load a segmenter from its folder; by default the one that comes with rtspk.

    Raises:
        ModelError: the folder or its network is missing or damaged.
        ConfigError: the card is no valid card.
    """
    card = folder / "card.toml"
    if not card.is_file():
        raise ModelError(f"wanted a model card at {card}, got nothing there")
    return Segmenter(read_toml(card, SegmenterCard), folder, threads)

"""Who of up to three local speakers is active in each 40 ms: the network, and how it is fed.

Local means within one window: which voice is number 1 is new in each.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtspk.config import read_toml
from rtspk.engine.network import Network
from rtspk.engine.powerset import CLASSES, speaker_probabilities
from rtspk.errors import ModelError
from rtspk.kernels.mel import MelConfig
from rtspk.types import SAMPLE_RATE, FloatArray

__all__ = ["ACTIVITY_HOP", "ROWS", "Segmenter", "SegmenterCard", "load_segmenter"]

ACTIVITY_HOP: int = 640  # samples, 40 ms: what is decided at once
ROWS: int = 4  # feature rows of 10 ms in it
LEAST: int = 2  # activity frames that the network takes
SILENT: float = 7.0  # mean log-mel of a row: about that of white noise 79 dB below full scale
BUNDLED: Path = Path(__file__).parents[1] / "models" / "segmenter"


@dataclass(frozen=True, slots=True)
class SegmenterCard:
    """What `card.toml` beside the network says of it."""

    id: str
    file: str
    licence: str
    source: str = ""
    seconds: float = 5.0  # what it heard at once in training; it takes less, not more
    features: MelConfig = field(default_factory=MelConfig)


class Segmenter:
    """Shared by all sessions; it remembers nothing."""

    def __init__(self, card: SegmenterCard, folder: Path, threads: int = 1) -> None:
        self.card = card
        self._network = Network(folder / card.file, threads)
        self.frames = round(card.seconds * SAMPLE_RATE / ACTIVITY_HOP)  # of the longest window

    def speakers(self, features: FloatArray) -> FloatArray:
        """The chance of each local speaker to be active, in one window.

        Args:
            features: float32 [shape=(rows, mels)]; rows in whole groups of four, no more than the window's

        Returns:
            float32 [shape=(rows / 4, 3)]; zero where there is no sound at all
        """
        chances = speaker_probabilities(self._classes(features))
        loud = features.reshape(-1, ROWS, features.shape[1]).mean(2).max(1) > SILENT
        return np.asarray(chances * loud[:, None], np.float32)

    def speech(self, features: FloatArray) -> FloatArray:
        """The chance that somebody speaks, and the chance that two do, in a recording of any length.

        Windows overlap by half, and where two know of a frame, the one counts in whose middle it is.

        Args:
            features: float32 [shape=(rows, mels)]; rows behind the last whole group of four are left out

        Returns:
            float32 [shape=(rows / 4, 2)]
        """
        frames = len(features) // ROWS
        out = np.zeros((frames, 2), np.float32)
        step = self.frames // 2
        for first in range(0, max(1, frames - self.frames + step), step):
            last = min(frames, first + self.frames)
            first = max(0, last - self.frames)  # noqa: PLW2901 - the last window ends with the recording
            rows = features[first * ROWS : last * ROWS]
            classes = self._classes(rows)
            loud = rows.reshape(-1, ROWS, rows.shape[1]).mean(2).max(1) > SILENT
            heard = np.stack([1.0 - classes[:, 0], classes[:, 4:].sum(1)], axis=1) * loud[:, None]
            kept = first + (step // 2 if first else 0)
            out[kept:last] = heard[kept - first :]
        return out

    def _classes(self, features: FloatArray) -> FloatArray:
        frames = len(features) // ROWS
        if len(features) % ROWS or frames > self.frames:
            raise ModelError(
                f"wanted whole groups of {ROWS} rows, at most {self.frames * ROWS}, got {len(features)} rows"
            )
        if frames < LEAST:  # nothing to compare with: nobody is heard
            out = np.zeros((frames, CLASSES), np.float32)
            out[:, 0] = 1.0
            return out
        chances: FloatArray = np.exp(self._network.run({self._network.inputs[0]: features[None]})[0][0])
        return chances


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

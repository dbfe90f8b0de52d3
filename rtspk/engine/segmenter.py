"""Who is active in each moment; for now one local speaker: whether anyone speaks at all.

The network is Silero VAD (MIT), which looks at 32 ms at a time and remembers what came before.
"""

from dataclasses import dataclass, field

import numpy as np

from rtspk.engine.network import Network
from rtspk.errors import SessionError
from rtspk.types import FloatArray

__all__ = ["ACTIVITY_HOP", "Segmenter", "SegmenterState"]

ACTIVITY_HOP: int = 512  # samples, 32 ms: what Silero VAD takes at 16 kHz
CONTEXT: int = 64  # samples of the frame before that it wants again
WIDTH: int = 128  # of its memory


@dataclass(slots=True)
class SegmenterState:
    """What the network remembers between frames.

    hidden, cell : float32 [shape=(1, 1, 128)]
    context : float32 [shape=(64,)]
    """

    hidden: FloatArray = field(default_factory=lambda: np.zeros((1, 1, WIDTH), np.float32))
    cell: FloatArray = field(default_factory=lambda: np.zeros((1, 1, WIDTH), np.float32))
    context: FloatArray = field(default_factory=lambda: np.zeros(CONTEXT, np.float32))


class Segmenter:
    """Shared by all sessions; what a stream needs to remember is in its `SegmenterState`."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def activity(self, samples: FloatArray, state: SegmenterState) -> FloatArray:
        """Probability of speech in each frame of 32 ms; moves `state` on.

        Args:
            samples: float32 [shape=(frames * 512,)], the next of the stream
            state: the stream's memory

        Returns:
            float32 [shape=(frames,)]
        """
        if len(samples) % ACTIVITY_HOP:
            raise SessionError(f"wanted whole frames of {ACTIVITY_HOP} samples, got {len(samples)} samples")
        frames = samples.reshape(-1, ACTIVITY_HOP)
        if not len(frames):
            return np.zeros(0, np.float32)
        before = np.concatenate([state.context[None], frames[:-1, -CONTEXT:]])
        speech, state.hidden, state.cell = self._network.run(
            {"input": np.concatenate([before, frames], axis=1), "h": state.hidden, "c": state.cell}
        )
        state.context = frames[-1, -CONTEXT:].copy()
        return speech.reshape(-1)

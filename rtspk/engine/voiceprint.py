"""A clip as a voice: its speech found, cut into pieces, each piece embedded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.embedder import Embedder
from rtspk.engine.frontend import speech_runs
from rtspk.engine.prototype import unit
from rtspk.engine.segmenter import ACTIVITY_HOP, Segmenter, SegmenterState
from rtspk.engine.settings import ActivityConfig
from rtspk.errors import AudioError
from rtspk.kernels.mel import log_mel
from rtspk.types import Embedding, FloatArray, Segment, Window, samples_of, seconds_of

__all__ = ["ClipQuality", "Voiceprint", "voiceprint"]

PIECE: int = samples_of(6.0)  # net speech of one piece: beyond it a vector gains little
LEAST: int = samples_of(0.5)  # net speech without which nothing can be said
CLIPPED: float = 0.985  # of full scale


@dataclass(frozen=True, slots=True)
class ClipQuality:
    """How fit a clip is for enrolling."""

    signal_to_noise_db: float | None  # None where the clip has no pause to hear the noise in
    clipped_share: float  # of the samples of speech

    @property
    def score(self) -> float:
        """All of it in one number from 0 to 1."""
        noise = 1.0 if self.signal_to_noise_db is None else min(1.0, max(0.1, self.signal_to_noise_db / 20.0))
        clipping = max(0.1, 1.0 - 20.0 * self.clipped_share)
        return round(noise * clipping, 3)


@dataclass(frozen=True, slots=True)
class Voiceprint:
    """All pieces of a clip and what they have in common."""

    pieces: tuple[Embedding, ...]
    vector: FloatArray  # unit, [shape=(dimension,)]
    net_speech: int
    quality: ClipQuality


def voiceprint(
    samples: FloatArray, segmenter: Segmenter, embedder: Embedder, activity: ActivityConfig, what: str
) -> Voiceprint:
    """Make the voiceprint of a clip.

    Args:
        samples: float32 [shape=(n,)] at 16 kHz
        segmenter: finds the speech
        embedder: hears the voice
        activity: what counts as speech
        what: the clip's name, for the error

    Raises:
        AudioError: less than half a second of speech.
    """
    speech = _speech(samples, segmenter, activity)  # (activity frames,)
    config = embedder.card.features
    features = (
        log_mel(samples, config) if len(samples) >= config.window else np.zeros((0, config.mels), np.float32)
    )
    middles = np.arange(len(features)) * config.hop + config.window // 2
    mask = speech[(middles // ACTIVITY_HOP).clip(0, max(0, len(speech) - 1))] if len(speech) else middles > 0
    net_speech = int(mask.sum()) * config.hop
    if net_speech < LEAST:
        raise AudioError(
            f"wanted at least {seconds_of(LEAST)} s of speech in {what}, got {seconds_of(net_speech):.1f} s "
            f"in {seconds_of(len(samples)):.1f} s of sound"
        )
    pieces = tuple(embedder.embed(_pieces(features, mask, config.hop)))
    vector = unit(np.sum([piece.vector * np.float32(piece.net_speech) for piece in pieces], axis=0))
    return Voiceprint(pieces, vector, net_speech, _quality(samples, speech))


def _speech(samples: FloatArray, segmenter: Segmenter, activity: ActivityConfig) -> NDArray[np.bool_]:
    padded = np.concatenate([samples, np.zeros(-len(samples) % ACTIVITY_HOP, np.float32)])
    return speech_runs(segmenter.activity(padded, SegmenterState()), activity)


def _pieces(features: FloatArray, mask: NDArray[np.bool_], hop: int) -> list[Window]:
    """Equal shares of the speech, none longer than PIECE."""
    spoken = np.flatnonzero(mask)
    count = -(-len(spoken) * hop // PIECE)
    windows = []
    for own in np.array_split(spoken, count):
        first, last = int(own[0]), int(own[-1]) + 1
        windows.append(
            Window(
                Segment(first * hop, last * hop),
                features[first:last],
                mask[first:last].astype(np.float32),
                len(own) * hop,
            )
        )
    return windows


def _quality(samples: FloatArray, speech: NDArray[np.bool_]) -> ClipQuality:
    whole = len(samples) // ACTIVITY_HOP
    frames = samples[: whole * ACTIVITY_HOP].reshape(whole, ACTIVITY_HOP)
    spoken, silent = frames[speech[:whole]], frames[~speech[:whole]]
    ratio = None
    if len(spoken) and len(silent) >= 5:
        noise = float(np.median(np.square(silent).mean(1)))
        signal = float(np.square(spoken).mean())
        ratio = round(10.0 * float(np.log10(max(signal, 1e-10) / max(noise, 1e-10))), 1)
    clipped = float((np.abs(spoken) >= CLIPPED).mean()) if len(spoken) else 0.0
    return ClipQuality(ratio, clipped)

"""A clip as a voice: its speech found, cut into pieces, each piece embedded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.embedder import Embedder
from rtspk.engine.local import spoken
from rtspk.engine.segmenter import ACTIVITY_HOP, ROWS, Segmenter
from rtspk.engine.settings import ActivityConfig
from rtspk.engine.unit import unit
from rtspk.errors import AudioError
from rtspk.kernels.framing import check_samples
from rtspk.kernels.mel import log_mel
from rtspk.types import SAMPLE_RATE, Embedding, FloatArray, Segment, Window, samples_of, seconds_of

__all__ = ["ClipQuality", "Voiceprint", "condensed", "voiceprint"]

PIECE: int = samples_of(6.0)  # net speech of one piece: beyond it a vector gains little
PART: int = samples_of(2.0)  # short enough that two people who take turns seldom share one
PRINTED: int = samples_of(4.0)  # the best of many prints with less is often near to a stranger
PRINTS: int = 4  # of one voice in one session
PAUSE: int = samples_of(0.6)  # so much of a longer one is heard: what is farther changes no print
LEAST: int = samples_of(0.5)  # net speech without which nothing can be said
CLIPPED: float = 0.985  # of full scale

# How sound dies away: the steepest falls of level cannot be steeper than the room lets them be.
FALL_HOP: int = samples_of(0.01)
FALL: int = 12  # hops of one fall: shorter falls are the voice's own, longer ones rare
FALLS: int = 20  # fewer than this say nothing
STEEPEST: float = 5.0  # percent of the falls


@dataclass(frozen=True, slots=True)
class ClipQuality:
    """How fit a clip is for enrolling."""

    signal_to_noise_db: float | None  # None where the clip has no pause to hear the noise in
    clipped_share: float  # of the samples of speech
    decay_seconds: float | None = None  # for the level to fall by 60 dB; None where too few falls are heard

    @property
    def score(self) -> float:
        """All of it in one number from 0 to 1."""
        noise = 1.0 if self.signal_to_noise_db is None else min(1.0, max(0.1, self.signal_to_noise_db / 20.0))
        clipping = max(0.1, 1.0 - 20.0 * self.clipped_share)
        decay = 0.0 if self.decay_seconds is None else self.decay_seconds
        echo = min(1.0, max(0.3, 1.4 - decay))  # a dry voice has up to 0.4 s of its own
        return round(noise * clipping * echo, 3)


@dataclass(frozen=True, slots=True)
class Voiceprint:
    """All pieces of a clip and what they have in common."""

    pieces: tuple[Embedding, ...]
    parts: tuple[Embedding, ...]  # the same speech in shorter pieces, where they were asked for
    vector: FloatArray  # unit, [shape=(dimension,)]
    net_speech: int
    quality: ClipQuality
    overlap: float = 0.0  # share of the speech in which two people speak at once


def voiceprint(
    samples: FloatArray,
    segmenter: Segmenter,
    embedder: Embedder,
    activity: ActivityConfig,
    what: str,
    *,
    with_parts: bool = False,
) -> Voiceprint:
    """Make the voiceprint of a clip.

    Args:
        samples: float32 [shape=(n,)] at 16 kHz
        segmenter: finds the speech
        embedder: hears the voice
        activity: what counts as speech
        what: the clip's name, for the error
        with_parts: embed the speech in short parts too, to hear whether they are one voice

    Raises:
        AudioError: less than half a second of speech, or samples of another shape or type.
    """
    samples = check_samples(samples)
    chances = _chances(samples, segmenter)  # (activity frames, 2)
    speech = spoken(chances[:, :1], activity)[:, 0]  # (activity frames,)
    config = embedder.card.features
    features = (
        log_mel(samples, config) if len(samples) >= config.window else np.zeros((0, config.mels), np.float32)
    )
    middles = np.arange(len(features)) * config.hop + config.window // 2
    mask = speech[(middles // ACTIVITY_HOP).clip(0, max(0, len(speech) - 1))] if len(speech) else middles > 0
    net_speech = int(mask.sum()) * config.hop
    if net_speech < LEAST:
        raise AudioError(
            f"wanted at least {seconds_of(LEAST)} s of speech in {what}, got {seconds_of(net_speech):.2f} s "
            f"in {seconds_of(len(samples)):.1f} s of sound"
        )
    pieces = tuple(embedder.embed(_pieces(features, mask, config.hop, PIECE)))
    parts = tuple(embedder.embed(_pieces(features, mask, config.hop, PART))) if with_parts else ()
    vector = unit(np.sum([piece.vector * np.float32(piece.net_speech) for piece in pieces], axis=0))
    overlap = float((chances[speech, 1] > 0.5).mean())
    return Voiceprint(pieces, parts, vector, net_speech, _quality(samples, speech), overlap)


def condensed(windows: Sequence[Embedding], most: int = PRINTS) -> list[Embedding]:
    """Few prints out of many short windows of one voice, each of which would be a poor one.

    The window or group with least speech joins the one that is nearest to it, until each has 4 s of speech
    and there are at most so many. What a voice sounds like in two rooms stays two prints; a stray window is
    none.

    Args:
        windows: unit vectors and the speech behind each
        most: prints
    """
    if not windows:
        return []
    speech = np.array([one.net_speech for one in windows])  # (n,)
    sums = np.stack([one.vector * np.float32(one.net_speech) for one in windows])  # (n, dimension)
    while len(sums) > 1 and (len(sums) > most or speech.min() < PRINTED):
        least = int(np.argmin(speech))
        gone, its_speech = sums[least], speech[least]
        sums, speech = np.delete(sums, least, 0), np.delete(speech, least)
        near = int(np.argmax(sums @ gone / np.linalg.norm(sums, axis=1)))
        sums[near] += gone
        speech[near] += its_speech
    return [
        Embedding(unit(one), Segment(0, net), net) for one, net in zip(sums, speech.tolist(), strict=True)
    ]


def _chances(samples: FloatArray, segmenter: Segmenter) -> FloatArray:
    """How likely somebody speaks, and two do, in each 40 ms, also in those that the end cuts short."""
    if len(samples) < ACTIVITY_HOP:
        return np.zeros((0, 2), np.float32)
    rows = segmenter.rows(samples)
    missing = -(-len(samples) // ACTIVITY_HOP) * ROWS - len(rows)  # those that would reach behind the end
    return segmenter.speech(np.pad(rows, ((0, missing), (0, 0)), "edge"))


def _pieces(features: FloatArray, mask: NDArray[np.bool_], hop: int, longest: int) -> list[Window]:
    """Equal shares of the speech, none longer than so many samples; long pauses are cut out of them."""
    spoken = np.flatnonzero(mask)
    count = -(-len(spoken) * hop // longest)
    margin = np.arange(-(PAUSE // hop // 2), PAUSE // hop // 2 + 1)
    windows = []
    for own in np.array_split(spoken, count):
        first, last = int(own[0]), int(own[-1])
        near = np.unique((own[:, None] + margin).clip(first, last))  # rows
        segment = Segment(first * hop, (last + 1) * hop)
        windows.append(Window(segment, features[near], mask[near].astype(np.float32), len(own) * hop))
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
    return ClipQuality(ratio, clipped, _decay(samples))


def _decay(samples: FloatArray) -> float | None:
    """Seconds for the level to fall by 60 dB, from its steepest falls; None where there are few."""
    whole = len(samples) // FALL_HOP
    if whole < 2 * FALL:
        return None
    power = np.square(samples[: whole * FALL_HOP].reshape(whole, FALL_HOP)).mean(1)
    level = 10.0 * np.log10(np.convolve(power, np.full(3, 1 / 3), "same") + 1e-10)  # dB
    low, high = np.percentile(level, [10, 95])
    middle = np.arange(FALL) - (FALL - 1) / 2
    slopes = np.convolve(level, (middle / (middle @ middle))[::-1], "valid")  # dB a hop
    begin, end = level[: len(slopes)], level[FALL - 1 :][: len(slopes)]
    falls = slopes[(begin > high - 25.0) & (end > low + 6.0) & (slopes < 0)]  # of speech, above the noise
    if len(falls) < FALLS:
        return None
    return round(60.0 / -float(np.percentile(falls, STEEPEST)) * FALL_HOP / SAMPLE_RATE, 2)

"""Turn planned speech into sound: speakers in their rooms at their loudness, over noise; block by block.

No more than a minute and a half is in memory, so a conversation of ten hours costs no more than a short one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.random import Generator

from rtspk.train.convolution import BlockConvolution
from rtspk.train.voice import FADE, Catalogue, Piece
from rtspk.types import FloatArray, Segment, samples_of

__all__ = ["HEARD", "Track", "finished", "mixed"]

BLOCK: int = samples_of(30.0)
HEARD: int = samples_of(10.0)  # of a speaker's speech tell how loud a room makes it, and its spectrum
HUSH: float = 1e-4  # root mean square of a recording without noise: no microphone gives zeros
HUSH_PEAK: float = 6.0 * HUSH
PEAK: float = 0.9  # of full scale, which nothing exceeds


@dataclass(frozen=True, slots=True)
class Track:
    """What one speaker says, each piece with where it begins, how loud it is heard, and in which room."""

    pieces: Sequence[tuple[int, Piece]]
    gain: float = 1.0
    response: FloatArray | None = None


def mixed(tracks: Sequence[Track], catalogue: Catalogue, length: int) -> Iterator[FloatArray]:
    """Add up tracks; a room changes no speaker's loudness.

    Yields float32 [shape=(n,)], `length` samples in all.
    """
    rooms = [None if track.response is None else BlockConvolution(track.response) for track in tracks]
    gains = [
        np.float32(track.gain * _as_loud_as_dry(track.pieces, catalogue, room))
        for track, room in zip(tracks, rooms, strict=True)
    ]
    queue = sorted(
        ((at, i, piece) for i, track in enumerate(tracks) for at, piece in track.pieces),
        key=lambda one: one[:2],
    )
    queue.reverse()
    ahead = np.zeros(BLOCK, np.float32)  # what is mixed from `start` on
    for start in range(0, length, BLOCK):
        while queue and queue[-1][0] < start + BLOCK:
            at, i, piece = queue.pop()
            heard = catalogue.sound(piece)
            room = rooms[i]
            if room is not None:
                heard = room(heard)
            heard *= gains[i]
            end = at - start + len(heard)
            if end > len(ahead):
                ahead = np.concatenate([ahead, np.zeros(end - len(ahead), np.float32)])
            ahead[at - start : end] += heard
        yield ahead[: min(BLOCK, length - start)]
        ahead = np.concatenate([ahead[BLOCK:], np.zeros(max(0, 2 * BLOCK - len(ahead)), np.float32)])


def finished(
    blocks: Iterable[FloatArray],
    speech: Sequence[Segment],
    noise: FloatArray | None,
    snr_db: float | None,
    rng: Generator,
    scratch: BinaryIO,
) -> Iterator[FloatArray]:
    """Add noise at its level below the mean level of speech, over a hush, and keep within full scale.

    Args:
        blocks: of the mixed speech, float32 [shape=(n,)] each
        speech: where somebody speaks, by time, no two overlapping
        noise: float32 [shape=(m,)], repeated as needed; None for none
        snr_db: signal-to-noise ratio; None for no noise
        rng: the source of all chance here
        scratch: an empty file or buffer; levels are known only when all was mixed
    """
    power, peak, start, first = 0.0, 0.0, 0, 0
    lengths = []
    for block in blocks:
        scratch.write(block.tobytes())
        peak = max(peak, float(np.abs(block).max()))
        lengths.append(len(block))
        end = start + len(block)
        while first < len(speech) and speech[first].start < end:
            said = block[max(0, speech[first].start - start) : speech[first].end - start]
            power += float(np.dot(said, said))
            if speech[first].end > end:
                break
            first += 1
        start = end
    power /= max(1, sum(run.duration for run in speech))
    sound, level = _noise(noise, power, snr_db)
    offset = int(rng.integers(len(sound)))
    bound = peak + level * float(np.abs(sound).max()) + HUSH_PEAK
    gain = np.float32(min(1.0, PEAK / bound))
    scratch.seek(0)
    for length in lengths:
        block = np.frombuffer(scratch.read(4 * length), np.float32)
        out = rng.standard_normal(length, np.float32)
        out *= np.float32(HUSH)
        out += block
        if level:
            out += np.take(sound, np.arange(offset, offset + length), mode="wrap") * np.float32(level)
            offset = (offset + length) % len(sound)
        out *= gain
        yield out


def _noise(noise: FloatArray | None, power: float, snr_db: float | None) -> tuple[FloatArray, float]:
    """Noise that may be repeated without a click, and what to multiply it by; 0 for no noise."""
    silence = np.zeros(1, np.float32)
    if noise is None or snr_db is None or len(noise) < 2 * FADE:
        return silence, 0.0
    sound = noise.copy()
    ramp = np.linspace(0.0, 1.0, FADE, dtype=np.float32)
    sound[:FADE] *= ramp
    sound[-FADE:] *= ramp[::-1]
    own = float(np.square(sound, dtype=np.float64).mean())
    if own == 0.0:
        return silence, 0.0
    return sound, float(np.sqrt(power / own) * 10.0 ** (-snr_db / 20.0))


def _as_loud_as_dry(
    pieces: Sequence[tuple[int, Piece]], catalogue: Catalogue, room: BlockConvolution | None
) -> float:
    """What a speaker's sound is multiplied by in a room to be as loud as outside, by what is said first."""
    if room is None:
        return 1.0
    before = after = 0.0
    heard = 0
    for _, piece in pieces:
        dry = catalogue.sound(piece)
        wet = room(dry)
        before += float(np.dot(dry, dry))
        after += float(np.dot(wet, wet))
        heard += len(dry)
        if heard >= HEARD:
            break
    return float(np.sqrt(before / after)) if after > 0.0 else 1.0

"""What is to be said of clips that somebody is enrolled from: enough, clean, one voice, and whose."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtspk.engine.calibration import Calibration
from rtspk.engine.gallery_records import is_fresh
from rtspk.engine.voiceprint import Voiceprint
from rtspk.types import FloatArray, Match, samples_of, seconds_of

__all__ = ["TWO_PEOPLE", "Enrolment", "Known", "judged", "sounds_like_two"]

ENOUGH: int = samples_of(10.0)  # net speech from which more enrolment gains little
NEAR: float = 0.5  # probability from which another name counts as near
TWO_VOICES: float = 0.1  # parts less probably of one voice than this speak of a second one,
FEWEST: float = 0.1  # share of the pairs of parts that must be so
OTHER: float = 0.1  # and so does a voice that is less probably the one enrolled before
AT_ONCE: float = 0.1  # share of overlapped speech that one voice never has (measured: 0.04 at most)
TWO_PEOPLE: str = "this sounds like two people"
ECHO: float = 0.55  # seconds of decay; a dry voice has 0.2 to 0.4
NOISY: float = 10.0  # dB of speech above the background


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What came of enrolling: how much speech, how good, and who else sounds like this."""

    name: str
    net_speech: int  # samples, of these clips
    exemplars: int  # prints of them that the name did not have
    quality: float
    near: Match | None
    warnings: tuple[str, ...]
    complete: float  # share of the speech that makes a reliable print, with what was there before; 1 at most


@dataclass(frozen=True, slots=True)
class Known:
    """What a gallery had of a name before.

    vector : float32 [shape=(dimension,)], a unit vector; None where there was nobody of that name
    prints : float32 [shape=(n, dimension)], unit vectors; likewise
    """

    vector: FloatArray | None = None
    net_speech: int = 0  # samples
    prints: FloatArray | None = None


def judged(
    name: str,
    prints: Sequence[Voiceprint],
    vector: FloatArray,
    before: Known,
    found: Sequence[Match],
    calibration: Calibration,
) -> Enrolment:
    """Judge clips.

    Args:
        name: whom they are to be
        prints: of each clip, with parts
        vector: of them all together, a unit vector float32 [shape=(dimension,)]
        before: what was known of that name
        found: whom the gallery takes them for, best first
        calibration: of the model, for two clips
    """
    net_speech = sum(p.net_speech for p in prints)
    quality = min(p.quality.score for p in prints)
    near = _near(name, found)
    pieces = [piece for p in prints for piece in p.pieces]
    vectors = np.stack([piece.vector for piece in pieces])
    fresh = is_fresh(vectors, vectors[:0] if before.prints is None else before.prints)
    gained = sum(piece.net_speech for piece, new in zip(pieces, fresh, strict=True) if new)
    complete = (gained + before.net_speech) / ENOUGH
    said = _of_sound(prints, complete)
    if not all(fresh):
        said.append(f"heard before: {len(fresh) - sum(fresh)} of {len(fresh)} prints are there already")
    said += _of_voices(name, prints, vector, before, near, calibration)
    return Enrolment(name, net_speech, sum(fresh), quality, near, tuple(said), round(min(1.0, complete), 3))


def _near(name: str, found: Sequence[Match]) -> Match | None:
    """The nearest other name, where it is likely one of the others: two of one voice share what there is."""
    others = [match for match in found if match.name != name]
    chance = sum(match.probability for match in others)
    return replace(others[0], probability=min(1.0, chance)) if others and chance >= NEAR else None


def _of_sound(prints: Sequence[Voiceprint], complete: float) -> list[str]:
    said = []
    if complete < 1.0:
        wanted = seconds_of(ENOUGH)
        said.append(f"{complete:.0%} of the speech that makes a reliable print: {wanted:g} s are better")
    noises = [p.quality.signal_to_noise_db for p in prints if p.quality.signal_to_noise_db is not None]
    if noises and min(noises) < NOISY:
        said.append(f"noisy: speech is only {min(noises):.0f} dB above the background")
    if max(p.quality.clipped_share for p in prints) > 0.01:
        said.append("clipped: the recording was too loud")
    decay = max((p.quality.decay_seconds or 0.0) for p in prints)
    if decay > ECHO:
        said.append(f"echo: sound takes about {decay:.1f} s to die away; nearer to the microphone is better")
    return said


def _of_voices(
    name: str,
    prints: Sequence[Voiceprint],
    vector: FloatArray,
    before: Known,
    near: Match | None,
    calibration: Calibration,
) -> list[str]:
    said = []
    if sounds_like_two(prints, calibration):
        said.append(TWO_PEOPLE)
    if before.vector is not None:
        speech = min(before.net_speech, sum(p.net_speech for p in prints))
        chance = calibration.probability(float(vector @ before.vector), speech)
        if chance < OTHER:
            said.append(f"this does not sound like the {name} enrolled before (probability {chance:.2f})")
    if near is not None:
        said.append(f"this is close to {near.name} (probability {near.probability:.2f})")
    return said


def sounds_like_two(prints: Sequence[Voiceprint], calibration: Calibration) -> bool:
    """Whether clips that are to be of one voice, with parts, are rather of two, by turns or at once."""
    at_once = max(p.overlap for p in prints)
    return at_once > AT_ONCE or _one_voice(prints, calibration) < TWO_VOICES


def _one_voice(prints: Sequence[Voiceprint], calibration: Calibration) -> float:
    """Probability that the parts that are least alike are of one voice."""
    parts = [part for p in prints for part in p.parts]
    if len(parts) < 2:
        return 1.0
    vectors, speech = np.stack([part.vector for part in parts]), np.array([p.net_speech for p in parts])
    one, other = np.triu_indices(len(parts), 1)  # (pairs,)
    chances = calibration.probabilities(
        (vectors @ vectors.T)[one, other], np.minimum(speech[one], speech[other])
    )
    # Among very many pairs of one voice some are unlike, and two voices make more than a few.
    least = int(FEWEST * len(chances))
    return float(np.partition(chances, least)[least])

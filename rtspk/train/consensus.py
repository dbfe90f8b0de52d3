"""What a teacher and a reference say of a window together: the one hears whether, the other knows who.

A reference that was made with a conversation has every voice right, also where a teacher takes two for one.
Where speech ends and which pauses belong to it, people who annotate decide as the teacher does, which was
taught by them, and not as a detector of energy does.
"""

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.powerset import CLASSES, LOCAL_SPEAKERS, MEMBERS, reordered
from rtspk.types import FloatArray

__all__ = ["consensus"]

FEW: int = 5  # frames: who says no more in a window takes none of its three places
NEAR: int = 60  # frames, a second: from what is further than that no name is taken
OVERLAPPED: float = 0.6  # of the chance of one voice goes to two, where the reference has two
SMALL: float = 1e-4  # a chance that tells nothing of who it is
PAIRS: NDArray[np.bool_] = MEMBERS[1 + LOCAL_SPEAKERS :]  # [shape=(3, 3)]


def consensus(taught: FloatArray, speakers: NDArray[np.bool_], trust: float) -> FloatArray:
    """The chances of the classes in a window, speakers in the reference's order.

    Args:
        taught: float32 [shape=(frames, 7)], the teacher's
        speakers: bool [shape=(frames, n)], who speaks by the reference
        trust: weight of the reference as to who it is, from 0 to 1

    Returns:
        float32 [shape=(frames, 7)]; the teacher's alone where more than three speak, or nobody does
    """
    spoken = speakers.sum(0)
    if not spoken.any() or (spoken > FEW).sum() > LOCAL_SPEAKERS:
        return taught
    most = np.argsort(-spoken, kind="stable")[:LOCAL_SPEAKERS]
    truth = np.zeros((len(speakers), LOCAL_SPEAKERS), np.bool_)
    truth[:, : len(most)] = speakers[:, most]
    own = _in_order(taught, truth)
    who, distance = _nearest(truth)
    near = distance <= NEAR
    named = _named(own, who, truth.sum(1) >= 2)
    return np.where(near[:, None], (1.0 - trust) * own + trust * named, own).astype(np.float32)


def _in_order(taught: FloatArray, truth: NDArray[np.bool_]) -> FloatArray:
    """The teacher's chances, its speakers in the order that fits the reference best."""
    orders = [taught[:, order] for order in reordered()]
    fits = [float((one @ MEMBERS.astype(np.float32) * truth).sum()) for one in orders]
    return orders[int(np.argmax(fits))]


def _nearest(truth: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Who speaks in the nearest frame in which somebody does, and how far that is."""
    frames = np.arange(len(truth))
    spoken = np.flatnonzero(truth.any(1))
    behind = np.searchsorted(spoken, frames).clip(0, len(spoken) - 1)
    before = (behind - 1).clip(0)
    sooner = np.abs(spoken[before] - frames) <= np.abs(spoken[behind] - frames)
    at = np.where(sooner, spoken[before], spoken[behind])
    return truth[at], np.abs(at - frames)


def _named(own: FloatArray, who: NDArray[np.bool_], overlap: NDArray[np.bool_]) -> FloatArray:
    """The teacher's chances of none, one and two voices, given to those who speak.

    own : float32 [shape=(frames, 7)]
    who : bool [shape=(frames, 3)], one or more in each
    overlap : bool [shape=(frames,)], where the reference has two or more
    """
    one, two = own[:, 1 : 1 + LOCAL_SPEAKERS].sum(1), own[:, 1 + LOCAL_SPEAKERS :].sum(1)
    pairs = _shares((who @ PAIRS.T.astype(np.int64)) == 2)
    is_two = pairs.any(1)
    to_two = OVERLAPPED * overlap
    singles = _shares(own[:, 1 : 1 + LOCAL_SPEAKERS] * who, _shares(who))
    heard_pairs = _shares(own[:, 1 + LOCAL_SPEAKERS :], np.full_like(pairs, 1.0 / len(PAIRS)))
    alone = 0.5 * two * ~is_two  # the teacher hears two, the reference one: half and half
    out = np.zeros((len(own), CLASSES), np.float32)
    out[:, 0] = own[:, 0]
    out[:, 1 : 1 + LOCAL_SPEAKERS] = (one * (1.0 - to_two))[:, None] * singles + alone[:, None] * _shares(who)
    out[:, 1 + LOCAL_SPEAKERS :] = (one * to_two + two * is_two)[:, None] * pairs
    out[:, 1 + LOCAL_SPEAKERS :] += alone[:, None] * heard_pairs
    return out


def _shares(weights: NDArray[np.generic], otherwise: FloatArray | None = None) -> FloatArray:
    """Rows that add up to one; where they are next to nothing, rows of `otherwise`, or nothing."""
    values = weights.astype(np.float32)
    total = values.sum(1, keepdims=True)
    spare = np.zeros_like(values) if otherwise is None else otherwise
    return np.where(total > SMALL, values / np.maximum(total, SMALL), spare)

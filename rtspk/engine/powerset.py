"""Which of up to three local speakers are active, as one class of seven (arXiv:2310.13025).

A class is a set of speakers, at most two at once: nobody, 1, 2, 3, 1+2, 1+3, 2+3. Which voice is number 1 is
the network's choice, and holds within one window only.
"""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from rtspk.types import FloatArray

__all__ = ["CLASSES", "LOCAL_SPEAKERS", "MEMBERS", "ORDERS", "class_of", "reordered", "speaker_probabilities"]

LOCAL_SPEAKERS = 3
CLASSES = 7

# Which speakers are in a class, bool [shape=(7, 3)]
MEMBERS: NDArray[np.bool_] = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], bool
)

# All orders of the speakers: in order k, speaker i stands where ORDERS[k][i] stood. int64 [shape=(6, 3)]
ORDERS: NDArray[np.int64] = np.array(list(permutations(range(LOCAL_SPEAKERS))), np.int64)


def class_of(active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The class of each set of at most two active speakers.

    Args:
        active: bool [shape=(..., 3)]

    Returns:
        int64 [shape=(...,)]
    """
    weights = 2 ** np.arange(LOCAL_SPEAKERS)
    table = np.zeros(2**LOCAL_SPEAKERS, np.int64)
    table[MEMBERS @ weights] = np.arange(CLASSES)
    number: NDArray[np.int64] = active @ weights
    return table[number]


def reordered() -> NDArray[np.int64]:
    """Which class stands where when the speakers are put in each order.

    Returns:
        int64 [shape=(6, 7)]: `q = p[reordered()[k]]` are the chances `p` where speaker i of `q` is speaker
        ORDERS[k][i] of `p`
    """
    out = np.zeros((len(ORDERS), CLASSES), np.int64)
    for k, order in enumerate(ORDERS):
        moved = np.zeros_like(MEMBERS)
        moved[:, order] = MEMBERS
        out[k] = class_of(moved)
    return out


def speaker_probabilities(classes: FloatArray) -> FloatArray:
    """The probability that each speaker is active, whoever else is.

    Args:
        classes: float32 [shape=(..., 7)], probabilities of the classes

    Returns:
        float32 [shape=(..., 3)]
    """
    return classes @ MEMBERS.astype(np.float32)

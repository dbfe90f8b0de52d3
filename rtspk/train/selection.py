"""Which utterances of a manifest a run takes, and which it keeps to be tested on."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from rtspk.errors import ConfigError
from rtspk.train.manifest import Utterance
from rtspk.train.recipe import DataConfig

__all__ = ["recording_of", "select", "split_utterances"]


def recording_of(utterance: Utterance) -> tuple[Path, int, int]:
    """Which stretch of sound it is, at whatever speed."""
    return utterance.path, utterance.start, utterance.end


def select(utterances: list[Utterance], data: DataConfig) -> list[Utterance]:
    """Take the data sets that a recipe names, and of them the speakers with most speech.

    Speech of nobody known is left out where only some speakers are wanted, and where no teacher heard it.
    """
    if data.datasets:
        missing = set(data.datasets) - {u.dataset for u in utterances}
        if missing:
            raise ConfigError(f"wanted the data set {min(missing)!r} in the manifest, got none of that name")
        utterances = [u for u in utterances if u.dataset in data.datasets]
    if not data.targets or data.most_spoken:
        utterances = [u for u in utterances if u.speaker]
    if not data.most_spoken:
        return utterances
    spoken: Counter[str] = Counter()
    for u in utterances:
        if u.speed == 1.0:
            spoken[u.speaker] += u.duration
    if len(spoken) < data.most_spoken:
        raise ConfigError(f"wanted {data.most_spoken} speakers, got {len(spoken)} in the manifest")
    # By name where two have as much, so that the choice does not hang on the order of the manifest.
    chosen = set(sorted(spoken, key=lambda name: (-spoken[name], name))[: data.most_spoken])
    return [u for u in utterances if u.voice in chosen]


def split_utterances(
    utterances: list[Utterance], validation: float, test: float, seed: int
) -> tuple[list[Utterance], list[Utterance], list[Utterance]]:
    """Keep a share of every speaker's utterances out of training, to measure on and to test on at the end.

    A speaker with two utterances gives one to validation, one with three gives one to each; copies at other
    speeds of what is kept are not trained on.

    Returns:
        To train on, to validate on, to test on.

    Raises:
        ConfigError: shares beyond reason, or no speaker with enough utterances to keep one.
    """
    if not (0.0 <= validation < 1.0 and 0.0 <= test < 1.0 and validation + test < 1.0):
        raise ConfigError(
            f"wanted validation and test of 0 to 1, less than 1 in all, got {validation} and {test}"
        )
    rng = np.random.default_rng((seed, 1))
    own: dict[str, list[Utterance]] = defaultdict(list)
    for u in utterances:
        if u.speaker and u.speed == 1.0:
            own[u.speaker].append(u)
    validated: list[Utterance] = []
    tested: list[Utterance] = []
    for _, mine in sorted(own.items()):
        order = [mine[i] for i in rng.permutation(len(mine))]
        for kept, share in ((validated, validation), (tested, test)):
            count = min(len(order) - 1, max(1, round(share * len(mine)))) if share else 0
            kept.extend(order.pop() for _ in range(count))
    if (validation and not validated) or (test and not tested):
        raise ConfigError("wanted speakers with several utterances to validate and test on, got none")
    kept_out = {recording_of(u) for u in (*validated, *tested)}
    return [u for u in utterances if recording_of(u) not in kept_out], validated, tested

"""Utterances set apart to enrol speakers from."""

from pathlib import Path

import pytest

from rtspk.errors import ConfigError
from rtspk.train.enrolment import reserve
from rtspk.train.manifest import Utterance
from rtspk.types import samples_of


def utterance(file, start, end):
    times = samples_of(start), samples_of(end)
    return Utterance(Path(file), *times, "x/a", "x", "", "", "not stated", -1)


def test_what_is_set_apart_shares_no_sound_with_the_rest():
    sliding = [utterance(file, start, start + 4.0) for file in "ab" for start in range(20)]
    apart, rest = reserve({"x/a": sliding}, 5.0, 0)
    assert sum(u.duration for u in apart["x/a"]) >= samples_of(5.0)
    assert rest["x/a"]
    for u in rest["x/a"]:
        for one in apart["x/a"]:
            assert u.path != one.path or u.end <= one.start or one.end <= u.start
    assert reserve({"x/a": sliding}, 5.0, 0) == (apart, rest)


def test_one_who_has_too_little_for_both_is_in_neither():
    few, many = [utterance("a", 0, 4)], [utterance("b", t, t + 4) for t in range(0, 80, 4)]
    apart, rest = reserve({"x/a": few, "x/b": many}, 5.0, 0)
    assert set(apart) == set(rest) == {"x/b"}
    with pytest.raises(ConfigError, match="wanted speakers with more speech than 5 s"):
        reserve({"x/a": few}, 5.0, 0)

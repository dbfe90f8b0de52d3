"""Warnings about the sound itself."""

import numpy as np

from rtspk.server.watch import Watch

SECOND = 16000


def codes(watch, *sounds):
    return [warning.code for sound in sounds for warning in watch.hear(sound)]


def quiet(seconds):
    return np.zeros(round(seconds * SECOND), np.float32)


def loud(seconds, level=0.3):
    return np.where(np.arange(round(seconds * SECOND)) % 100 < 50, level, -level).astype(np.float32)


def test_silence_is_said_once_after_ten_seconds_in_any_pieces():
    for size in (0.1, 1.0, 30.0):
        assert codes(Watch(), *[quiet(size)] * round(30 / size)) == ["silence"]
    assert codes(Watch(), quiet(9.9)) == []


def test_silence_is_said_again_only_after_sound():
    assert codes(Watch(), quiet(11), quiet(11), loud(0.1), quiet(11)) == ["silence", "silence"]


def test_silence_counts_from_the_last_sound_in_a_piece():
    assert codes(Watch(), np.concatenate([loud(1), quiet(6)]), quiet(3.9)) == []
    assert codes(Watch(), np.concatenate([loud(1), quiet(6)]), quiet(4.1)) == ["silence"]


def test_clipping_is_said_once_and_not_for_a_single_peak():
    assert codes(Watch(), *[loud(1, level=1.0)] * 20) == ["clipping"]
    peak = loud(5)
    peak[7] = 1.0
    assert codes(Watch(), peak) == []


def test_no_samples_say_nothing():
    assert codes(Watch(), quiet(0)) == []

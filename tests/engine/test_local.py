"""What the segmenter hears as decisions: speech by hysteresis, who is alone, and where in the stream."""

import numpy as np
import pytest

from rtspk.engine.local import LEAST_SHARED, LocalActivity, LocalChances, blended, decided, spoken
from rtspk.engine.powerset import ORDERS
from rtspk.engine.segmenter import ACTIVITY_HOP
from rtspk.engine.settings import ActivityConfig
from rtspk.types import Segment

CONFIG = ActivityConfig()


def runs_slowly(probability: np.ndarray) -> list[bool]:
    """Hysteresis a frame at a time, then short pauses and blips, run by run."""
    runs, on = [], False
    for p in probability:
        on = p >= CONFIG.onset or (on and p >= CONFIG.offset)
        runs.append(on)
    for value, shortest in ((False, CONFIG.gap_seconds), (True, CONFIG.shortest_seconds)):
        at = 0
        while at < len(runs):
            end = at
            while end < len(runs) and runs[end] == runs[at]:
                end += 1
            if runs[at] == value and (end - at) * 0.04 < shortest and at > 0 and end < len(runs):
                runs[at:end] = [not value] * (end - at)
                at = 0  # neighbours have grown together
                continue
            at = end
    return runs


@pytest.mark.parametrize("seed", range(20))
def test_speech_runs_are_those_of_the_slow_way(seed):
    rng = np.random.default_rng(seed)
    smooth = np.convolve(rng.uniform(0, 1, 300), np.ones(5) / 5, "same")
    probability = np.clip((smooth - 0.5) * 3 + 0.45, 0, 1).astype(np.float32)
    chances = np.stack([probability, probability[::-1], 1.0 - probability], axis=1)
    for layout in (np.ascontiguousarray, np.asfortranarray):
        said = spoken(layout(chances), CONFIG)
        assert said.T.tolist() == [runs_slowly(one) for one in chances.T]


@pytest.mark.parametrize(("frames", "pause", "blip"), [(2, False, False), (3, False, True), (5, True, True)])
def test_pauses_of_a_fifth_of_a_second_and_blips_of_a_tenth_stay(frames, pause, blip):
    on, off = [[1.0]] * 9, [[0.0]] * 9
    for outer, inner, stays in ((on, off, pause), (off, on, blip)):
        said = spoken(np.array([*outer, *inner[:frames], *outer], np.float32), CONFIG)
        assert (said[9 : 9 + frames] == inner[0][0]).all() == stays
        assert (said[:9] == outer[0][0]).all()


def test_speech_begins_with_the_onset_and_goes_on_with_the_offset():
    config = ActivityConfig(onset=0.5, offset=0.25, gap_seconds=0.0, shortest_seconds=0.0)
    chances = np.array([0.25, 0.49, 0.5, 0.25, 0.24, 0.49], np.float32)[:, None]
    assert spoken(chances, config)[:, 0].tolist() == [False, False, True, True, False, False]


def test_no_frames_have_no_speech():
    assert spoken(np.zeros((0, 3), np.float32), CONFIG).shape == (0, 3)


def active(*patterns: str) -> np.ndarray:
    return np.array([[sign == "x" for sign in pattern] for pattern in patterns]).T


def decisions(first: int, *patterns: str) -> LocalActivity:
    return LocalActivity(first, active(*patterns), active(*patterns).astype(np.float32))


def test_certainty_is_the_mean_chance_where_a_speaker_is_active():
    chances = np.array([[0.9, 0.1], [0.6, 0.1], [0.2, 0.1], [0.8, 0.1]], np.float32)
    activity = LocalActivity(0, chances > 0.5, chances)
    assert activity.certainty(0, slice(1, 4)) == pytest.approx(0.7)
    assert activity.certainty(1, slice(0, 4)) == 0.0


def test_each_speaker_is_decided_alone():
    chances = np.random.default_rng(0).uniform(0, 1, (60, 3)).astype(np.float32)
    together = decided(LocalChances(5, chances), CONFIG)
    assert together.first == 5
    for speaker in range(3):
        assert together.active[:, speaker].tolist() == runs_slowly(chances[:, speaker])


def test_a_speaker_is_alone_where_nobody_else_is_active():
    activity = decisions(0, "xxxx..", ".xx.x.", "......")
    assert activity.alone.T.tolist() == active("x..x..", "....x.", "......").T.tolist()


def test_a_region_holds_the_frames_that_begin_in_it():
    activity = decisions(10, "x" * 20, "." * 20, "." * 20)
    hop = 8000  # twelve and a half frames
    regions = [activity.region(start, start + hop) for start in (8000, 16_000)]
    assert [(r.start, r.stop) for r in regions] == [(3, 15), (15, 20)]
    assert activity.region(0, 640) == slice(0, 0)


def test_spans_are_where_a_speaker_is_active_and_end_with_the_stream():
    activity = decisions(10, "..xxx.xx", "........", "........")
    spans = activity.spans(0, slice(1, 8), 18 * ACTIVITY_HOP - 100)
    assert spans == [
        Segment(12 * ACTIVITY_HOP, 15 * ACTIVITY_HOP),
        Segment(16 * ACTIVITY_HOP, 18 * ACTIVITY_HOP - 100),
    ]
    assert activity.spans(1, slice(0, 8), 1 << 40) == []
    begin = 16 * ACTIVITY_HOP
    assert activity.spans(0, slice(6, 8), begin) == []
    assert activity.spans(0, slice(6, 8), begin + 1) == [Segment(begin, begin + 1)]


def drawn(seed, frames=100):
    """LocalChances of three speakers who take turns."""
    rng = np.random.default_rng(seed)
    spoken = np.repeat(rng.integers(0, 3, -(-frames // 10)), 10)[:frames]
    return (0.1 + 0.8 * np.eye(3)[spoken] + rng.uniform(-0.05, 0.05, (frames, 3))).astype(np.float32)


@pytest.mark.parametrize("order", ORDERS.tolist())
def test_what_two_windows_know_is_their_mean_whatever_order_the_newest_has_its_speakers_in(order):
    edge, weight = round(CONFIG.edge_seconds / 0.04), 0.5
    whole, noise = drawn(0, 112), np.random.default_rng(1).uniform(-0.02, 0.02, (100, 3)).astype(np.float32)
    earlier = LocalChances(7, whole[:100])
    newest = LocalChances(19, (whole[12:] + noise)[:, order])
    got = blended(newest, earlier, CONFIG, 0.5)
    assert got.first == 19
    for frame in range(19, 119):
        mine, theirs = whole[frame - 7] + noise[frame - 19], whole[frame - 7]
        known = frame < 107 - edge  # what is no window's end
        wanted = mine + weight * (theirs - mine) if known else mine
        assert got.values[frame - 19] == pytest.approx(wanted, abs=1e-6)


def test_windows_that_share_next_to_nothing_are_not_blended():
    edge = round(CONFIG.edge_seconds / 0.04)
    earlier = LocalChances(0, drawn(0, 50))
    for first in (50 - edge - LEAST_SHARED + 1, 60, 500):
        newest = LocalChances(first, drawn(1))
        assert blended(newest, earlier, CONFIG, 0.5) is newest
    newest = LocalChances(50 - edge - LEAST_SHARED, drawn(1))
    assert not np.array_equal(blended(newest, earlier, CONFIG, 0.5).values, newest.values)


def test_neither_window_is_changed_by_blending():
    earlier, newest = LocalChances(0, drawn(0)), LocalChances(12, drawn(1))
    kept = [one.values.copy() for one in (earlier, newest)]
    blended(newest, earlier, CONFIG, 0.5)
    assert np.array_equal(earlier.values, kept[0])
    assert np.array_equal(newest.values, kept[1])

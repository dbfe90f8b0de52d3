"""Local speakers of one window are those of earlier hops whose speech they share."""

import numpy as np

from rtspk.engine.local import LocalActivity
from rtspk.engine.segmenter import ACTIVITY_HOP
from rtspk.engine.traces import Traces
from rtspk.engine.tracker_state import RECENT


def activity(first, active):
    return LocalActivity(first, active, active.astype(np.float32))


def slow_links(traces, activity):
    """Frame by frame."""
    out = []
    for speaker in range(3):
        links = []
        for trace in traces.kept:
            at = range(trace.first, trace.first + len(trace.active))
            frames = sum(
                bool(trace.active[f - trace.first] and activity.active[f - activity.first, speaker])
                for f in at
                if 0 <= f - activity.first < len(activity.active)
            )
            if frames:
                links.append((trace.piece, frames * ACTIVITY_HOP))
        out.append(tuple(links))
    return out


def test_links_are_what_counting_frame_by_frame_gives():
    rng = np.random.default_rng(0)
    traces = Traces()
    for piece in range(40):
        traces.add(piece, 12 * (piece // 3), rng.random(12 + piece % 2) < 0.4)
    for first, frames in ((0, 250), (60, 125), (100, 30), (150, 250), (400, 20)):
        window = activity(first, rng.random((frames, 3)) < 0.4)
        assert traces.links(window) == slow_links(traces, window)
    assert any(traces.links(activity(60, np.ones((125, 3), bool))))


def test_before_anybody_spoke_nobody_is_linked():
    assert Traces().links(activity(0, np.ones((5, 3), bool))) == [(), (), ()]


def test_no_more_pieces_are_kept_than_the_tracker_remembers():
    traces = Traces()
    for piece in range(RECENT + 5):
        traces.add(piece, piece, np.ones(1, bool))
    assert [trace.piece for trace in traces.kept] == list(range(5, RECENT + 5))

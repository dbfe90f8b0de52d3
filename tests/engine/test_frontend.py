"""Features and speech activity of a stream: equal to the whole file's, and bounded."""

import numpy as np
import pytest

from rtspk.engine.frontend import Frontend, FrontendState, focus, speech_runs
from rtspk.engine.segmenter import ACTIVITY_HOP, SegmenterState
from rtspk.engine.settings import HOP, ActivityConfig
from rtspk.kernels.mel import MelConfig, log_mel
from rtspk.types import Segment, samples_of

CONFIG = ActivityConfig()


def runs_slowly(probability: np.ndarray) -> list[bool]:
    """Hysteresis a frame at a time, then short pauses and blips, run by run."""
    spoken, on = [], False
    for p in probability:
        on = p >= CONFIG.onset or (on and p >= CONFIG.offset)
        spoken.append(on)
    for value, shortest in ((False, CONFIG.gap_seconds), (True, CONFIG.shortest_seconds)):
        at = 0
        while at < len(spoken):
            end = at
            while end < len(spoken) and spoken[end] == spoken[at]:
                end += 1
            if spoken[at] == value and (end - at) * 0.032 < shortest and at > 0 and end < len(spoken):
                spoken[at:end] = [not value] * (end - at)
                at = 0  # neighbours have grown together
                continue
            at = end
    return spoken


@pytest.mark.parametrize("seed", range(20))
def test_speech_runs_are_those_of_the_slow_way(seed):
    rng = np.random.default_rng(seed)
    smooth = np.convolve(rng.uniform(0, 1, 300), np.ones(5) / 5, "same")
    probability = np.clip((smooth - 0.5) * 3 + 0.45, 0, 1).astype(np.float32)
    assert speech_runs(probability, CONFIG).tolist() == runs_slowly(probability)


def test_no_frames_have_no_speech():
    assert len(speech_runs(np.zeros(0, np.float32), CONFIG)) == 0


def test_a_window_holds_the_rows_of_the_whole_file(segmenter, conversation):
    frontend = Frontend(MelConfig(), segmenter, CONFIG)
    state = FrontendState.empty(MelConfig())
    times = list(frontend.blocks(conversation[: samples_of(20.0)], state))
    assert times == [HOP * (i + 1) for i in range(80)]
    features, mask = frontend.window(Segment(60 * HOP, 67 * HOP), state)
    whole = log_mel(conversation[: samples_of(20.0)])
    assert np.array_equal(features, whole[60 * 25 : 67 * 25])
    assert mask.shape == (175,)
    assert set(np.unique(mask)) <= {0.0, 1.0}


def test_a_window_outside_the_stream_is_silence_off_the_mask(segmenter, conversation):
    frontend = Frontend(MelConfig(), segmenter, CONFIG)
    state = FrontendState.empty(MelConfig())
    list(frontend.blocks(conversation[: samples_of(2.0)], state))
    features, mask = frontend.window(Segment(-3 * HOP, 0), state)
    assert not features.any()
    assert not mask.any()


def test_activity_is_the_same_in_pieces_and_at_once(segmenter, conversation):
    sound = conversation[: 200 * ACTIVITY_HOP]
    whole = segmenter.activity(sound, SegmenterState())
    state = SegmenterState()
    pieces = [
        segmenter.activity(sound[at : at + 8 * ACTIVITY_HOP], state)
        for at in range(0, len(sound), 8 * ACTIVITY_HOP)
    ]
    assert np.array_equal(np.concatenate(pieces), whole)


def test_speech_is_found_where_the_reference_has_it(segmenter, conversation):
    whole = len(conversation) // ACTIVITY_HOP * ACTIVITY_HOP
    spoken = speech_runs(segmenter.activity(conversation[:whole], SegmenterState()), CONFIG)
    first, pause = samples_of(2.0) // ACTIVITY_HOP, samples_of(4.32) // ACTIVITY_HOP
    assert spoken[first]
    assert not spoken[pause]


def frames(pattern: str) -> np.ndarray:
    return np.array([float(sign == "x") for sign in pattern], np.float32)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("xxxxxxxxxxxx", "xxxxxxxxxxxx"),
        ("xxx...xxxxxx", "......xxxxxx"),
        ("xxx..xxxxxxx", "xxx..xxxxxxx"),  # too short for a pause
        ("xxxxxxxx...x", "xxxxxxxx...."),
        ("x...xxxx...x", "....xxxx...."),
        ("x....xx....x", "x....xx....x"),  # too little would be left
    ],
)
def test_a_window_listens_up_to_the_next_pause(pattern, expected):
    assert focus(frames(pattern), 5, 7, gap=3, least=3).tolist() == frames(expected).tolist()

"""Features and local speakers of a stream: equal to the whole file's, and bounded."""

import numpy as np
import pytest

from rtspk.engine.frontend import Frontend
from rtspk.engine.local import LocalActivity, LocalChances, blended
from rtspk.engine.segmenter import ACTIVITY_HOP, ROWS, find_segmenter, load_segmenter
from rtspk.engine.settings import HOP, ActivityConfig
from rtspk.kernels.mel import MelConfig, log_mel
from rtspk.types import Segment, samples_of
from tests.engine.conftest import blocks

CONFIG = ActivityConfig()
SOUND = samples_of(12.0)


@pytest.fixture(params=["", "light"])
def segmenter(request):
    return load_segmenter(find_segmenter(request.param))


@pytest.fixture
def frontend(segmenter):
    return Frontend(MelConfig(), segmenter, CONFIG)


def test_a_block_is_a_hop(frontend, conversation):
    times = list(blocks(frontend, conversation[: SOUND + 100], frontend.empty()))
    assert times == [HOP * (i + 1) for i in range(SOUND // HOP)]


def test_what_is_listened_to_is_the_last_window_of_the_whole_file(frontend, segmenter, conversation):
    state = frontend.empty()
    list(blocks(frontend, conversation[:SOUND], state))
    activity = frontend.listen(state)
    whole = segmenter.rows(conversation[:SOUND])
    last = len(whole) // ROWS
    assert activity.first + len(activity.active) == last
    assert 0.9 * segmenter.frames < len(activity.active) <= segmenter.frames
    chances = segmenter.speakers(whole[activity.first * ROWS : last * ROWS])
    assert activity.active.shape == chances.shape
    sure = np.abs(chances - 0.5) > 0.3
    assert (activity.active == (chances > 0.5))[sure].mean() > 0.9


def test_a_segmenter_with_features_of_its_own_gets_them(segmenter, conversation):
    other = MelConfig(low=100.0)
    frontend, plain = (Frontend(features, segmenter, CONFIG) for features in (other, MelConfig()))
    states = [one.empty() for one in (frontend, plain)]
    heard = []
    for one, state in zip((frontend, plain), states, strict=True):
        list(blocks(one, conversation[:SOUND], state))
        heard.append(one.listen(state))
    assert heard[0].first == heard[1].first
    assert np.array_equal(heard[0].chances, heard[1].chances)


@pytest.mark.parametrize("memory", [None, 0.0, 0.9])
def test_what_was_heard_before_counts_as_much_as_the_settings_or_else_the_card_say(
    segmenter, conversation, memory
):
    config = ActivityConfig(memory=memory)
    frontend = Frontend(MelConfig(), segmenter, config)
    state, fresh = frontend.empty(), frontend.empty()
    for one, listens in ((state, True), (fresh, False)):
        list(blocks(frontend, conversation[: SOUND - HOP], one))
        if listens:
            earlier = frontend.listen(one)
        list(blocks(frontend, conversation[SOUND - HOP : SOUND], one))
    newest, before = (LocalChances(a.first, a.chances) for a in (frontend.listen(fresh), earlier))
    share = segmenter.card.memory if memory is None else memory
    wanted = blended(newest, before, config, share)
    assert np.array_equal(frontend.listen(state).chances, wanted.values)
    assert share == 0.0 or not np.array_equal(wanted.values, newest.values)


def test_a_window_holds_the_rows_of_the_whole_file(frontend, conversation):
    state = frontend.empty()
    list(blocks(frontend, conversation[:SOUND], state))
    stretch, rows = Segment(SOUND - 4 * HOP, SOUND), HOP // 160
    mask = np.zeros(4 * rows, np.float32)
    mask[20:90:7] = 1.0
    (window,) = frontend.windows(frontend.seek(stretch, [mask], frontend.listen(state), state))
    assert window.segment == Segment(stretch.start + 20 * 160, stretch.start + 84 * 160)
    whole = log_mel(conversation[:SOUND])
    assert np.array_equal(window.features, whole[window.segment.start // 160 :][:64])
    assert np.array_equal(window.mask, mask[20:84])
    assert window.net_speech == 10 * 160


def test_a_mask_leaves_out_who_else_speaks_while_enough_remains(frontend, conversation):
    state = frontend.empty()
    list(blocks(frontend, conversation[: samples_of(2.0)], state))
    frames = 40
    active = np.zeros((frames, 3), bool)
    active[5:30, 0] = active[20:35, 1] = True
    activity = LocalActivity(0, active, active.astype(np.float32))
    segment = Segment(0, frames * ACTIVITY_HOP)

    def masked(speaker: int, least: int) -> tuple[int, bool]:
        mask, alone = frontend.mask(segment, speaker, activity, least, state)
        return int(mask.sum()), alone

    assert masked(0, 60) == (15 * ROWS, True)
    assert masked(0, 61) == (25 * ROWS, False)
    assert masked(1, 20) == (5 * ROWS, True)
    assert masked(2, 1) == (0, False)


def test_what_lies_outside_the_stream_is_off_the_mask(frontend, conversation):
    state = frontend.empty()
    list(blocks(frontend, conversation[: samples_of(2.0)], state))
    mask, _ = frontend.mask(Segment(-3 * HOP, 0), 0, frontend.listen(state), 1, state)
    assert not mask.any()


def test_a_stream_too_short_for_a_frame_has_nobody_in_it(frontend):
    state = frontend.empty()
    list(blocks(frontend, np.ones(500, np.float32), state))
    frontend.flush(state)
    assert not frontend.listen(state).active.any()

"""The segmenter that ships: speech and its speakers where they are, and nobody in noise."""

import numpy as np
import pytest

from rtspk.engine.segmenter import ACTIVITY_HOP, BUNDLED, ROWS, find_segmenter, load_segmenter
from rtspk.engine.settings import HOP
from rtspk.errors import ModelError
from rtspk.types import samples_of


@pytest.fixture(params=["", "light"], scope="module")
def segmenter(request):
    return load_segmenter(find_segmenter(request.param))


def test_speech_is_found_where_the_reference_has_it(segmenter, conversation):
    speech = segmenter.speech(segmenter.rows(conversation))[:, 0]
    assert speech[samples_of(2.0) // ACTIVITY_HOP] > 0.5
    assert speech[samples_of(4.32) // ACTIVITY_HOP] < 0.5


def test_a_long_recording_is_heard_in_windows(segmenter, conversation):
    rows = segmenter.rows(conversation[: samples_of(22.0)])
    heard = segmenter.speech(rows)
    assert heard.shape == (len(rows) // ROWS, 2)
    assert (heard[:, 1] <= heard[:, 0] + 1e-6).all()
    frames = segmenter.frames
    first = segmenter.speech(rows[: frames * ROWS])
    assert np.array_equal(heard[: frames // 2], first[: frames // 2])
    last = segmenter.speech(rows[: len(heard) * ROWS][-frames * ROWS :])
    assert np.array_equal(heard[-frames // 2 :], last[-frames // 2 :])


def test_a_recording_far_softer_than_others_is_heard_whole_and_as_a_stream(segmenter, conversation):
    loud = conversation[: samples_of(9.0)]
    soft = loud * np.float32(1e-3)
    spoken, spoken_softly = (
        (segmenter.speech(segmenter.rows(one))[:, 0] > 0.5).mean() for one in (loud, soft)
    )
    assert spoken_softly > 0.5 * spoken
    if (hearing := segmenter.hearing()) is None:
        return
    for start in range(0, len(soft), HOP):
        segmenter.hear(soft[start : start + HOP], hearing)
    assert (segmenter.heard(hearing)[1].max(1) > 0.5).mean() > 0.5 * spoken


@pytest.mark.parametrize(("gain", "silent"), [(1.0, True), (1e-3, False)])
def test_what_is_far_softer_than_the_rest_is_silence_and_what_is_not_is_heard(
    segmenter, conversation, gain, silent
):
    """White noise of -88 dB within speech, and within speech that is nearly as soft itself."""
    sound = conversation[: samples_of(4.0)] * np.float32(gain)
    begin, end = samples_of(2.0), samples_of(3.0)
    sound[begin:end] = np.random.default_rng(0).normal(0.0, 10.0**-4.4, end - begin)
    rows = segmenter.rows(sound)
    frames = len(rows) // ROWS
    inside = slice(begin // ACTIVITY_HOP + 2, end // ACTIVITY_HOP - 2)
    chances = segmenter.speakers(rows[: frames * ROWS])
    for heard in (chances, segmenter.speech(rows)):
        assert (heard[inside] == 0.0).all() == silent
        assert (heard[: begin // ACTIVITY_HOP - 2].max(1) > 0.5).mean() > 0.4


def test_speech_is_found_from_the_first_frame_to_the_last(segmenter, conversation):
    sound = conversation[samples_of(1.0) : samples_of(3.0)]
    speech = segmenter.speech(segmenter.rows(sound))[:, 0]
    assert speech[0] > 0.5
    assert speech[-1] > 0.5


@pytest.mark.parametrize("level", [0.0, 1e-5, 0.01])
def test_silence_and_hiss_are_nobody(segmenter, level):
    hiss = np.random.default_rng(0).normal(0, 1, samples_of(segmenter.card.seconds + 0.02)) * level
    chances = segmenter.speakers(segmenter.rows(hiss.astype(np.float32))[: segmenter.frames * ROWS])
    assert (chances < 0.5).mean() > 0.98


def test_the_level_of_the_sound_does_not_matter(segmenter, conversation):
    sound = conversation[: samples_of(segmenter.card.seconds + 0.02)]
    longest = segmenter.frames * ROWS
    loud, soft = (segmenter.speakers(segmenter.rows(gain * sound)[:longest]) for gain in (1.0, 0.1))
    assert ((loud > 0.5) == (soft > 0.5)).mean() > 0.99


@pytest.mark.parametrize("rows", [7, 1004])
def test_rows_that_are_no_window_are_refused(segmenter, rows):
    most = segmenter.frames * ROWS
    with pytest.raises(ModelError, match=f"wanted whole groups of 4 rows, at most {most}, got {rows} rows"):
        segmenter.speakers(np.zeros((rows, segmenter.rows(np.zeros(640, np.float32)).shape[1]), np.float32))


def test_a_window_of_one_frame_has_nobody_in_it(segmenter):
    rows = segmenter.rows(np.ones(1040, np.float32))[:ROWS]
    assert segmenter.speakers(rows).tolist() == [[0.0, 0.0, 0.0]]
    assert segmenter.speech(rows).tolist() == [[0.0, 0.0]]
    assert segmenter.speech(rows[:0]).shape == (0, 2)


def test_a_segmenter_is_found_by_name_and_by_folder(tmp_path):
    assert find_segmenter() == find_segmenter("") == BUNDLED
    assert find_segmenter("light") == BUNDLED.parent / "segmenter-light"
    assert find_segmenter(str(tmp_path)) == tmp_path


def test_a_folder_without_a_card_is_refused(tmp_path):
    with pytest.raises(ModelError, match="wanted a model card at"):
        load_segmenter(tmp_path)

"""The trunk of the embedder: the same answer in two parts, and each stretch of a stream through it once."""

import numpy as np
import pytest

from rtspk.engine.embedder import BUNDLED, load_embedder
from rtspk.engine.frontend import YOUNG, Frontend
from rtspk.engine.local import LocalActivity
from rtspk.engine.picture_network import PictureNetwork
from rtspk.engine.runs import frames_on
from rtspk.engine.segmenter import load_segmenter
from rtspk.engine.settings import HOP, ActivityConfig
from rtspk.engine.trunk import Trunk, picture
from rtspk.errors import ModelError
from rtspk.kernels.mel import log_mel
from rtspk.types import Segment, Window, samples_of
from tests.engine.conftest import blocks

ROW = 160
STRETCH = samples_of(1.75)


class Counting(Trunk):
    """The bundled trunk, which remembers how many frames it was asked for."""

    def __init__(self):
        super().__init__(BUNDLED / "embedder" / "trunk.onnx", 8)
        self.asked = []

    def __call__(self, rows):
        self.asked.append(len(rows) // self.group)
        return super().__call__(rows)


@pytest.fixture(scope="module")
def embedder():
    return load_embedder()


@pytest.fixture
def trunk():
    return Counting()


@pytest.fixture
def frontend(trunk, embedder):
    return Frontend(embedder.card.features, load_segmenter(), ActivityConfig(), trunk)


def spoken(frontend, conversation, seconds, *speakers, least=30):
    """Windows at each hop of a stream in which local speakers are heard, each in the spans given for it.

    Of who has `least` rows in the stretch.
    """
    state, count = frontend.empty(), samples_of(seconds) // 640
    active = np.zeros((count, 3), bool)
    for number, spans in enumerate(speakers):
        for begin, end in spans:
            active[round(begin * 25) : round(end * 25), number] = True
    said = []
    for time in blocks(frontend, conversation[: samples_of(seconds)], state):
        known = LocalActivity(0, active[: time // 640], active[: time // 640].astype(np.float32))
        stretch = Segment(time - STRETCH, time)
        masks = [frontend.mask(stretch, n, known, 1, state)[0] for n in range(len(speakers))]
        masks = [mask for mask in masks if mask.sum() >= least]
        said.append((time, frontend.windows(frontend.seek(stretch, masks, known, state))))
    return said


def test_a_picture_is_less_its_mean_over_the_mask_and_zero_off_it():
    rows = np.array([[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]], np.float32)
    made = picture(rows, np.array([1.0, 1.0, 0.0], np.float32))
    assert made.tolist() == [[-1.0, -2.0], [1.0, 2.0], [0.0, 0.0]]
    assert not picture(rows, np.zeros(3, np.float32)).any()


def test_a_frame_is_on_where_most_of_its_rows_are():
    mask = np.zeros(17, np.float32)  # rows 30 to 46, in frames 3 (two rows), 4 and 5 (seven)
    mask[1:3] = mask[5:15] = 1.0
    assert frames_on(mask, 30, 7, 8).tolist() == [0.0, 1.0, 1.0]
    assert frames_on(mask, 30, 5, 8).tolist() == [0.0, 1.0]  # there is no frame 5 yet
    mask[5:] = 0.0
    assert frames_on(mask, 30, 7, 8).tolist() == [1.0, 1.0, 0.0]  # none has most: those with any


@pytest.mark.parametrize("hops", [2, 3, 100])
def test_windows_are_the_same_whatever_else_was_heard_before_they_are_wanted(
    frontend, trunk, conversation, hops
):
    def windows(hops):
        state, sought, made = frontend.empty(), [], []
        active = np.zeros((250, 3), bool)
        active[20:110, 0] = active[110:150, 1] = active[180:230, 1] = active[40:43, 1] = True
        for number, time in enumerate(blocks(frontend, conversation[: samples_of(10.0)], state)):
            known = LocalActivity(0, active[: time // 640], active[: time // 640].astype(np.float32))
            stretch = Segment(time - STRETCH, time)
            masks = [frontend.mask(stretch, n, known, 1, state)[0] for n in range(2)]
            sought += frontend.seek(stretch, [mask for mask in masks if mask.any()], known, state)
            if (number + 1) % hops == 0:
                made += frontend.windows(sought)
                sought.clear()
        assert bool(trunk.asked) is (hops < 100)  # pictures are made when windows are
        return made + frontend.windows(sought)

    late = windows(hops)
    trunk.asked.clear()
    soon = windows(1)
    assert len(late) == len(soon) > 15
    for one, other in zip(late, soon, strict=True):
        assert (one.segment, one.net_speech) == (other.segment, other.net_speech)
        assert np.array_equal(one.features, other.features)
        assert np.array_equal(one.mask, other.mask)


def test_a_stretch_goes_through_the_trunk_once(frontend, trunk, conversation):
    said = spoken(frontend, conversation, 8.0, [(0.0, 8.0)])
    assert sum(trunk.asked) == (samples_of(8.0) // ROW - 2) // 8
    (_, (one,)), (_, (next_one,)) = said[-2:]
    first, later = one.segment.start // (8 * ROW), next_one.segment.start // (8 * ROW)
    shared = len(one.features) - (later - first)
    assert shared > 10
    assert np.array_equal(one.features[later - first :], next_one.features[:shared])


def test_where_nobody_is_heard_the_trunk_is_not_asked(frontend, trunk, conversation):
    said = spoken(frontend, conversation, 10.0, [(2.0, 3.0), (7.0, 9.0)])
    assert sum(trunk.asked) < 0.6 * samples_of(10.0) / (8 * ROW)
    assert all(len(one.features) == len(one.mask) for _, windows in said for one in windows)
    assert {time for time, windows in said if windows} >= {samples_of(3.0), samples_of(8.0), samples_of(9.0)}


def test_what_nobody_says_in_a_hop_before_or_behind_speech_is_no_work_for_the_trunk(
    frontend, trunk, embedder, conversation
):
    said = spoken(frontend, conversation, 10.0, [(2.2, 3.12), (7.32, 8.72)])
    assert sum(trunk.asked) * 8 * ROW <= samples_of(0.92 + 1.4 + 4 * 0.08)
    windows = [window for _, windows in said for window in windows]
    assert len(windows) > 6
    for window in windows:
        assert window.encoded
        assert np.abs(window.features[window.mask > 0]).max(1).all()  # none that nobody asked for
        embedder.embed([window])


def test_a_window_of_frames_says_what_a_whole_window_says(frontend, embedder, conversation):
    rows = log_mel(conversation, embedder.card.features)
    cosines = []
    for _, windows in spoken(frontend, conversation, 20.0, [(0.0, 20.0)]):
        for window in windows:
            first, last = window.segment.start // ROW, window.segment.end // ROW
            if last - first < 150:
                continue
            assert window.encoded
            own = Window(window.segment, rows[first:last], np.ones(last - first, np.float32), 1)
            one, other = embedder.embed([window, own])
            cosines.append(float(one.vector @ other.vector))
    assert len(cosines) > 30
    assert np.mean(cosines) > 0.9  # 0.913: a stretch hears nothing beside itself


def test_speech_that_is_heard_of_late_is_encoded_after_all(frontend, trunk, conversation):
    """The segmenter may find out at the next hop that somebody spoke before what is known."""
    state = frontend.empty()
    list(blocks(frontend, conversation[: 8 * HOP], state))
    active = np.zeros((100, 3), bool)
    stretch = Segment(8 * HOP - STRETCH, 8 * HOP)

    def heard(first):
        active[first:, 0] = True
        known = LocalActivity(0, active, active.astype(np.float32))
        mask, _ = frontend.mask(stretch, 0, known, 1, state)
        (window,) = frontend.windows(frontend.seek(stretch, [mask], known, state))
        return window

    late, early = heard(70), heard(58)
    assert late.encoded
    assert early.encoded
    assert len(late.features) == len(late.mask)
    assert len(early.features) == len(early.mask) > len(late.mask)
    assert len(trunk.asked) == 2
    assert np.array_equal(heard(58).features, early.features)
    assert len(trunk.asked) == 2  # all of it is known


def test_who_speaks_behind_somebody_else_is_heard_as_if_nobody_had_spoken_before(
    frontend, trunk, conversation
):
    """As a whole for a second, then as frames."""
    said = spoken(frontend, conversation, 10.0, [(0.0, 4.32), (7.2, 10.0)], [(4.32, 7.2)])
    assert sum(trunk.asked) <= samples_of(10.0) // ROW // 8 + 2  # a frame is of both where turns change in it
    begun = [w for _, windows in said for w in windows if w.segment.start // ROW in {431, 719}]
    assert [w.encoded for w in begun] == [w.segment.duration // ROW >= YOUNG for w in begun]
    assert {w.encoded for w in begun} == {False, True}
    compared = 0
    for (_, windows), (_, alone) in zip(
        said, spoken(frontend, conversation, 7.0, [], [(4.32, 7.0)], least=YOUNG), strict=False
    ):
        for own in alone:
            (window,) = (window for window in windows if window.segment == own.segment)
            assert np.array_equal(window.features, own.features)
            compared += 1
    assert compared > 3


def test_a_voice_that_somebody_says_a_word_to_goes_on(frontend, trunk, conversation):
    said = spoken(frontend, conversation, 8.0, [(0.0, 3.0), (3.2, 8.0)], [(3.0, 3.2)])
    assert all(window.encoded for _, windows in said for window in windows)
    assert sum(trunk.asked) == (samples_of(8.0) // ROW - 2) // 8


@pytest.mark.parametrize(("others", "encoded"), [(7, True), (10, False)])
def test_a_window_that_several_share_holds_rows_where_they_share_much(
    frontend, trunk, conversation, others, encoded
):
    state = frontend.empty()
    list(blocks(frontend, conversation[: 8 * HOP], state))
    stretch = Segment(8 * HOP - STRETCH, 8 * HOP)
    active = np.zeros((100, 3), bool)
    active[60:, 0] = active[75 : 75 + others, 1] = True  # of 40 ms each
    known = LocalActivity(0, active, active.astype(np.float32))
    mask, _ = frontend.mask(stretch, 0, known, 1, state)
    (window,) = frontend.windows(frontend.seek(stretch, [mask], known, state))
    assert window.encoded is encoded
    assert len(window.features) == len(window.mask)
    assert (window.features.shape[1] == 80) is not encoded
    assert bool(trunk.asked) is encoded


def test_a_trunk_of_two_inputs_is_refused():
    with pytest.raises(ModelError, match=r"wanted one input of head\.onnx, got frames, mask"):
        Trunk(BUNDLED / "embedder" / "head.onnx", 8)


@pytest.mark.parametrize(
    ("prefers", "threads", "own"), [(True, 1, True), (True, 2, False), (False, 1, False)]
)
def test_own_kernels_run_the_trunk_where_they_are_faster(
    monkeypatch, conversation, embedder, prefers, threads, own
):
    monkeypatch.setattr("rtspk.engine.trunk.prefers_own_kernels", lambda: prefers)
    trunk = load_embedder(threads=threads).trunk
    assert isinstance(trunk._frames, PictureNetwork) is own
    rows = log_mel(conversation[: samples_of(3.0)], embedder.card.features)[:48]
    heard = picture(rows, np.ones(48, np.float32))
    frames, wanted = trunk(heard), Trunk(BUNDLED / "embedder" / "trunk.onnx", 8)(heard)
    cosine = (frames * wanted).sum() / np.linalg.norm(frames) / np.linalg.norm(wanted)
    assert cosine > 0.99


def test_a_trunk_without_tables_is_run_by_onnx_runtime(monkeypatch):
    monkeypatch.setattr("rtspk.engine.trunk.prefers_own_kernels", lambda: True)
    assert not isinstance(Trunk(BUNDLED / "embedder" / "trunk.onnx", 8)._frames, PictureNetwork)


@pytest.mark.parametrize("prefers", [False, True])
def test_tables_that_a_card_names_have_to_be_there(monkeypatch, tmp_path, prefers):
    """Whoever would run the trunk: a folder that lacks a file is one that was copied badly."""
    monkeypatch.setattr("rtspk.engine.trunk.prefers_own_kernels", lambda: prefers)
    with pytest.raises(ModelError, match=r"wanted the tables of trunk\.onnx at .*none\.npz, got nothing"):
        Trunk(BUNDLED / "embedder" / "trunk.onnx", 8, tables=tmp_path / "none.npz")


def test_damaged_tables_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("rtspk.engine.trunk.prefers_own_kernels", lambda: True)
    (tmp_path / "trunk.npz").write_bytes(b"no tables")
    with pytest.raises(ModelError, match=r"wanted a network over pictures in .*, got others in trunk\.npz"):
        Trunk(BUNDLED / "embedder" / "trunk.onnx", 8, tables=tmp_path / "trunk.npz")

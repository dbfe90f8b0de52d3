"""Pieces of conversations are worked on once, and say what their recordings and references say."""

import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.audio import read_audio, write_wav  # noqa: E402 - behind the skip
from rtspk.engine.network import Network  # noqa: E402
from rtspk.engine.powerset import MEMBERS  # noqa: E402
from rtspk.engine.segmenter import ACTIVITY_HOP  # noqa: E402
from rtspk.errors import FormatError, ModelError  # noqa: E402
from rtspk.kernels.mel import MelConfig, log_mel  # noqa: E402
from rtspk.rttm import SpeakerTurn, read_rttm, write_rttm  # noqa: E402
from rtspk.train.activity_set import PIECE_FRAMES, ActivitySet, speaker_bits  # noqa: E402
from rtspk.types import samples_of  # noqa: E402
from tests.train.runs import KilledError  # noqa: E402

MEL = MelConfig(mels=20)
PIECE = PIECE_FRAMES * ACTIVITY_HOP  # samples


@pytest.fixture
def own(conversations, tmp_path):
    """A copy of the conversations that a test may change."""
    shutil.copytree(conversations / "train", tmp_path / "train")
    return tmp_path / "train"


def count_work(folder, cache, teacher=None):
    """How many recordings building a set works on, and the set."""
    heard = []
    made = ActivitySet.build(folder, cache, MEL, teacher, lambda done, of: heard.append((done, of)))
    return heard, made


def test_pieces_hold_the_features_of_their_recordings_one_behind_another(conversations, tmp_path):
    heard, made = count_work(conversations / "train", tmp_path)
    assert heard == [(1, 2), (2, 2)]
    assert len(made) == 3  # of 20.3 and of 10 s: what is behind the last whole piece is dropped
    rows = log_mel(read_audio(conversations / "train" / "one.wav"), MEL)
    whole = made.features[:2].reshape(-1, 20)
    assert np.array_equal(whole[:1998], rows[:1998].astype(np.float16))
    assert np.array_equal(whole[1998:], rows[[1997, 1997]].astype(np.float16))
    assert made.taught.shape == (0, PIECE_FRAMES, 7)


def test_pieces_hold_the_speakers_of_their_references_one_behind_another(conversations, tmp_path):
    _, made = count_work(conversations / "train", tmp_path)
    for name, pieces in (("one", made.speakers[:2]), ("two", made.speakers[2:])):
        turns = read_rttm(conversations / "train" / f"{name}.rttm")
        middles = np.arange(len(pieces) * PIECE_FRAMES) * ACTIVITY_HOP + ACTIVITY_HOP // 2
        for bit in range(3):
            wanted = np.zeros(len(middles), bool)
            for turn in turns:
                if turn.speaker == f"speaker_{bit}":
                    wanted |= (samples_of(turn.start) < middles) & (middles <= samples_of(turn.end))
            assert wanted.any()
            assert np.array_equal(pieces.reshape(-1) >> bit & 1 == 1, wanted)


def test_the_teachers_chances_are_those_of_the_middles_of_the_frames(conversations, tmp_path):
    _, made = count_work(conversations / "train", tmp_path, conversations / "teacher.onnx")
    teacher = Network(conversations / "teacher.onnx")
    samples = read_audio(conversations / "train" / "one.wav")
    middles, theirs = (np.arange(PIECE_FRAMES) + 0.5) / PIECE_FRAMES, (np.arange(58) + 0.5) / 58
    for piece in range(2):
        own = samples[piece * PIECE : (piece + 1) * PIECE]
        (said,) = teacher.run({"sound": own[None, None]})
        for c in range(7):
            wanted = np.interp(middles, theirs, np.exp(said[0, :, c]))
            assert made.taught[piece, :, c] == pytest.approx(wanted, abs=1e-3)
    assert made.taught.sum(-1) == pytest.approx(np.ones((3, PIECE_FRAMES)), abs=2e-3)


def test_a_folder_is_worked_on_once_and_again_where_it_changed(own, tmp_path):
    _, first = count_work(own, tmp_path / "cache")
    heard, second = count_work(own, tmp_path / "cache")
    assert heard == []
    assert np.array_equal(first.features, second.features)
    assert np.array_equal(first.speakers, second.speakers)
    write_rttm(own / "two.rttm", [SpeakerTurn("two", 0.0, 10.0, "anna")])
    heard, third = count_work(own, tmp_path / "cache")
    assert len(heard) == 2
    assert third.speakers[2].tolist() == [1] * PIECE_FRAMES
    write_wav(own / "two.wav", np.zeros(samples_of(10.0), np.float32))  # as long as it was
    heard, _ = count_work(own, tmp_path / "cache")
    assert len(heard) == 2


def test_another_teacher_of_the_same_size_teaches_anew(conversations, own, tmp_path):
    teacher = tmp_path / "teacher.onnx"
    for _ in range(2):
        teacher.write_bytes((conversations / "teacher.onnx").read_bytes())
        heard, _ = count_work(own, tmp_path / "cache", teacher)
        assert len(heard) == 2


def test_work_that_was_broken_off_begins_anew(own, tmp_path):
    def kill(done, _of):
        if done == 1:
            raise KilledError

    with pytest.raises(KilledError):
        ActivitySet.build(own, tmp_path / "killed", MEL, None, kill)
    heard, made = count_work(own, tmp_path / "killed")
    _, whole = count_work(own, tmp_path / "whole")
    assert len(heard) == 2
    assert np.array_equal(made.features, whole.features)
    assert np.array_equal(made.speakers, whole.speakers)


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        (0.0, 0.04, [0]),
        (0.019, 0.04, [0]),  # ends go to the nearest edge
        (0.021, 0.08, [1]),
        (0.0, 0.059, [0]),
        (0.0, 0.061, [0, 1]),
        (0.02, 0.06, [1]),  # of two as near, to the later: a turn of a frame's length keeps it
        (0.06, 0.10, [2]),
        (0.021, 0.059, []),  # too short to be heard
        (0.15, 9.0, [4, 5]),  # no further than the sound
    ],
)
def test_turns_begin_and_end_at_the_nearest_edge_of_a_frame(start, end, frames):
    bits = speaker_bits([SpeakerTurn("x", start, end, "a")], 6)
    assert bits.dtype == np.uint16
    assert np.flatnonzero(bits).tolist() == frames


def test_every_speaker_has_a_bit_by_name():
    turns = [SpeakerTurn("x", i * 0.04, 1.0, f"{15 - i:02}") for i in range(16)]
    bits = speaker_bits([*turns, turns[0]], 25)
    assert bits[:3].tolist() == [1 << 15, 3 << 14, 7 << 13]
    assert bits[-1] == 0xFFFF
    with pytest.raises(FormatError, match="at most 16 speakers in a conversation, got 17"):
        speaker_bits([*turns, SpeakerTurn("x", 0.0, 1.0, "one more")], 25)


def test_a_folder_without_conversations_is_refused(tmp_path):
    write_wav(tmp_path / "alone.wav", np.zeros(160_000, np.float32))
    with pytest.raises(FormatError, match=r"wanted recordings beside RTTM files in .*, got none"):
        ActivitySet.build(tmp_path, tmp_path / "cache", MEL, None)
    write_rttm(tmp_path / "short.rttm", [SpeakerTurn("short", 0.0, 1.0, "a")])
    write_wav(tmp_path / "short.wav", np.zeros(159_999, np.float32))
    for _ in range(2):  # nor is it taken for done
        with pytest.raises(FormatError, match="wanted a recording of at least 10 s"):
            ActivitySet.build(tmp_path, tmp_path / "cache", MEL, None)


def test_a_teacher_that_is_missing_or_of_other_classes_is_refused(own, write_teacher, tmp_path):
    with pytest.raises(ModelError, match=r"none\.onnx, got nothing there"):
        ActivitySet.build(own, tmp_path / "cache", MEL, tmp_path / "none.onnx")
    write_teacher(tmp_path / "five.onnx", 5)
    with pytest.raises(ModelError, match=r"frames of 7 classes from five\.onnx, got shape \(58, 5\)"):
        ActivitySet.build(own, tmp_path / "cache", MEL, tmp_path / "five.onnx")


def test_in_recordings_alone_the_teacher_says_who_speaks(conversations, tmp_path):
    folder = tmp_path / "talk"
    (folder / "deeper").mkdir(parents=True)
    for name in ("one.wav", "two.wav"):
        shutil.copy(conversations / "train" / name, folder / "deeper" / name)
    teacher = conversations / "teacher.onnx"
    made = ActivitySet.build(folder, tmp_path / "cache", MEL, teacher, labelled=False)
    known = ActivitySet.build(conversations / "train", tmp_path / "cache", MEL, teacher)
    assert np.array_equal(made.features, known.features)
    assert np.array_equal(made.taught, known.taught)
    likeliest = MEMBERS[made.taught.argmax(-1)]  # (pieces, frames, 3)
    assert likeliest.any()
    for speaker in range(3):
        assert np.array_equal((made.speakers >> speaker & 1) == 1, likeliest[..., speaker])


def test_recordings_without_references_want_a_teacher(tmp_path):
    write_wav(tmp_path / "alone.wav", np.zeros(160_000, np.float32))
    with pytest.raises(ModelError, match="wanted a teacher to say who speaks in"):
        ActivitySet.build(tmp_path, tmp_path / "cache", MEL, None, labelled=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=r"wanted recordings .* in .*empty, got none"):
        ActivitySet.build(tmp_path / "empty", tmp_path / "cache", MEL, None, labelled=False)

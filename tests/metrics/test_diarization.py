"""DER and JER: exact, equal to a slow twin that counts milliseconds, and to pyannote.metrics."""

import math
import warnings
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest

from rtspk.errors import ConfigError, FormatError
from rtspk.metrics import (
    DiarizationError,
    JaccardError,
    SpeakerCountError,
    diarization_error,
    jaccard_error,
    optimal_mapping,
    speaker_count_error,
)


@dataclass(frozen=True, slots=True)
class Said:
    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class Scored:
    start: float
    end: float


TALK = [Said(0, 10, "A"), Said(10, 14, "B")]


def random_talk(rng, speakers, prefix):
    """Turns on whole milliseconds; a speaker's own turns do not touch."""
    turns = []
    for speaker in range(speakers):
        time = 0
        for _ in range(rng.integers(1, 6)):
            start = time + int(rng.integers(20, 900))
            time = start + int(rng.integers(20, 1200))
            turns.append(Said(start / 1000, time / 1000, f"{prefix}{speaker}"))
    return turns


def cases():
    rng = np.random.default_rng(11)
    for case in range(24):
        reference = random_talk(rng, int(rng.integers(1, 5)), "r")
        hypothesis = random_talk(rng, int(rng.integers(1, 5)), "h")
        regions = [Scored(0.1, 1.7), Scored(2.5, 6.0)] if case % 3 == 0 else None
        yield reference, hypothesis, regions, [0.0, 0.1, 0.5][case % 3], case % 2 == 1


def slow_twin(reference, hypothesis, regions, collar, skip_overlap):
    """Count millisecond by millisecond, and try every pairing of speakers."""
    everything = [time for turn in reference + hypothesis for time in (turn.start, turn.end)]
    regions = regions or [Scored(min(everything), max(everything))]
    milliseconds = []
    for millisecond in range(round(max(everything) * 1000) + 1000):
        middle = millisecond / 1000 + 0.0005
        scored = any(region.start < middle < region.end for region in regions)
        near = any(abs(middle - edge) < collar / 2 for turn in reference for edge in (turn.start, turn.end))
        spoken = {turn.speaker for turn in reference if turn.start < middle < turn.end}
        answered = {turn.speaker for turn in hypothesis if turn.start < middle < turn.end}
        if scored and not near and not (skip_overlap and len(spoken) > 1):
            milliseconds.append((spoken, answered))
    names = sorted({name for spoken, _ in milliseconds for name in spoken})
    answers = sorted({name for _, answered in milliseconds for name in answered})
    return milliseconds, names, answers


def pairings(names, answers):
    """Every way to give each name an answer or none."""
    padded = answers + [None] * len(names)
    return {tuple(zip(names, chosen, strict=True)) for chosen in permutations(padded, len(names))}


@pytest.mark.parametrize("case", list(cases()), ids=range(24))
def test_errors_are_those_counted_millisecond_by_millisecond(case):
    reference, hypothesis, regions, collar, skip_overlap = case
    milliseconds, names, answers = slow_twin(*case)
    shared = {
        (name, answer): sum(name in spoken and answer in answered for spoken, answered in milliseconds)
        for name in names
        for answer in answers
    }
    correct = max(sum(shared.get(pair, 0) for pair in pairs) for pairs in pairings(names, answers))
    both = sum(min(len(spoken), len(answered)) for spoken, answered in milliseconds)
    error = diarization_error(
        reference, hypothesis, regions=regions, collar=collar, skip_overlap=skip_overlap
    )
    assert error.total * 1000 == pytest.approx(sum(len(spoken) for spoken, _ in milliseconds))
    assert error.miss * 1000 == pytest.approx(
        sum(max(0, len(spoken) - len(answered)) for spoken, answered in milliseconds)
    )
    assert error.false_alarm * 1000 == pytest.approx(
        sum(max(0, len(answered) - len(spoken)) for spoken, answered in milliseconds)
    )
    assert error.confusion * 1000 == pytest.approx(both - correct, abs=1e-6)


@pytest.mark.parametrize("case", list(cases())[::3], ids=range(8))
def test_the_jaccard_error_is_the_least_of_all_pairings(case):
    reference, hypothesis, regions, _, _ = case
    milliseconds, names, answers = slow_twin(reference, hypothesis, regions, 0.0, skip_overlap=False)

    def apart(name, answer):
        if answer is None:
            return 1.0
        either = sum(name in spoken or answer in answered for spoken, answered in milliseconds)
        both = sum(name in spoken and answer in answered for spoken, answered in milliseconds)
        return 1.0 - both / either

    errors = {(name, answer): apart(name, answer) for name in names for answer in [*answers, None]}
    least = min(sum(errors[pair] for pair in pairs) for pairs in pairings(names, answers))
    found = jaccard_error(reference, hypothesis, regions=regions)
    assert found.error == pytest.approx(least)
    assert found.speakers == len(names)


@pytest.mark.parametrize("case", list(cases()), ids=range(24))
def test_errors_are_those_of_pyannote(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever its own imports warn about
        core = pytest.importorskip("pyannote.core")
        theirs = pytest.importorskip("pyannote.metrics.diarization")
    reference, hypothesis, regions, collar, skip_overlap = case

    def annotation(turns):
        made = core.Annotation()
        for track, turn in enumerate(turns):
            made[core.Segment(turn.start, turn.end), track] = turn.speaker
        return made

    times = [time for turn in reference + hypothesis for time in (turn.start, turn.end)]
    spans = regions or [Scored(min(times), max(times))]
    uem = core.Timeline([core.Segment(span.start, span.end) for span in spans])
    metric = theirs.DiarizationErrorRate(collar=collar, skip_overlap=skip_overlap)
    wanted = metric(annotation(reference), annotation(hypothesis), uem=uem, detailed=True)
    error = diarization_error(
        reference, hypothesis, regions=regions, collar=collar, skip_overlap=skip_overlap
    )
    assert error.total == pytest.approx(wanted["total"], abs=1e-6)
    assert error.miss == pytest.approx(wanted["missed detection"], abs=1e-6)
    assert error.false_alarm == pytest.approx(wanted["false alarm"], abs=1e-6)
    assert error.confusion == pytest.approx(wanted["confusion"], abs=1e-6)
    assert error.rate == pytest.approx(wanted["diarization error rate"], abs=1e-6)
    # pyannote pairs by shared time, so that its Jaccard error may be higher, never lower.
    jaccard = theirs.JaccardErrorRate()(annotation(reference), annotation(hypothesis), uem=uem)
    assert jaccard_error(reference, hypothesis, regions=regions).rate <= jaccard + 1e-9


def test_a_perfect_answer_under_other_names_has_no_error():
    answer = [Said(turn.start, turn.end, turn.speaker.lower()) for turn in TALK]
    assert diarization_error(TALK, answer) == DiarizationError(total=14.0)
    assert jaccard_error(TALK, answer) == JaccardError(0.0, 2)
    assert optimal_mapping(TALK, answer) == {"a": "A", "b": "B"}


def test_parts_of_a_worked_example():
    answer = [Said(0, 8, "x"), Said(12, 15, "x"), Said(9, 10, "y")]
    error = diarization_error(TALK, answer)
    assert error == DiarizationError(total=14.0, miss=3.0, false_alarm=1.0, confusion=3.0)
    assert error.rate == pytest.approx(7 / 14)
    assert optimal_mapping(TALK, answer) == {"x": "A"}


def test_the_collar_is_the_whole_width():
    late = [Said(1, 10, "A"), Said(10, 14, "B")]
    assert diarization_error(TALK, late, collar=1.0).miss == pytest.approx(0.5)
    assert diarization_error(TALK, late, collar=2.0).miss == pytest.approx(0.0)


def test_skipped_overlap_is_left_out_of_everything():
    reference = [Said(0, 10, "A"), Said(8, 12, "B")]
    error = diarization_error(reference, [Said(0, 12, "x")], skip_overlap=True)
    assert error == DiarizationError(total=10.0, confusion=2.0)


def test_a_speakers_own_overlapping_turns_count_once():
    doubled = [Said(0, 6, "A"), Said(4, 10, "A"), Said(10, 14, "B")]
    assert diarization_error(doubled, TALK) == DiarizationError(total=14.0)
    assert diarization_error(TALK, doubled, skip_overlap=True) == DiarizationError(total=14.0)


def test_no_collar_stands_where_a_speakers_own_turns_overlap():
    doubled = [Said(0, 6, "A"), Said(4, 10, "A"), Said(10, 14, "B"), Said(12, 13, "B")]
    for turns in (doubled, doubled[::-1]):
        assert diarization_error(turns, TALK, collar=1.0) == diarization_error(TALK, TALK, collar=1.0)
    touching = [Said(0, 5, "A"), Said(5, 10, "A"), Said(10, 14, "B")]  # as pyannote.metrics has it
    assert diarization_error(touching, TALK, collar=1.0).total == pytest.approx(11.0)


def test_parts_add_up_to_the_rate():
    assert diarization_error(TALK, [Said(0, 8, "x"), Said(12, 15, "x")]).rates == pytest.approx(
        (4 / 14, 1 / 14, 2 / 14)
    )
    assert diarization_error([], TALK).rates == (0.0, 1.0, 0.0)
    assert diarization_error([], []).rates == (0.0, 0.0, 0.0)


def test_nothing_outside_the_regions_is_scored():
    wild = [*TALK, Said(20, 90, "C")]
    assert diarization_error(TALK, wild, regions=[Scored(0, 14)]) == DiarizationError(total=14.0)
    assert speaker_count_error(TALK, wild, regions=[Scored(0, 14)]) == SpeakerCountError(files=1)
    assert jaccard_error(TALK, TALK, regions=[Scored(0, 10)]).speakers == 1


def test_who_speaks_shortly_or_under_another_is_counted_and_measured():
    reference = [*TALK, Said(2, 3, "C"), Said(14.5, 14.7, "D")]
    assert speaker_count_error(reference, TALK) == SpeakerCountError(missing=2, files=1)
    assert jaccard_error(reference, TALK) == JaccardError(2.0, 4)


def test_a_turn_without_length_is_no_matter():
    assert diarization_error([*TALK, Said(3, 3, "C")], TALK) == DiarizationError(total=14.0)


def test_every_part_of_several_files_is_their_sum():
    assert DiarizationError(1, 2, 3, 4) + DiarizationError(10, 20, 30, 40) == DiarizationError(11, 22, 33, 44)
    assert JaccardError(1.5, 2) + JaccardError(0.5, 3) == JaccardError(2.0, 5)


def test_files_are_pooled_by_adding_their_parts():
    one = diarization_error(TALK, [Said(0, 14, "x")])
    two = diarization_error(TALK, [])
    assert (one + two).rate == pytest.approx((4 + 14) / 28)
    assert (jaccard_error(TALK, []) + jaccard_error(TALK, TALK)).rate == pytest.approx(0.5)
    counts = speaker_count_error(TALK, []) + speaker_count_error(TALK, [Said(0, 1, n) for n in "xyz"])
    assert counts == SpeakerCountError(missing=2, extra=1, files=2)
    assert counts.mean == pytest.approx(1.5)


def test_silence_on_either_side_is_measured():
    assert diarization_error([], []) == DiarizationError()
    assert diarization_error([], []).rate == 0.0
    assert diarization_error([], TALK).rate == 1.0
    assert diarization_error(TALK, []).rate == 1.0
    assert jaccard_error([], TALK) == JaccardError()
    assert jaccard_error(TALK, []).rate == 1.0
    assert diarization_error(TALK, TALK, regions=[]) == DiarizationError()


def test_nonsense_is_refused():
    with pytest.raises(ConfigError, match="wanted a collar of 0 seconds or more, got -1"):
        diarization_error(TALK, TALK, collar=-1)
    for start, end in ((2, 1), (-math.inf, 1), (1, math.inf), (math.nan, 1)):
        with pytest.raises(FormatError, match=f"start <= end, got {start} to {end}"):
            diarization_error([Said(start, end, "A")], TALK)

"""What a run takes of a manifest, and what it keeps to be tested on."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.train.manifest import Utterance  # noqa: E402
from rtspk.train.recipe import DataConfig  # noqa: E402
from rtspk.train.selection import recording_of, select, split_utterances  # noqa: E402


def utterance(speaker, number, seconds=1.0, dataset="a", speed=1.0):
    name = f"{dataset}/{speaker}" + ("" if speed == 1.0 else f"@{speed}")
    path, end = Path(f"{dataset}-{speaker}-{number}.wav"), int(seconds * 16_000)
    return Utterance(path, 0, end, name if speaker else "", dataset, "", "", "CC0", -1, speed)


def many():
    """Speakers 0 to 4 with 2 to 6 utterances at two speeds, another set, and speech of nobody known."""
    own = [utterance(str(s), n) for s in range(5) for n in range(s + 2)]
    faster = [utterance(str(s), n, speed=1.1) for s in range(5) for n in range(s + 2)]
    return [*own, *faster, utterance("9", 0, 30.0, "b"), utterance("", 0, 60.0)]


def test_without_a_choice_all_is_taken():
    assert select(many(), DataConfig()) == many()


def test_a_recipe_names_its_data_sets():
    assert {u.dataset for u in select(many(), DataConfig(datasets=("b",)))} == {"b"}
    with pytest.raises(ConfigError, match="wanted the data set 'c'"):
        select(many(), DataConfig(datasets=("a", "c")))


def test_the_speakers_with_most_speech_are_taken_at_all_their_speeds():
    taken = select(many(), DataConfig(most_spoken=3))
    assert {u.speaker for u in taken} == {"b/9", "a/4", "a/4@1.1", "a/3", "a/3@1.1"}
    with pytest.raises(ConfigError, match="wanted 7 speakers, got 6"):
        select(many(), DataConfig(most_spoken=7))


def test_speech_of_nobody_known_is_left_out_without_teachers():
    assert all(u.speaker for u in select(many(), DataConfig(targets="")))


def test_every_speaker_gives_a_share_that_is_trained_on_at_no_speed():
    utterances = many()
    kept, validated, tested = split_utterances(utterances, 0.2, 0.2, seed=0)
    count = {
        s: [sum(u.speaker == f"a/{s}" for u in part) for part in (kept, validated, tested)] for s in range(5)
    }
    assert count == {0: [1, 1, 0], 1: [1, 1, 1], 2: [2, 1, 1], 3: [3, 1, 1], 4: [4, 1, 1]}
    kept_out = {recording_of(u) for u in validated + tested}
    assert not kept_out & {recording_of(u) for u in kept}
    assert {u.speaker for u in kept} == {u.speaker for u in utterances}
    assert all(u.speed == 1.0 and u.speaker for u in validated + tested)


def test_the_split_hangs_on_the_seed():
    first = split_utterances(many(), 0.2, 0.0, seed=0)
    assert first == split_utterances(many(), 0.2, 0.0, seed=0)
    assert first[1] != split_utterances(many(), 0.2, 0.0, seed=1)[1]
    assert (split_utterances(many(), 0.0, 0.0, seed=0)) == (many(), [], [])


def test_shares_beyond_reason_and_speakers_of_one_utterance_are_refused():
    with pytest.raises(ConfigError, match="less than 1 in all"):
        split_utterances(many(), 0.5, 0.5, seed=0)
    with pytest.raises(ConfigError, match="wanted speakers with several utterances"):
        split_utterances([utterance("1", 0), utterance("2", 0)], 0.1, 0.0, seed=0)

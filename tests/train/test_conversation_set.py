"""A folder of conversations, as it is written."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from rtspk.audio import read_audio, write_wav
from rtspk.errors import ConfigError
from rtspk.rttm import read_rttm, read_uem
from rtspk.train.conversation_set import SetConfig, _jobs, _words, simulate_set
from rtspk.train.enrolment import reserve
from rtspk.train.manifest import read_manifest
from rtspk.train.rooms import SEATS
from rtspk.train.simulate import by_speaker
from rtspk.types import samples_of, seconds_of

CONFIG = SetConfig(count=3, seconds=8.0, speakers=(2, 3), enrol_seconds=2.0, format="flac", codec=0.4)


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """Four speakers, three in one set, with eight utterances each in two files; and two noises."""
    folder, rng = tmp_path_factory.mktemp("speech"), np.random.default_rng(0)
    lines = ["file,speaker,dataset,start,end,speed"]
    at = np.arange(16_000) / 16_000
    for name, dataset, pitch in (("a", "x", 100), ("b", "x", 140), ("c", "x", 190), ("d e", "y", 240)):
        sound = np.concatenate([np.zeros(1_600), 0.1 * np.sin(2 * np.pi * pitch * at), np.zeros(1_600)])
        for part in range(2):
            write_wav(folder / f"{name}-{part}.wav", np.tile(sound, 4).astype(np.float32))
            lines += [f"{name}-{part}.wav,{name},{dataset},{1.2 * i},{1.2 * i + 1.2},1" for i in range(4)]
    lines += ["a-0.wav,a,x,0,1.2,1.1", "b-0.wav,,x,0,1.2,1"]
    (folder / "speech.csv").write_text("\n".join(lines) + "\n")
    for name in ("hiss", "song"):
        write_wav(folder / f"{name}.wav", rng.normal(0, 0.1, 8_000).astype(np.float32))
    (folder / "noise.csv").write_text("file,kind\nhiss.wav,noise\nsong.wav,music\n")
    return folder


@pytest.fixture(scope="module")
def cast(pack):
    return by_speaker(read_manifest(pack / "speech.csv"))


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_nobody_known_and_changed_voices_take_no_part(cast):
    assert sorted(cast) == ["x/a", "x/b", "x/c", "y/d e"]
    assert {len(own) for own in cast.values()} == {8}


def made_both_ways(cast, tmp_path, option, column):
    """One conversation without and with an option: sounds, references, and a column of the table."""
    config = replace(CONFIG, count=1, enrol_seconds=0.0, codec=0.0, seed=4, snr_db=(5.0, 5.0))
    sounds, turns, cells = [], [], []
    for share in (0.0, 1.0):
        out = tmp_path / f"{share}"
        simulate_set(cast, None, tmp_path / "cache", out, replace(config, **{option: share}))
        sounds.append(read_audio(out / "conv-0000.flac"))
        turns.append((out / "conv-0000.rttm").read_bytes())
        with (out / "conversations.csv").open() as table:
            cells += [row[column] for row in csv.DictReader(table)]
    return sounds, turns, cells


def test_voices_by_one_microphone_say_the_same_at_the_same_time_with_other_spectra(cast, tmp_path):
    (own, one), turns, cells = made_both_ways(cast, tmp_path, "one_microphone", "one_microphone")
    assert cells == ["no", "yes"]
    assert turns[0] == turns[1]
    assert len(own) == len(one)
    assert not np.allclose(own, one, atol=1e-3)


def test_far_voices_say_the_same_at_the_same_time_over_noise_that_never_ends(cast, tmp_path):
    sounds, turns, cells = made_both_ways(cast, tmp_path, "far", "room")
    assert cells == ["none", "far"]
    assert turns[0] == turns[1]
    near, far = (
        np.sqrt(np.square(s[: len(s) // 1600 * 1600].reshape(-1, 1600)).mean(1)).min() for s in sounds
    )
    assert far > 5 * near


def test_any_number_of_workers_writes_the_same_bytes_and_another_seed_others(pack, cast, tmp_path):
    told = []

    def write(folder, workers, config=CONFIG):
        out = tmp_path / folder
        made, _ = simulate_set(
            cast,
            pack / "noise.csv",
            tmp_path / "cache",
            out,
            config,
            workers=workers,
            progress=lambda *what: told.append(what),
        )
        return made, contents(out)

    made, one = write("one", 1)
    assert [what for what in told if what[0] == "mix"] == [("mix", n, 3) for n in (1, 2, 3)]
    assert write("two", 2) == (made, one)
    assert write("three", 1, replace(CONFIG, seed=1))[1]["conv-0000.flac"] != one["conv-0000.flac"]
    assert {file for file in one if file.startswith("conv-0000")} == {
        "conv-0000.flac",
        "conv-0000.rttm",
        "conv-0000.uem",
    }
    rows = list(csv.DictReader(one["conversations.csv"].decode().splitlines()))
    assert [row["name"] for row in rows] == ["conv-0000", "conv-0001", "conv-0002"]
    for row, size in zip(rows, (2, 3, 2), strict=True):
        path = tmp_path / "one" / row["name"]
        assert len(read_audio(path.with_suffix(".flac"))) == samples_of(8.0)
        turns = read_rttm(path.with_suffix(".rttm"))
        assert {turn.file for turn in turns} == {path.name}
        assert sorted({turn.speaker for turn in turns}) == row["who"].split()
        assert int(row["speakers"]) <= size
        (region,) = read_uem(path.with_suffix(".uem"))
        assert (region.file, region.start, region.end) == (path.name, 0.0, 8.0)
        assert row["noise"] in {"hiss.wav", "song.wav"}
        assert 10.0 <= float(row["snr"]) <= 25.0
        assert row["room"] == "none"


def test_clips_hold_speech_that_no_conversation_has(cast, tmp_path):
    config = replace(CONFIG, strangers=0.5, codec=0.0)
    apart, rest = reserve(cast, config.enrol_seconds, config.seed)
    said = {u for job in _jobs(rest, [], config) for own in job.cast.values() for u in own}
    assert said
    assert not said & {u for own in apart.values() for u in own}
    made, clips = simulate_set(cast, None, tmp_path / "cache", tmp_path / "out", config)
    assert {clip.speaker for clip in clips} == {name for one in made for name in one.who}
    assert sum(not clip.enrolled for clip in clips) == round(0.5 * len(clips))
    rows = list(csv.DictReader((tmp_path / "out" / "enrol.csv").read_text().splitlines()))
    assert [(row["speaker"], row["enrolled"]) for row in rows] == [
        (clip.speaker, "yes" if clip.enrolled else "no") for clip in clips
    ]
    for clip in clips:
        sound = read_audio(tmp_path / "out" / clip.file)
        assert clip.file == f"enrol/{clip.speaker}.flac"
        assert seconds_of(len(sound)) == pytest.approx(clip.seconds, abs=1e-3)
        assert 1.5 < clip.seconds <= 2.0
        assert np.square(sound).mean() > 1e-3


def test_half_of_the_conversations_are_in_rooms_and_the_reference_stays(cast, tmp_path):
    (tmp_path / "cache").mkdir()
    room = [np.array([1.0, *np.zeros(800), 0.5], np.float16)] * SEATS
    np.savez(tmp_path / "cache" / "seats-1-0.npz", *room)  # as simulated before
    config = SetConfig(count=6, seconds=6.0, speakers=(2,), rooms=1)
    made, clips = simulate_set(cast, None, tmp_path / "cache", tmp_path / "wet", config)
    assert clips == []
    assert {one.room for one in made} == {"none", "shared", "own"}
    for one in made:
        sound = read_audio(tmp_path / "wet" / f"{one.name}.wav")
        first = min(read_rttm(tmp_path / "wet" / f"{one.name}.rttm"), key=lambda turn: turn.start)
        at = samples_of(first.start)
        assert np.abs(sound[: at - 800]).max() < 1e-3 < np.abs(sound[at : at + 800]).max()


def test_names_are_fit_for_files_and_differ():
    words = _words(["x/a b", "x/a_b", "X/A_B", "../up"])
    assert sorted(words.values(), key=str.lower) == ["_up", "X_A_B", "x_a_b_2", "x_a_b_3"]


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"count": 0}, "at least one conversation, got 0"),
        ({"speakers": (2, 11)}, "1 to 10 speakers, got 11"),
        ({"snr_db": (20.0, 10.0)}, "low to high, got 20 to 10"),
        ({"codec": 1.5}, "share through codecs"),
        ({"one_microphone": -0.1}, "share by one microphone"),
        ({"far": 2.0}, "share of far microphones"),
        ({"codec": 0.5, "seconds": 9_000.0}, "at most 3600 s for codecs"),
        ({"format": "mp3"}, "format of wav, flac, got 'mp3'"),
        ({"enrol_seconds": 0.5}, "clips of 1 to 600 s"),
        ({"rooms": -1}, "0 rooms or more"),
        ({"seed": -1}, "seed of 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting, word):
    with pytest.raises(ConfigError, match=word):
        SetConfig(**setting)


def test_too_few_speakers_are_refused(cast, tmp_path):
    two = {who: own for who, own in cast.items() if who in {"x/a", "x/b"}}
    with pytest.raises(ConfigError, match=r"wanted 3 speakers with .* s of speech each, got 2"):
        simulate_set(two, None, tmp_path / "c", tmp_path / "o", SetConfig(seconds=8.0, speakers=(3,)))

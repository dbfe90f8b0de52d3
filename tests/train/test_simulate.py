from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from rtspk.audio import read_audio, write_wav
from rtspk.errors import ConfigError, FormatError
from rtspk.rttm import read_rttm, read_uem
from rtspk.train.manifest import read_manifest
from rtspk.train.simulate import ConversationConfig, _in_room, simulate, simulate_set
from rtspk.train.store import SampleStore
from rtspk.train.voice import spoken
from rtspk.types import samples_of

PLAIN = ConversationConfig(speakers=3, seconds=40.0, level_db=0.0, overlap_share=0.0, backchannel=0.0)


def hum(seconds, pitch):
    at = np.arange(samples_of(seconds)) / 16000
    return 0.2 * sum(np.sin(2 * np.pi * pitch * h * at) / h for h in range(1, 6))


def utterance(pitch, rng):
    """Two stretches of voice with silence around and between them."""
    lengths = rng.uniform([0.1, 0.8, 0.3, 0.5, 0.1], [0.4, 2.5, 0.6, 1.5, 0.4])
    parts = [hum(s, pitch) if i % 2 else np.zeros(samples_of(s)) for i, s in enumerate(lengths)]
    return np.concatenate(parts).astype(np.float32)


@pytest.fixture
def manifest(tmp_path):
    """Four speakers, three in one set, with ten utterances each."""
    rng = np.random.default_rng(0)
    lines = ["file,speaker,dataset,start,end"]
    for name, dataset, pitch in (("a", "x", 100), ("b", "x", 140), ("c", "x", 190), ("d", "y", 240)):
        sound = [utterance(pitch, rng) for _ in range(10)]
        ends = np.cumsum([len(s) for s in sound]) / 16000
        write_wav(tmp_path / f"{name}.wav", np.concatenate(sound))
        lines += [f"{name}.wav,{name},{dataset},{a},{b}" for a, b in zip([0.0, *ends], ends, strict=False)]
    path = tmp_path / "speech.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def speech(manifest, tmp_path):
    utterances = read_manifest(manifest)
    return utterances, SampleStore.build([u.path for u in utterances], tmp_path / "cache", lambda *_: None)


def by_speaker(turns):
    own = defaultdict(list)
    for turn in turns:
        own[turn.speaker].append(turn)
    return own


def active(turns, length):
    """How many speak at each sample."""
    count = np.zeros(length, int)
    for turn in turns:
        count[samples_of(turn.start) : samples_of(turn.end)] += 1
    return count


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(speech):
    config = ConversationConfig(speakers=4, seconds=20.0, noise_snr_db=20.0)
    noise = np.random.default_rng(1).normal(size=5_000).astype(np.float32)

    def make(seed):
        sound, turns = simulate(*speech, config, np.random.default_rng(seed), noise=noise, rooms=[noise[:99]])
        return sound.tobytes(), turns

    assert make(7) == make(7)
    assert make(7) != make(8)


def test_the_reference_marks_speech_and_nothing_else(speech):
    sound, turns = simulate(*speech, PLAIN, np.random.default_rng(3))
    assert len(sound) == samples_of(40.0)
    blocks = np.sqrt(np.square(sound).reshape(-1, 160).mean(1))  # (blocks of 10 ms,)
    share = active(turns, len(sound)).reshape(-1, 160).mean(1)
    near = np.convolve(share, np.ones(7), "same")  # 30 ms on both sides
    assert blocks[near == 0].max() < 1e-3
    assert blocks[near == 7].min() > 5e-3
    assert (near == 0).sum() > 100
    assert (near == 7).sum() > 1000


def test_a_pause_that_parts_two_turns_of_a_speaker_is_0_2_seconds_at_least(speech):
    config = ConversationConfig(speakers=2, seconds=60.0, same_speaker=0.5, overlap_share=0.5)
    _, turns = simulate(*speech, config, np.random.default_rng(4))
    for own in by_speaker(turns).values():
        gaps = [after.start - before.end for before, after in pairwise(own)]
        assert len(gaps) > 5
        assert min(gaps) >= 0.2 - 1e-9


@pytest.mark.parametrize("speakers", [2, 4])
def test_everyone_speaks_within_the_time(speech, speakers):
    config = ConversationConfig(speakers=speakers, seconds=60.0)
    _, turns = simulate(*speech, config, np.random.default_rng(5), name="talk")
    assert len(by_speaker(turns)) == speakers
    assert {turn.file for turn in turns} == {"talk"}
    assert min(turn.start for turn in turns) >= 0.0
    assert max(turn.end for turn in turns) <= 60.0
    assert [turn.start for turn in turns] == sorted(turn.start for turn in turns)


def test_overlap_comes_from_the_settings_alone(speech):
    def overlap(config):
        sound, turns = simulate(*speech, config, np.random.default_rng(6))
        return (active(turns, len(sound)) > 1).mean()

    assert overlap(PLAIN) == 0.0
    assert overlap(replace(PLAIN, overlap_share=0.9)) > 0.05
    assert overlap(replace(PLAIN, short_share=0.0, backchannel=1.0)) > 0.02


def test_noise_lies_as_far_below_speech_as_is_wanted(speech):
    noise = np.random.default_rng(1).normal(size=5_000).astype(np.float32)
    clean, turns = simulate(*speech, PLAIN, np.random.default_rng(8))
    noisy, same = simulate(*speech, replace(PLAIN, noise_snr_db=15.0), np.random.default_rng(8), noise=noise)
    assert turns == same
    level = np.square(clean[active(turns, len(clean)) > 0]).mean() / np.square(noisy - clean).mean()
    assert 10.0 * np.log10(level) == pytest.approx(15.0, abs=0.1)


def test_speakers_differ_in_loudness_by_no_more_than_is_said(speech):
    sound, turns = simulate(*speech, replace(PLAIN, level_db=6.0), np.random.default_rng(9))
    levels = []
    for own in by_speaker(turns).values():
        said = np.concatenate([sound[samples_of(t.start) : samples_of(t.end)] for t in own])
        levels.append(10.0 * np.log10(np.square(said).mean()))
    assert 1.0 < max(levels) - min(levels) < 12.5


def test_a_room_changes_the_sound_and_keeps_its_loudness():
    rng = np.random.default_rng(0)
    track = np.zeros(16_000, np.float32)
    track[2_000:6_000] = rng.normal(0, 0.1, 4_000)
    response = np.concatenate([[1.0], 0.05 * rng.normal(size=2_000)]).astype(np.float32)
    wet = _in_room(track, response)
    assert np.square(wet).sum() == pytest.approx(np.square(track).sum(), rel=1e-4)
    assert np.square(wet[6_000:7_000]).sum() > 1e-3
    np.testing.assert_array_equal(_in_room(np.zeros(50, np.float32), response), np.zeros(50, np.float32))


@pytest.mark.parametrize("noise", [0.0, 0.002, 0.01])
def test_speech_is_found_to_a_few_hundredths_in_quiet_and_in_noise(noise):
    rng = np.random.default_rng(2)
    sound = np.zeros(samples_of(4.0))
    for start, end in ((0.5, 1.5), (1.6, 2.2), (2.8, 3.5)):  # a pause of 0.1 s is none
        sound[samples_of(start) : samples_of(end)] = hum(end - start, 120)
    found = spoken((sound + rng.normal(0, noise, len(sound))).astype(np.float32))
    times = [time / 16000 for run in found for time in (run.start, run.end)]
    assert times == pytest.approx([0.5, 2.2, 2.8, 3.5], abs=0.03)


def test_silence_and_clicks_are_no_speech():
    assert spoken(np.zeros(16_000, np.float32)) == []
    assert spoken(np.zeros(100, np.float32)) == []
    sound = np.zeros(32_000)
    sound[8_000:24_000] = hum(1.0, 120)
    sound[2_000:2_100] = 0.5
    (run,) = spoken(sound.astype(np.float32))
    assert (run.start / 16000, run.end / 16000) == pytest.approx((0.5, 1.5), abs=0.03)


def test_too_few_speakers_and_a_speaker_without_speech_are_refused(speech, tmp_path):
    utterances, store = speech
    with pytest.raises(ConfigError, match="wanted utterances of 3 speakers, got 1"):
        simulate([u for u in utterances if u.speaker == "x/a"], store, PLAIN, np.random.default_rng(0))
    write_wav(tmp_path / "mute.wav", np.zeros(32_000, np.float32))
    mute = [replace(u, path=tmp_path / "mute.wav", start=0, end=32_000) for u in utterances]
    empty = SampleStore.build([tmp_path / "mute.wav"], tmp_path / "cache", lambda *_: None)
    with pytest.raises(FormatError, match=r"wanted speech in the utterances of ./., got silence"):
        simulate(mute, empty, PLAIN, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("key", "value"), [("speakers", 1), ("speakers", 7), ("seconds", 1.0), ("seconds", 1e9)]
)
def test_settings_outside_their_range_are_refused(key, value):
    with pytest.raises(ConfigError, match="wanted"):
        ConversationConfig(**{key: value})


def test_a_set_is_written_whole_and_again_the_same(manifest, tmp_path):
    told = []

    def write(folder, speakers, seed=1):
        return simulate_set(
            manifest,
            None,
            tmp_path / "cache",
            tmp_path / folder,
            speakers,
            3,
            10.0,
            seed,
            sizes=(2, 3),
            rooms=0,
            progress=lambda *what: told.append(what),
        )

    files = write("one", {"x/a", "x/b", "y/d"})
    assert [path.name for path in files] == ["conv-0000.wav", "conv-0001.wav", "conv-0002.wav"]
    assert [what for what in told if what[0] == "mixed"] == [("mixed", n, 3) for n in (1, 2, 3)]
    for path, size in zip(files, (2, 3, 2), strict=True):
        assert len(read_audio(path)) == samples_of(10.0)
        turns = read_rttm(path.with_suffix(".rttm"))
        assert {turn.file for turn in turns} == {path.stem}
        assert {turn.speaker for turn in turns} <= {"x/a", "x/b", "y/d"}
        assert len({turn.speaker for turn in turns}) <= size
        (region,) = read_uem(path.with_suffix(".uem"))
        assert (region.file, region.start, region.end) == (path.stem, 0.0, 10.0)
    for path, again in zip(files, write("two", {"x/a", "x/b", "y/d"}), strict=True):
        assert path.read_bytes() == again.read_bytes()
    assert files[0].read_bytes() != write("three", {"x/a", "x/b", "y/d"}, seed=2)[0].read_bytes()
    with pytest.raises(ConfigError, match=r"wanted 2 speakers with .* s of speech each, got 1"):
        write("four", {"x/a"})

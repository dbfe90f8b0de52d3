"""One conversation: its statistics, its reference and its sound."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.errors import ConfigError, FormatError
from rtspk.train.manifest import read_manifest
from rtspk.train.mixing import Track, mixed
from rtspk.train.simulate import Conversation, ConversationConfig, by_speaker, simulate
from rtspk.train.store import SampleStore
from rtspk.train.voice import Catalogue, energy_of, spoken
from rtspk.types import samples_of, seconds_of

PLAIN = ConversationConfig(speakers=3, seconds=40.0, level_db=0.0, overlap=0.0)


def hum(seconds, pitch):
    at = np.arange(samples_of(seconds)) / 16000
    return 0.2 * sum(np.sin(2 * np.pi * pitch * h * at) / h for h in range(1, 6))


def utterance(pitch, rng):
    """Two stretches of voice with silence around and between them."""
    lengths = rng.uniform([0.1, 0.8, 0.3, 0.5, 0.1], [0.4, 2.5, 0.6, 1.5, 0.4])
    parts = [hum(s, pitch) if i % 2 else np.zeros(samples_of(s)) for i, s in enumerate(lengths)]
    return np.concatenate(parts).astype(np.float32)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Four speakers, three in one set, with ten utterances each."""
    tmp_path, rng = tmp_path_factory.mktemp("speech"), np.random.default_rng(0)
    lines = ["file,speaker,dataset,start,end"]
    for name, dataset, pitch in (("a", "x", 100), ("b", "x", 140), ("c", "x", 190), ("d", "y", 240)):
        sound = [utterance(pitch, rng) for _ in range(10)]
        ends = np.cumsum([len(s) for s in sound]) / 16000
        write_wav(tmp_path / f"{name}.wav", np.concatenate(sound))
        lines += [f"{name}.wav,{name},{dataset},{a},{b}" for a, b in zip([0.0, *ends], ends, strict=False)]
    path = tmp_path / "speech.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def speech(manifest):
    utterances = read_manifest(manifest)
    cache = manifest.parent / "cache"
    return utterances, SampleStore.build([u.path for u in utterances], cache, lambda *_: None)


def draw(speech, config, seed):
    utterances, store = speech
    return Conversation.draw(by_speaker(utterances), Catalogue(store), config, np.random.default_rng(seed))


def turns_of(turns):
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
    config = ConversationConfig(speakers=2, seconds=60.0, same_speaker=0.5, overlap=0.2)
    _, turns = simulate(*speech, config, np.random.default_rng(4))
    for own in turns_of(turns).values():
        gaps = [after.start - before.end for before, after in pairwise(own)]
        assert len(gaps) > 5
        assert min(gaps) >= 0.2 - 1e-9


@pytest.mark.parametrize("speakers", [2, 4])
def test_everyone_speaks_within_the_time(speech, speakers):
    config = ConversationConfig(speakers=speakers, seconds=60.0)
    _, turns = simulate(*speech, config, np.random.default_rng(5), name="talk")
    assert len(turns_of(turns)) == speakers
    assert {turn.file for turn in turns} == {"talk"}
    assert min(turn.start for turn in turns) >= 0.0
    assert max(turn.end for turn in turns) <= 60.0
    assert [turn.start for turn in turns] == sorted(turn.start for turn in turns)


@pytest.mark.parametrize("wanted", [0.0, 0.05, 0.12, 0.2])
def test_as_much_is_said_at_once_as_is_wanted(speech, wanted):
    config = ConversationConfig(speakers=4, seconds=300.0, overlap=wanted)
    made = draw(speech, config, 6)
    assert made.overlap == pytest.approx(wanted, abs=0.015 if wanted else 0.0)
    count = active(made.turns, samples_of(300.0))  # the slow twin
    assert made.overlap == pytest.approx((count > 1).sum() / (count > 0).sum(), abs=1e-9)
    assert made.speech_seconds == pytest.approx(seconds_of((count > 0).sum()))


def test_gaps_and_pauses_have_their_medians(speech):
    config = ConversationConfig(speakers=2, seconds=1_500.0, overlap=0.0, same_speaker=0.0)
    changes = [
        after.start - before.end
        for before, after in pairwise(draw(speech, config, 1).turns)
        if before.speaker != after.speaker
    ]
    assert len(changes) > 200
    assert np.median(changes) == pytest.approx(config.gap_seconds, rel=0.15)
    assert np.log(changes).std() == pytest.approx(config.gap_spread, rel=0.15)
    # Alone, with turns of one short utterance, whose own pause is 0.3 to 0.6 s.
    alone = replace(config, speakers=1, pause_seconds=1.5, pause_spread=0.2)
    pauses = [after.start - before.end for before, after in pairwise(draw(speech, alone, 2).turns)]
    between = [pause for pause in pauses if pause > 0.8]
    assert np.median(between) == pytest.approx(1.5, rel=0.1)


def test_backchannels_lie_within_turns_and_who_is_interrupted_stops(speech):
    base = ConversationConfig(speakers=3, seconds=300.0, overlap=0.1, short_share=0.0)
    heard = draw(speech, replace(base, backchannels=1.0, interruptions=0.0), 3)
    assert heard.counts["backchannel"] > 10
    assert heard.counts["interruption"] == 0
    cut = draw(speech, replace(base, backchannels=0.0, interruptions=1.0), 3)
    assert cut.counts["interruption"] > 10
    assert cut.counts["backchannel"] == 0
    both = [run.duration / 16_000 for run in cut.active(2)]
    assert np.quantile(both, 0.8) <= base.interruption_seconds[1] + 0.05
    assert draw(speech, replace(base, backchannels=0.0, interruptions=0.0), 3).counts.keys() == {"turn"}


@pytest.mark.parametrize("seed", [0, 1])
def test_each_speakers_own_track_is_silent_outside_the_reference_and_nobody_talks_over_themselves(
    speech, seed
):
    config = ConversationConfig(speakers=4, seconds=60.0, overlap=0.2, same_speaker=0.3, level_db=0.0)
    made = draw(speech, config, seed)
    length = samples_of(60.0)
    speakers = sorted({turn.speaker for turn in made.turns})
    assert len(speakers) == len(made.tracks) == 4
    catalogue = Catalogue(speech[1])
    for name, track in zip(speakers, made.tracks, strict=True):
        own = [turn for turn in made.turns if turn.speaker == name]
        assert all(after.start >= before.end for before, after in pairwise(own))
        spans = sorted((at, at + piece.length) for at, piece in track.pieces)
        assert all(after[0] >= before[1] for before, after in pairwise(spans))
        sound = np.concatenate(list(mixed([Track(track.pieces)], catalogue, length)))
        outside = active(own, length) == 0
        assert np.abs(sound[outside]).max() < 0.02 * np.abs(sound[~outside]).max()
        for turn in own:  # a turn begins and ends with speech, to two frames
            first, last = samples_of(turn.start), samples_of(turn.end)
            assert np.abs(sound[first : first + 320]).max() > 0.01
            assert np.abs(sound[last - 320 : last]).max() > 0.01
            assert (first / 16).is_integer()  # RTTM has milliseconds


def test_a_long_conversation_is_the_sum_of_its_blocks(speech):
    config = ConversationConfig(speakers=2, seconds=95.0)  # four blocks
    made = draw(speech, config, 3)
    catalogue = Catalogue(speech[1])
    response = np.array([1.0, *np.zeros(2_000), 0.5], np.float32)
    tracks = [replace(track, response=response) for track in made.tracks]
    blocks = list(mixed(tracks, catalogue, samples_of(95.0)))
    assert len(blocks) == 4
    want = np.zeros(samples_of(95.0) + 2_001)
    for track in tracks:
        dry = np.zeros(samples_of(95.0))
        for at, piece in track.pieces:
            dry[at : at + piece.length] += catalogue.sound(piece)
        dry *= track.gain / np.sqrt(1.25)  # about as loud as before: the echo adds a quarter
        want[: len(dry)] += dry
        want[2_001:] += 0.5 * dry
    got = np.concatenate(blocks)
    assert np.corrcoef(got, want[: len(got)])[0, 1] > 0.99
    assert np.square(got).mean() == pytest.approx(np.square(want).mean(), rel=0.5)


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
    for own in turns_of(turns).values():
        said = np.concatenate([sound[samples_of(t.start) : samples_of(t.end)] for t in own])
        levels.append(10.0 * np.log10(np.square(said).mean()))
    assert 1.0 < max(levels) - min(levels) < 12.5


def test_a_room_changes_the_sound_and_keeps_its_loudness(speech):
    made = draw(speech, replace(PLAIN, speakers=1, seconds=20.0), 0)
    rng = np.random.default_rng(0)
    response = np.concatenate([[1.0], 0.05 * rng.normal(size=2_000)]).astype(np.float32)
    catalogue, (track,) = Catalogue(speech[1]), made.tracks
    (dry,) = mixed([track], catalogue, samples_of(20.0))
    (wet,) = mixed([replace(track, response=response)], catalogue, samples_of(20.0))
    assert np.square(wet).sum() == pytest.approx(np.square(dry).sum(), rel=0.2)
    assert np.abs(np.corrcoef(dry, wet)[0, 1]) < 0.99


@pytest.mark.parametrize("noise", [0.0, 0.002, 0.01])
def test_speech_is_found_to_a_few_hundredths_in_quiet_and_in_noise(noise):
    rng = np.random.default_rng(2)
    sound = np.zeros(samples_of(4.0))
    for start, end in ((0.5, 1.5), (1.6, 2.2), (2.8, 3.5)):  # a pause of 0.1 s is none
        sound[samples_of(start) : samples_of(end)] = hum(end - start, 120)
    found = spoken(energy_of((sound + rng.normal(0, noise, len(sound))).astype(np.float32)))
    times = [time / 16000 for run in found for time in (run.start, run.end)]
    assert times == pytest.approx([0.5, 2.2, 2.8, 3.5], abs=0.03)


def test_silence_and_clicks_are_no_speech():
    assert spoken(energy_of(np.zeros(16_000, np.float32))) == []
    assert spoken(energy_of(np.zeros(100, np.float32))) == []
    sound = np.zeros(32_000)
    sound[8_000:24_000] = hum(1.0, 120)
    sound[2_000:2_100] = 0.5
    (run,) = spoken(energy_of(sound.astype(np.float32)))
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
    ("key", "value"),
    [
        ("speakers", 0),
        ("speakers", 11),
        ("seconds", 1.0),
        ("seconds", 1e9),
        ("overlap", 0.5),
        ("interruptions", 0.9),
    ],
)
def test_settings_outside_their_range_are_refused(key, value):
    with pytest.raises(ConfigError, match="wanted"):
        ConversationConfig(**{key: value})

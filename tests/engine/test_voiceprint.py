"""How good a clip is for enrolling: noise, clipping, echo, and parts short enough to hear two people."""

import numpy as np
import pytest

from rtspk.audio import read_audio
from rtspk.bench.latency import voices
from rtspk.engine.embedder import load_embedder
from rtspk.engine.settings import ActivityConfig
from rtspk.engine.unit import unit
from rtspk.engine.voiceprint import (
    PART,
    PAUSE,
    PIECE,
    PRINTED,
    ClipQuality,
    _decay,
    _pieces,
    condensed,
    voiceprint,
)
from rtspk.types import Embedding, Segment, samples_of


def in_a_room(sound, seconds, seed=0):
    """The sound and a tail of noise that falls by 60 dB in so many seconds."""
    length = samples_of(seconds)
    tail = np.random.default_rng(seed).normal(size=length) * 10 ** (-3.0 * np.arange(length) / length)
    tail /= np.linalg.norm(tail)
    tail[0] = 1.0
    size = len(sound) + length
    heard = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)[: len(sound)]
    return heard.astype(np.float32)


@pytest.fixture(scope="module")
def clip():
    from pathlib import Path

    return read_audio(Path(__file__).parents[1] / "data" / "voice-a1.opus")


def test_the_longer_a_room_rings_the_longer_the_decay(clip):
    dry = _decay(clip)
    rings = [_decay(in_a_room(clip, seconds)) for seconds in (0.3, 0.6, 1.0)]
    assert [dry, *rings] == sorted([dry, *rings])
    assert dry < 0.45
    assert rings[-1] > 0.55


def test_a_sound_without_falls_has_no_decay():
    steady = np.random.default_rng(0).normal(0, 0.1, samples_of(5.0)).astype(np.float32)
    assert _decay(steady) is None
    assert _decay(steady[:800]) is None


def test_quality_falls_with_noise_clipping_and_echo():
    good = ClipQuality(40.0, 0.0, 0.3)
    assert good.score == 1.0
    assert ClipQuality(None, 0.0).score == 1.0
    for worse in (ClipQuality(8.0, 0.0, 0.3), ClipQuality(40.0, 0.02, 0.3), ClipQuality(40.0, 0.0, 0.9)):
        assert 0.0 < worse.score < 0.7


def test_parts_are_the_same_speech_in_shorter_pieces(segmenter, clip):
    embedder = load_embedder()
    whole = voiceprint(clip, segmenter, embedder, ActivityConfig(), "the clip", with_parts=True)
    assert sum(part.net_speech for part in whole.parts) == sum(piece.net_speech for piece in whole.pieces)
    assert max(part.net_speech for part in whole.parts) <= PART
    assert max(piece.net_speech for piece in whole.pieces) <= PIECE
    assert len(whole.parts) > len(whole.pieces)
    without = voiceprint(clip, segmenter, embedder, ActivityConfig(), "the clip")
    assert without.parts == ()
    assert np.array_equal(without.vector, whole.vector)


def test_windows_are_as_long_as_their_speech_however_long_the_pauses():
    features = np.arange(60_000, dtype=np.float32)[:, None].repeat(2, 1)  # rows of 10 ms
    mask = np.zeros(len(features), bool)
    for second in (10, 200, 201, 590):
        mask[100 * second : 100 * second + 80] = True
    (window,) = _pieces(features, mask, 160, PIECE)
    assert window.segment == Segment(1000 * 160, 59_080 * 160)
    assert (window.mask.sum() * 160, window.net_speech) == (samples_of(3.2), samples_of(3.2))
    rows = window.features[:, 0].astype(int)
    assert np.array_equal(rows[window.mask > 0], np.flatnonzero(mask))
    assert {200 * 100 + 80, 201 * 100 - 1} <= set(rows)  # a short pause stays
    assert len(rows) * 160 == samples_of(3.2 + 0.2) + 2 * PAUSE


def test_made_up_speech_has_a_quality(segmenter):
    pause = np.zeros(samples_of(1.5), np.float32)
    sound = np.concatenate([pause, voices(4.0, 0), pause])
    noise = np.random.default_rng(0).normal(0, 0.02, len(sound)).astype(np.float32)
    found = [
        voiceprint(one, segmenter, load_embedder(), ActivityConfig(), "it").quality.signal_to_noise_db
        for one in (sound + 0.01 * noise, sound + noise)
    ]
    assert found[0] > found[1]


def windows_of(middle, count, seed, spread=0.5, seconds=1.25):
    vectors = middle + spread * np.random.default_rng(seed).normal(size=(count, len(middle))) / 4
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    net = samples_of(seconds)
    return [Embedding(vector.astype(np.float32), Segment(0, net), net) for vector in vectors]


def test_many_windows_become_few_prints_with_all_their_speech():
    phone, room, stray = np.eye(16)[0], np.eye(16)[1] * 0.8 + np.eye(16)[0] * 0.6, -np.eye(16)[2]
    windows = [*windows_of(phone, 20, 0), *windows_of(stray, 1, 1), *windows_of(room, 12, 2)]
    prints = condensed(windows, 2)
    assert len(prints) == 2
    assert sum(one.net_speech for one in prints) == sum(one.net_speech for one in windows)
    assert min(one.net_speech for one in prints) >= samples_of(4.0)
    for middle in (phone, room):
        nearest = max(float(one.vector @ middle) for one in prints)
        assert nearest > 0.93
        assert nearest > np.mean([float(one.vector @ middle) for one in windows])
    assert max(float(one.vector @ stray) for one in prints) < 0.3
    assert all(np.linalg.norm(one.vector) == pytest.approx(1.0, abs=1e-5) for one in prints)


def condensed_slowly(windows, most):
    groups = [(one.vector * np.float32(one.net_speech), one.net_speech) for one in windows]
    while len(groups) > 1 and (len(groups) > most or min(net for _, net in groups) < PRINTED):
        gone, net = groups.pop(min(range(len(groups)), key=lambda one: groups[one][1]))
        near = max(range(len(groups)), key=lambda one: unit(groups[one][0]) @ unit(gone))
        groups[near] = groups[near][0] + gone, groups[near][1] + net
    return groups


@pytest.mark.parametrize(("count", "seconds"), [(3, 0.5), (40, 0.8), (90, 5.0)])
def test_prints_are_those_of_the_slow_way(count, seconds):
    windows = [*windows_of(np.eye(16)[0], count, 3), *windows_of(np.eye(16)[5], count, 4, seconds=seconds)]
    prints, slow = condensed(windows, 3), condensed_slowly(windows, 3)
    assert [one.net_speech for one in prints] == [net for _, net in slow]
    for one, (vector, _) in zip(prints, slow, strict=True):
        assert one.vector @ unit(vector) == pytest.approx(1.0, abs=1e-5)


def test_little_speech_makes_one_print():
    assert len(condensed(windows_of(np.eye(16)[0], 2, 0))) == 1
    assert len(condensed(windows_of(np.eye(16)[0], 1, 0))) == 1
    assert condensed([]) == []

import pickle
from pathlib import Path

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.bench import latency
from rtspk.engine.gallery import Gallery
from rtspk.engine.pipeline import Engine
from rtspk.engine.segmenter import load_segmenter
from rtspk.errors import ConfigError
from tests.bench.plain import MeanSpectrum


@pytest.fixture
def engine():
    return Engine(MeanSpectrum(), load_segmenter(), Gallery.open(None, "plain", 80))


@pytest.fixture
def short(monkeypatch, tmp_path):
    monkeypatch.setattr(latency, "SECONDS", 4.0)
    monkeypatch.setattr(latency, "CONVERSATION", tmp_path / "none.opus")


@pytest.mark.usefixtures("short")
def test_every_case_is_timed_on_sound_of_its_own(engine):
    results = {result.case: result for result in latency.run(seed=5, runs=2, engine=engine)}
    assert set(results) == {
        "push_500ms_speech",
        "conversation",
        "stage_frontend",
        "stage_log_mel",
        "stage_activity",
        "stage_trunk",
        "stage_embedding",
        "stage_tracking",
        "conversation_later",
        "stage_tracking_later",
    }
    for result in results.values():
        assert (result.bench, result.seed, result.runs) == ("latency", 5, 2)
        assert result.value > 0.0
        assert result.rtf == pytest.approx(result.value / (0.5 if result.case.startswith("push") else 4.0))
    spread = results["push_500ms_speech"].spread
    assert 0.0 < spread.p50 <= spread.p95 <= spread.p99
    assert len(engine.embedder.lengths) > 10


@pytest.mark.usefixtures("short")
def test_the_stages_are_the_whole(engine):
    clock = latency._play(engine, latency.voices(4.0, 0))
    assert clock.whole == clock.frontend + clock.embedding + clock.tracking
    assert 0.0 < sum(clock.pushes) <= clock.whole


@pytest.mark.usefixtures("short")
def test_a_bench_streams_as_a_local_session_does(engine):
    sound = latency.voices(4.0, 0)
    with engine.session() as session:
        session.push(sound)
        session.finish()
    asked, engine.embedder.lengths = engine.embedder.lengths, []
    latency._play(engine, sound)
    assert engine.embedder.lengths == asked != []


@pytest.mark.usefixtures("short")
def test_what_was_said_before_is_remembered_and_not_timed(engine):
    sound = latency.voices(4.0, 0)
    before = latency._after(engine, sound, 3)
    assert pickle.loads(before).frontend.received == 3 * len(sound)
    heard = []
    for _ in range(2):
        engine.embedder.lengths = []
        assert latency._play(engine, sound, before).pushes
        heard.append(engine.embedder.lengths)
    assert heard[0] == heard[1]


@pytest.mark.usefixtures("short")
def test_loading_is_timed_where_no_engine_is_given(engine, monkeypatch):
    loaded = []
    monkeypatch.setattr(latency.Engine, "load", lambda *what, model: loaded.append((*what, model)) or engine)
    first, *_ = latency.run(runs=2, model=Path("other"))
    assert (first.case, first.runs, first.rtf) == ("load", 2, None)
    assert loaded == [(":memory:", Path("other"))] * 3


def test_the_bundled_conversation_is_used_where_it_is_there(monkeypatch, tmp_path):
    write_wav(tmp_path / "talk.wav", np.full(16_000, 0.25, np.float32))
    monkeypatch.setattr(latency, "CONVERSATION", tmp_path / "talk.wav")
    monkeypatch.setattr(latency, "SECONDS", 0.5)
    np.testing.assert_array_equal(latency._sound(0), np.full(8_000, 0.25, np.float32))


def test_sound_without_speech_and_no_runs_are_refused(engine, monkeypatch, tmp_path):
    write_wav(tmp_path / "silence.wav", np.zeros(32_000, np.float32))
    monkeypatch.setattr(latency, "CONVERSATION", tmp_path / "silence.wav")
    with pytest.raises(ConfigError, match="hears speech"):
        latency.run(runs=1, engine=engine)
    with pytest.raises(ConfigError, match="at least one run"):
        latency.run(runs=0, engine=engine)


def test_the_voices_are_the_seeds_own_in_range_and_heard_as_speech(engine):
    sound = latency.voices(4.0, seed=1)
    np.testing.assert_array_equal(sound, latency.voices(4.0, seed=1))
    assert not np.array_equal(sound, latency.voices(4.0, seed=2))
    assert (sound.dtype, len(sound)) == (np.float32, 64_000)
    assert 0.3 < np.abs(sound).max() <= 1.0
    assert (engine.segmenter.speech(engine.segmenter.rows(sound))[:, 0] > 0.5).mean() > 0.5

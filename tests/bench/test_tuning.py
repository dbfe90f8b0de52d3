"""Tuning: never worse than the start on what it was given, repeatable, and a config that reads back."""

from dataclasses import replace

import pytest

from rtspk.bench.tuning import SPACE, config_text, tune
from rtspk.config import read_toml
from rtspk.data import DEMO
from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import SessionConfig, session_config
from rtspk.errors import ConfigError

pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def engine():
    return Engine.load(":memory:")


@pytest.fixture
def folder(tmp_path):
    for kind in ("opus", "rttm"):
        (tmp_path / f"conversation.{kind}").write_bytes((DEMO / f"conversation.{kind}").read_bytes())
    return tmp_path


def search(engine, folder, trials, start=None):
    heard = []
    found = tune(
        engine,
        folder,
        folder,
        None,
        start=start or SessionConfig(latency=2.0),
        trials=trials,
        seed=1,
        progress=lambda done, of, best: heard.append((done, of, best)),
    )
    return found, heard


def test_the_start_is_the_first_trial_and_the_best_wins(engine, folder):
    found, heard = search(engine, folder, 3)
    assert [(done, of) for done, of, _ in heard] == [(1, 3), (2, 3), (3, 3)]
    rates = [
        0.5 * (r.total.first.error.rate + r.total.revised.error.rate) for r in (found.before, found.after)
    ]
    assert rates == pytest.approx([heard[0][2], heard[-1][2]])
    assert rates[1] <= rates[0]
    assert found.config.latency == 2.0


def test_one_trial_changes_nothing(engine, folder):
    found, _ = search(engine, folder, 1)
    assert found.config == SessionConfig(latency=2.0)


def test_a_search_that_is_ended_gives_the_best_so_far(engine, folder):
    def end(*_):
        raise KeyboardInterrupt

    start = SessionConfig(latency=2.0)
    found = tune(engine, folder, folder, None, start=start, trials=3, seed=1, progress=end)
    assert (found.trials, found.config) == (1, start)


def test_a_start_outside_of_what_is_searched_is_measured_as_it_is(engine, folder):
    usual = SessionConfig(latency=2.0, max_speakers=3)
    activity = replace(usual.activity, onset=0.8, offset=0.75)
    start = replace(usual, activity=activity, tracker=replace(usual.tracker, group_cosine=0.6))
    found, _ = search(engine, folder, 1, start)
    assert found.config == start


def test_a_config_reads_back(tmp_path):
    path = tmp_path / "room.toml"
    path.write_text(config_text(SessionConfig()))
    assert read_toml(path, SessionConfig) == SessionConfig()
    path.write_text(config_text(SessionConfig(max_speakers=3)))
    assert read_toml(path, SessionConfig) == SessionConfig(max_speakers=3)
    assert session_config(path, latency=3.0).latency == 3.0
    assert session_config(None, max_speakers=4) == SessionConfig(max_speakers=4)


def test_every_gate_is_a_setting_within_its_range():
    for gate in SPACE:
        usual = getattr(SessionConfig(), gate.table)
        assert gate.low <= getattr(usual, gate.name) <= gate.high
        for value in (gate.low, gate.high):
            assert SessionConfig(**{gate.table: replace(usual, **{gate.name: value})})


def test_no_trial_is_refused(engine, folder):
    with pytest.raises(ConfigError, match="wanted at least one trial, got 0"):
        search(engine, folder, 0)

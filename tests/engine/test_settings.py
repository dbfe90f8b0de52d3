"""Settings of a session: numbers outside their ranges are refused by name."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from rtspk.engine.settings import SessionConfig, TrackerConfig, session_config
from rtspk.errors import ConfigError


def with_setting(table, name, value):
    config = SessionConfig()
    return replace(config, **{table: replace(getattr(config, table), **{name: value})})


@pytest.mark.parametrize(
    ("table", "name", "value", "said"),
    [
        ("tracker", "memory", 0, "wanted tracker.memory of 10 to 2000, got 0"),
        ("tracker", "before_seconds", -1.0, "wanted tracker.before_seconds of 0 to 10, got -1.0"),
        ("tracker", "slow_seconds", np.inf, "wanted tracker.slow_seconds of 0 to 1000000, got inf"),
        ("tracker", "group_cosine", 7.0, "wanted tracker.group_cosine of -1 to 1, got 7.0"),
        ("activity", "onset", 7.0, "wanted activity.onset of 0 to 1, got 7.0"),
        ("activity", "memory", 1.5, "wanted activity.memory of 0 to 1, got 1.5"),
        ("identity", "candidates", 0, "wanted identity.candidates of 1 to 100, got 0"),
        ("identity", "probability", "1", "wanted identity.probability of 0 to 1, got '1'"),
    ],
)
def test_a_number_outside_its_range_is_refused_by_its_name(table, name, value, said):
    with pytest.raises(ConfigError) as caught:
        with_setting(table, name, value)
    assert str(caught.value) == said


@pytest.mark.parametrize("table", ["activity", "tracker", "identity"])
def test_no_setting_may_be_no_number(table):
    for name in asdict(getattr(SessionConfig(), table)):
        with pytest.raises(ConfigError, match=rf"wanted {table}\.{name} of .*, got nan"):
            with_setting(table, name, np.nan)


def test_a_table_is_checked_before_a_session_has_it():
    with pytest.raises(ConfigError, match=r"wanted tracker\.sharpness of 0 to 300, got -1"):
        TrackerConfig(sharpness=-1.0)


def test_a_file_is_checked_likewise(tmp_path):
    path = tmp_path / "room.toml"
    path.write_text("[tracker]\nsharpness = nan\n")
    with pytest.raises(ConfigError, match=r"wanted tracker\.sharpness of 0 to 300, got nan"):
        session_config(path)

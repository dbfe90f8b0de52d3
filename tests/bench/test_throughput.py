"""The throughput bench on a small load: real server process, real sockets."""

import json

import pytest

from rtspk.bench import throughput
from rtspk.bench.throughput import ALLOWED, Load, run
from rtspk.errors import ConfigError


def test_a_small_load_is_carried_and_said_as_json():
    loads, total = list(run(0, 1, counts=(2,), seconds=5.0))
    case = json.loads(loads.json_line())
    assert case["case"].startswith("2 streams")
    assert case["unit"] == "s"
    assert case["p50"] <= case["p95"] <= case["p99"]
    assert case["rtf"] > 0
    whole = json.loads(total.json_line())
    assert (whole["unit"], whole["peer_value"]) == ("streams", 1.0)


def test_a_load_is_sustained_only_in_time_whole_and_without_loss():
    in_time, late = [0.1] * 99 + [9.0], [ALLOWED + 0.1] * 100
    assert Load(1, in_time).sustained
    assert not Load(1, late).sustained
    assert not Load(1, []).sustained
    assert not Load(1, in_time, lost_seconds=0.1).sustained
    assert not Load(1, in_time, broken=1).sustained


def test_it_stops_at_the_first_number_that_is_not_sustained(monkeypatch):
    asked = []

    def measured(_port, sessions, _seconds, _seed, _process):
        asked.append(sessions)
        return Load(sessions, [0.0] if sessions < 50 else [5.0])

    monkeypatch.setattr(throughput, "measure", measured)
    *_, total = run(0, 1, counts=(1, 25, 50, 100), seconds=1.0)
    assert asked == [1, 25, 50]
    assert total.value == 25.0


def test_no_run_is_refused():
    with pytest.raises(ConfigError, match="wanted at least one run"):
        list(run(0, 0))

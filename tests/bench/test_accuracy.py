import pytest

from rtspk.bench import accuracy
from rtspk.errors import ConfigError


def test_the_bundled_conversation_is_told_well(monkeypatch):
    monkeypatch.setattr(accuracy, "LATENCIES", (1.0,))
    results = list(accuracy.run())
    assert [result.bench for result in results] == ["accuracy"] * 4
    first, revised, missed, stranger = (result.value for result in results)
    assert 0.0 < first < 0.16
    assert 0.0 < revised < 0.16
    assert 0.0 < missed < 0.15
    assert stranger < 0.05


def test_no_run_is_refused():
    with pytest.raises(ConfigError, match="wanted at least one run, got 0"):
        next(accuracy.run(runs=0))

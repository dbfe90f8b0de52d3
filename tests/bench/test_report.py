import io
import json

import pytest
from rich.console import Console

from rtspk.bench.report import Percentiles, Timings, compare, machine, print_table, timed, versions
from rtspk.errors import ConfigError


def result(peer=(0.2, 0.4, 0.3), spread=None):
    timings = Timings((0.1, 0.2, 0.1), peer)
    return timed("kernels", "a_case", timings, "a-peer", 3, ["rich", "no-such-package"], 10.0, spread)


def test_a_result_holds_medians_and_how_many_times_better_we_are():
    line = json.loads(result().json_line())
    assert line["bench"] == "kernels"
    assert line["case"] == "a_case"
    assert line["unit"] == "s"
    assert line["peer"] == "a-peer"
    assert (line["value"], line["peer_value"], line["ratio"]) == (0.1, 0.3, 3.0)
    assert (line["runs"], line["seed"], line["rtf"]) == (3, 3, 0.01)
    assert line["machine"] == machine()
    assert set(line["versions"]) == {"python", "numpy", "numba", "rich"}
    assert "p50" not in line


def test_an_absent_peer_stays_null():
    line = json.loads(result(peer=()).json_line())
    assert line["peer"] is line["peer_value"] is line["ratio"] is None


def test_percentiles_are_keys_of_their_own():
    line = json.loads(result(spread=Percentiles.of([float(n) for n in range(101)])).json_line())
    assert (line["p50"], line["p95"], line["p99"]) == (50.0, 95.0, 99.0)
    assert "spread" not in line


def test_percentiles_of_nothing_are_refused():
    with pytest.raises(ConfigError, match="got none"):
        Percentiles.of([])


def test_ours_and_the_peer_run_in_turn_after_a_free_run_of_each():
    order = []
    timings = compare(lambda: order.append("ours"), lambda: order.append("peer"), runs=3)
    assert order == ["ours", "peer"] * 4
    assert len(timings.ours) == len(timings.peer) == 3


def test_runs_are_timed_by_the_clock_that_is_asked_for():
    ticks = iter(range(100))
    timings = compare(lambda: None, lambda: next(ticks), runs=2, clock=lambda: float(next(ticks)))
    assert timings == Timings((1.0, 1.0), (2.0, 2.0))


def test_without_a_peer_only_ours_runs():
    order = []
    timings = compare(lambda: order.append("ours"), None, runs=2)
    assert order == ["ours"] * 3
    assert timings.peer == ()


def test_no_runs_are_refused():
    with pytest.raises(ConfigError, match="at least one run, got 0"):
        compare(lambda: None, None, runs=0)


def test_the_table_shows_values_peers_and_machine():
    console = Console(file=io.StringIO(), width=200)
    print_table([result(), result(peer=())], console)
    text = console.file.getvalue()
    assert machine() in text
    assert "100 ms" in text
    assert "300 ms" in text
    assert "3.00x" in text


def test_versions_name_what_is_installed_only():
    assert [name for name, _ in versions("rich", "no-such-package")] == ["python", "numpy", "numba", "rich"]

"""The files to deploy with agree with the server: its metrics, paths, settings and signals."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from rtspk.config import to_settings
from rtspk.server.config import ServerConfig
from rtspk.server.telemetry import Telemetry

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def metrics() -> set[str]:
    return set(re.findall(r"^# TYPE (\w+)", Telemetry().page().decode(), re.MULTILINE))


def test_every_metric_of_the_dashboard_is_one_of_the_servers(metrics):
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "rtspk.json").read_text(encoding="utf-8"))
    asked = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            asked |= set(re.findall(r"rtspk_\w+", target["expr"]))
    assert {re.sub("_bucket$", "", name) for name in asked} <= metrics
    assert len(asked) >= 12


def test_the_example_settings_are_settings():
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    table = tomllib.loads(text.split("```toml\n")[1].split("```")[0])
    settings = to_settings(table, ServerConfig, "the example")
    assert settings.limits.lag_seconds == 3.0
    assert settings.session.identity.probability == 0.7


def test_who_stops_a_server_waits_for_longer_than_it_drains():
    drain = ServerConfig().drain_seconds
    unit = (DEPLOY / "systemd" / "rtspk.service").read_text(encoding="utf-8")
    pods = (DEPLOY / "kubernetes" / "rtspk.yaml").read_text(encoding="utf-8")
    compose = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    waits = [
        re.search(r"TimeoutStopSec=(\d+)", unit),
        re.search(r"terminationGracePeriodSeconds: (\d+)", pods),
        re.search(r"stop_grace_period: (\d+)s", compose),
    ]
    assert all(wait is not None and int(wait[1]) > drain + 5 for wait in waits)


def test_what_the_service_is_told_to_read_is_loaded_for_it():
    unit = (DEPLOY / "systemd" / "rtspk.service").read_text(encoding="utf-8")
    loaded = set(re.findall(r"LoadCredential=([\w.]+):", unit))
    assert set(re.findall(r"%d/([\w.]+)", unit)) <= loaded
    assert {"cert.pem", "key.pem"} == set(re.findall(r"/run/credentials/rtspk.service/([\w.]+)\"", unit))
    assert {"cert.pem", "key.pem"} <= loaded


def test_the_ingress_says_which_kind_its_annotations_are_for():
    pods = (DEPLOY / "kubernetes" / "rtspk.yaml").read_text(encoding="utf-8")
    kinds = set(re.findall(r"^    (\w+)\.ingress\.kubernetes\.io/", pods, re.MULTILINE))
    assert {re.search(r"ingressClassName: (\w+)", pods)[1]} == kinds

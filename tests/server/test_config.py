"""Settings of a server: what is read from a file, and what makes no sense."""

import math

import pytest

from rtspk.config import read_toml
from rtspk.errors import ConfigError
from rtspk.server.config import Limits, ServerConfig


@pytest.fixture
def read(tmp_path):
    def settings(text):
        (tmp_path / "serve.toml").write_text(text, encoding="utf-8")
        return read_toml(tmp_path / "serve.toml", ServerConfig)

    return settings


def test_an_integer_stands_for_a_number_with_a_point(read):
    assert read("drain_seconds = 5\n[limits]\nlag_seconds = 2").limits.lag_seconds == 2.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('insecure = "yes"', "insecure"),
        ('port = "99"', "port"),
        ("port = 99.0", "port"),
        ("workers = true", "workers"),
        ("host = 1979-05-27", "1979"),
        ("origins = [1]", "origins.0"),
        ('origins = ["example.org"]', "wanted an origin such as https://example.org, got 'example.org'"),
        ("[limits]\nparkd = 1", "limits.parkd"),
        ("[session.identity]\nprobabilty = 0.5", "session.identity.probabilty"),
    ],
)
def test_a_value_of_another_kind_and_an_unknown_key_are_one_line_that_names_them(read, text, words):
    with pytest.raises(ConfigError) as refused:
        read(text)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("number", [-1, math.nan, math.inf, 0])
@pytest.mark.parametrize("key", ["ping_seconds", "lag_seconds", "sessions", "message_bytes"])
def test_a_limit_that_limits_nothing_or_everything_is_named(key, number):
    with pytest.raises(ConfigError, match=f"wanted limits.{key} of more than 0, got {number}"):
        Limits(**{key: number})


@pytest.mark.parametrize("number", [-1, math.nan])
@pytest.mark.parametrize("key", ["workers", "deadline_seconds", "resume_seconds", "drain_seconds"])
def test_a_setting_below_0_is_named(key, number):
    with pytest.raises(ConfigError, match=f"wanted {key} of 0 or more, got {number}"):
        ServerConfig(**{key: number})


def test_more_sessions_have_more_connections_and_no_more_than_a_process_has_sockets_for():
    assert Limits().most_connections == 1000
    assert Limits(sessions=900).most_connections == 1500
    assert Limits(connections=20).most_connections == 20
    with pytest.raises(ConfigError, match=r"wanted limits.sessions of at most 4000, got 5000"):
        Limits(sessions=5000)

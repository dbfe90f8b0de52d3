"""Tokens, scopes, origins, and where a server may listen."""

import hashlib

import pytest

from rtspk.errors import ConfigError
from rtspk.server.access import Access, TokenEntry, bearer, check_address
from rtspk.server.config import ServerConfig

SECRET = "correct-horse-battery"
ANNA = TokenEntry("anna", ("listen",), SECRET)


def access(*entries, **settings):
    return Access(entries, ServerConfig(**settings))


def test_without_tokens_everybody_may_do_everything():
    assert access().principal(None).may("admin")


def test_a_token_is_known_by_itself_or_by_its_digest():
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    for entry in (ANNA, TokenEntry("anna", ("listen",), sha256=digest)):
        assert access(entry).principal(SECRET).name == "anna"


@pytest.mark.parametrize("token", [None, "", "correct-horse-batterz", SECRET + " ", "é" * 30])
def test_another_token_is_nobodys(token):
    assert access(ANNA).principal(token) is None


def test_a_scope_holds_for_itself_and_admin_for_all():
    listener = access(ANNA).principal(SECRET)
    assert listener.may("listen")
    assert not listener.may("enroll")
    admin = access(TokenEntry("root", ("admin",), SECRET)).principal(SECRET)
    assert all(admin.may(scope) for scope in ("listen", "enroll", "admin"))


@pytest.mark.parametrize(
    "entry",
    [
        TokenEntry("a", ("listen",), "short"),
        TokenEntry("a", ("listen",)),
        TokenEntry("a", ("listen",), SECRET, "00" * 32),
        TokenEntry("a", ("listen",), sha256="zz"),
    ],
)
def test_a_token_that_can_be_guessed_or_read_two_ways_is_refused(entry):
    with pytest.raises(ConfigError, match="wanted") as refused:
        access(entry)
    assert SECRET not in str(refused.value)


def test_two_tokens_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="one name twice"):
        access(ANNA, TokenEntry("anna", ("admin",), SECRET + "2"))


def test_tokens_come_from_a_file_and_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "tokens.toml").write_text(
        f'[[tokens]]\nname = "web"\nscopes = ["listen", "enroll"]\ntoken = "{SECRET}"\nsessions = 3\n'
    )
    monkeypatch.setenv("RTSPK_TOKEN", "another-long-secret")
    loaded = Access.load(tmp_path / "tokens.toml", ServerConfig())
    assert loaded.principal(SECRET).sessions == 3
    assert loaded.principal("another-long-secret").may("admin")


def test_a_token_file_with_an_unknown_scope_is_refused(tmp_path):
    (tmp_path / "tokens.toml").write_text(f'[[tokens]]\nname = "x"\nscopes = ["fly"]\ntoken = "{SECRET}"\n')
    with pytest.raises(ConfigError):
        Access.load(tmp_path / "tokens.toml", ServerConfig())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('scope = ["enroll"]', "tokens.scope"),
        ("session = 1", "tokens.session"),
        ("sessions = true", "sessions"),
        ("sessions = -1", "wanted sessions of 0 or more for 'web', got -1"),
        ('nmae = "web"', "tokens.nmae"),
    ],
)
def test_a_token_file_with_an_unknown_key_or_a_number_that_is_none_is_refused(tmp_path, line, words):
    (tmp_path / "tokens.toml").write_text(f'[[tokens]]\nname = "web"\ntoken = "{SECRET}"\n{line}\n')
    with pytest.raises(ConfigError, match=words) as refused:
        Access.load(tmp_path / "tokens.toml", ServerConfig())
    assert SECRET not in str(refused.value)


def test_a_token_without_a_name_is_refused_without_its_secret(tmp_path):
    (tmp_path / "tokens.toml").write_text(f'[[tokens]]\ntoken = "{SECRET}"\n')
    with pytest.raises(ConfigError, match=r"wanted tokens.0.name in .*, got none") as refused:
        Access.load(tmp_path / "tokens.toml", ServerConfig())
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("origin", "host", "fits"),
    [
        (None, "localhost:8765", True),
        ("http://localhost:8765", "localhost:8765", True),
        ("http://127.0.0.1:8765", "127.0.0.1:8765", True),
        ("http://localhost:9999", "localhost:8765", False),
        ("http://evil.example", "localhost:8765", False),
        ("null", "localhost:8765", False),
        ("", "localhost:8765", False),
        ("http://evil.example:8765", "evil.example:8765", False),  # DNS rebinding
        (None, "evil.example:8765", False),
        (None, None, False),
    ],
)
def test_a_local_server_without_tokens_talks_to_its_own_page_alone(origin, host, fits):
    assert access().origin_fits(origin, host) is fits


def test_a_named_origin_may_connect():
    named = access(ANNA, origins=("https://app.example",))
    assert named.origin_fits("https://app.example", "voices.example")
    assert not named.origin_fits("https://app.example.evil", "voices.example")


def test_a_page_without_tls_does_not_talk_to_a_server_with_it():
    secure = access(ANNA, tls_certificate="c", tls_key="k")
    assert secure.origin_fits("https://voices.example", "voices.example")
    assert not secure.origin_fits("http://voices.example", "voices.example")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "voices.example"])
def test_a_public_address_wants_tokens_and_tls_or_force(host):
    with pytest.raises(ConfigError, match="tokens and TLS"):
        check_address(ServerConfig(host=host), access())
    with pytest.raises(ConfigError, match="wanted TLS"):
        check_address(ServerConfig(host=host), access(ANNA))
    check_address(ServerConfig(host=host, tls_certificate="c", tls_key="k"), access(ANNA))
    check_address(ServerConfig(host=host, insecure=True), access())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_alone_wants_nothing(host):
    check_address(ServerConfig(host=host), access())


def test_a_bearer_is_read_from_its_header():
    assert bearer("Bearer abc") == bearer("bearer  abc ") == "abc"
    assert bearer("Basic abc") is None
    assert bearer(None) is None

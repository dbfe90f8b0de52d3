"""Who may do what: bearer tokens with scopes, origins of pages, and where a server may listen at all."""

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from rtspk.config import read_toml
from rtspk.errors import ConfigError
from rtspk.server.config import ServerConfig

__all__ = ["Access", "Principal", "Scope", "TokenEntry", "check_address", "is_local"]

Scope = Literal["listen", "enroll", "admin"]
SCOPES: tuple[Scope, ...] = ("listen", "enroll", "admin")
SHORTEST: int = 16  # characters of a token; shorter ones can be guessed
LOCAL: frozenset[str] = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A token as its file has it: itself, or the SHA-256 of it in hex."""

    name: str
    scopes: tuple[Scope, ...] = ("listen",)
    token: str = ""
    sha256: str = ""
    sessions: int = 0  # at once; 0: as many as the server allows a token


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A TOML file of [[tokens]]."""

    tokens: tuple[TokenEntry, ...]


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a token belongs to."""

    name: str
    scopes: frozenset[str]
    sessions: int = 0

    def may(self, scope: Scope) -> bool:
        """Whether the scope is theirs; admin has all."""
        return scope in self.scopes or "admin" in self.scopes


EVERYBODY = Principal("everybody", frozenset(SCOPES))


class Access:
    """Tokens by their digests; without any, everybody who reaches the server may do everything."""

    def __init__(self, entries: Sequence[TokenEntry], config: ServerConfig) -> None:
        self._principals = [
            (_digest_of(entry), Principal(entry.name, frozenset(entry.scopes), entry.sessions))
            for entry in entries
        ]
        names = [entry.name for entry in entries]
        if len(set(names)) != len(names):
            raise ConfigError("wanted tokens of different names, got one name twice")
        self._config = config

    @classmethod
    def load(cls, path: Path | None, config: ServerConfig) -> "Access":
        """Tokens of a file, and the one of RTSPK_TOKEN, which may do everything."""
        entries = list(read_toml(path, TokenFile).tokens) if path is not None else []
        if own := os.environ.get("RTSPK_TOKEN"):
            entries.append(TokenEntry("RTSPK_TOKEN", ("admin",), own))
        return cls(entries, config)

    @property
    def needs_token(self) -> bool:
        """Whether there are tokens at all."""
        return bool(self._principals)

    def principal(self, token: str | None) -> Principal | None:
        """Whose token this is; each is compared, in a time that says nothing of where they differ."""
        if not self._principals:
            return EVERYBODY
        digest = hashlib.sha256((token or "").encode()).digest()
        found = None
        for known, principal in self._principals:
            if hmac.compare_digest(digest, known):
                found = principal
        return found

    def origin_fits(self, origin: str | None, host: str | None) -> bool:
        """Whether a page may talk to us: it is ours, or named; what is no browser says no origin."""
        if not self.needs_token and not self._is_known(host):
            return False  # a name that somebody pointed at this machine (DNS rebinding)
        if origin is None or origin in self._config.origins:
            return True
        if not host:
            return False
        scheme = "https" if self._config.tls_certificate else "http"
        # A proxy in front of us may speak TLS where we do not.
        return origin in {f"{scheme}://{host}", f"https://{host}"}

    def _is_known(self, host: str | None) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname if host else None
        except ValueError:  # brackets that hold no address
            return False
        return (
            name in LOCAL or name in self._config.hosts or name == self._config.host or self._config.insecure
        )


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header."""
    kind, _, token = (header or "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def is_local(host: str) -> bool:
    """Whether only this machine reaches an address."""
    return host in LOCAL


def check_address(config: ServerConfig, access: Access) -> None:
    """Refuse to be open to a network without tokens and TLS, unless that is wanted."""
    if is_local(config.host) or config.insecure:
        return
    missing = [] if access.needs_token else ["tokens"]
    missing += [] if config.tls_certificate else ["TLS"]
    if missing:
        raise ConfigError(
            f"wanted {' and '.join(missing)} for the public address {config.host}, got none: "
            "--tokens, --tls-cert and --tls-key, or --insecure behind a proxy that sees to it"
        )


def _digest_of(entry: TokenEntry) -> bytes:
    if entry.sessions < 0:
        raise ConfigError(f"wanted sessions of 0 or more for {entry.name!r}, got {entry.sessions}")
    if bool(entry.token) == bool(entry.sha256):
        raise ConfigError(
            f"wanted a token or its sha256 for {entry.name!r}, got {'both' if entry.token else 'none'}"
        )
    if entry.token:
        if len(entry.token) < SHORTEST:
            raise ConfigError(
                f"wanted a token of {SHORTEST} characters or more for {entry.name!r}, got fewer"
            )
        return hashlib.sha256(entry.token.encode()).digest()
    try:
        digest = bytes.fromhex(entry.sha256)
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise ConfigError(f"wanted a SHA-256 of 64 hex digits for {entry.name!r}, got something else")
    return digest

"""What a server can be told, with the reasons of its limits; all of it may stand in a TOML file."""

import math
import os
import re
from dataclasses import dataclass, field, fields
from typing import Literal

from rtspk.config import refuse_outside
from rtspk.engine.settings import SessionConfig
from rtspk.errors import ConfigError

__all__ = ["Limits", "ServerConfig"]

MOST_SESSIONS: int = 4000  # a process takes some more sockets than this, and no more
ORIGIN = re.compile(r"https?://[^/\s]+")
SPARE: int = 600  # connections beside those with a session


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of everybody's server."""

    sessions: int = 400  # at once, in all
    sessions_per_token: int = 0  # likewise, unless the token says otherwise; 0: as many as in all
    connections: int = 0  # also of those that have not said `start` yet; 0: 600 more than sessions
    session_seconds: float = 12 * 3600.0  # longer than a working day's meeting room
    message_bytes: int = 1 << 20  # 5 s of stereo float32 at 24 kHz
    clip_bytes: int = 32 << 20  # of a clip to enrol: 5 minutes of 16-bit stereo at 48 kHz
    messages_per_second: float = 400.0  # of sound, which is 2.5 ms a message; beyond it they are read slowly
    orders_per_second: float = 20.0  # label, merge, flush; beyond it, with a burst of 5 s, the session ends
    start_seconds: float = 10.0  # until `start`; a half-open socket holds nothing for longer
    ping_seconds: float = 20.0  # between pings; a peer that says nothing at all for twice as long is gone
    backlog_seconds: float = 10.0  # sound that may wait in memory; beyond it the socket is not read
    backlog_bytes: int = 8 << 20  # likewise: 10 s of many channels at a high rate would be half a gigabyte
    lag_seconds: float = 3.0  # live sound that has waited for longer is dropped, or ends the session
    outbox_bytes: int = 4 << 20  # said to a client that does not read; beyond it the connection ends
    replay_bytes: int = 1 << 20  # of events kept for a client that comes back, beside all that was not sent
    parked: int = 200  # broken sessions that are kept; beyond it the oldest ends

    def __post_init__(self) -> None:
        _check_numbers(self, "limits", ("sessions_per_token", "connections", "parked"))
        if self.sessions > MOST_SESSIONS:
            raise ConfigError(f"wanted limits.sessions of at most {MOST_SESSIONS}, got {self.sessions}")

    @property
    def unread_bytes(self) -> int:
        """Of events of a session that broke: what waited, and as much for what is still worked on."""
        return 2 * self.outbox_bytes

    @property
    def most_connections(self) -> int:
        """How many there may be at once."""
        return self.connections or self.sessions + SPARE


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All settings of `rtspk serve`."""

    host: str = "127.0.0.1"
    port: int = 8765
    origins: tuple[str, ...] = ()  # of pages besides our own that may connect, such as https://example.org
    hosts: tuple[str, ...] = ()  # names by which browsers may reach a server without tokens
    tls_certificate: str = ""
    tls_key: str = ""
    insecure: bool = False  # a public address without tokens and TLS
    workers: int = 0  # for the engine's work; 0: one for each core
    batch: int = 16  # streams in one round of work
    deadline_seconds: float = 0.01  # how long a stream that has work waits for others to join its round
    overload: Literal["drop-oldest", "close"] = "drop-oldest"
    resume_seconds: float = 300.0  # how long a broken session is kept
    drain_seconds: float = 20.0  # for sessions to end when the server is told to
    session: SessionConfig = field(default_factory=SessionConfig)  # but for what each client chooses
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"wanted a port of 0 to 65535, got {self.port}")
        if wrong := [one for one in self.origins if not ORIGIN.fullmatch(one)]:
            raise ConfigError(f"wanted an origin such as https://example.org, got {wrong[0]!r}")
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ConfigError("wanted a TLS certificate together with its key, got one of them")
        zeros = ("port", "workers", "deadline_seconds", "resume_seconds", "drain_seconds")
        _check_numbers(self, "", zeros)

    @property
    def worker_count(self) -> int:
        """How many there are to be."""
        if self.workers:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_numbers(settings: ServerConfig | Limits, table: str, zeros: tuple[str, ...]) -> None:
    """Refuse a number that is not finite or not above 0; those of `zeros` may be 0."""
    others = [
        each.name
        for each in fields(settings)
        if type(getattr(settings, each.name)) in {int, float} and each.name not in zeros
    ]
    refuse_outside(settings, 0, math.inf, *zeros, table=table)
    refuse_outside(settings, 0, math.inf, *others, table=table, above=True)

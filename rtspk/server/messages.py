"""The messages of the wire, typed once: what a client may say, and what the server says.

JSON Schema, the checks of the server and the Python client are made from these classes.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, WrapValidator
from pydantic.config import JsonDict

from rtspk.engine.events import Reason
from rtspk.engine.gallery_records import LONGEST_NAME
from rtspk.engine.settings import MOST_SPEAKERS

__all__ = [
    "HEARD",
    "VERSION",
    "Ack",
    "AudioFormat",
    "Change",
    "ClientMessage",
    "End",
    "EndRequest",
    "Error",
    "Flush",
    "Heartbeat",
    "Label",
    "Merge",
    "Options",
    "Ready",
    "Resume",
    "Revise",
    "Segment",
    "ServerMessage",
    "Speaker",
    "Start",
    "Unknown",
    "WarningMessage",
]

VERSION: int = 1  # of the protocol; a change that breaks clients raises it
HEARD: str = "heard"  # how a client reads, as opposed to what a server is about to say


def _require_type(schema: JsonDict) -> None:
    """Say in JSON Schema that a message bears its type: it has a default here, and none on the wire."""
    properties, required = schema["properties"], schema.get("required", [])
    if isinstance(properties, dict) and "type" in properties and isinstance(required, list):
        schema["required"] = ["type", *required]


class _Asked(BaseModel):
    """What a client says: a key that nobody knows is refused, since it was meant to do something."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, json_schema_extra=_require_type)


class _Said(BaseModel):
    """What the server says: a key that this version does not know is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, json_schema_extra=_require_type)


def _take_any(value: object, check: Callable[[object], object], info: ValidationInfo) -> object:
    return value if info.context == HEARD and isinstance(value, str) else check(value)


_LaterToo = WrapValidator(_take_any)  # a client takes words of later versions; the server says none but ours


class AudioFormat(_Asked):
    """How binary messages are to be read; Opus packets come one a message."""

    encoding: Literal["s16le", "f32le", "opus"] = "s16le"
    rate: Annotated[int, Field(ge=1_000, le=384_000, description="Hz; for opus 8000 to 48000")] = 16_000
    channels: Annotated[int, Field(ge=1, le=32, description="interleaved; their mean is listened to")] = 1


class Options(_Asked):
    """What a session may choose."""

    latency: Annotated[
        float | None,
        Field(ge=0.5, le=5.0, description="seconds; everything older is final. Else as the server is set"),
    ] = None
    max_speakers: Annotated[
        int | None, Field(ge=1, le=MOST_SPEAKERS, description="labels at most. Else likewise")
    ] = None
    pace: Annotated[
        Literal["live", "file"],
        Field(description="live sound is dropped when the server cannot keep up; a file is made to wait"),
    ] = "live"
    heartbeat_seconds: Annotated[float, Field(ge=0.5, le=60.0)] = 2.0
    linger_seconds: Annotated[
        float,
        Field(ge=0.0, le=3600.0, description="for which labels and merges may follow behind `end`"),
    ] = 0.0


class Resume(_Asked):
    """Where a broken session goes on."""

    token: Annotated[str, Field(max_length=200, description="`resume_token` of `ready`")]
    seq: Annotated[int, Field(ge=0, description="`seq` of the last event that came; 0 for none")] = 0


class Start(_Asked):
    """First message of a connection."""

    type: Literal["start"] = "start"
    version: int = VERSION
    format: AudioFormat = AudioFormat()
    options: Options = Options()
    token: Annotated[
        str | None,
        Field(max_length=500, description="a bearer token, where no Authorization header can be sent"),
    ] = None
    resume: Resume | None = None


class Label(_Asked):
    """Name a speaker of this session; earlier turns follow in a `revise`."""

    type: Literal["label"] = "label"
    speaker: Annotated[str, Field(max_length=40)]
    name: Annotated[
        str, Field(description=f"at most {LONGEST_NAME} characters in NFC; what is no name is `refused`")
    ]
    scope: Annotated[Literal["session", "gallery"], Field(description="gallery keeps the voice too")] = (
        "session"
    )


class Merge(_Asked):
    """Two speakers of this session are one person."""

    type: Literal["merge"] = "merge"
    speaker: Annotated[str, Field(max_length=40, description="the label that goes")]
    into: Annotated[str, Field(max_length=40, description="the label that stays")]


class Flush(_Asked):
    """Asks for an `ack` that bears this id once all sound so far is worked on and said."""

    type: Literal["flush"] = "flush"
    id: int = 0


class EndRequest(_Asked):
    """The sound is over: the rest is said, then `end`, then the connection closes."""

    type: Literal["end"] = "end"


class Ready(_Said):
    """The session stands, or stands again."""

    type: Literal["ready"] = "ready"
    version: int = VERSION
    session: str
    resume_token: str
    resume_seconds: float = Field(description="how long a broken session is kept")
    model: str
    latency: float
    resumed: bool
    received: int = Field(description="samples per channel, or Opus packets, that the server has")
    audio_ms: int


class Ack(_Said):
    """How much sound has arrived for good: a client may forget what it kept of it."""

    type: Literal["ack"] = "ack"
    seq: int = Field(description="of the last event said so far")
    received: int
    audio_ms: int
    flush: int | None = None


class _Event(_Said):
    """What a session says of its stream is numbered, so that none is lost or told twice."""

    seq: int = Field(ge=1)


class Segment(_Event):
    """A turn as it is known now; the same `id` with a higher `rev` replaces it."""

    type: Literal["segment"] = "segment"
    id: int
    rev: int
    start: float
    end: float
    speaker: str
    name: str | None
    state: Literal["tentative", "final"]
    score: float
    confidence: float
    overlap: bool


class Change(_Said):
    """One earlier segment whose speaker or name is now another."""

    id: int
    rev: int
    speaker: str
    name: str | None
    reason: Annotated[Reason, _LaterToo]


class Revise(_Event):
    """Earlier segments that change."""

    type: Literal["revise"] = "revise"
    changes: tuple[Change, ...]


class Speaker(_Event):
    """A label appears, gets or loses a name, or turns out to be another's; holds for all its segments."""

    type: Literal["speaker"] = "speaker"
    event: Literal["new", "named", "merged"]
    speaker: str
    name: str | None = None
    into: str | None = None


class End(_Event):
    """The stream is over; nothing follows."""

    type: Literal["end"] = "end"
    audio_ms: int
    speakers: int


class Heartbeat(_Said):
    """How far the server is."""

    type: Literal["heartbeat"] = "heartbeat"
    audio_ms: int = Field(description="received")
    processed_ms: int
    lag_ms: int = Field(description="how long the oldest sound that waits has waited")
    realtime_factor: float = Field(description="seconds of work for a second of sound")


_Warned = Literal[
    "silence", "clipping", "lost_audio", "damaged_audio", "overload", "refused", "draining", "time_limit"
]


class WarningMessage(_Said):
    """Something that a person should know; the session goes on."""

    type: Literal["warning"] = "warning"
    code: Annotated[_Warned, _LaterToo]
    message: str
    lost_ms: int | None = None


class Error(_Said):
    """The end of this connection, and of its session unless it is `retryable`."""

    type: Literal["error"] = "error"
    code: Annotated[
        Literal[
            "bad_message",
            "bad_audio",
            "bad_state",
            "unsupported_version",
            "unsupported_format",
            "unauthorized",
            "forbidden",
            "too_many_sessions",
            "rate_limited",
            "overloaded",
            "draining",
            "resume_unknown",
            "resume_lost",
            "timeout",
            "internal",
        ],
        _LaterToo,
    ]
    message: str
    retryable: bool = False


class Unknown(_Said):
    """What a later version of the protocol says: a client passes over it, but for its number."""

    type: str
    seq: int | None = None


ClientMessage = Start | Label | Merge | Flush | EndRequest
EventMessage = Segment | Revise | Speaker | End
ServerMessage = Ready | Ack | EventMessage | Heartbeat | WarningMessage | Error

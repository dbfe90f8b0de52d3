"""Messages as they go over the wire: read, written, and the JSON Schema of both directions."""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from rtspk.errors import FormatError
from rtspk.server.messages import (
    HEARD,
    VERSION,
    Ack,
    ClientMessage,
    ServerMessage,
    Speaker,
    Start,
    Unknown,
    WarningMessage,
)

__all__ = ["read_client_message", "read_server_message", "schema", "to_text", "version_of"]

LONGEST: int = 1 << 14  # characters of what a client says; a name of 300, all escaped, has some 5500
SHOWN: int = 40  # characters of a client's own key in an error; no key of the protocol is longer
LATER: frozenset[str] = frozenset({"union_tag_invalid", "literal_error"})  # faults of words that are not ours
M = TypeVar("M")


class _Greeting(BaseModel):
    """What is the same in the `start` of every version."""

    type: Literal["start"]
    version: int


_CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])
_UNKNOWN: TypeAdapter[Unknown] = TypeAdapter(Unknown)
_SERVER: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])


def read_client_message(text: str) -> ClientMessage:
    """Read what a client says.

    Raises:
        FormatError: no message of this protocol; the line repeats no value of it, which may be a secret.
    """
    if len(text) > LONGEST:  # a megabyte of keys would hold up everybody while it is read
        raise FormatError(f"wanted a message of at most {LONGEST} characters, got {len(text)}")
    return _read(_CLIENT, text)


def version_of(text: str) -> int | None:
    """Which version a `start` speaks, whatever else it says; None for what is no `start`."""
    if len(text) > LONGEST:
        return None
    try:
        return _Greeting.model_validate_json(text, strict=True).version
    except ValidationError:
        return None


def read_server_message(text: str) -> ServerMessage | Unknown:
    """Read what the server says; raises FormatError likewise."""
    try:
        return _SERVER.validate_json(text, context=HEARD)
    except ValidationError as error:
        if {fault["type"] for fault in error.errors()} <= LATER:
            return _read(_UNKNOWN, text)
        raise _refusal(error) from error


def to_text(message: ClientMessage | ServerMessage) -> str:
    """The JSON of a message; keys that do not apply to it are left out."""
    match message:
        case Speaker():
            wanted = {"type", "event", "speaker", "seq"}
            wanted |= {"name"} if message.event == "named" else set()
            wanted |= {"into"} if message.event == "merged" else set()
            return message.model_dump_json(include=wanted)
        case Ack() | Start() | WarningMessage():
            return message.model_dump_json(exclude_none=True)
    return message.model_dump_json()


def schema() -> dict[str, object]:
    """JSON Schema of both directions."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"rtspk protocol {VERSION}",
        "client": _CLIENT.json_schema(),
        "server": _SERVER.json_schema(),
    }


def _read(adapter: TypeAdapter[M], text: str) -> M:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        raise _refusal(error) from error


def _refusal(error: ValidationError) -> FormatError:
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part)[:SHOWN] for part in first["loc"]) or "the message"
    # The library's own line would repeat the type that came.
    said = "No such type" if first["type"] == "union_tag_invalid" else first["msg"]
    return FormatError(f"wanted a message of the protocol, got a fault in {where}: {said}")

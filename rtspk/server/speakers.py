"""`/v1/speakers`: the gallery over HTTP. Reading and adding want the scope enroll, changing wants admin.

GET    /v1/speakers              names, with how much of each voice is known
GET    /v1/speakers/NAME         one of them, with what its prints were made from
POST   /v1/speakers/NAME         a clip as the body, in a common container: enrol it
PATCH  /v1/speakers/NAME         {"name": "Anne"} renames, {"into": "Anna"} merges
DELETE /v1/speakers/NAME         nothing of the voice is left
"""

import tempfile
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from rtspk.audio import stream_audio
from rtspk.engine.pipeline import Engine, Enrolment
from rtspk.errors import (
    AudioError,
    DamagedGalleryError,
    GalleryError,
    RtspkError,
    TakenNameError,
    UnknownNameError,
)
from rtspk.server.access import Scope
from rtspk.server.answer import Answer, fault, json_answer
from rtspk.types import FloatArray, samples_of, seconds_of

__all__ = ["answer_speakers", "scope_of"]

LONGEST: int = samples_of(600.0)
# Whatever is wrong with the file: its path is nobody's business.
UNAVAILABLE: Answer = fault(503, "unavailable", "the gallery cannot be used now")


class _Change(BaseModel):
    """Body of PATCH: one of the two."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    into: str | None = None


def scope_of(method: str) -> Scope | None:
    """What a request needs; None for a method that there is none for."""
    match method:
        case "GET" | "HEAD" | "POST":
            return "enroll"
        case "PATCH" | "DELETE":
            return "admin"
    return None


def answer_speakers(engine: Engine, method: str, name: str | None, body: bytes) -> Answer:
    """Do what an allowed request asks; blocks while it reads the file or listens to a clip."""
    try:
        return _done(engine, method, name, body)
    except ValidationError:
        return fault(422, "bad_request", 'wanted {"name": ...} or {"into": ...}')
    except DamagedGalleryError:
        return UNAVAILABLE
    except GalleryError as error:
        is_unknown, is_taken = isinstance(error, UnknownNameError), isinstance(error, TakenNameError)
        return fault(404 if is_unknown else 409 if is_taken else 422, "gallery", str(error))
    except AudioError as error:
        return fault(422, "bad_audio", str(error))
    except RtspkError:  # a file that is locked or a full disk
        return UNAVAILABLE


def _done(engine: Engine, method: str, name: str | None, body: bytes) -> Answer:
    if name is None:
        if method not in {"GET", "HEAD"}:
            message = "wanted GET, or a name behind /v1/speakers/"
            return fault(405, "bad_method", message, allow="GET, HEAD")
        return json_answer({"speakers": [one.to_json() for one in engine.gallery.speakers()]})
    match method:
        case "GET" | "HEAD":
            return json_answer(engine.gallery.show(name).to_json())
        case "POST":
            return json_answer(_enrolment(engine.enroll(name, _sound(body))), 201)
        case "PATCH":
            return _changed(engine, name, _Change.model_validate_json(body))
        case _:
            engine.gallery.delete(name)
            return Answer(204)


def _changed(engine: Engine, name: str, change: _Change) -> Answer:
    if change.name is not None and change.into is None:
        return json_answer(engine.gallery.rename(name, change.name).to_json())
    if change.into is not None and change.name is None:
        return json_answer(engine.gallery.merge(name, change.into).to_json())
    return fault(422, "bad_request", 'wanted {"name": ...} or {"into": ...}')


def _sound(body: bytes) -> FloatArray:
    if not body:
        raise AudioError("wanted a clip as the body, got nothing")
    with tempfile.NamedTemporaryFile(prefix="rtspk-", suffix=".clip") as file:
        file.write(body)
        file.flush()
        try:
            return _decoded(Path(file.name))
        except AudioError as error:
            raise AudioError(str(error).replace(file.name, "the clip")) from error


def _decoded(path: Path) -> FloatArray:
    """All of a clip; a few megabytes can hold hours, which nobody needs to know a voice."""
    parts: list[FloatArray] = []
    for chunk in stream_audio(path, chunk_seconds=10.0, contained=True):
        if chunk.end > LONGEST:
            raise AudioError(f"wanted a clip of at most {seconds_of(LONGEST):g} s, got a longer one")
        parts.append(chunk.samples)
    if not parts:
        raise AudioError("wanted a clip with sound, got one that is shorter than a sample at 16 kHz")
    return np.concatenate(parts)


def _enrolment(enrolled: Enrolment) -> dict[str, object]:
    near = enrolled.near
    return {
        "name": enrolled.name,
        "net_speech": round(seconds_of(enrolled.net_speech), 3),
        "exemplars": enrolled.exemplars,
        "complete": enrolled.complete,
        "quality": enrolled.quality,
        "near": None if near is None else {"name": near.name, "probability": round(near.probability, 4)},
        "warnings": list(enrolled.warnings),
    }

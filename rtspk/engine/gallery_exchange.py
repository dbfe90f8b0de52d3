"""Voices as one JSON file, to carry them from gallery to gallery: sealed when written, strict when read.

Every archive bears a digest, so that damage is noticed. One that is signed with a key bears a code that
nobody without the key can make, so that a change is noticed too.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rtspk.engine.gallery_records import MOST_SPEECH, Exemplar, SpeakerDetail, clean_name, unit_vectors
from rtspk.errors import FormatError, GalleryError
from rtspk.files import write_atomically
from rtspk.types import FloatArray

__all__ = ["read_export", "write_export"]

Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class _Exemplar(_Strict):
    vector: str  # float32, little-endian, base64
    source: str
    net_speech: Annotated[int, Field(ge=0, le=MOST_SPEECH)]  # samples at 16 kHz
    quality: Annotated[float, Field(ge=0, le=1)]
    created: Time


class _Speaker(_Strict):
    name: str
    created: Time
    exemplars: Annotated[tuple[_Exemplar, ...], Field(strict=False)]


class _Seal(_Strict):
    method: Literal["sha256", "hmac-sha256"]
    salt: str = ""  # hexadecimal; of a signed archive
    value: str  # hexadecimal


class _Export(_Strict):
    format: Literal["rtspk-gallery"]
    version: Literal[1, 2]  # the first had no seal
    model: str
    dimension: Annotated[int, Field(ge=1)]
    speakers: Annotated[tuple[_Speaker, ...], Field(strict=False)]
    seal: _Seal | None = None


def write_export(
    path: Path, model_id: str, dimension: int, speakers: Sequence[SpeakerDetail], key: bytes | None = None
) -> None:
    """Write speakers to a JSON file that only its owner may read, whole or not at all; a key signs it."""
    export = _Export(
        format="rtspk-gallery",
        version=2,
        model=model_id,
        dimension=dimension,
        speakers=tuple(
            _Speaker(
                name=speaker.name,
                created=speaker.created,
                exemplars=tuple(
                    _Exemplar(
                        vector=base64.b64encode(exemplar.vector.astype("<f4").tobytes()).decode("ascii"),
                        source=exemplar.source,
                        net_speech=exemplar.net_speech,
                        quality=exemplar.quality,
                        created=exemplar.created,
                    )
                    for exemplar in speaker.exemplars
                ),
            )
            for speaker in speakers
        ),
    )
    salt = "" if key is None else secrets.token_hex(16)
    sealed = export.model_copy(update={"seal": _seal(export, key, salt)})
    write_atomically(path, sealed.model_dump_json(indent=1).encode(), private=True)


def read_export(path: Path, model_id: str, dimension: int, key: bytes | None = None) -> list[SpeakerDetail]:
    """Read speakers from an exported file.

    Refused are one that another model made, one whose seal is broken, one that is signed where no key is
    given, and one that is not signed where a key is.
    """
    try:
        export = _Export.model_validate_json(path.read_bytes())
    except OSError as error:
        raise FormatError(f"wanted an exported gallery, got {error.strerror or error}: {path}") from error
    except ValidationError as error:
        raise FormatError(f"wanted an exported gallery, got {_instead(error)}: {path}") from error
    _check_seal(export, key, path)
    if (export.model, export.dimension) != (model_id, dimension):
        raise GalleryError(
            f"wanted voices of the model {model_id} ({dimension}-d), got {path} "
            f"of {export.model} ({export.dimension}-d): enroll them again, or load that model"
        )
    return [
        SpeakerDetail(
            clean_name(speaker.name),
            speaker.created,
            tuple(
                Exemplar(
                    _vector(one.vector, dimension, f"{path}: {speaker.name!r}"),
                    one.source,
                    one.net_speech,
                    one.quality,
                    one.created,
                )
                for one in speaker.exemplars
            ),
        )
        for speaker in export.speakers
    ]


def _instead(error: ValidationError) -> str:
    """What a file is that is no export."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return "no JSON"
    place = ".".join(map(str, first["loc"]))
    return "JSON of another kind" if place in {"", "format"} else f"a changed one, at {place}"


def _seal(export: _Export, key: bytes | None, salt: str) -> _Seal:
    """What an archive's own content comes to, by itself or with a key."""
    content = export.model_copy(update={"seal": None}).model_dump_json(exclude={"seal"}).encode()
    if key is None:
        return _Seal(method="sha256", value=hashlib.sha256(content).hexdigest())
    # A passphrase is shorter than a key should be: scrypt makes guessing it dear (RFC 7914).
    long = hashlib.scrypt(key, salt=bytes.fromhex(salt), n=2**14, r=8, p=1, maxmem=2**26)
    return _Seal(method="hmac-sha256", salt=salt, value=hmac.new(long, content, hashlib.sha256).hexdigest())


def _check_seal(export: _Export, key: bytes | None, path: Path) -> None:
    seal = export.seal
    signed = seal is not None and seal.method == "hmac-sha256"
    if signed and key is None:
        raise FormatError(f"wanted the key of a signed archive, got none: {path}")
    if key is not None and not signed:
        raise FormatError(f"wanted an archive that is signed, got one that is not: {path}")
    if export.version == 1 and seal is None:
        return
    try:
        broken = seal is None or not hmac.compare_digest(
            _seal(export, key, seal.salt).value.encode(), seal.value.encode()
        )
    except ValueError:  # a salt that is no number
        broken = True
    if broken:
        why = "another key, or a change behind the signature" if signed else "a change behind the seal"
        raise FormatError(f"wanted an archive as it was written, got {why}: {path}")


def _vector(text: str, dimension: int, where: str) -> FloatArray:
    try:
        data = base64.b64decode(text, validate=True)
        vector: FloatArray = unit_vectors([np.frombuffer(data, dtype="<f4")], dimension)[0]
    except (binascii.Error, ValueError, GalleryError) as error:
        raise FormatError(f"wanted {dimension} float32 in base64 for {where}, got: {error}") from error
    return vector

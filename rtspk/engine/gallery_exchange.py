"""Voices as one JSON file, to carry them from gallery to gallery; strict when read."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rtspk.engine.gallery_records import Exemplar, SpeakerDetail, clean_name, unit_vectors
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
    net_speech: Annotated[int, Field(ge=0)]  # samples at 16 kHz
    quality: Annotated[float, Field(ge=0, le=1)]
    created: Time


class _Speaker(_Strict):
    name: str
    created: Time
    exemplars: Annotated[tuple[_Exemplar, ...], Field(strict=False)]


class _Export(_Strict):
    format: Literal["rtspk-gallery"]
    version: Literal[1]
    model: str
    dimension: Annotated[int, Field(ge=1)]
    speakers: Annotated[tuple[_Speaker, ...], Field(strict=False)]


def write_export(path: Path, model_id: str, dimension: int, speakers: Sequence[SpeakerDetail]) -> None:
    """Write speakers to a JSON file that only its owner may read, whole or not at all."""
    export = _Export(
        format="rtspk-gallery",
        version=1,
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
    write_atomically(path, export.model_dump_json(indent=1).encode(), private=True)


def read_export(path: Path, model_id: str, dimension: int) -> list[SpeakerDetail]:
    """Read speakers from an exported file; one that another model made is refused."""
    try:
        export = _Export.model_validate_json(path.read_bytes())
    except OSError as error:
        raise FormatError(f"wanted an exported gallery, got {error.strerror or error}: {path}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise FormatError(f"wanted an exported gallery, got at {place}: {first['msg']}: {path}") from error
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


def _vector(text: str, dimension: int, where: str) -> FloatArray:
    try:
        data = base64.b64decode(text, validate=True)
        vector: FloatArray = unit_vectors([np.frombuffer(data, dtype="<f4")], dimension)[0]
    except (binascii.Error, ValueError, GalleryError) as error:
        raise FormatError(f"wanted {dimension} float32 in base64 for {where}, got: {error}") from error
    return vector

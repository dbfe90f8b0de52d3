"""Settings from strict TOML into frozen dataclasses: an unknown key is an error, not a silence."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from rtspk.errors import ConfigError

__all__ = ["read_toml", "to_settings"]

T = TypeVar("T")


def read_toml(path: Path, kind: type[T]) -> T:
    """Read a TOML file as the dataclass `kind`.

    Raises:
        ConfigError: for a file that is missing or no TOML, an unknown key, or a value of the wrong kind.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"wanted a TOML file at {path}, got {error}") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"wanted TOML in {path}, got a syntax error: {error}") from error
    return to_settings(table, kind, str(path))


def to_settings(table: dict[str, object], kind: type[T], source: str) -> T:
    """Turn a table into the dataclass `kind`; `source` names it in errors.

    A value is of its kind already: "yes" is no truth and "99" no number. An integer may stand for a number
    with a point, and text for a path.
    """
    _refuse_unknown(table, kind, source, "")
    try:
        return TypeAdapter(kind).validate_json(json.dumps(table, default=_path), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise ConfigError(f"wanted {where} in {source}, got none") from error
        raise ConfigError(
            f"wanted a valid {where} in {source}, got {first['input']!r}: {first['msg']}"
        ) from error


def _path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise ConfigError(f"expected text, numbers, lists and tables in settings, got {value!r}")


def _refuse_unknown(table: dict[str, object], kind: type, source: str, prefix: str) -> None:
    known = {f.name for f in dataclasses.fields(kind)}
    hints = get_type_hints(kind)
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"wanted one of {', '.join(sorted(known))} in {source}, got {prefix}{key}")
        for inner in (hints[key], *get_args(hints[key])):  # a dataclass, or a tuple of them
            tables = value if isinstance(value, list | tuple) else [value]
            for each in tables if dataclasses.is_dataclass(inner) else ():
                if isinstance(each, dict):
                    _refuse_unknown(each, inner, source, f"{prefix}{key}.")

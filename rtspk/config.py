"""Settings from strict TOML into frozen dataclasses: an unknown key is an error, not a silence."""

import dataclasses
import json
import math
import tomllib
from numbers import Integral, Real
from pathlib import Path
from typing import TypeGuard, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from rtspk.errors import ConfigError

__all__ = ["check_number", "read_toml", "refuse_outside", "refuse_reversed", "to_settings"]

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


def check_number(value: object, low: float, high: float, wanted: str, *, whole: bool = False) -> None:
    """Refuse what a caller gave for a number: outside a range, nan, text, a truth value.

    Args:
        value: what came
        low: the least that it may be
        high: the most
        wanted: what it should be, for the error
        whole: refuse 1.5 too

    Raises:
        ConfigError: for all of these.
    """
    if not (_is_number(value) and low <= value <= high) or (whole and not isinstance(value, Integral)):
        raise ConfigError(f"wanted {wanted}, got {_shown(value)}")


def refuse_outside(
    settings: object, low: float, high: float, *names: str, table: str = "", above: bool = False
) -> None:
    """Refuse settings outside a range, no numbers (nan) and numbers without end.

    Args:
        settings: a dataclass
        low: the least that each may be
        high: the most; math.inf where any larger one will do
        names: of numbers, or of tuples of numbers; None is no number yet and may stand
        table: where they stand in a file, for the error
        above: each must be more than `low`

    Raises:
        ConfigError: for the first that is outside.
    """
    least = f"more than {low:g}" if above else f"{low:g} or more"
    both = f"{least}, at most {high:.7g}" if above else f"{low:g} to {high:.7g}"
    for name in names:
        value = getattr(settings, name)
        numbers = value if isinstance(value, tuple) else () if value is None else (value,)
        for one in numbers:
            is_inside = _is_number(one) and math.isfinite(one) and low <= one <= high
            if not is_inside or (above and one == low):
                wanted = least if high == math.inf else both
                raise ConfigError(f"wanted {table and table + '.'}{name} of {wanted}, got {_shown(value)}")


def refuse_reversed(settings: object, *names: str) -> None:
    """Refuse settings that are pairs with the larger number first."""
    for name in names:
        least, most = getattr(settings, name)
        if least > most:
            raise ConfigError(f"wanted {name} from the least to the most, got {least:g} to {most:g}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)


def _shown(value: object) -> str:
    """A number as it is written, and text that looks like one with its quotes."""
    return str(value) if isinstance(value, Real) else repr(value)


def _path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise ConfigError(f"wanted text, numbers, lists and tables in settings, got {value!r}")


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

"""Values that add up over files, part by part."""

from dataclasses import dataclass, fields
from typing import Self

__all__ = ["Pooled"]


@dataclass(frozen=True, slots=True)
class Pooled:
    """A value of named parts, each of which adds up: `+` pools files."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

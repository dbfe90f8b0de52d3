"""What `rtspk demo` plays, and whom it enrols first."""

from dataclasses import dataclass

from rtspk.config import read_toml
from rtspk.data import DEMO

__all__ = ["Material"]


@dataclass(frozen=True, slots=True)
class Material:
    """What `demo.toml` lists, by file name beside it."""

    conversation: str
    voices: dict[str, str]  # name -> clip

    @classmethod
    def read(cls) -> "Material":
        """The one that ships."""
        return read_toml(DEMO / "demo.toml", cls)

"""Say who is speaking, by name, as they speak.

Importing this costs nothing: the engine and its libraries load when they are first asked for.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtspk import errors
    from rtspk.engine.pipeline import Engine
    from rtspk.engine.settings import SessionConfig

__all__ = ["Engine", "SessionConfig", "__version__", "errors"]

__version__ = "0.1.0"

# ONNX Runtime from 1.29 on tells its makers of every run, unless this is so before it is imported.
for _name in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"):
    os.environ.setdefault(_name, "1")

_HOMES: dict[str, str] = {"Engine": "rtspk.engine.pipeline", "SessionConfig": "rtspk.engine.settings"}


def __getattr__(name: str) -> object:
    """Load a public name from where it lives."""
    if name == "errors":
        return import_module("rtspk.errors")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'rtspk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

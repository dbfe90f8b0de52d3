"""The one numba decorator of the house.

Compiled code is kept on disk under a digest of every kernel's source, and of what the processor can do. Numba
alone watches only the file of the outer function, so that a changed helper in another file would leave stale
machine code behind.
"""

import hashlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from rtspk.kernels.processor import features
from rtspk.types import FloatArray

__all__ = ["Scalar", "aligned", "contiguous", "kernel"]

# A number that a kernel takes or holds in single precision.
Scalar = float | np.float32

_log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., object])
Number = TypeVar("Number", bound=np.generic)

# Sums may be reordered and multiply-adds fused, which is what lets loops run in SIMD lanes. The flags that
# let the compiler assume "no NaN, no infinity" stay off: absurd input must come out absurd, not undefined.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}


@cache
def _cache_directory() -> str:
    """Where the compiled kernels lie: beside the sources, or with the user where those are read-only."""
    here = Path(__file__).parent
    digest = hashlib.sha256(" ".join(sorted(features())).encode())
    for source in sorted(here.glob("*.py")):
        digest.update(source.read_bytes())
    if os.environ.get("NUMBA_CACHE_DIR"):
        base = Path(os.environ["NUMBA_CACHE_DIR"])
    elif os.access(here, os.W_OK):
        base = here / "__pycache__"
    else:
        home = (
            "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME", "~/.cache")
        )
        base = Path(home).expanduser() / "rtspk"
    name = f"kernels-{digest.hexdigest()[:16]}"
    if not (base / name).exists() and not _copied(here / "__pycache__" / name, base / name):
        _log.warning("compiling for this processor, the first time: this takes up to a minute")
    return str(base / name)


def _copied(ready: Path, folder: Path) -> bool:
    """Take over what was compiled beside the sources, as in an image: numba wants a folder to write to."""
    if not ready.is_dir():
        return False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            shutil.copytree(ready, Path(place) / folder.name)
            (Path(place) / folder.name).replace(folder)
    except OSError:  # it cannot be written, or another process was first
        return folder.exists()
    return True


def _compile(function: F, signature: str | None, *, cached: bool, exact: bool) -> F:
    # Inlined by force: a kernel that is called with constants is then compiled for these constants.
    decorate = numba.njit(
        signature,
        cache=cached,
        nogil=True,
        fastmath=False if exact else FASTMATH,
        error_model="numpy",
        forceinline=True,
    )
    return cast("F", decorate(function))


def kernel(signature: str | None = None, *, exact: bool = False) -> Callable[[F], F]:
    """Compile a function for one signature, without the GIL, cached on disk.

    A kernel allocates nothing: its caller hands it the arrays to write to. One without a signature is a part
    of others: it is compiled into them, and costs nothing at import. Where no folder can be written, kernels
    are compiled anew in each process. An exact one computes as it is written, the same on every processor.
    """

    def decorate(function: F) -> F:
        if signature is None:
            return _compile(function, None, cached=False, exact=exact)
        chosen = numba.config.CACHE_DIR  # type: ignore[attr-defined]  # numba makes it as it starts
        numba.config.CACHE_DIR = _cache_directory()  # type: ignore[attr-defined]  # likewise
        try:
            return _compile(function, signature, cached=True, exact=exact)
        except (OSError, RuntimeError):
            return _compile(function, signature, cached=False, exact=exact)
        finally:
            numba.config.CACHE_DIR = chosen  # type: ignore[attr-defined]  # likewise

    return decorate


def aligned(values: NDArray[Number]) -> NDArray[Number]:
    """Copy an array to where a cache line begins: a SIMD load that straddles two lines costs twice."""
    line = 64 // values.itemsize
    room = np.empty(values.size + line, values.dtype)
    first = -(room.ctypes.data // values.itemsize) % line
    out = room[first : first + values.size].reshape(values.shape)
    out[...] = values
    return out


def contiguous(values: FloatArray) -> FloatArray:
    """Give a float32 array back as a kernel takes it: contiguous and writeable, copied where it is not."""
    return values if values.flags.carray else np.require(values, np.float32, ["C", "A", "W"])

"""Mel-frequency cepstral coefficients as Kaldi defines them: a liftered cosine transform of log-mel rows."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rtspk.errors import AudioError, ConfigError
from rtspk.kernels.jit import contiguous, kernel
from rtspk.kernels.mel import MelConfig, log_mel
from rtspk.types import FloatArray

__all__ = ["MfccConfig", "cepstra", "mfcc"]


@dataclass(frozen=True, slots=True)
class MfccConfig(MelConfig):
    """How log-mel rows become cepstra; the defaults are Kaldi's."""

    mels: int = 23
    num_ceps: int = 13
    lifter: float = 22.0  # 0 leaves the coefficients as they are

    def __post_init__(self) -> None:
        MelConfig.__post_init__(self)  # super() does not find its class under slots
        if not 1 <= self.num_ceps <= self.mels:
            raise ConfigError(f"wanted 1 to {self.mels} cepstra (mels), got {self.num_ceps}")
        if not self.lifter >= 0.0:
            raise ConfigError(f"wanted a lifter of 0 or more, got {self.lifter}")


DEFAULT = MfccConfig()


def mfcc(samples: FloatArray, config: MfccConfig = DEFAULT) -> FloatArray:
    """Cepstra of a whole file.

    samples : float32 [shape=(n,)] in -1..1
    Returns: float32 [shape=(frames, num_ceps)]
    """
    return cepstra(log_mel(samples, config), config)


def cepstra(rows: FloatArray, config: MfccConfig = DEFAULT) -> FloatArray:
    """Cepstra of log-mel rows, a file's or a stream's.

    rows : float32 [shape=(frames, mels)]
    Returns: float32 [shape=(frames, num_ceps)]
    """
    if rows.ndim != 2 or rows.shape[1] != config.mels or rows.dtype != np.float32:
        raise AudioError(
            f"wanted float32 log-mel rows of shape (frames, {config.mels}),"
            f" got {rows.dtype} of shape {rows.shape}"
        )
    out = np.empty((len(rows), config.num_ceps), dtype=np.float32)
    _cepstra(contiguous(rows), _transform(config), out)
    return out


@lru_cache(maxsize=16)
def _transform(config: MfccConfig) -> FloatArray:
    """The orthonormal DCT-II, with the lifter in it.

    Returns: float32 [shape=(mels, num_ceps)]
    """
    band = np.arange(config.mels)[:, None]
    order = np.arange(config.num_ceps)[None]
    matrix = np.sqrt(2.0 / config.mels) * np.cos(np.pi / config.mels * (band + 0.5) * order)
    matrix[:, 0] = np.sqrt(1.0 / config.mels)
    if config.lifter > 0.0:
        matrix *= 1.0 + 0.5 * config.lifter * np.sin(np.pi * order / config.lifter)
    rounded: FloatArray = matrix.astype(np.float32)
    return rounded


@kernel("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def _cepstra(rows: FloatArray, matrix: FloatArray, out: FloatArray) -> None:
    """A product of matrices; the libraries behind numpy would start threads for so small a one."""
    for i in range(len(rows)):
        row = out[i]
        for k in range(len(row)):
            row[k] = 0.0
        for n in range(len(matrix)):
            value = rows[i, n]
            for k in range(len(row)):
                row[k] += value * matrix[n, k]

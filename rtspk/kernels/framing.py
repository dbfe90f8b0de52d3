"""Cut a signal into overlapping, windowed frames, as Kaldi does with `snip-edges=true`.

Frame i begins at sample i * hop; a frame exists only where all of its samples do.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from rtspk.errors import AudioError, ConfigError
from rtspk.kernels.jit import Scalar, contiguous, kernel
from rtspk.types import LOUDEST, SAMPLE_RATE, FloatArray

__all__ = [
    "FLOAT32",
    "FrameConfig",
    "check_samples",
    "frame",
    "frame_count",
    "refuse_values",
    "window_shape",
]

FLOAT32 = np.dtype(np.float32)  # comparing with a dtype is several times quicker than with a type


@dataclass(frozen=True, slots=True)
class FrameConfig:
    """How a signal becomes frames; the defaults are Kaldi's for 16 kHz."""

    sample_rate: int = SAMPLE_RATE
    window: int = 400  # samples, 25 ms
    hop: int = 160  # samples, 10 ms
    fft: int = 512  # the next power of two above the window; frames are padded with zeros to it
    preemphasis: float = 0.97
    remove_dc: bool = True
    window_type: Literal["povey", "hamming", "hann"] = "povey"
    scale: float = 32768.0  # Kaldi's numbers are those of 16-bit samples, ours lie in -1..1

    def __post_init__(self) -> None:
        if self.fft < 4 or self.fft & (self.fft - 1):
            raise ConfigError(f"wanted fft to be a power of two of at least 4, got {self.fft}")
        if not 1 < self.window <= self.fft:
            raise ConfigError(f"wanted a window of 2 to {self.fft} samples (fft), got {self.window}")
        if not 0 < self.hop <= self.window:
            raise ConfigError(f"wanted a hop of 1 to {self.window} samples (window), got {self.hop}")
        if not 0.0 <= self.preemphasis <= 1.0:
            raise ConfigError(f"wanted preemphasis in 0..1, got {self.preemphasis}")
        if self.window_type not in {"povey", "hamming", "hann"}:
            raise ConfigError(f"wanted window_type povey, hamming or hann, got {self.window_type}")
        if not 0.0 < self.scale <= 32768.0:
            raise ConfigError(f"wanted a scale above 0 and at most 32768, got {self.scale}")


DEFAULT = FrameConfig()


def frame(samples: FloatArray, config: FrameConfig = DEFAULT) -> FloatArray:
    """Cut samples into frames: mean removed, pre-emphasised, windowed, padded with zeros.

    samples : float32 [shape=(n,)] in -1..1
    Returns: float32 [shape=(frames, fft)]
    """
    samples = check_samples(samples)
    out = np.empty((frame_count(len(samples), config), config.fft), dtype=np.float32)
    if not _frame(samples, config.hop, config.preemphasis, config.remove_dc, window_shape(config), out):
        raise refuse_values(samples)
    return out


def frame_count(samples: int, config: FrameConfig) -> int:
    """How many whole frames so many samples hold.

    >>> [frame_count(n, FrameConfig()) for n in (399, 400, 559, 560)]
    [0, 1, 1, 2]
    """
    return 0 if samples < config.window else 1 + (samples - config.window) // config.hop


def check_samples(samples: FloatArray) -> FloatArray:
    """Give samples back as a kernel wants them: one dimension, float32, contiguous, writeable."""
    if not isinstance(samples, np.ndarray):
        raise AudioError(f"wanted samples as a float32 array, got {type(samples).__name__}")
    if samples.dtype != FLOAT32:
        raise AudioError(f"wanted float32 samples in -1..1, got {samples.dtype}")
    if samples.ndim != 1:
        raise AudioError(f"wanted one channel of shape (n,), got shape {samples.shape}")
    return contiguous(samples)


def refuse_values(samples: FloatArray, before: int = 0) -> AudioError:
    """Say which sample is refused, where so many came ahead of these."""
    bad = int(np.argmin(np.abs(samples) < LOUDEST))
    return AudioError(f"wanted finite samples in -1..1, got {samples[bad]} at sample {before + bad}")


@lru_cache(maxsize=16)
def window_shape(config: FrameConfig) -> FloatArray:
    """The window of a config, with the scale in it.

    Returns: float32 [shape=(window,)]
    """
    phase = 2.0 * np.pi * np.arange(config.window) / (config.window - 1)
    mean = 0.54 if config.window_type == "hamming" else 0.5
    shape = mean - (1.0 - mean) * np.cos(phase)
    if config.window_type == "povey":
        shape = shape**0.85  # Kaldi's feature-window.cc
    return (shape * config.scale).astype(np.float32)


@kernel()
def all_sound(samples: FloatArray) -> bool:
    """Whether every sample is finite and below LOUDEST; on the bits, since comparing floats stops at NaN."""
    loudest = 0
    bits = samples.view(np.int32)
    for i in range(len(bits)):
        loudest = max(loudest, bits[i] & 0x7FFFFFFF)
    return loudest < 0x49800000  # the bits of LOUDEST


@kernel()
def shape_frame(
    raw: FloatArray, preemphasis: Scalar, remove_dc: bool, window: FloatArray, out: FloatArray
) -> None:
    """Turn the samples of one frame into a windowed row.

    raw, window : float32 [shape=(window,)]; out : float32 [shape=(fft,)]
    """
    mean = np.float32(0.0)
    if remove_dc:
        for j in range(len(window)):
            mean += raw[j]
        mean /= np.float32(len(window))
    # (x[j] - mean) - p (x[j - 1] - mean), the mean's part taken together; the first sample follows itself.
    offset = mean * (np.float32(1.0) - preemphasis)
    out[0] = (raw[0] - preemphasis * raw[0] - offset) * window[0]
    for j in range(1, len(window)):
        out[j] = (raw[j] - preemphasis * raw[j - 1] - offset) * window[j]
    for j in range(len(window), len(out)):
        out[j] = 0.0


@kernel("boolean(float32[::1], int64, float64, boolean, float32[::1], float32[:, ::1])")
def _frame(
    samples: FloatArray, hop: int, preemphasis: float, remove_dc: bool, window: FloatArray, out: FloatArray
) -> bool:
    if not all_sound(samples):
        return False
    for i in range(len(out)):
        shape_frame(samples[i * hop :], np.float32(preemphasis), remove_dc, window, out[i])
    return True

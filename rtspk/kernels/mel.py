"""Log-mel energies as Kaldi defines them, of a whole file or as a stream.

Both ways run the very same compiled kernel, frame by frame, so that any chunking gives the same bits.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtspk.errors import ConfigError, SessionError
from rtspk.kernels.fft import fft_tables, rfft_row
from rtspk.kernels.framing import (
    FLOAT32,
    FrameConfig,
    all_sound,
    check_samples,
    frame_count,
    refuse_values,
    shape_frame,
    window_shape,
)
from rtspk.kernels.jit import aligned, kernel
from rtspk.kernels.logarithm import SMALLEST, log_floor
from rtspk.types import FloatArray, Frames

__all__ = ["LogMelState", "MelConfig", "StreamingLogMel", "log_mel", "mel_filters"]


@dataclass(frozen=True, slots=True)
class MelConfig(FrameConfig):
    """How frames become log-mel rows; the defaults are those of most speaker networks."""

    mels: int = 80
    low: float = 20.0  # Hz
    high: float = 8000.0  # Hz, at most half the sample rate
    floor: float = 1.1920929e-07  # float32's epsilon, Kaldi's floor under the logarithm

    def __post_init__(self) -> None:
        FrameConfig.__post_init__(self)  # super() does not find its class under slots
        if self.mels < 1:
            raise ConfigError(f"wanted at least one mel band, got {self.mels}")
        if not 0.0 <= self.low < self.high <= self.sample_rate / 2:
            raise ConfigError(
                f"wanted 0 <= low < high <= {self.sample_rate / 2} Hz, got {self.low} and {self.high}"
            )
        if not self.floor >= SMALLEST:
            raise ConfigError(f"wanted a floor that is a normal float32, got {self.floor}")


DEFAULT = MelConfig()
TILE = 16  # bands and bins of one tile of the filters; a fixed number, so that 16 bands fill the SIMD lanes
PARTS = 4  # sums kept per band, so that one tile need not wait for the sum of the tile before


@dataclass(slots=True)
class LogMelState:
    """All that a stream of log-mel remembers.

    carry : float32 [shape=(window,)], of which `held` samples wait for the rest of their frame
    """

    carry: FloatArray
    held: int = 0
    position: int = 0  # where the next frame begins, in samples
    finished: bool = False


class _Tables(NamedTuple):
    """What the kernel reads, in the order of its arguments.

    The filters are cut into tiles of TILE bins by TILE bands, and only tiles that hold something are kept.
    window : float32 [shape=(window,)]
    roots, twist : see FftTables
    tiles : int64 [shape=(tiles, 2)], the first bin, and where in the sums the tile adds
    weights : float32 [shape=(tiles, TILE * TILE)], bin by bin
    """

    hop: int
    preemphasis: float
    remove_dc: bool
    floor: float
    window: FloatArray
    roots: FloatArray
    twist: FloatArray
    tiles: NDArray[np.int64]
    weights: FloatArray


class StreamingLogMel:
    """Log-mel of a stream in pieces of any length; the rows are those of `log_mel` on the whole.

    >>> stream = StreamingLogMel()
    >>> first = stream.push(np.zeros(399, dtype=np.float32))
    >>> second = stream.push(np.zeros(161, dtype=np.float32))
    >>> first.values.shape, second.values.shape, second.start
    ((0, 80), (2, 80), 0)
    """

    __slots__ = ("_config", "_state", "_tables", "_work")

    def __init__(self, config: MelConfig = DEFAULT, state: LogMelState | None = None) -> None:
        self._config = config
        self._state = state or LogMelState(np.zeros(config.window, dtype=np.float32))
        if self._state.carry.shape != (config.window,):
            raise SessionError(
                f"wanted a state for a window of {config.window}, got shape {self._state.carry.shape}"
            )
        self._tables = _tables(config)
        self._work = _work(config)

    @property
    def state(self) -> LogMelState:
        """What to keep so that another object can go on: arrays and numbers only."""
        return self._state

    def push(self, samples: FloatArray) -> Frames:
        """Take samples, give the frames that they complete.

        samples : float32 [shape=(n,)] in -1..1
        """
        state = self._state
        if state.finished:
            raise SessionError(f"wanted no audio after finish, got {len(samples)} samples")
        samples = check_samples(samples)
        config = self._config
        total = state.held + len(samples)
        out = np.empty((frame_count(total, config), config.mels), FLOAT32)
        if not _log_mel(samples, state.carry, state.held, *self._tables, self._work, out):
            raise refuse_values(samples)
        start = state.position
        used = len(out) * config.hop
        state.held = total - used
        state.position = start + used
        return Frames(out, start, config.hop)

    def finish(self) -> Frames:
        """End the stream; a frame that was never completed is dropped, as in a whole file."""
        self._state.finished = True
        return Frames(
            np.empty((0, self._config.mels), dtype=np.float32), self._state.position, self._config.hop
        )

    def __reduce__(self) -> tuple[type["StreamingLogMel"], tuple[MelConfig, LogMelState]]:
        return StreamingLogMel, (self._config, self._state)


def log_mel(samples: FloatArray, config: MelConfig = DEFAULT) -> FloatArray:
    """Log-mel energies of a whole file.

    samples : float32 [shape=(n,)] in -1..1
    Returns: float32 [shape=(frames, mels)]
    """
    samples = check_samples(samples)
    out = np.empty((frame_count(len(samples), config), config.mels), dtype=np.float32)
    carry = np.empty(config.window, dtype=np.float32)
    if not _log_mel(samples, carry, 0, *_tables(config), _work(config), out):
        raise refuse_values(samples)
    return out


def mel_filters(config: MelConfig = DEFAULT) -> NDArray[np.float64]:
    """Kaldi's triangles, straight in mel = 1127 ln(1 + f / 700); the bin at half the sample rate has no part.

    Returns: float64 [shape=(mels, fft / 2)]
    """
    mel = _mel(np.arange(config.fft // 2) * config.sample_rate / config.fft)
    low, high = _mel(np.array([config.low, config.high]))
    edges = low + (high - low) / (config.mels + 1) * np.arange(config.mels + 2)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (mel - left) / (centre - left)
    falling = (right - mel) / (right - centre)
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return filters


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(hertz / 700.0)


@lru_cache(maxsize=16)
def _tables(config: MelConfig) -> _Tables:
    width = _width(config)
    filters = np.pad(mel_filters(config), ((0, width - config.mels), (0, TILE)))
    tiles: list[tuple[int, int]] = []
    weights: list[NDArray[np.float64]] = []
    for band in range(0, width, TILE):
        bins = np.flatnonzero(filters[band : band + TILE].any(axis=0))
        for first in range(bins[0], bins[-1] + 1, TILE) if len(bins) else ():
            tiles.append((first, len(tiles) % PARTS * width + band))
            weights.append(filters[band : band + TILE, first : first + TILE].T.ravel())
    fft = fft_tables(config.fft)
    return _Tables(
        config.hop,
        float(config.preemphasis),
        bool(config.remove_dc),
        float(config.floor),
        window_shape(config),
        fft.roots,
        fft.twist,
        np.array(tiles, dtype=np.int64).reshape(-1, 2),
        aligned(np.array(weights, dtype=np.float32).reshape(-1, TILE * TILE)),
    )


def _width(config: MelConfig) -> int:
    return -(-config.mels // TILE) * TILE


def _work(config: MelConfig) -> FloatArray:
    """Scratch for one caller: the transform's, then frame, row, real, imaginary, power and sums; zeros.

    Returns: float32 [shape=(8, longest)]
    """
    longest = max(config.fft, PARTS * _width(config)) + TILE
    return aligned(np.zeros((8, -(-longest // TILE) * TILE), dtype=np.float32))


@kernel()
def _join(old: FloatArray, new: FloatArray, out: FloatArray) -> None:
    """Fill `out` with what is old, then with what is new; it may be the array of the old, at or before it."""
    n = min(len(old), len(out))
    for j in range(n):
        out[j] = old[j]
    rest = out[n:]
    for j in range(len(rest)):
        rest[j] = new[j]


@kernel()
def _bands(power: FloatArray, tiles: NDArray[np.int64], weights: FloatArray, sums: FloatArray) -> None:
    """Sum the power under each filter; the result stands in the first of the PARTS parts of `sums`."""
    for b in range(len(sums)):
        sums[b] = 0.0
    for t in range(len(tiles)):
        bins = power[tiles[t, 0] :]
        bands = sums[tiles[t, 1] :]
        for b in range(TILE):
            part = np.float32(0.0)
            for k in range(TILE):
                part += weights[t, TILE * k + b] * bins[k]
            bands[b] += part
    width = len(sums) // PARTS
    for b in range(width):
        part = sums[b]
        for q in range(1, PARTS):
            part += sums[q * width + b]
        sums[b] = part


@kernel(
    "boolean(float32[::1], float32[::1], int64, int64, float64, boolean, float64, float32[::1],"
    " float32[:, ::1], float32[:, ::1], int64[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1])"
)
def _log_mel(
    samples: FloatArray,
    carry: FloatArray,
    held: int,
    hop: int,
    preemphasis: float,
    remove_dc: bool,
    floor: float,
    window: FloatArray,
    roots: FloatArray,
    twist: FloatArray,
    tiles: NDArray[np.int64],
    weights: FloatArray,
    work: FloatArray,
    out: FloatArray,
) -> bool:
    """Fill `out` from what is held and what is new; what no frame has used up goes to `carry`.

    False, with nothing changed, where a sample is not finite.
    """
    if not all_sound(samples):
        return False
    size = roots.shape[1]
    half = size // 2
    transform = work[:2].ravel()
    raw = work[2]
    row = work[3]
    real = work[4]
    imag = work[5]
    power = work[6]
    width = -(-out.shape[1] // TILE) * TILE
    sums = work[7][: PARTS * width]
    for i in range(len(out)):
        first = i * hop
        _join(carry[min(first, held) : held], samples[max(first - held, 0) :], raw[: len(window)])
        shape_frame(raw, np.float32(preemphasis), remove_dc, window, row[:size])
        rfft_row(row[:size], roots, twist, transform, real, imag)
        for k in range(half):  # behind it `power` stays zero, where the last tiles reach over the end
            power[k] = real[k] * real[k] + imag[k] * imag[k]
        _bands(power, tiles, weights, sums)
        log_floor(sums, np.float32(floor), out[i])
    used = len(out) * hop
    rest = held + len(samples) - used
    _join(carry[min(used, held) : held], samples[max(used - held, 0) :], carry[:rest])
    return True

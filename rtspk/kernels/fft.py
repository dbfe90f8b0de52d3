"""Fourier transform of real rows whose length is a power of two.

A real row of N values is one complex transform of N/2 values. Speech uses N = 512: its 256 values are a grid
of 16 x 16, transformed down the rows with the 16 columns side by side in SIMD lanes, turned, and transformed
again. So one single row, which is what 10 ms of a stream bring, fills the lanes as well as a whole file does.
Other sizes take a plain radix-2 path.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rtspk.errors import AudioError
from rtspk.kernels.jit import Scalar, contiguous, kernel
from rtspk.types import FloatArray

__all__ = ["FftTables", "fft_tables", "rfft", "rfft_power", "rfft_row"]

COS_8 = np.float32(np.cos(np.pi / 8))
SIN_8 = np.float32(np.sin(np.pi / 8))
ROOT_HALF = np.float32(np.sqrt(0.5))
HALF = np.float32(0.5)


@dataclass(frozen=True, slots=True)
class FftTables:
    """Twiddle factors of one size; row 0 is the real part, row 1 the imaginary.

    roots : float32 [shape=(2, size)], exp(-2j pi k / size)
    twist : float32 [shape=(2, 256)], the factors between the two passes over the grid of size 512
    """

    roots: FloatArray
    twist: FloatArray


@lru_cache(maxsize=16)
def fft_tables(size: int) -> FftTables:
    """Make the tables of a real transform of `size` values, in double precision before rounding."""
    if size < 4 or size & (size - 1):
        raise AudioError(f"wanted a transform size that is a power of two of at least 4, got {size}")
    roots = np.exp(-2j * np.pi * np.arange(size) / size)
    twist = np.exp(-2j * np.pi * np.outer(np.arange(16), np.arange(16)).ravel() / 256)
    return FftTables(_split(roots), _split(twist))


def rfft(rows: FloatArray) -> NDArray[np.complex64]:
    """Transform real rows.

    rows : float32 [shape=(frames, size)], size a power of two
    Returns: complex64 [shape=(frames, size / 2 + 1)]
    """
    rows, tables = _prepare(rows)
    out = np.empty((len(rows), rows.shape[1] // 2 + 1), dtype=np.complex64)
    _rfft(rows, tables.roots, tables.twist, _work(rows), out)
    return out


def rfft_power(rows: FloatArray) -> FloatArray:
    """Squared magnitude of the transform of real rows.

    rows : float32 [shape=(frames, size)], size a power of two
    Returns: float32 [shape=(frames, size / 2 + 1)]
    """
    rows, tables = _prepare(rows)
    out = np.empty((len(rows), rows.shape[1] // 2 + 1), dtype=np.float32)
    _rfft_power(rows, tables.roots, tables.twist, _work(rows), out)
    return out


def _split(values: NDArray[np.complex128]) -> FloatArray:
    return np.stack([values.real, values.imag]).astype(np.float32)


def _prepare(rows: FloatArray) -> tuple[FloatArray, FftTables]:
    if rows.ndim != 2 or rows.dtype != np.float32:
        raise AudioError(
            f"wanted float32 rows of shape (frames, size), got {rows.dtype} of shape {rows.shape}"
        )
    return contiguous(rows), fft_tables(rows.shape[1])


def _work(rows: FloatArray) -> FloatArray:
    return np.empty((2, 2 * rows.shape[1]), dtype=np.float32)


@kernel()
def _four(
    ar: Scalar, ai: Scalar, br: Scalar, bi: Scalar, cr: Scalar, ci: Scalar, dr: Scalar, di: Scalar
) -> tuple[Scalar, Scalar, Scalar, Scalar, Scalar, Scalar, Scalar, Scalar]:
    """Transform four complex values, real and imaginary parts in turn."""
    er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
    gr, gi, hr, hi = br + dr, bi + di, bi - di, dr - br
    return er + gr, ei + gi, fr + hr, fi + hi, er - gr, ei - gi, fr - hr, fi - hi


@kernel()
def _times(ar: Scalar, ai: Scalar, br: Scalar, bi: Scalar) -> tuple[Scalar, Scalar]:
    return ar * br - ai * bi, ar * bi + ai * br


@kernel()
def _sixteen(w: FloatArray, source: int, target: int) -> None:
    """Transform each of 16 columns of 16 complex values: rows of 16 reals, imaginary parts 256 behind.

    Offsets are constants to one array: the compiler sees that nothing overlaps, and takes 16 columns at once.
    """
    for q in range(16):
        i = source + q
        j = i + 256
        a0, b0, c0, d0, e0, f0, g0, h0 = _four(
            w[i], w[j], w[i + 64], w[j + 64], w[i + 128], w[j + 128], w[i + 192], w[j + 192]
        )
        a1, b1, c1, d1, e1, f1, g1, h1 = _four(
            w[i + 16], w[j + 16], w[i + 80], w[j + 80], w[i + 144], w[j + 144], w[i + 208], w[j + 208]
        )
        a2, b2, c2, d2, e2, f2, g2, h2 = _four(
            w[i + 32], w[j + 32], w[i + 96], w[j + 96], w[i + 160], w[j + 160], w[i + 224], w[j + 224]
        )
        a3, b3, c3, d3, e3, f3, g3, h3 = _four(
            w[i + 48], w[j + 48], w[i + 112], w[j + 112], w[i + 176], w[j + 176], w[i + 240], w[j + 240]
        )
        c1, d1 = _times(c1, d1, COS_8, -SIN_8)
        c2, d2 = _times(c2, d2, ROOT_HALF, -ROOT_HALF)
        c3, d3 = _times(c3, d3, SIN_8, -COS_8)
        e1, f1 = _times(e1, f1, ROOT_HALF, -ROOT_HALF)
        e2, f2 = f2, -e2
        e3, f3 = _times(e3, f3, -ROOT_HALF, -ROOT_HALF)
        g1, h1 = _times(g1, h1, SIN_8, -COS_8)
        g2, h2 = _times(g2, h2, -ROOT_HALF, -ROOT_HALF)
        g3, h3 = _times(g3, h3, -COS_8, SIN_8)
        i = target + q
        j = i + 256
        w[i], w[j], w[i + 64], w[j + 64], w[i + 128], w[j + 128], w[i + 192], w[j + 192] = _four(
            a0, b0, a1, b1, a2, b2, a3, b3
        )
        w[i + 16], w[j + 16], w[i + 80], w[j + 80], w[i + 144], w[j + 144], w[i + 208], w[j + 208] = _four(
            c0, d0, c1, d1, c2, d2, c3, d3
        )
        w[i + 32], w[j + 32], w[i + 96], w[j + 96], w[i + 160], w[j + 160], w[i + 224], w[j + 224] = _four(
            e0, f0, e1, f1, e2, f2, e3, f3
        )
        w[i + 48], w[j + 48], w[i + 112], w[j + 112], w[i + 176], w[j + 176], w[i + 240], w[j + 240] = _four(
            g0, h0, g1, h1, g2, h2, g3, h3
        )


@kernel()
def _grid(w: FloatArray, twist: FloatArray) -> None:
    """Transform 256 complex values from w[:512] to w[512:1024]."""
    _sixteen(w, 0, 512)
    for k in range(256):
        w[512 + k], w[768 + k] = _times(w[512 + k], w[768 + k], twist[0, k], twist[1, k])
    for a in range(16):
        for b in range(16):
            w[16 * a + b] = w[512 + 16 * b + a]
            w[256 + 16 * a + b] = w[768 + 16 * b + a]
    _sixteen(w, 0, 512)


@kernel()
def _halves(w: FloatArray, roots: FloatArray) -> int:
    """Transform size / 2 complex values at w[:size] by Stockham's radix-2; returns where they end up."""
    size = roots.shape[1]
    half = size // 2
    source = 0
    n = half
    s = 1
    while n > 1:
        n //= 2
        target = size - source
        for p in range(n):
            wr = roots[0, 2 * p * s]
            wi = roots[1, 2 * p * s]
            for q in range(s):
                i = source + s * p + q
                j = i + s * n
                k = target + 2 * s * p + q
                ar, ai, br, bi = w[i], w[i + half], w[j], w[j + half]
                w[k] = ar + br
                w[k + half] = ai + bi
                w[k + s], w[k + s + half] = _times(ar - br, ai - bi, wr, wi)
        source = target
        s *= 2
    return source


@kernel()
def rfft_row(
    row: FloatArray,
    roots: FloatArray,
    twist: FloatArray,
    work: FloatArray,
    real: FloatArray,
    imag: FloatArray,
) -> None:
    """Transform one row, for other kernels.

    row : float32 [shape=(size,)]; work : float32 [shape=(2 * size,)]
    real, imag : float32 [shape=(size / 2 + 1,)]
    """
    size = roots.shape[1]
    half = size // 2
    for k in range(half):
        work[k] = row[2 * k]
        work[half + k] = row[2 * k + 1]
    source = size
    if size == 512:
        _grid(work, twist)
    else:
        source = _halves(work, roots)
    zr = work[source : source + half]
    zi = work[source + half : source + size]
    real[0] = zr[0] + zi[0]
    imag[0] = 0.0
    real[half] = zr[0] - zi[0]
    imag[half] = 0.0
    for k in range(1, half):
        odd_r, odd_i = _times(zi[k] + zi[half - k], zr[half - k] - zr[k], roots[0, k], roots[1, k])
        real[k] = HALF * (zr[k] + zr[half - k] + odd_r)
        imag[k] = HALF * (zi[k] - zi[half - k] + odd_i)


@kernel("void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], complex64[:, ::1])")
def _rfft(
    rows: FloatArray, roots: FloatArray, twist: FloatArray, work: FloatArray, out: NDArray[np.complex64]
) -> None:
    real = work[1, : out.shape[1]]
    imag = work[1, out.shape[1] :]
    for i in range(len(rows)):
        rfft_row(rows[i], roots, twist, work[0], real, imag)
        for k in range(out.shape[1]):
            out[i, k] = complex(real[k], imag[k])


@kernel("void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def _rfft_power(
    rows: FloatArray, roots: FloatArray, twist: FloatArray, work: FloatArray, out: FloatArray
) -> None:
    real = work[1, : out.shape[1]]
    imag = work[1, out.shape[1] :]
    for i in range(len(rows)):
        rfft_row(rows[i], roots, twist, work[0], real, imag)
        for k in range(out.shape[1]):
            out[i, k] = real[k] * real[k] + imag[k] * imag[k]

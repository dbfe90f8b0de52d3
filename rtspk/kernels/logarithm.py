"""Natural logarithm of many float32 values at once: straight arithmetic, so that it runs in SIMD lanes."""

import numpy as np

from rtspk.kernels.jit import Scalar, kernel
from rtspk.types import FloatArray

__all__ = ["SMALLEST", "log_floor"]

SMALLEST: float = (
    1.1754944e-38  # the smallest normal float32; below it the exponent's bits mean something else
)

ROOT_HALF_BITS = np.int32(0x3F3504F3)  # the bits of sqrt(1/2)
ONE = np.float32(1.0)
HALF = np.float32(0.5)
# ln 2 in two parts, the first exact in few bits, and the polynomial of ln(1 + r) for r in
# sqrt(1/2) - 1 .. sqrt(2) - 1: Cephes' logf.
LN2_HIGH = np.float32(0.693359375)
LN2_LOW = np.float32(-2.12194440e-4)
C0 = np.float32(7.0376836292e-2)
C1 = np.float32(-1.1514610310e-1)
C2 = np.float32(1.1676998740e-1)
C3 = np.float32(-1.2420140846e-1)
C4 = np.float32(1.4249322787e-1)
C5 = np.float32(-1.6668057665e-1)
C6 = np.float32(2.0000714765e-1)
C7 = np.float32(-2.4999993993e-1)
C8 = np.float32(3.3333331174e-1)


@kernel()
def log_floor(values: FloatArray, floor: Scalar, out: FloatArray) -> None:
    """Logarithm of max(value, floor), for other kernels; floor at least SMALLEST.

    values : float32 [shape=(at least n,)]; out : float32 [shape=(n,)]
    """
    for i in range(len(out)):
        value = np.float32(max(values[i], floor))
        bits = np.int32(value.view(np.int32))
        exponent = (bits - ROOT_HALF_BITS) >> np.int32(23)
        mantissa = np.int32(bits - (exponent << np.int32(23))).view(np.float32)
        r = mantissa - ONE
        square = r * r
        y = (
            ((((((((C0 * r + C1) * r + C2) * r + C3) * r + C4) * r + C5) * r + C6) * r + C7) * r + C8)
            * r
            * square
        )
        e = np.float32(exponent)
        out[i] = (r + (y + e * LN2_LOW - HALF * square)) + e * LN2_HIGH

"""Exponential function of float32 values: straight arithmetic, so that it runs in SIMD lanes."""

import numpy as np

from rtspk.kernels.jit import Scalar, kernel

__all__ = ["exponential"]

LEAST, MOST = np.float32(-87.0), np.float32(88.0)  # beyond them it is no normal float32
HALF = np.float32(0.5)
ONE = np.float32(1.0)
LOG2_E = np.float32(1.44269504)
# ln 2 in two parts, the first exact in few bits, and the polynomial of exp(r) for r within ln(2) / 2 of 0:
# Cephes' expf.
LN2_HIGH = np.float32(0.693359375)
LN2_LOW = np.float32(-2.12194440e-4)
C0 = np.float32(1.9875691500e-4)
C1 = np.float32(1.3981999507e-3)
C2 = np.float32(8.3334519073e-3)
C3 = np.float32(4.1665795894e-2)
C4 = np.float32(1.6666665459e-1)
C5 = np.float32(5.0000001201e-1)
BIAS, MANTISSA = np.int32(127), np.int32(23)  # of a float32's exponent, and its bits


@kernel()
def exponential(value: Scalar) -> np.float32:
    """exp(value), for other kernels; what is below -87 or above 88 is taken for that."""
    x = min(max(np.float32(value), LEAST), MOST)
    whole = np.float32(np.floor(x * LOG2_E + HALF))
    r = x - whole * LN2_HIGH - whole * LN2_LOW
    y = ((((((C0 * r + C1) * r + C2) * r + C3) * r + C4) * r + C5) * r * r) + r + ONE
    power = (np.int32(whole) + BIAS) << MANTISSA
    return y * np.int32(power).view(np.float32)

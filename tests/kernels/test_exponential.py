"""The exponential function of many numbers is numpy's."""

import numpy as np

from rtspk.kernels.exponential import exponential
from rtspk.kernels.jit import kernel


@kernel("void(float32[::1], float32[::1])")
def all_of(values, out):
    for i in range(len(values)):
        out[i] = exponential(values[i])


def test_the_exponential_function_is_near_to_numpys():
    values = np.concatenate([np.linspace(-87, 88, 100_001), [0.0, 1.0, -1.0]]).astype(np.float32)
    out = np.empty_like(values)
    all_of(values, out)
    assert np.allclose(out, np.exp(values.astype(np.float64)), rtol=1e-6, atol=0.0)
    assert out[-3] == 1.0


def test_what_is_far_below_is_next_to_nothing_and_what_is_far_above_still_a_number():
    values, out = np.float32([-np.inf, -1e9, 1e9, np.inf]), np.empty(4, np.float32)
    all_of(values, out)
    assert (out[:2] < 1e-37).all()
    assert (out[:2] >= 0.0).all()
    assert np.isfinite(out).all()

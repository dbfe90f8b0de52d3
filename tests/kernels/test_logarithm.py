import numpy as np

from rtspk.kernels.logarithm import SMALLEST, log_floor


def log(values, floor):
    out = np.empty(len(values), dtype=np.float32)
    log_floor(values, np.float32(floor), out)
    return out


def test_it_equals_the_slow_logarithm_over_all_magnitudes():
    values = np.exp(np.random.default_rng(0).uniform(-87.0, 88.0, 20000)).astype(np.float32)
    expected = np.log(values.astype(np.float64))
    np.testing.assert_allclose(log(values, SMALLEST), expected, rtol=3e-7, atol=3e-7)


def test_it_keeps_its_precision_around_one():
    values = (1.0 + np.random.default_rng(1).uniform(-0.3, 0.4, 20000)).astype(np.float32)
    expected = np.log(values.astype(np.float64))
    np.testing.assert_allclose(log(values, SMALLEST), expected, rtol=3e-7, atol=1e-12)


def test_values_below_the_floor_are_raised_to_it():
    values = np.array([0.0, 1e-45, 1e-9, 1.0], dtype=np.float32)
    floor = np.log(np.float64(np.float32(1e-7)))
    np.testing.assert_allclose(log(values, 1e-7), [floor, floor, floor, 0.0], rtol=3e-7)

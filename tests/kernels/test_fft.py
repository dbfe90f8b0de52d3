import numpy as np
import pytest

from rtspk.errors import AudioError
from rtspk.kernels.fft import rfft, rfft_power

SIZES = [4, 8, 16, 64, 256, 512, 1024, 2048]


def noise(frames, size):
    return np.random.default_rng(size).standard_normal((frames, size)).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_it_equals_the_slow_transform(size):
    rows = noise(5, size)
    expected = np.fft.rfft(rows.astype(np.float64))
    np.testing.assert_allclose(rfft(rows), expected, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("size", SIZES)
def test_the_power_equals_the_slow_power(size):
    rows = noise(5, size)
    expected = np.abs(np.fft.rfft(rows.astype(np.float64))) ** 2
    np.testing.assert_allclose(rfft_power(rows), expected, atol=4e-6 * expected.max())


@pytest.mark.parametrize("k", [0, 1, 37, 255, 256])
def test_a_pure_tone_stands_in_its_own_bin(k):
    row = np.cos(2 * np.pi * k * np.arange(512) / 512).astype(np.float32)
    power = rfft_power(row[None])[0]
    assert power.argmax() == k
    assert np.delete(power, k).max() < 1e-6 * power[k]


def test_a_row_gives_the_same_bits_alone_and_in_a_batch():
    rows = noise(7, 512)
    alone = np.concatenate([rfft(row[None]) for row in rows])
    np.testing.assert_array_equal(rfft(rows), alone)


def test_rows_that_are_not_contiguous_are_read_right():
    wide = noise(6, 1024)
    np.testing.assert_array_equal(rfft(wide[::2, ::2]), rfft(wide[::2, ::2].copy()))


def test_no_rows_give_no_rows():
    assert rfft(np.zeros((0, 512), dtype=np.float32)).shape == (0, 257)


@pytest.mark.parametrize("size", [2, 3, 500])
def test_a_size_that_is_no_power_of_two_is_refused(size):
    with pytest.raises(AudioError, match=f"power of two of at least 4, got {size}"):
        rfft(noise(1, size))


def test_rows_of_another_type_or_shape_are_refused():
    with pytest.raises(AudioError, match="float64"):
        rfft(np.zeros((1, 8)))
    with pytest.raises(AudioError, match=r"\(8,\)"):
        rfft_power(np.zeros(8, dtype=np.float32))

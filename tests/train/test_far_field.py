"""A far microphone: reverberation that dies away as it should, and noise that is steady and dull."""

import numpy as np
import pytest

from rtspk.train.far_field import DIRECT_DB, REVERBERATION_SECONDS, far_seats, steady_noise


def fall_seconds(response):
    """Until the sound has fallen by 60 dB, from the slope of the energy that is still to come (Schroeder)."""
    left = np.cumsum(np.square(response[1:], dtype=np.float64)[::-1])[::-1]
    level = 10 * np.log10(left / left[0])
    start, end = (int(np.argmax(level < at)) for at in (-5, -25))
    return 3.0 * (end - start) / 16_000


@pytest.mark.parametrize("seed", range(5))
def test_the_seats_of_a_room_share_its_reverberation_and_differ_in_distance(seed):
    seats = far_seats(4, np.random.default_rng(seed))
    assert all(seat[0] == 1.0 for seat in seats)
    lasts = [fall_seconds(seat) for seat in seats]
    assert max(lasts) < 1.25 * min(lasts)
    assert 0.6 * REVERBERATION_SECONDS[0] < min(lasts) < max(lasts) < 1.1 * REVERBERATION_SECONDS[1]
    direct = [-10 * np.log10(np.square(seat[1:], dtype=np.float64).sum()) for seat in seats]
    assert DIRECT_DB[0] - 0.1 < min(direct) < max(direct) < DIRECT_DB[1] + 0.1
    assert max(direct) - min(direct) > 0.5


def test_a_room_is_a_function_of_its_seed():
    one, again, other = (far_seats(2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.allclose(one, other, atol=1e-3)


def test_steady_noise_is_as_loud_at_its_end_as_at_its_beginning_and_falls_with_frequency():
    sound = steady_noise(160_000, np.random.default_rng(0))
    loud = sound.reshape(10, -1).std(axis=1)
    assert loud.max() < 1.5 * loud.min()
    power = np.square(np.abs(np.fft.rfft(sound)))
    low, high = power[1_000:10_000].mean(), power[40_000:80_000].mean()  # 100 to 1,000 Hz, 4 to 8 kHz
    assert low > 2 * high

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtspk.errors import AudioError, ConfigError
from rtspk.kernels.framing import FrameConfig, frame, frame_count

SPEECH = np.load(Path(__file__).parents[1] / "data" / "ami-2s.npy").astype(np.float32) / 32768


def slow_frames(samples, config):
    """Frame by frame and step by step, in double precision."""
    turns = np.linspace(0.0, 2.0 * np.pi, config.window)
    window = {
        "hamming": 0.54 - 0.46 * np.cos(turns),
        "hann": 0.5 - 0.5 * np.cos(turns),
        "povey": (0.5 - 0.5 * np.cos(turns)) ** 0.85,
    }[config.window_type]
    rows = []
    for start in range(0, len(samples) - config.window + 1, config.hop):
        row = samples[start : start + config.window].astype(np.float64) * config.scale
        if config.remove_dc:
            row -= row.mean()
        row -= config.preemphasis * np.concatenate([row[:1], row[:-1]])
        rows.append(np.pad(row * window, (0, config.fft - config.window)))
    return np.array(rows).reshape(-1, config.fft)


@pytest.mark.parametrize("window_type", ["povey", "hamming", "hann"])
@pytest.mark.parametrize("remove_dc", [True, False])
def test_it_equals_the_slow_framing_on_speech(window_type, remove_dc):
    config = FrameConfig(window_type=window_type, remove_dc=remove_dc)
    expected = slow_frames(SPEECH, config)
    np.testing.assert_allclose(frame(SPEECH, config), expected, atol=1e-6 * np.abs(expected).max())


def test_other_sizes_equal_the_slow_framing_too():
    config = FrameConfig(window=200, hop=70, fft=256, preemphasis=0.5, scale=1.0)
    np.testing.assert_allclose(frame(SPEECH, config), slow_frames(SPEECH, config), atol=1e-6)


@given(st.integers(0, 3000), st.integers(2, 512), st.data())
def test_the_number_of_frames_is_that_of_the_slow_framing(samples, window, data):
    config = FrameConfig(window=window, hop=data.draw(st.integers(1, window)))
    assert frame_count(samples, config) == len(range(0, samples - window + 1, config.hop))


def test_a_signal_shorter_than_a_window_has_no_frame():
    assert frame(np.zeros(399, dtype=np.float32)).shape == (0, 512)


def test_samples_that_cannot_be_written_to_or_lie_apart_are_read_right():
    still = SPEECH.copy()
    still.flags.writeable = False
    np.testing.assert_array_equal(frame(still), frame(SPEECH))
    np.testing.assert_array_equal(frame(SPEECH[::2]), frame(SPEECH[::2].copy()))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2.0**20])
def test_samples_that_are_no_sound_are_refused_by_their_position(bad):
    samples = np.zeros(1000, dtype=np.float32)
    samples[700] = bad
    with pytest.raises(AudioError, match="at sample 700"):
        frame(samples)


def test_samples_of_another_type_or_shape_are_refused():
    with pytest.raises(AudioError, match=r"wanted float32 samples in -1\.\.1, got int16"):
        frame(np.zeros(1000, dtype=np.int16))
    with pytest.raises(AudioError, match=r"got shape \(1000, 2\)"):
        frame(np.zeros((1000, 2), dtype=np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"fft": 500},
        {"window": 600},
        {"window": 1},
        {"hop": 0},
        {"hop": 401},
        {"preemphasis": 1.5},
        {"window_type": "kaiser"},
        {"scale": 0.0},
        {"scale": 1e9},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"wanted .*, got"):
        FrameConfig(**wrong)

"""WAV files that are written: read back as they were, clipped, of one channel."""

import wave

import numpy as np
import pytest

from rtspk.audio import read_audio, write_wav
from rtspk.errors import AudioError
from tests.conftest import speechlike


def test_a_written_wav_is_read_back_and_clipped(tmp_path):
    sound = np.append(speechlike(22050), np.float32([2.0, -2.0]))
    write_wav(tmp_path / "a.wav", sound, 22050)
    with wave.open(str(tmp_path / "a.wav")) as file:
        back = np.frombuffer(file.readframes(-1), "<i2") / 32768
    np.testing.assert_array_equal(back, np.clip(sound, -1, 32767 / 32768))


def test_less_than_one_sample_at_16_khz_is_an_empty_sound(tmp_path):
    write_wav(tmp_path / "a.wav", np.ones(1, np.float32), 48000)
    assert read_audio(tmp_path / "a.wav").shape == (0,)


def test_a_wav_of_two_channels_is_not_written(tmp_path):
    with pytest.raises(AudioError, match=r"got shape \(2, 10\)"):
        write_wav(tmp_path / "a.wav", np.zeros((2, 10), np.float32))

from pathlib import Path

import numpy as np
import pytest

from rtspk.errors import AudioError, ConfigError
from rtspk.kernels.mel import StreamingLogMel, log_mel
from rtspk.kernels.mfcc import MfccConfig, cepstra, mfcc

SPEECH = np.load(Path(__file__).parents[1] / "data" / "ami-2s.npy").astype(np.float32) / 32768


def slow_cepstra(rows, config):
    """Sum by sum."""
    out = np.zeros((len(rows), config.num_ceps))
    for k in range(config.num_ceps):
        scale = np.sqrt((1 if k == 0 else 2) / config.mels)
        lift = 1 + config.lifter / 2 * np.sin(np.pi * k / config.lifter) if config.lifter else 1.0
        for n in range(config.mels):
            out[:, k] += rows[:, n] * lift * scale * np.cos(np.pi * k * (2 * n + 1) / (2 * config.mels))
    return out


@pytest.mark.parametrize("config", [MfccConfig(), MfccConfig(mels=40, num_ceps=20, lifter=0.0)], ids=str)
def test_it_equals_the_slow_cepstra(config):
    expected = slow_cepstra(log_mel(SPEECH, config).astype(np.float64), config)
    np.testing.assert_allclose(mfcc(SPEECH, config), expected, atol=1e-4)


@pytest.mark.parametrize("config", [MfccConfig(), MfccConfig(mels=40, num_ceps=20, lifter=0.0)], ids=str)
def test_it_equals_torchaudio_on_speech(config):
    torch = pytest.importorskip("torch", reason="the torch extra is not installed")
    kaldi = pytest.importorskip("torchaudio.compliance.kaldi", reason="the torch extra is not installed")
    expected = kaldi.mfcc(
        torch.from_numpy(SPEECH * 32768)[None],
        num_mel_bins=config.mels,
        num_ceps=config.num_ceps,
        cepstral_lifter=config.lifter,
        dither=0.0,
    ).numpy()
    np.testing.assert_allclose(mfcc(SPEECH, config), expected, atol=1e-3)


def test_cepstra_of_a_streams_rows_are_those_of_the_file():
    config = MfccConfig()
    streaming = StreamingLogMel(config)
    pieces = [cepstra(streaming.push(piece).values, config) for piece in np.split(SPEECH, [5000, 9999])]
    np.testing.assert_array_equal(np.concatenate(pieces), mfcc(SPEECH))


def test_rows_of_another_width_are_refused():
    with pytest.raises(
        AudioError,
        match=r"wanted float32 log-mel rows of shape \(frames, 23\), got float32 of shape \(5, 80\)",
    ):
        cepstra(np.zeros((5, 80), dtype=np.float32))


@pytest.mark.parametrize("wrong", [{"num_ceps": 24}, {"num_ceps": 0}, {"lifter": -1.0}, {"mels": 0}])
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError, match="wanted"):
        MfccConfig(**wrong)

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtspk.errors import AudioError, ConfigError, SessionError
from rtspk.kernels.framing import frame
from rtspk.kernels.mel import LogMelState, MelConfig, StreamingLogMel, log_mel, mel_filters

SPEECH = np.load(Path(__file__).parents[1] / "data" / "ami-2s.npy").astype(np.float32) / 32768
DEFAULT = MelConfig()
KALDI_NAMES = {"povey": "povey", "hamming": "hamming", "hann": "hanning"}


def slow_log_mel(samples, config):
    """The definition in double precision: frames, numpy's transform, dense filters, logarithm."""
    power = np.abs(np.fft.rfft(frame(samples, config).astype(np.float64))) ** 2
    return np.log(np.maximum(power[:, :-1] @ mel_filters(config).T, config.floor))


def stream(samples, cuts, config=DEFAULT):
    """Push samples in pieces; checks that each piece begins where the last ended."""
    streaming = StreamingLogMel(config)
    rows = []
    done = 0
    for piece in [*np.split(samples, cuts), None]:
        frames = streaming.finish() if piece is None else streaming.push(piece)
        assert (frames.start, frames.hop) == (done * config.hop, config.hop)
        rows.append(frames.values)
        done += len(frames.values)
    return np.concatenate(rows)


@pytest.mark.parametrize("window_type", sorted(KALDI_NAMES))
def test_it_equals_torchaudio_on_speech(window_type):
    torch = pytest.importorskip("torch", reason="the torch extra is not installed")
    kaldi = pytest.importorskip("torchaudio.compliance.kaldi", reason="the torch extra is not installed")
    expected = kaldi.fbank(
        torch.from_numpy(SPEECH * 32768)[None],
        num_mel_bins=80,
        dither=0.0,
        window_type=KALDI_NAMES[window_type],
        high_freq=8000.0,
    ).numpy()
    np.testing.assert_allclose(log_mel(SPEECH, MelConfig(window_type=window_type)), expected, atol=1e-3)


@pytest.mark.parametrize("window_type", sorted(KALDI_NAMES))
def test_it_equals_kaldi_native_fbank_on_speech(window_type):
    native = pytest.importorskip("kaldi_native_fbank", reason="the peers extra is not installed")
    options = native.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = KALDI_NAMES[window_type]
    options.mel_opts.num_bins = 80
    options.mel_opts.high_freq = 8000.0
    fbank = native.OnlineFbank(options)
    fbank.accept_waveform(16000, (SPEECH * 32768).tolist())
    expected = np.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])
    np.testing.assert_allclose(log_mel(SPEECH, MelConfig(window_type=window_type)), expected, atol=1e-3)


@pytest.mark.parametrize(
    "config",
    [
        MelConfig(),
        MelConfig(mels=23, remove_dc=False),
        MelConfig(mels=40, low=60.0, high=7600.0, window_type="hamming"),
        MelConfig(window=320, hop=80, fft=1024, mels=128),
        MelConfig(window=200, hop=200, fft=256, mels=1),
        MelConfig(scale=1.0),
    ],
    ids=str,
)
def test_it_equals_the_slow_definition(config):
    np.testing.assert_allclose(log_mel(SPEECH, config), slow_log_mel(SPEECH, config), atol=5e-4)


@pytest.mark.parametrize("chunk", [1, 37, 160, 16000, 32000])
def test_chunks_of_one_length_give_the_frames_of_the_whole(chunk):
    cuts = range(chunk, len(SPEECH), chunk)
    np.testing.assert_array_equal(stream(SPEECH, cuts), log_mel(SPEECH))


@given(cuts=st.lists(st.integers(0, 4000), max_size=30).map(sorted), hop=st.integers(1, 400))
def test_any_chunking_gives_the_frames_of_the_whole(cuts, hop):
    config = MelConfig(hop=hop)
    sound = SPEECH[:4000]
    np.testing.assert_array_equal(stream(sound, cuts, config), log_mel(sound, config))


def test_a_stream_that_was_pickled_midway_goes_on_as_if_it_had_not():
    streaming = StreamingLogMel()
    head = streaming.push(SPEECH[:12345])
    tail = pickle.loads(pickle.dumps(streaming)).push(SPEECH[12345:])
    assert tail.start == len(head.values) * 160
    np.testing.assert_array_equal(np.concatenate([head.values, tail.values]), log_mel(SPEECH))


def test_threads_do_not_disturb_each_other():
    sounds = [np.roll(SPEECH, 1000 * i) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(log_mel, sounds * 4))
    for sound, rows in zip(sounds * 4, together, strict=True):
        np.testing.assert_array_equal(rows, log_mel(sound))


def test_the_state_does_not_grow_with_the_stream():
    streaming = StreamingLogMel()
    streaming.push(SPEECH[:1000])
    early = len(pickle.dumps(streaming))
    for _ in range(20):
        streaming.push(SPEECH)
    assert len(pickle.dumps(streaming)) <= early + 16  # a larger position takes a few bytes more


def test_finish_may_be_called_twice_and_then_audio_is_refused():
    streaming = StreamingLogMel()
    streaming.push(SPEECH[:1000])
    first, second = streaming.finish(), streaming.finish()
    assert first.values.shape == second.values.shape == (0, 80)
    assert first.start == second.start == 4 * 160
    with pytest.raises(SessionError, match="wanted no audio after finish, got 160 samples"):
        streaming.push(SPEECH[:160])


def test_a_refused_piece_leaves_the_stream_as_it_was():
    streaming = StreamingLogMel()
    head = streaming.push(SPEECH[:1000])
    broken = SPEECH[1000:2000].copy()
    broken[500] = np.nan
    with pytest.raises(AudioError, match="got nan at sample 500"):
        streaming.push(broken)
    tail = streaming.push(SPEECH[1000:2000])
    np.testing.assert_array_equal(np.concatenate([head.values, tail.values]), log_mel(SPEECH[:2000]))


def test_silence_stands_at_the_floor():
    rows = log_mel(np.zeros(1600, dtype=np.float32))
    np.testing.assert_allclose(rows, np.log(1.1920929e-07), rtol=1e-6)


def test_a_constant_is_silence_once_its_mean_is_gone():
    quiet = log_mel(np.full(1600, 0.5, dtype=np.float32))
    assert (
        quiet.max() < log_mel(np.full(1600, 0.5, dtype=np.float32), MelConfig(remove_dc=False)).max() - 10.0
    )


def test_the_loudest_sound_that_is_let_in_stays_finite():
    loud = np.where(np.random.default_rng(0).random(1600) < 0.5, -1.0, 1.0) * (2.0**20 - 1)
    assert np.isfinite(log_mel(loud.astype(np.float32))).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_sound_are_refused(bad):
    samples = np.zeros(100, dtype=np.float32)  # even where they fill no frame
    samples[7] = bad
    with pytest.raises(AudioError, match="at sample 7"):
        log_mel(samples)


def test_samples_of_another_type_or_shape_are_refused():
    for call in (log_mel, StreamingLogMel().push):
        with pytest.raises(AudioError, match=r"wanted float32 samples .* got float64"):
            call(np.zeros(1000))
        with pytest.raises(AudioError, match="wanted one channel"):
            call(np.zeros((2, 1000), dtype=np.float32))


def test_a_state_of_another_window_is_refused():
    with pytest.raises(SessionError, match="window of 400, got shape"):
        StreamingLogMel(MelConfig(), LogMelState(np.zeros(320, dtype=np.float32)))


@pytest.mark.parametrize(
    "wrong", [{"mels": 0}, {"low": 8000.0}, {"high": 8001.0}, {"floor": 0.0}, {"fft": 300}]
)
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError, match="wanted"):
        MelConfig(**wrong)

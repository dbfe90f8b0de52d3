"""Time the kernels against what others use for the same: kaldi-native-fbank, torchaudio and numpy.

One thread each, the same sound, runs in turn, medians. MelSpectrogram does less than the others: no mean, no
pre-emphasis, no logarithm. A peer that is not installed leaves its columns empty.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np

from rtspk.bench.report import Percentiles, Result, compare, timed
from rtspk.kernels.fft import rfft_power
from rtspk.kernels.framing import frame
from rtspk.kernels.mel import MelConfig, StreamingLogMel, log_mel
from rtspk.kernels.mfcc import mfcc
from rtspk.types import SAMPLE_RATE, FloatArray

if TYPE_CHECKING:
    import kaldi_native_fbank

__all__ = ["run", "speech_like"]

Call = Callable[[], object]

SECONDS = 60
CHUNK = 160  # samples, 10 ms: what a microphone hands over
MELS = MelConfig().mels
NATIVE = "kaldi-native-fbank"


def run(seed: int = 0, runs: int = 7) -> list[Result]:
    """Time every kernel; `runs` of each, of which the median counts."""
    sound = speech_like(SECONDS * SAMPLE_RATE, seed)
    loud = sound * np.float32(32768.0)  # the peers want 16-bit numbers; made beforehand, in their favour
    rows = frame(sound)

    def stream() -> None:
        _stream(sound)

    cases: list[tuple[str, Call, str, Call | None, str]] = [
        ("log_mel_chunks_10ms", stream, NATIVE, _native_chunks(loud, listed=False), NATIVE),
        (
            "log_mel_chunks_10ms",
            stream,
            f"{NATIVE}, fed lists made beforehand",
            _native_chunks(loud, listed=True),
            NATIVE,
        ),
        ("log_mel_file_60s", lambda: log_mel(sound), NATIVE, _native_file(loud), NATIVE),
        (
            "log_mel_file_60s",
            lambda: log_mel(sound),
            "torchaudio.transforms.MelSpectrogram",
            _mel_spectrogram(sound),
            "torchaudio",
        ),
        (
            "log_mel_file_60s",
            lambda: log_mel(sound),
            "torchaudio.compliance.kaldi.fbank",
            _compliance("fbank", loud, MELS),
            "torchaudio",
        ),
        (
            "mfcc_file_60s",
            lambda: mfcc(sound),
            "torchaudio.compliance.kaldi.mfcc",
            _compliance("mfcc", loud, 23),
            "torchaudio",
        ),
        (
            "rfft_power_512",
            lambda: rfft_power(rows),
            "numpy.fft.rfft",
            lambda: np.abs(np.fft.rfft(rows)) ** 2,
            "numpy",
        ),
    ]
    pushes = _push_times(sound)
    results = []
    for case, ours, name, peer, package in cases:
        spread = pushes if ours is stream else None
        with _one_torch_thread():
            timings = compare(ours, peer, runs)
        results.append(timed("kernels", case, timings, name, seed, [package], float(SECONDS), spread))
    return results


def speech_like(samples: int, seed: int) -> FloatArray:
    """Sound with the shape of speech: a gliding voice in syllables, with breath and a quiet room.

    Returns: float32 [shape=(samples,)] in -1..1
    """
    random = np.random.default_rng(seed)
    seconds = np.arange(samples) / SAMPLE_RATE
    pitch = 140.0 + 40.0 * np.sin(2 * np.pi * 0.4 * seconds) + 10.0 * np.sin(2 * np.pi * 2.3 * seconds)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voice = np.zeros(samples)
    for harmonic in range(1, 24):
        voice += np.sin(harmonic * phase + random.uniform(0.0, 2 * np.pi)) / harmonic
    syllables = np.clip(
        np.sin(2 * np.pi * 3.1 * seconds) + 0.3 * np.sin(2 * np.pi * 0.7 * seconds), 0.0, None
    )
    noise = random.standard_normal(samples)
    sound = 0.15 * syllables * (voice + 0.1 * noise) + 0.002 * noise
    return np.clip(sound, -1.0, 1.0).astype(np.float32)


def _stream(sound: FloatArray) -> None:
    stream = StreamingLogMel()
    for start in range(0, len(sound), CHUNK):
        stream.push(sound[start : start + CHUNK])
    stream.finish()


def _push_times(sound: FloatArray) -> Percentiles:
    """Seconds of one push of 10 ms."""
    stream = StreamingLogMel()
    times = []
    for start in range(0, len(sound), CHUNK):
        chunk = sound[start : start + CHUNK]
        begin = time.perf_counter()
        stream.push(chunk)
        times.append(time.perf_counter() - begin)
    return Percentiles.of(times)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Hold torch to one thread, as our kernels are, and give it its threads back."""
    try:
        import torch
    except ImportError:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _native_options() -> "kaldi_native_fbank.FbankOptions":
    import kaldi_native_fbank

    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = MELS
    options.mel_opts.high_freq = 8000.0
    return options


def _native_chunks(loud: FloatArray, *, listed: bool) -> Call | None:
    """Feed 10 ms and take each new row; its binding takes lists faster than arrays, which it walks by number.

    Sound comes as arrays, so that making the lists counts, unless they are made beforehand.
    """
    try:
        import kaldi_native_fbank
    except ImportError:
        return None
    starts = range(0, len(loud), CHUNK)
    lists = [loud[start : start + CHUNK].tolist() for start in starts] if listed else None

    def call() -> None:
        fbank = kaldi_native_fbank.OnlineFbank(_native_options())
        done = 0
        for i, start in enumerate(starts):
            chunk = lists[i] if lists else loud[start : start + CHUNK].tolist()
            fbank.accept_waveform(SAMPLE_RATE, chunk)
            ready = fbank.num_frames_ready
            while done < ready:
                fbank.get_frame(done)
                done += 1

    return call


def _native_file(loud: FloatArray) -> Call | None:
    try:
        import kaldi_native_fbank
    except ImportError:
        return None

    def call() -> FloatArray:
        fbank = kaldi_native_fbank.OnlineFbank(_native_options())
        fbank.accept_waveform(SAMPLE_RATE, loud.tolist())
        out = np.empty((fbank.num_frames_ready, MELS), dtype=np.float32)
        for i in range(len(out)):
            out[i] = fbank.get_frame(i)
        return out

    return call


def _mel_spectrogram(sound: FloatArray) -> Call | None:
    try:
        import torch
        from torchaudio.transforms import MelSpectrogram
    except ImportError:
        return None
    transform = MelSpectrogram(SAMPLE_RATE, n_fft=512, win_length=400, hop_length=160, n_mels=MELS)
    samples = torch.from_numpy(sound)

    def call() -> None:
        with torch.inference_mode():
            transform(samples)

    return call


def _compliance(feature: Literal["fbank", "mfcc"], loud: FloatArray, mels: int) -> Call | None:
    try:
        import torch
        from torchaudio.compliance import kaldi
    except ImportError:
        return None
    extract = kaldi.fbank if feature == "fbank" else kaldi.mfcc
    samples = torch.from_numpy(loud)[None]

    def call() -> None:
        with torch.inference_mode():
            extract(samples, num_mel_bins=mels, dither=0.0)

    return call

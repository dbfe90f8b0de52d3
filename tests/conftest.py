"""What several test files share: a virtual microphone that hears what a test plays, and sound to encode."""

import ctypes.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.types import SAMPLE_RATE, FloatArray

SHARED = Path(os.environ.get("RTSPK_SHARED", Path(__file__).parents[2] / "shared"))
_SETUP = Path(__file__).with_name("microphone_setup.sh")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of evaluation sets and public models that training and measuring use."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no evaluation sets at {SHARED}; RTSPK_SHARED names another folder")
    return SHARED


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[int]:
    """Run `rtspk serve`, which knows nobody; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rtspk", "serve", "--port", "0", "--gallery", folder / "v.db"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
    )
    with process:
        said = next(line for line in process.stderr if "starting" not in line)
        assert "serving at http://127.0.0.1:" in said, said
        yield int(said.rsplit(":", 1)[1])
        process.terminate()
        assert process.wait(60) == 0


@dataclass(frozen=True, slots=True)
class VirtualMicrophone:
    """The default microphone of every process that runs with `env`; it hears what is played into it."""

    folder: Path
    env: dict[str, str]  # a whole environment, for subprocess

    def play(self, sound: FloatArray | Path, rate: int = SAMPLE_RATE) -> None:
        """Play samples, float32 [shape=(n,)], or a file, and return when the last of it was heard."""
        with self.start_playing(sound, rate) as player:
            assert player.wait(timeout=120) == 0, "paplay failed"

    def start_playing(self, sound: FloatArray | Path, rate: int = SAMPLE_RATE) -> "subprocess.Popen[bytes]":
        """Play in the background; the caller waits for or ends the process that comes back."""
        path = sound if isinstance(sound, Path) else self.folder / "played.wav"
        if not isinstance(sound, Path):
            write_wav(path, sound, rate)
        return subprocess.Popen(["paplay", str(path)], env=self.env)

    def unplug(self) -> None:
        """Take the microphone away; a second time does nothing."""
        subprocess.run(["sh", str(_SETUP), "stop", str(self.folder)], check=False, capture_output=True)


@pytest.fixture
def virtual_microphone() -> Iterator[VirtualMicrophone]:
    missing = [name for name in ("pulseaudio", "paplay") if shutil.which(name) is None]
    if sys.platform != "linux" or missing or ctypes.util.find_library("portaudio") is None:
        pytest.skip("needs PulseAudio and PortAudio: sh tests/microphone_setup.sh packages")
    # Not tmp_path: the name of a socket may have 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="rtspk-mic-"))
    started = subprocess.run(
        ["sh", str(_SETUP), "start", str(folder)], check=True, capture_output=True, text=True, timeout=60
    )
    settings = dict(line.split("=", 1) for line in started.stdout.splitlines())
    microphone = VirtualMicrophone(folder, {**os.environ, **settings})
    try:
        yield microphone
    finally:
        microphone.unplug()
        shutil.rmtree(folder, ignore_errors=True)


SECONDS = 3  # of speechlike sound, where a test asks for no others


def speechlike(rate, seconds=SECONDS, seed=3):
    """Make noise below 3 kHz whose loudness changes like syllables, on the grid of 8 bits."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequencies = np.fft.rfftfreq(n, 1 / rate)
    spectrum[(frequencies > 3000) | (frequencies < 100)] = 0
    loudness = np.interp(np.arange(n) / rate, np.arange(seconds * 8 + 1) / 8, rng.random(seconds * 8 + 1))
    sound = np.fft.irfft(spectrum, n) * loudness
    return (np.rint(sound / np.abs(sound).max() * 100) / 128).astype(np.float32)


def encode(path, sound, rate, codec, layout="mono", with_video=False, drop=()):
    """Write sound [shape=(channels, n)] with PyAV; packets whose numbers are in `drop` go missing."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        if codec in ("aac", "libmp3lame", "libopus"):
            stream.bit_rate = 64_000 * (1 + len(sound))
        packets = []
        if with_video:
            video = container.add_stream("mpeg4", rate=25)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            for _ in range(round(sound.shape[1] / rate * 25)):
                picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                packets += video.encode(picture)
            packets += video.encode(None)
        fitting = av.AudioResampler(format=stream.codec_context.format.name, layout=layout, rate=rate)
        # Interleaved: PyAV miscounts the planes of 8 channels and more.
        frame = av.AudioFrame.from_ndarray(sound.T.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        heard = [packet for each in fitting.resample(frame) for packet in stream.encode(each)]
        heard += stream.encode(None)
        container.mux([*packets, *(packet for number, packet in enumerate(heard) if number not in drop)])


def likeness(heard, wanted, most=1200):
    """Return the correlation after the best shift of up to `most` samples, and that shift."""
    n = min(len(heard), len(wanted)) - 2 * most
    middle = wanted[most : most + n]
    best = int(np.argmax(np.correlate(heard[: n + 2 * most], middle, "valid")))
    return np.corrcoef(heard[best : best + n], middle)[0, 1], best - most

"""Fixtures that several test files share: a virtual microphone that hears what a test plays."""

import ctypes.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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

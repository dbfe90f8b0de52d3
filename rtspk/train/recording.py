"""Write sound to a file block by block, as WAV or FLAC of 16 bits; the file appears when it is whole."""

import secrets
import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtspk.errors import AudioError, ConfigError
from rtspk.types import SAMPLE_RATE, FloatArray

__all__ = ["FORMATS", "write_sound"]

FORMATS: tuple[str, ...] = ("wav", "flac")


def write_sound(path: Path, blocks: Iterable[FloatArray]) -> int:
    """Write one channel at 16 kHz, in the format that the suffix names; what is beyond full scale is clipped.

    Args:
        path: ends in .wav or .flac
        blocks: float32 [shape=(n,)] each

    Returns:
        how many samples there were
    """
    if path.suffix[1:] not in FORMATS:
        raise ConfigError(f"wanted a file that ends in .{' or .'.join(FORMATS)}, got {path.name}")
    temporary = path.with_name(f".{secrets.token_hex(6)}{path.suffix}")
    try:
        length = (_write_wav if path.suffix == ".wav" else _write_flac)(temporary, map(_coded, blocks))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return length


def _coded(block: FloatArray) -> NDArray[np.int16]:
    return np.clip(np.rint(block * np.float32(32768)), -32768, 32767).astype("<i2")


def _write_wav(path: Path, blocks: Iterable[NDArray[np.int16]]) -> int:
    length = 0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for block in blocks:
            file.writeframesraw(block.tobytes())
            length += len(block)
    return length


def _write_flac(path: Path, blocks: Iterable[NDArray[np.int16]]) -> int:
    import av

    length = 0
    try:
        with av.open(f"file:{path}", "w", format="flac", options={"fflags": "+bitexact"}) as container:
            stream = container.add_stream("flac", rate=SAMPLE_RATE)
            assert isinstance(stream, av.AudioStream)
            stream.layout, stream.format = "mono", "s16"
            for block in blocks:
                frame = av.AudioFrame.from_ndarray(block[None], "s16", "mono")
                frame.sample_rate, frame.pts = SAMPLE_RATE, length
                container.mux(stream.encode(frame))
                length += len(block)
            container.mux(stream.encode(None))
    except av.error.FFmpegError as error:
        raise AudioError(f"{path.name}: wanted to write it as FLAC, got {error.strerror}") from error
    return length

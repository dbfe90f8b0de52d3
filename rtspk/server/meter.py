"""How much sound a binary message holds, before anybody decodes it."""

from typing import Protocol

import numpy as np

from rtspk.errors import AudioError
from rtspk.server.messages import AudioFormat

__all__ = ["OPUS_RATES", "Meter", "meter_of", "packet_seconds", "pcm_type"]

OPUS_RATES: tuple[int, ...] = (8_000, 12_000, 16_000, 24_000, 48_000)
OPUS_LARGEST: int = 61_440  # bytes of a packet: 48 frames of 1275 (RFC 6716, section 3.2) and their lengths
OPUS_LONGEST: float = 0.12  # s in one packet (RFC 6716, section 3.2.5)


class Meter(Protocol):
    """What a stream needs to know of its format.

    A *unit* is what `received` counts on the wire: one sample of every channel, or one Opus packet.
    """

    width: int  # bytes of a unit of PCM; 0 where a message is one unit

    def measure(self, data: bytes) -> tuple[int, float]:
        """Units and seconds in whole units; raises AudioError for what cannot be sound."""


def meter_of(format_: AudioFormat) -> Meter:
    """Make the meter of a format.

    Raises:
        AudioError: a combination that there is no decoder for; the line says what is accepted.
    """
    if format_.encoding != "opus":
        return PcmMeter(format_)
    if format_.rate not in OPUS_RATES or format_.channels > 2:
        raise AudioError(
            f"wanted opus at {', '.join(map(str, OPUS_RATES))} Hz with 1 or 2 channels, "
            f"got {format_.rate} Hz with {format_.channels}"
        )
    return OpusMeter()


class PcmMeter:
    """Interleaved samples."""

    def __init__(self, format_: AudioFormat) -> None:
        self.width = pcm_type(format_).itemsize * format_.channels
        self._rate = format_.rate

    def measure(self, data: bytes) -> tuple[int, float]:
        """Samples of each channel."""
        units = len(data) // self.width
        return units, units / self._rate


class OpusMeter:
    """One packet a message."""

    width = 0

    def measure(self, data: bytes) -> tuple[int, float]:
        """One packet; its first byte says how long it is."""
        if len(data) > OPUS_LARGEST:
            raise AudioError(f"wanted an Opus packet of at most {OPUS_LARGEST} bytes, got {len(data)}")
        return 1, packet_seconds(data)


def pcm_type(format_: AudioFormat) -> "np.dtype[np.generic]":
    """The type of a sample."""
    return np.dtype("<i2" if format_.encoding == "s16le" else "<f4")


def packet_seconds(packet: bytes) -> float:
    """How long an Opus packet lasts, by its first bytes (RFC 6716, sections 3.1 and 3.2).

    >>> packet_seconds(bytes([0x78]))
    0.02

    Raises:
        AudioError: no Opus packet has such a beginning.
    """
    if not packet:
        raise AudioError("wanted an Opus packet, got an empty message")
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (0.01, 0.02, 0.04, 0.06)[config & 3]
    elif config < 16:
        frame = (0.01, 0.02)[config & 1]
    else:
        frame = (0.0025, 0.005, 0.01, 0.02)[config & 3]
    if code == 3 and len(packet) < 2:
        raise AudioError("wanted an Opus packet, got half of one")
    frames = (1, 2, 2, packet[1] & 63 if code == 3 else 0)[code]
    seconds = frame * frames
    if not 0 < seconds <= OPUS_LONGEST + 1e-9:
        raise AudioError(f"wanted an Opus packet of up to 120 ms, got one of {seconds * 1000:.0f} ms")
    return seconds

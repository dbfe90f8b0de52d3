"""Make clean speech sound like the world: rooms, noise, music, other voices, telephones, codecs, loudness."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

from rtspk.config import refuse_outside, refuse_reversed
from rtspk.train.codecs import random_codec
from rtspk.train.far_field import steady_noise
from rtspk.types import SAMPLE_RATE, FloatArray

__all__ = ["AugmentConfig", "Augmenter", "microphone", "telephone", "with_noise", "with_room"]

BANDS: int = 9  # of a microphone's response, even on the mel scale


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How often each change is made, and how strongly."""

    room: float = 0.4
    far: float = 0.0  # a seat far from the microphone, over the hum of a room
    noise: float = 0.5  # or music, whichever is drawn
    babble: float = 0.15
    telephone: float = 0.1
    lowpass: float = 0.1
    clipping: float = 0.05
    microphone: float = 0.0  # a response of its own
    codec: float = 0.05  # Opus, MP3 or G.711: encoding costs milliseconds
    spectrum: float = 1.0  # widths of what is hidden in the spectrum (SpecAugment) are multiplied by this
    noise_snr_db: tuple[float, float] = (3.0, 22.0)
    music_snr_db: tuple[float, float] = (5.0, 22.0)
    babble_snr_db: tuple[float, float] = (10.0, 22.0)
    hum_snr_db: tuple[float, float] = (3.0, 25.0)
    microphone_db: float = 4.0  # standard deviation of its bands
    level_db: tuple[float, float] = (-36.0, -14.0)  # root mean square below full scale
    rooms: int = 400  # impulse responses in the bank

    def __post_init__(self) -> None:
        chances = (
            "room",
            "far",
            "noise",
            "babble",
            "telephone",
            "lowpass",
            "clipping",
            "microphone",
            "codec",
        )
        refuse_outside(self, 0.0, 1.0, *chances)
        refuse_outside(self, 0, math.inf, "spectrum", "microphone_db", "rooms")
        ranges = ("noise_snr_db", "music_snr_db", "babble_snr_db", "hum_snr_db", "level_db")
        refuse_outside(self, -100.0, 100.0, *ranges)
        refuse_reversed(self, *ranges)

    def codecs(self) -> "AugmentConfig":
        """The changes that need an encoder alone; `rtspk.train.batched_augment` makes the others."""
        return replace(
            self,
            room=0.0,
            far=0.0,
            noise=0.0,
            babble=0.0,
            telephone=0.0,
            lowpass=0.0,
            clipping=0.0,
            microphone=0.0,
        )


@dataclass(frozen=True, slots=True)
class Augmenter:
    """Draws and applies changes; holds only read-only banks of sound."""

    config: AugmentConfig
    rooms: list[FloatArray]
    noises: list[FloatArray]
    music: list[FloatArray] = field(default_factory=list)
    seats: list[FloatArray] = field(default_factory=list)  # impulse responses of seats far away

    def __call__(
        self, samples: FloatArray, others: list[FloatArray], rng: Generator, chance: float = 1.0
    ) -> FloatArray:
        """Change one crop.

        Args:
            samples: float32 [shape=(n,)]
            others: crops of other speakers, for babble
            rng: the source of all chance here
            chance: what the chance of each change is multiplied by
        """
        config = self.config
        if self.rooms and rng.random() < config.room * chance:
            samples = with_room(samples, self.rooms[rng.integers(len(self.rooms))])
        if self.seats and rng.random() < config.far * chance:
            samples = with_room(samples, self.seats[rng.integers(len(self.seats))])
            samples = with_noise(samples, steady_noise(len(samples), rng), rng.uniform(*config.hum_snr_db))
        count = len(self.noises) + len(self.music)
        if count and rng.random() < config.noise * chance:
            number = int(rng.integers(count)) - len(self.noises)  # below zero it is noise, from its end
            sound = self.noises[number] if number < 0 else self.music[number]
            snr_db = config.noise_snr_db if number < 0 else config.music_snr_db
            samples = with_noise(samples, _stretch(sound, len(samples), rng), rng.uniform(*snr_db))
        if others and rng.random() < config.babble * chance:
            babble = np.zeros_like(samples)
            for other in others:
                voice = _stretch(other, len(samples), rng)
                babble += voice / (_rms(voice) + 1e-6)
            samples = with_noise(samples, babble, rng.uniform(*config.babble_snr_db))
        samples = samples * np.float32(
            10.0 ** (rng.uniform(*config.level_db) / 20.0) / (_rms(samples) + 1e-6)
        )
        if rng.random() < config.clipping * chance:
            ceiling = np.float32(rng.uniform(0.3, 0.9) * np.abs(samples).max())
            samples = np.clip(samples, -ceiling, ceiling)
        # A recipe that wants none draws none, and so hears what it always did.
        if config.microphone and rng.random() < config.microphone * chance:
            samples = microphone(samples, rng.normal(0.0, config.microphone_db, BANDS))
        if rng.random() < config.telephone * chance:
            samples = telephone(samples)
        elif rng.random() < config.lowpass * chance:
            samples = _lowpass(samples, int(rng.integers(6_000, 14_000)))
        if rng.random() < config.codec * chance:
            samples = random_codec(samples, rng)
        return samples


def with_room(samples: FloatArray, response: FloatArray) -> FloatArray:
    """Convolve with a room's impulse response; length and onset stay as they were."""
    size = 1 << (len(samples) + len(response) - 2).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def with_noise(samples: FloatArray, noise: FloatArray, snr_db: float) -> FloatArray:
    """Add noise of the same length at a signal-to-noise ratio in decibels."""
    gain = _rms(samples) / (_rms(noise) + 1e-6) * 10.0 ** (-snr_db / 20.0)
    return samples + noise * np.float32(gain)


def microphone(samples: FloatArray, levels_db: NDArray[np.float64]) -> FloatArray:
    """Raise and lower bands, even on the mel scale and smoothly from one to the next.

    Args:
        samples: float32 [shape=(n,)]
        levels_db: float64 [shape=(bands,)], from 0 Hz to half of the sample rate
    """
    mel = np.log1p(np.fft.rfftfreq(len(samples), 1.0 / SAMPLE_RATE) / 700.0)
    level = np.interp(mel / mel[-1] * (len(levels_db) - 1), np.arange(len(levels_db)), levels_db)
    return np.fft.irfft(np.fft.rfft(samples) * 10.0 ** (level / 20.0), len(samples)).astype(np.float32)


def telephone(samples: FloatArray) -> FloatArray:
    """Narrow band at 8 kHz, 8 bits by the mu-law of ITU-T G.711, and back."""
    narrow = np.clip(soxr.resample(samples, SAMPLE_RATE, 8_000), -1.0, 1.0)
    mu = 255.0
    coded = np.sign(narrow) * np.log1p(mu * np.abs(narrow)) / np.log1p(mu)
    coded = np.round(coded * 127.0) / 127.0
    narrow = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(mu)) / mu
    return _fit(soxr.resample(narrow.astype(np.float32), 8_000, SAMPLE_RATE), len(samples))


def _lowpass(samples: FloatArray, rate: int) -> FloatArray:
    narrow = soxr.resample(samples, SAMPLE_RATE, rate)
    return _fit(soxr.resample(narrow, rate, SAMPLE_RATE), len(samples))


def _fit(samples: FloatArray, length: int) -> FloatArray:
    out = np.zeros(length, np.float32)
    out[: min(length, len(samples))] = samples[:length]
    return out


def _stretch(sound: FloatArray, length: int, rng: Generator) -> FloatArray:
    """A random stretch of the wanted length; short sounds are repeated."""
    if len(sound) < length:
        sound = np.tile(sound, -(-length // max(1, len(sound))))
    start = int(rng.integers(0, len(sound) - length + 1))
    return sound[start : start + length]


def _rms(samples: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(samples), dtype=np.float64)))

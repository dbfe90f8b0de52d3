"""A table microphone: voices metres away, in one room's reverberation, over the hum of its machines."""

import numpy as np
from numpy.random import Generator

from rtspk.types import SAMPLE_RATE, FloatArray, samples_of

__all__ = ["far_seats", "steady_noise"]

LONGEST: int = samples_of(0.75)  # later reverberation is cut
REVERBERATION_SECONDS: tuple[float, float] = (0.25, 0.8)  # until it has fallen by 60 dB: living room to hall
DIRECT_DB: tuple[float, float] = (-7.0, 6.0)  # of a seat: the direct sound against all that is reflected
EARLIEST: int = samples_of(0.002)  # of the reflections
LOW_HERTZ: float = 60.0  # below this no microphone hears much


def far_seats(count: int, rng: Generator) -> list[FloatArray]:
    """Impulse responses of so many seats in one room: a direct sound and a tail of noise that dies away.

    Late reverberation is Gaussian noise under an exponential (J. D. Polack, 1988); high frequencies die
    sooner. The direct sound stands at sample 0 with height 1.

    Returns:
        float32 [shape=(12000,)] each
    """
    lasts = rng.uniform(*REVERBERATION_SECONDS)
    time = np.arange(LONGEST) / SAMPLE_RATE
    seats = []
    for _ in range(count):
        noise = rng.standard_normal(LONGEST)
        dull = np.convolve(noise, np.ones(5) / 5.0, "same") * np.sqrt(5.0)
        fades = np.log(1000.0) / lasts  # 60 dB are a factor of a thousand
        tail = noise * np.exp(-1.5 * fades * time) + dull * np.exp(-fades * time)
        tail[:EARLIEST] = 0.0
        tail *= 10.0 ** (-rng.uniform(*DIRECT_DB) / 20.0) / np.linalg.norm(tail)
        tail[0] = 1.0
        seats.append(tail.astype(np.float32))
    return seats


def steady_noise(length: int, rng: Generator) -> FloatArray:
    """The hum of a fan or a projector: noise of a falling spectrum, float32 [shape=(length,)]."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    hertz = np.fft.rfftfreq(length, 1.0 / SAMPLE_RATE)
    spectrum /= np.maximum(hertz, LOW_HERTZ) ** rng.uniform(0.2, 1.0)
    sound = np.fft.irfft(spectrum, length)
    return (0.1 * sound / sound.std()).astype(np.float32)

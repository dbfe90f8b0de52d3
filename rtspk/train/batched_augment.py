"""The changes of `rtspk.train.augment` for a whole batch at once, on the device of the network.

Shares and strengths are those of `AugmentConfig`. Filters are applied to spectra, so that a low-pass has no
transition, and all chance is torch's: `torch.manual_seed` before a step makes it a function of the step.
Codecs need encoders, and stay with the workers that make the batches (`AugmentConfig.codecs`).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that the torch world uses

from rtspk.train.augment import BANDS, Augmenter
from rtspk.types import SAMPLE_RATE, FloatArray

__all__ = ["BatchedAugmenter"]

VOICES: int = 3  # of babble
SMALLEST: float = 1e-6  # of a level that something is divided by
TELEPHONE_HERTZ: float = 3_800.0  # what is left of a voice at 8 kHz
LOWPASS_HERTZ: tuple[float, float] = (3_000.0, 7_000.0)
CLIPPED: tuple[float, float] = (0.3, 0.9)  # of the peak
MU: float = 255.0  # of the mu-law of ITU-T G.711


class BatchedAugmenter(nn.Module):
    """Draws and applies changes to crops side by side, out of the banks of an `Augmenter`."""

    responses: Tensor
    seats: Tensor
    sounds: Tensor
    places: Tensor

    def __init__(self, slow: Augmenter) -> None:
        super().__init__()
        self.config, self.noises = slow.config, len(slow.noises)
        sounds = [torch.from_numpy(sound) for sound in [*slow.noises, *slow.music]]
        lengths = torch.tensor([len(sound) for sound in sounds], dtype=torch.int64)
        self.register_buffer("responses", _side_by_side(slow.rooms), persistent=False)
        self.register_buffer("seats", _side_by_side(slow.seats), persistent=False)
        self.register_buffer("sounds", torch.cat([*sounds, torch.zeros(1)]), persistent=False)
        # Where each sound begins, and its length.
        self.register_buffer("places", torch.stack([lengths.cumsum(0) - lengths, lengths]), persistent=False)

    @torch.no_grad()
    def forward(self, samples: Tensor, chance: float = 1.0) -> Tensor:
        """Change crops.

        Args:
            samples: float32 [shape=(B, n)]; each crop's babble is of others in the batch
            chance: what the chance of each change is multiplied by

        Returns:
            float32 [shape=(B, n)]
        """
        config, x = self.config, samples
        if len(self.responses):
            x = self._where(config.room * chance, x, _convolved(x, self._any(self.responses, len(x))))
        if len(self.seats):
            x = self._where(config.far * chance, x, self._far(x))
        if self.places.shape[1]:
            x = self._where(config.noise * chance, x, self._noisy(x))
        if len(x) > VOICES:
            x = self._where(config.babble * chance, x, self._babbled(x, samples))
        level = 10.0 ** (self._uniform(len(x), config.level_db) / 20.0)
        x = x * (level / (_rms(x) + SMALLEST))
        ceiling = self._uniform(len(x), CLIPPED) * x.abs().amax(1, keepdim=True)
        x = self._where(config.clipping * chance, x, x.clamp(-ceiling, ceiling))
        x = self._where(config.microphone * chance, x, self._coloured(x))
        x = self._where(config.lowpass * chance, x, self._low_passed(x))
        return self._where(config.telephone * chance, x, _telephone(x))

    def _where(self, share: float, x: Tensor, changed: Tensor) -> Tensor:
        """Of this share of the crops what was changed, of the others what was not."""
        return torch.where(torch.rand(len(x), 1, device=x.device) < share, changed, x)

    def _uniform(self, rows: int, span: tuple[float, float]) -> Tensor:
        drawn = torch.rand(rows, 1, device=self.sounds.device)
        return span[0] + (span[1] - span[0]) * drawn

    def _any(self, bank: Tensor, rows: int) -> Tensor:
        return bank[torch.randint(len(bank), (rows,), device=bank.device)]

    def _far(self, x: Tensor) -> Tensor:
        """From a seat far away, over the hum of a room's machines: noise of a falling spectrum."""
        x = _convolved(x, self._any(self.seats, len(x)))
        spectrum = torch.fft.rfft(torch.randn_like(x))
        hertz = _hertz(x.shape[1], x.device).clamp(min=60.0)
        falling = hertz ** -self._uniform(len(x), (0.2, 1.0))
        hum = torch.fft.irfft(spectrum * falling, x.shape[1])
        return _mixed(x, hum, self._uniform(len(x), self.config.hum_snr_db))

    def _noisy(self, x: Tensor) -> Tensor:
        number = torch.randint(self.places.shape[1], (len(x), 1), device=x.device)
        begin, length = self.places[0][number], self.places[1][number].clamp(min=1)
        start = (torch.rand(len(x), 1, device=x.device) * length).long()
        at = begin + (start + torch.arange(x.shape[1], device=x.device)) % length
        noise = self._uniform(len(x), self.config.noise_snr_db)
        music = self._uniform(len(x), self.config.music_snr_db)
        return _mixed(x, self.sounds[at], torch.where(number < self.noises, noise, music))

    def _babbled(self, x: Tensor, voices: Tensor) -> Tensor:
        shifts = torch.randperm(len(x) - 1)[:VOICES] + 1
        level = _rms(voices) + SMALLEST
        babble = torch.stack([(voices / level).roll(int(shift), 0) for shift in shifts]).sum(0)
        return _mixed(x, babble, self._uniform(len(x), self.config.babble_snr_db))

    def _coloured(self, x: Tensor) -> Tensor:
        """By a microphone of its own: bands raised and lowered, smoothly from one to the next."""
        hertz = _hertz(x.shape[1], x.device)
        mel = torch.log1p(hertz / 700.0)
        place = mel / mel[-1] * (BANDS - 1)
        below = place.floor().long().clamp(max=BANDS - 2)
        bands = torch.randn(len(x), BANDS, device=x.device) * self.config.microphone_db
        between = place - below
        level = bands[:, below] * (1.0 - between) + bands[:, below + 1] * between
        return torch.fft.irfft(torch.fft.rfft(x) * 10.0 ** (level / 20.0), x.shape[1])

    def _low_passed(self, x: Tensor) -> Tensor:
        kept = _hertz(x.shape[1], x.device) < self._uniform(len(x), LOWPASS_HERTZ)
        return torch.fft.irfft(torch.fft.rfft(x) * kept, x.shape[1])


def _side_by_side(responses: list[FloatArray]) -> Tensor:
    """Impulse responses of any length, float32 [shape=(responses, longest)]."""
    longest = max((len(one) for one in responses), default=0)
    table = torch.zeros(len(responses), longest)
    for row, one in zip(table, responses, strict=True):
        row[: len(one)] = torch.from_numpy(one)
    return table


def _convolved(x: Tensor, responses: Tensor) -> Tensor:
    """Each crop with its own response; length and onset stay as they were."""
    size = 1 << (x.shape[1] + responses.shape[1] - 2).bit_length()
    spectrum = torch.fft.rfft(x, size) * torch.fft.rfft(responses, size)
    return torch.fft.irfft(spectrum, size)[:, : x.shape[1]]


def _mixed(x: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """With noise at a signal-to-noise ratio in decibels, [shape=(B, 1)]."""
    return x + noise * (_rms(x) / (_rms(noise) + SMALLEST) * 10.0 ** (-snr_db / 20.0))


def _telephone(x: Tensor) -> Tensor:
    """Narrow band at 8 kHz, 8 bits by the mu-law of ITU-T G.711, and back."""
    samples = x.shape[1]
    x = F.pad(x, (0, samples % 2))
    kept = _hertz(x.shape[1], x.device) < TELEPHONE_HERTZ
    narrow = torch.fft.irfft(torch.fft.rfft(x) * kept, x.shape[1])[:, ::2].clamp(-1.0, 1.0)
    scale = torch.log1p(torch.tensor(MU, device=x.device))
    coded = (narrow.sign() * torch.log1p(MU * narrow.abs()) / scale * 127.0).round() / 127.0
    narrow = coded.sign() * torch.expm1(coded.abs() * scale) / MU
    wide = torch.zeros_like(x)
    wide[:, ::2] = 2.0 * narrow  # zeros between halve the level
    return torch.fft.irfft(torch.fft.rfft(wide) * kept, x.shape[1])[:, :samples]


def _hertz(samples: int, device: torch.device) -> Tensor:
    """The frequencies of a spectrum, float32 [shape=(samples // 2 + 1,)]."""
    return torch.fft.rfftfreq(samples, 1.0 / SAMPLE_RATE, device=device)


def _rms(x: Tensor) -> Tensor:
    return x.square().mean(1, keepdim=True).sqrt()

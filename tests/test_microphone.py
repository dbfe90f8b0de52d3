"""The microphone through a stand-in for PortAudio: which one, what it lost, how it ends."""

import itertools
import subprocess
import sys
import threading
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from rtspk import microphone
from rtspk.errors import DeviceError, SessionError
from rtspk.microphone import Device, Microphone, list_devices


class FakePortAudioError(Exception):
    """What a stand-in for PortAudio raises."""


class FakeStream:
    """A stream whose test calls the callback by hand."""

    def __init__(self, **settings):
        self.settings = SimpleNamespace(**settings)
        self.is_open = True
        self.seconds = 0.0

    def start(self):
        pass

    def abort(self, ignore_errors):
        assert ignore_errors

    def close(self, ignore_errors):
        assert ignore_errors
        self.is_open = False

    def hear(self, values, overflow=False, missed_seconds=0.0):
        """Deliver one block, behind `missed_seconds` of which nothing was heard."""
        frames = len(values) // self.settings.channels
        self.seconds += missed_seconds
        times = SimpleNamespace(inputBufferAdcTime=self.seconds)
        data = np.asarray(values, dtype=np.float32).tobytes()
        self.settings.callback(memoryview(data), frames, times, SimpleNamespace(input_overflow=overflow))
        self.seconds += frames / self.settings.samplerate


class FakePortAudio(ModuleType):
    """Three devices, of which two record; `refuse` holds the settings that cannot be opened."""

    PortAudioError = FakePortAudioError

    def __init__(self):
        super().__init__("sounddevice")
        self.devices = [("Speakers", 0, 48000.0), ("USB Headset", 1, 44100.0), ("USB Camera", 2, 48000.0)]
        self.default = SimpleNamespace(device=[1, 0])
        self.refuse = set()
        self.stream = None

    def query_devices(self):
        return [
            {"name": name, "hostapi": 0, "max_input_channels": channels, "default_samplerate": rate}
            for name, channels, rate in self.devices
        ]

    def query_hostapis(self):
        return ({"name": "ALSA"},)

    def check_input_settings(self, device, channels, dtype, samplerate):
        assert dtype == "float32"
        if (samplerate, channels) in self.refuse:
            raise FakePortAudioError("Invalid sample rate\n[PaErrorCode -9997]")
        assert self.devices[device][1] >= channels

    def RawInputStream(self, **settings):  # noqa: N802 (PortAudio's name)
        self.stream = FakeStream(**settings)
        return self.stream


@pytest.fixture
def portaudio(monkeypatch):
    fake = FakePortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def heard(open_microphone):
    """Stop, and join what was heard, checking that no chunk leaves a hole."""
    open_microphone.stop()
    chunks = list(open_microphone)
    for before, after in itertools.pairwise(chunks):
        assert after.start == before.end
    return np.concatenate([chunk.samples for chunk in chunks]) if chunks else np.zeros(0, np.float32)


@pytest.mark.usefixtures("portaudio")
def test_only_what_records_is_listed():
    assert list_devices() == [
        Device(1, "USB Headset", "ALSA", 1, 44100, is_default=True),
        Device(2, "USB Camera", "ALSA", 2, 48000, is_default=False),
    ]


@pytest.mark.usefixtures("portaudio")
@pytest.mark.parametrize(
    ("wanted", "index"), [(None, 1), (2, 2), ("2", 2), ("CAMERA", 2), ("headset", 1), ("usb headset", 1)]
)
def test_a_microphone_is_found_by_number_or_by_a_part_of_its_name(wanted, index):
    assert Microphone(wanted).device.index == index


def test_a_whole_name_wins_over_longer_names(portaudio):
    portaudio.devices.append(("USB", 1, 48000.0))
    assert Microphone("usb").device.index == 3


@pytest.mark.usefixtures("portaudio")
@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("usb", r"one microphone for 'usb', got 2; there match: 1 'USB Headset' \(ALSA\), 2 'USB Camera'"),
        ("radio", r"one microphone for 'radio', got none; there are: 1 'USB Headset' \(ALSA\), 2"),
        (0, "one microphone for 0, got none; there are: 1 'USB Headset'"),
    ],
)
def test_an_unclear_or_unknown_name_is_refused_with_the_list(wanted, said):
    with pytest.raises(DeviceError, match=said):
        Microphone(wanted)


def test_without_a_default_the_list_is_shown(portaudio):
    portaudio.default.device = [-1, -1]
    with pytest.raises(DeviceError, match="a default microphone, got none; there are: 1 'USB Headset'"):
        Microphone()


def test_without_any_microphone_the_error_says_so(portaudio):
    portaudio.devices = []
    with pytest.raises(DeviceError, match="wanted a microphone, got a machine without one"):
        Microphone()


def test_a_missing_library_is_an_error_that_names_its_package(monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match=r"install libportaudio2 .* or portaudio"):
        list_devices()


def test_sound_at_16_khz_arrives_as_it_was(portaudio):
    sound = np.random.default_rng(1).uniform(-1, 1, 4000).astype(np.float32)
    with Microphone() as open_microphone:
        for block in np.split(sound, 5):
            portaudio.stream.hear(block)
        assert open_microphone.rate == 16000
        np.testing.assert_array_equal(heard(open_microphone), sound)
        assert (open_microphone.overruns, open_microphone.lost_samples) == (0, 0)
    assert not portaudio.stream.is_open


def test_a_device_with_another_rate_and_two_channels_is_resampled_and_mixed(portaudio):
    portaudio.refuse = {(16000, 1), (48000, 1)}
    tone = np.sin(2 * np.pi * 440 * np.arange(24000) / 48000)
    with Microphone("camera") as open_microphone:
        assert open_microphone.rate == 48000
        for block in np.split(tone, 10):
            portaudio.stream.hear(np.stack([block * 0.5, block * 1.5], axis=1).ravel())
        samples = heard(open_microphone)
    assert len(samples) == 8000
    wanted = np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    np.testing.assert_allclose(samples[500:-500], wanted[500:-500], atol=1e-4)


def test_a_device_that_opens_with_no_settings_is_refused_in_one_line(portaudio):
    portaudio.refuse = {(16000, 1), (44100, 1)}
    with pytest.raises(DeviceError, match=r"open microphone 1 'USB Headset', got Invalid .* -9997\]$"):
        Microphone().__enter__()


@pytest.mark.parametrize("rate", [16000, 44100])
def test_what_the_device_lost_is_counted_and_filled_with_zeros(portaudio, rate):
    portaudio.refuse = {(16000, 1)} if rate != 16000 else set()
    with Microphone() as open_microphone:
        portaudio.stream.hear(np.ones(rate))
        portaudio.stream.hear(np.ones(rate), overflow=True, missed_seconds=2.5)
        samples = heard(open_microphone)
        assert (open_microphone.overruns, open_microphone.lost_samples) == (1, 40000)
    assert len(samples) == 4.5 * 16000
    assert np.abs(samples[16200:55800]).max() < 1e-2
    np.testing.assert_allclose(samples[200:15800], 1, atol=1e-2)
    np.testing.assert_allclose(samples[56200:71800], 1, atol=1e-2)


def test_a_loss_before_the_first_block_is_counted_and_has_no_length(portaudio):
    with Microphone() as open_microphone:
        portaudio.stream.hear(np.ones(800), overflow=True, missed_seconds=3600.0)
        np.testing.assert_array_equal(heard(open_microphone), np.ones(800))
        assert (open_microphone.overruns, open_microphone.lost_samples) == (1, 0)


def test_what_a_slow_reader_lets_go_is_counted_and_filled_with_zeros(portaudio):
    blocks = [np.full(800, value, np.float32) for value in (1, 2, 3, 4, 5)]
    with Microphone(backlog_seconds=0.1) as open_microphone:
        for block in blocks[:4]:  # two blocks fit
            portaudio.stream.hear(block)
        first = next(iter(open_microphone))
        portaudio.stream.hear(blocks[4])
        rest = heard(open_microphone)
        assert (open_microphone.overruns, open_microphone.lost_samples) == (1, 1600)
    zeros = np.zeros(800, np.float32)
    wanted = np.concatenate([blocks[0], blocks[1], zeros, zeros, blocks[4]])
    np.testing.assert_array_equal(np.concatenate([first.samples, rest]), wanted)


def test_what_is_no_sound_becomes_silence(portaudio):
    with Microphone() as open_microphone:
        portaudio.stream.hear(np.array([0.5, np.nan, np.inf, -np.inf, 1e30, -0.5]))
        np.testing.assert_array_equal(heard(open_microphone), np.float32([0.5, 0, 0, 0, 0, -0.5]))


def test_a_device_that_ends_gives_what_it_heard_and_then_an_error(portaudio):
    with Microphone() as open_microphone:
        portaudio.stream.hear(np.ones(800))
        portaudio.stream.settings.finished_callback()
        chunks = iter(open_microphone)
        assert len(next(chunks).samples) == 800
        with pytest.raises(DeviceError, match=r"'USB Headset', got none: it stopped or was unplugged"):
            next(chunks)


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_device_that_falls_silent_without_a_word_is_an_error(portaudio, monkeypatch, blocks):
    monkeypatch.setattr(microphone, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(microphone, "FIRST_SECONDS", 0.0)
    with Microphone() as open_microphone:
        for _ in range(blocks):
            portaudio.stream.hear(np.ones(800))
        with pytest.raises(DeviceError, match="unplugged"):
            list(open_microphone)


@pytest.mark.usefixtures("portaudio")
def test_stop_ends_a_reader_that_waits():
    with Microphone() as open_microphone:
        chunks = []
        reader = threading.Thread(target=lambda: chunks.extend(open_microphone))
        reader.start()
        open_microphone.stop()
        reader.join(timeout=60)
        assert not reader.is_alive()
        assert chunks == []


@pytest.mark.usefixtures("portaudio")
def test_a_microphone_outside_its_with_is_refused():
    with pytest.raises(SessionError, match="outside its `with`"):
        iter(Microphone())


@pytest.mark.usefixtures("portaudio")
def test_a_closed_microphone_is_not_opened_again():
    with Microphone() as open_microphone:
        pass
    with pytest.raises(SessionError, match="one that was closed"):
        open_microphone.__enter__()


def test_standard_error_comes_back_after_the_devices_were_listed(portaudio, capfd):
    noisy = portaudio.query_devices

    def query_devices():
        subprocess.run([sys.executable, "-c", "import os; os.write(2, b'ALSA lib grumbles')"], check=True)
        return noisy()

    portaudio.query_devices = query_devices
    list_devices()
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "after\n"

"""Binary messages become sound: the same as the command line makes of the same bytes."""

import io

import av
import numpy as np
import pytest

from rtspk.audio import read_audio, stream_pcm
from rtspk.data import DEMO
from rtspk.errors import AudioError
from rtspk.server.messages import AudioFormat
from rtspk.server.meter import meter_of, packet_seconds
from rtspk.server.sound import decoder_of
from rtspk.types import samples_of


def noise(seconds):
    return np.random.default_rng(0).normal(0, 0.1, samples_of(seconds)).astype(np.float32)


def sound_of(decoder, messages):
    return np.concatenate([*(decoder.decode(message) for message in messages), decoder.finish()])


@pytest.mark.parametrize("encoding", ["s16le", "f32le"])
@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (48000, 2), (8000, 1), (44100, 3)])
def test_pcm_is_heard_as_the_command_line_hears_it(encoding, rate, channels):
    values = noise(1.0)[: rate // 2 * channels]
    values = values[: len(values) // channels * channels]
    data = (values * 32767).astype("<i2").tobytes() if encoding == "s16le" else values.astype("<f4").tobytes()
    format_ = AudioFormat(encoding=encoding, rate=rate, channels=channels)
    size = 1000 * meter_of(format_).width
    heard = sound_of(decoder_of(format_), [data[at : at + size] for at in range(0, len(data), size)])
    wanted = stream_pcm(io.BytesIO(data), rate, encoding=encoding, channels=channels)
    assert np.array_equal(heard, np.concatenate([chunk.samples for chunk in wanted]))


def test_float_sound_at_16_khz_comes_through_to_the_bit():
    sound = noise(0.5)
    assert np.array_equal(sound_of(decoder_of(AudioFormat(encoding="f32le")), [sound.tobytes()]), sound)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_no_sound_has_is_refused(value):
    with pytest.raises(AudioError, match="wanted samples about -1 to 1"):
        decoder_of(AudioFormat(encoding="f32le")).decode(np.array([0.0, value], "<f4").tobytes())


def packets_of(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_opus_packets_are_heard_as_their_file_is_but_for_its_pre_skip():
    path = DEMO / "Anna.opus"
    packets = packets_of(path)
    format_ = AudioFormat(encoding="opus", rate=48000, channels=1)
    heard, wanted = sound_of(decoder_of(format_), packets), read_audio(path)
    skipped = 312 // 3  # samples of 48 kHz that the file says to leave out
    n = min(len(heard) - skipped, len(wanted)) - 100
    assert np.abs(heard[skipped : skipped + n] - wanted[:n]).max() < 1e-3
    assert sum(meter_of(format_).measure(packet)[1] for packet in packets) == pytest.approx(
        len(heard) / 16000
    )


def test_a_damaged_packet_becomes_silence_of_its_length():
    packets = packets_of(DEMO / "Anna.opus")[:50]
    whole = sound_of(decoder_of(AudioFormat(encoding="opus", rate=48000)), packets)
    decoder = decoder_of(AudioFormat(encoding="opus", rate=48000))
    broken = [*packets[:20], packets[20][:1] + b"\xff\xff\xff", *packets[21:]]
    heard = sound_of(decoder, broken)
    assert len(heard) == len(whole)
    assert decoder.damaged <= 1


@pytest.mark.parametrize(
    ("packet", "seconds"),
    [
        (bytes([0x00]), 0.01),
        (bytes([0x18]), 0.06),
        (bytes([0x60]), 0.01),
        (bytes([0x78]), 0.02),
        (bytes([0x80]), 0.0025),
        (bytes([0xF9]), 0.04),
        (bytes([0xFB, 3]), 0.06),
    ],
)
def test_a_packet_says_how_long_it_is(packet, seconds):
    assert packet_seconds(packet) == pytest.approx(seconds)


@pytest.mark.parametrize("packet", [b"", bytes([0xFB]), bytes([0xFB, 0]), bytes([0xFB, 63])])
def test_what_is_no_packet_is_refused(packet):
    with pytest.raises(AudioError, match="wanted an Opus packet"):
        packet_seconds(packet)


def test_a_megabyte_is_no_packet_whatever_it_begins_with():
    with pytest.raises(AudioError, match="at most 61440 bytes"):
        meter_of(AudioFormat(encoding="opus", rate=48000)).measure(bytes([0x78]) * (1 << 20))


def test_opus_of_a_rate_that_it_does_not_have_says_which_there_are():
    with pytest.raises(AudioError, match="8000, 12000, 16000, 24000, 48000"):
        meter_of(AudioFormat(encoding="opus", rate=44100))

"""Convolutions between filters and recurrences: as in single precision, and refused where they do not fit."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from rtspk.engine.convolutions import Convolutions
from rtspk.engine.eight_bits import in_eight_bits
from rtspk.errors import ModelError

TAPS, LEVEL, WIDTHS = 5, 0.8, (6, 10, 7)


def weights():
    """Of two convolutions, float32 [shape=(outputs, inputs, taps)], and (scale, offset) of three norms."""
    rng = np.random.default_rng(0)
    convolutions = [
        rng.normal(0.0, 0.3, (WIDTHS[n + 1], WIDTHS[n], TAPS)).astype(np.float32) for n in range(2)
    ]
    norms = [
        (rng.uniform(0.5, 2.0, n).astype(np.float32), rng.normal(0.0, 0.5, n).astype(np.float32))
        for n in WIDTHS
    ]
    return convolutions, norms


def tables():
    convolutions, norms = weights()
    out = {"level": np.array(LEVEL, np.float32)}
    for number, (scale, offset) in enumerate(norms):
        out[f"norm{number}_scale"], out[f"norm{number}_offset"] = scale, offset
        if number < len(convolutions):
            most = offset + 9.0 * scale
            taken = (convolutions[number] * most[:, None]).transpose(0, 2, 1)
            rows, scales = in_eight_bits(taken.reshape(len(taken), -1))
            out[f"convolution{number}_weights"] = rows.reshape(taken.shape)
            out[f"convolution{number}_scales"], out[f"convolution{number}_most"] = scales, most
    return out


def slow(loudness, deviation):
    """The slow twin, in double precision."""
    convolutions, norms = weights()
    x = loudness.astype(np.float64) * LEVEL / deviation
    for number, (scale, offset) in enumerate(norms):
        x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * scale + offset
        x = np.maximum(x, 0.01 * x)
        if number < len(convolutions):
            x = np.einsum("tck,ock->to", sliding_window_view(x, TAPS, axis=0), convolutions[number])
            x = x[: len(x) // 3 * 3].reshape(-1, 3, x.shape[1]).max(1)
    return x


def sound(places=400):
    return np.random.default_rng(1).gamma(2.0, 0.1, (places, WIDTHS[0])).astype(np.float32)


def test_frames_are_those_of_single_precision():
    network = Convolutions(tables())
    frames, norms = network.whole(sound(), 0.05)
    wanted = slow(sound(), 0.05)
    assert frames.shape == wanted.shape == (42, WIDTHS[-1])
    assert np.abs(frames - wanted).mean() < 0.02 * wanted.std()
    assert len(norms) == 3


def test_by_norms_that_were_told_a_stretch_has_the_frames_that_it_has_in_the_whole():
    network = Convolutions(tables())
    whole, norms = network.whole(sound(), 0.05)
    assert np.array_equal(network.more(sound(), norms), whole)
    assert np.array_equal(network.more(sound()[90:], norms), whole[10:])
    assert len(norms) == 3


def test_sound_too_short_for_a_frame_has_none():
    network = Convolutions(tables())
    norms = network.whole(sound(), 0.05)[1]
    assert network.more(sound(24), norms).shape == (0, WIDTHS[-1])
    assert network.more(sound(25), norms).shape == (1, WIDTHS[-1])


@pytest.mark.parametrize(
    "gone", ["level", "norm1_offset", "norm2", "norm0", "convolution1_scales", "convolution"]
)
def test_tables_that_do_not_fit_are_refused(gone, tmp_path):
    own = {name: table for name, table in tables().items() if not name.startswith(gone)}
    path = tmp_path / "convolutions.npz"
    np.savez(path, **own)
    with pytest.raises(
        ModelError, match=r"wanted the parts of a segmenter on samples in .*, got others in conv"
    ):
        Convolutions.read(path)


@pytest.mark.parametrize("name", ["convolution0_weights", "norm1_scale", "convolution1_scales"])
def test_tables_of_another_kind_or_size_are_refused(name, tmp_path):
    own = tables()
    own[name] = own[name].astype(np.float32) if name.endswith("weights") else own[name][:-1]
    np.savez(tmp_path / "convolutions.npz", **own)
    with pytest.raises(ModelError, match="wanted the parts of a segmenter on samples in"):
        Convolutions.read(tmp_path / "convolutions.npz")


@pytest.mark.parametrize("more", [0, 1, 2, 3, 5, 11, 200])
@pytest.mark.parametrize("heard", [25, 60, 61, 62])
def test_places_like_the_last_count_as_if_they_were_there(heard, more):
    network, loudness = Convolutions(tables()), sound(heard)
    whole, norms = network.whole(loudness, 0.05, more)
    lasting = np.concatenate([loudness, np.repeat(loudness[-1:], more, axis=0)])
    wanted, wanted_norms = network.whole(lasting, 0.05)
    assert whole.shape == wanted.shape
    assert np.abs(whole - wanted).max() < 0.05 * max(0.1, float(wanted.std()))
    for own, other in zip(norms, wanted_norms, strict=True):
        assert np.concatenate(own) == pytest.approx(np.concatenate(other), rel=1e-2, abs=1e-2)

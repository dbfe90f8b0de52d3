"""Recurrences from a file of tables: cut where you will, and refused where they do not fit."""

import numpy as np
import pytest

from rtspk.engine.eight_bits import in_eight_bits
from rtspk.engine.recurrence import Passage, Recurrence
from rtspk.errors import ModelError
from rtspk.kernels.recurrence import BLOCK, MOST

INPUTS, WIDTH, CLASSES = 5, 16, 7


def tables(layers=2):
    rng = np.random.default_rng(0)
    out = {}

    def matrix(name, *shape):
        values = rng.normal(0.0, 0.4, shape).astype(np.float32)
        weights, scales = in_eight_bits(values.reshape(-1, shape[-1]))
        out[f"{name}_weights"], out[f"{name}_scales"] = weights.reshape(shape), scales.reshape(shape[:-1])

    inputs = INPUTS
    for number in range(layers):
        matrix(f"gates{number}", 8 * WIDTH, inputs)
        out[f"gates{number}_bias"] = rng.normal(0.0, 0.2, 8 * WIDTH).astype(np.float32)
        matrix(f"recurrent{number}", 2, 4 * WIDTH, WIDTH)
        inputs = 2 * WIDTH
    for number, outputs in enumerate((12, CLASSES)):
        matrix(f"dense{number}", outputs, inputs)
        out[f"dense{number}_bias"] = rng.normal(0.0, 0.2, outputs).astype(np.float32)
        inputs = outputs
    return out


@pytest.mark.parametrize("cut", [1, 2, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 49])
def test_frames_cut_anywhere_have_the_same_classes(cut):
    network = Recurrence(tables())
    frames = np.random.default_rng(1).normal(0.0, 1.0, (2 * BLOCK + 50, INPUTS)).astype(np.float32)
    start = network.nothing
    whole, other = (network([Passage(frames[:n], frames[n:], start)])[0] for n in (10, cut))
    assert np.array_equal(other.classes, whole.classes)
    assert whole.classes.sum(1) == pytest.approx(np.ones(len(frames)), abs=1e-5)
    assert not start.any()  # what was given is left alone
    assert whole.states.shape == (2, 2, WIDTH)


def test_one_layer_goes_on_from_where_it_stood():
    """Forth alone, since what comes back hears the end: 12 frames in one and in two steps."""
    network = Recurrence(tables(layers=1))
    frames = np.random.default_rng(2).normal(0.0, 1.0, (13, INPUTS)).astype(np.float32)
    start = network.nothing
    (once,) = network([Passage(frames[:12], frames[12:], start)])
    (half,) = network([Passage(frames[:5], frames[5:], start)])
    (twice,) = network([Passage(frames[5:12], frames[12:], half.states)])
    assert np.array_equal(once.states, twice.states)


@pytest.mark.parametrize("count", range(2, 2 * MOST + 3))
def test_passages_side_by_side_are_told_what_each_is_alone(count):
    network, rng = Recurrence(tables()), np.random.default_rng(count)

    def passage():
        old, new = (int(rng.integers(1, BLOCK)) for _ in range(2))
        parts = [rng.normal(0.0, 1.0, (frames, INPUTS)).astype(np.float32) for frames in (old, new)]
        return Passage(*parts, rng.uniform(-0.9, 0.9, (2, 2, WIDTH)).astype(np.float32))

    passages = [passage() for _ in range(count)]
    for one, together in zip(passages, network(passages), strict=True):
        (alone,) = network([one])
        assert len(alone.classes) == len(one.old) + len(one.new)
        for wanted, told in zip(alone, together, strict=True):
            assert np.array_equal(wanted, told)


@pytest.mark.parametrize("name", ["gates1_weights", "recurrent0_scales", "dense1_weights", "gates0_bias"])
def test_tables_that_do_not_fit_are_refused(name, tmp_path):
    own = tables()
    own[name] = own[name][..., :-1]
    np.savez(tmp_path / "recurrence.npz", **own)
    with pytest.raises(ModelError, match=r"wanted the parts of a segmenter on samples in .*, got others"):
        Recurrence.read(tmp_path / "recurrence.npz")


@pytest.mark.parametrize("gone", ["gates", "recurrent1", "dense", "dense1"])
def test_tables_that_are_missing_are_told_at_once(gone, tmp_path):
    own = {name: table for name, table in tables().items() if not name.startswith(gone)}
    np.savez(tmp_path / "recurrence.npz", **own)
    with pytest.raises(ModelError, match=r"got others in recurrence\.npz"):
        Recurrence.read(tmp_path / "recurrence.npz")


@pytest.mark.parametrize("left", [-400, 0])
def test_a_damaged_file_is_refused(tmp_path, left):
    file = tmp_path / "recurrence.npz"
    np.savez(file, **tables())
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ModelError, match=r"got others in recurrence\.npz"):
        Recurrence.read(file)

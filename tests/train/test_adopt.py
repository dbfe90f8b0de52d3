"""pyannote's segmenter, taken apart, answers as it did whole; other networks are refused."""

import tomllib

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="public networks are ONNX files")
pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.audio import read_audio  # noqa: E402 - behind the skips
from rtspk.data import CONVERSATION  # noqa: E402
from rtspk.engine.network import Network  # noqa: E402
from rtspk.engine.recurrent import PARTS, RecurrentNetwork  # noqa: E402
from rtspk.engine.segmenter import load_segmenter  # noqa: E402
from rtspk.errors import ModelError  # noqa: E402
from rtspk.train.adopt import adopt_segmenter, card_text  # noqa: E402
from rtspk.types import samples_of  # noqa: E402


def answers(public_file, folder, sound):
    """Of the network as it was, and of its parts."""
    whole = Network(public_file)
    now = RecurrentNetwork(folder).classes(sound, len(sound))
    return np.exp(whole.run({whole.inputs[0]: sound[None, None]})[0][0]), now


def test_the_parts_answer_as_the_network_did(write_public, tmp_path):
    file = write_public(tmp_path / "small.onnx")
    identity = adopt_segmenter(file, tmp_path / "model", "MIT")
    assert identity.startswith("small-")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {*PARTS, "card.toml"}
    segmenter = load_segmenter(tmp_path / "model")
    assert (segmenter.card.id, segmenter.card.licence) == (identity, "MIT")
    sound = np.random.default_rng(0).normal(0.01, 0.1, 80_000).astype(np.float32)
    was, now = answers(file, tmp_path / "model", sound)
    assert was.shape == now.shape
    assert np.abs(was - now).max() < 5e-3  # products in eight bits


def test_a_card_holds_whatever_a_file_is_called():
    card = tomllib.loads(card_text('a "b"-1', 'own "words"', 'rtspk export a "b".onnx'))
    assert (card["id"], card["licence"], card["source"]) == (
        'a "b"-1',
        'own "words"',
        'rtspk export a "b".onnx',
    )


def test_the_real_one_answers_as_it_did(shared, tmp_path):
    sound, file = read_audio(CONVERSATION)[: samples_of(10.0)], shared / "models" / "segmentation-3.0.onnx"
    adopt_segmenter(file, tmp_path / "model", "MIT")
    was, now = answers(file, tmp_path / "model", sound)
    assert was.shape == now.shape
    assert np.abs(was - now).mean() < 2e-3
    assert (was.argmax(1) == now.argmax(1)).mean() > 0.99


def test_another_network_is_refused(write_public, tmp_path):
    with pytest.raises(ModelError, match=r"wanted 7 classes a frame of .*, got 5"):
        adopt_segmenter(write_public(tmp_path / "five.onnx", 5), tmp_path / "model", "MIT")
    with pytest.raises(ModelError, match=r"wanted recurrences of whole groups of 16 states .*, got 4"):
        adopt_segmenter(write_public(tmp_path / "four.onnx", hidden=4), tmp_path / "model", "MIT")
    other = onnx.load(write_public(tmp_path / "other.onnx"))
    del other.graph.node[-3:]
    onnx.save(other, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match=r"wanted a network like pyannote's .*, got other layers"):
        adopt_segmenter(tmp_path / "other.onnx", tmp_path / "model", "MIT")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="wanted an ONNX file at"):
        adopt_segmenter(tmp_path / "text.onnx", tmp_path / "model", "MIT")
    assert not (tmp_path / "model").exists()

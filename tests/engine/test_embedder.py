"""The bundled embedder, and any other by its card."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from rtspk.engine.embedder import BUNDLED, load_embedder
from rtspk.errors import ConfigError, ModelError
from rtspk.kernels.mel import log_mel
from rtspk.types import FloatArray, Segment, Window


def window(samples: FloatArray, mask: FloatArray | None = None) -> Window:
    features = log_mel(samples)
    mask = np.ones(len(features), np.float32) if mask is None else mask
    return Window(Segment(0, len(samples)), features, mask, int(mask.sum()) * 160)


@pytest.fixture(scope="module")
def embedder():
    return load_embedder()


def test_voices_are_unit_vectors_of_the_cards_dimension(embedder, conversation):
    (one,) = embedder.embed([window(conversation[16_000:48_000])])
    assert one.vector.shape == (embedder.card.dimension,)
    assert one.vector.dtype == np.float32
    assert np.linalg.norm(one.vector) == pytest.approx(1.0, abs=1e-5)


def test_windows_do_not_depend_on_their_neighbours(embedder, conversation):
    windows = [window(conversation[at : at + 28_000]) for at in (16_000, 90_000, 260_000)]
    together = embedder.embed(windows)
    for one, own in zip(windows, together, strict=True):
        assert np.array_equal(embedder.embed([one])[0].vector, own.vector)


def test_what_is_off_the_mask_changes_nothing(embedder, conversation):
    clean = window(conversation[16_000:48_000])
    mask = clean.mask.copy()
    mask[80:120] = 0.0
    features = clean.features.copy()
    features[80:120] = 3.0
    one, other = embedder.embed(
        [
            Window(clean.segment, clean.features, mask, 1),
            Window(clean.segment, features, mask, 1),
        ]
    )
    assert one.vector == pytest.approx(other.vector, abs=1e-4)


def test_a_window_without_speech_is_refused(embedder, conversation):
    empty = window(conversation[16_000:48_000], np.zeros(198, np.float32))
    with pytest.raises(ModelError, match="wanted a window with speech"):
        embedder.embed([empty])


def test_the_files_of_all_bundled_models_are_what_their_sums_say():
    sums = (BUNDLED / "SHA256SUMS").read_text().split()
    listed = dict(zip(sums[1::2], sums[::2], strict=True))
    files = {
        p.relative_to(BUNDLED).as_posix()
        for p in BUNDLED.rglob("*")
        if p.suffix in {".npy", ".npz", ".onnx", ".safetensors"}
    }
    assert files == listed.keys()
    for name, digest in listed.items():
        assert hashlib.sha256((BUNDLED / name).read_bytes()).hexdigest() == digest


def plain_card():
    """The bundled card without its tables, which these tests do not copy."""
    lines = (BUNDLED / "embedder" / "card.toml").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if ".np" not in line)


def test_a_folder_without_a_card_is_refused(tmp_path):
    with pytest.raises(ModelError, match="wanted a model card at"):
        load_embedder(tmp_path)


def test_a_card_with_an_unknown_key_is_refused(tmp_path):
    (tmp_path / "card.toml").write_text(
        'id = "x"\nfile = "x.onnx"\nlicence = "x"\ndimension = 3\nwidth = 4\n'
    )
    with pytest.raises(ConfigError, match="got width"):
        load_embedder(tmp_path)


def test_a_card_whose_inputs_are_not_the_networks_is_refused(tmp_path):
    card = plain_card().replace('"mask"', '"msk"')
    (tmp_path / "card.toml").write_text(card)
    for name in ("trunk.onnx", "head.onnx"):
        shutil.copy(BUNDLED / "embedder" / name, tmp_path)
    with pytest.raises(ModelError, match=r"wanted inputs frames, msk in head\.onnx, got frames, mask"):
        load_embedder(tmp_path)


def test_a_card_of_a_trunk_without_a_mask_is_refused(tmp_path):
    (tmp_path / "card.toml").write_text(plain_card().replace('mask_input = "mask"\n', ""))
    for name in ("trunk.onnx", "head.onnx"):
        shutil.copy(BUNDLED / "embedder" / name, tmp_path)
    with pytest.raises(ModelError, match=r"wanted a mask_input on the card of head\.onnx"):
        load_embedder(tmp_path)


def test_a_cohort_of_another_model_is_refused(tmp_path):
    for name in ("card.toml", "trunk.onnx", "head.onnx"):
        shutil.copy(BUNDLED / "embedder" / name, tmp_path)
    np.save(tmp_path / "cohort.npy", np.eye(5))
    with pytest.raises(ModelError, match=r"wanted a cohort of 192 numbers a voice, got 5"):
        load_embedder(tmp_path)


def test_a_plane_of_another_model_is_refused(tmp_path):
    for name in ("card.toml", "trunk.onnx", "head.onnx", "cohort.npy"):
        shutil.copy(BUNDLED / "embedder" / name, tmp_path)
    np.save(tmp_path / "voicing.npy", np.ones(6))
    with pytest.raises(ModelError, match=r"wanted 192 numbers and an offset in voicing\.npy, got 5"):
        load_embedder(tmp_path)


def test_a_card_whose_dimension_is_not_the_networks_is_refused(tmp_path, conversation):
    card = plain_card().replace("dimension = ", "dimension = 1")
    (tmp_path / "card.toml").write_text(card)
    for name in ("trunk.onnx", "head.onnx"):
        shutil.copy(BUNDLED / "embedder" / name, tmp_path)
    with pytest.raises(ModelError, match=r"numbers from head\.onnx, got"):
        load_embedder(tmp_path).embed([window(conversation[16_000:48_000])])


def test_a_damaged_network_is_refused_in_one_line(tmp_path):
    (tmp_path / "card.toml").write_text(plain_card())
    (tmp_path / "trunk.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match="got a file that does not load") as raised:
        load_embedder(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_public_embedder_plugs_in_by_its_card(tmp_path, shared: Path, conversation):
    source = shared / "models" / "wespeaker_resnet34_LM.onnx"
    (tmp_path / "card.toml").write_text(
        f'id = "wespeaker"\nfile = "{source}"\nlicence = "CC-BY-4.0"\ndimension = 256\n'
        'features_input = "input_features"\ncentre_features = true\n[features]\nwindow_type = "hamming"\n'
    )
    anna, again, ben = load_embedder(tmp_path).embed(
        [window(conversation[at : at + 28_000]) for at in (10_000, 35_000, 200_000)]
    )
    assert anna.vector @ again.vector > anna.vector @ ben.vector + 0.2

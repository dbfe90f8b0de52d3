"""The torch backend says what ONNX Runtime says, whatever stands beside a window in its batch."""

import numpy as np
import pytest

from rtspk.audio import read_audio
from rtspk.data import CONVERSATION
from rtspk.engine.embedder import BUNDLED, find_card, load_embedder
from rtspk.errors import ConfigError, ModelError
from rtspk.kernels.mel import log_mel
from rtspk.types import Segment, Window

torch = pytest.importorskip("torch", reason="the backend needs the torch extra")
pytest.importorskip("safetensors", reason="the backend needs the torch extra")

from rtspk.config import read_toml  # noqa: E402 - behind the skip
from rtspk.engine import backend  # noqa: E402
from rtspk.engine.backend import load_backend  # noqa: E402
from rtspk.engine.embedder import EmbedderCard, OnnxEmbedder  # noqa: E402
from rtspk.engine.torch_embedder import TorchEmbedder, can_run  # noqa: E402

FOLDER = BUNDLED / "embedder"
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
    ),
]


@pytest.fixture(scope="module")
def windows():
    """Windows of speech of several lengths, some with frames masked."""
    rows = log_mel(read_audio(CONVERSATION))
    rng = np.random.default_rng(0)
    made = []
    for number, frames in enumerate((150, 300, 64, 129, 300, 210)):
        start = int(rng.integers(0, len(rows) - frames))
        mask = np.ones(frames, np.float32)
        if number % 2:
            mask[frames // 3 : frames // 2] = 0.0
        samples = frames * 160
        made.append(Window(Segment(0, samples), rows[start : start + frames], mask, samples))
    return made


def torch_embedder(device):
    return TorchEmbedder(read_toml(find_card(FOLDER), EmbedderCard), FOLDER, device)


@pytest.mark.parametrize("device", DEVICES)
def test_it_says_what_onnx_runtime_says(windows, device):
    reference = load_embedder().embed(windows)
    for wanted, got in zip(reference, torch_embedder(device).embed(windows), strict=True):
        assert float(wanted.vector @ got.vector) >= 0.99  # ONNX Runtime's in eight bits
        assert np.linalg.norm(got.vector) == pytest.approx(1.0, abs=1e-5)
        assert got.segment == wanted.segment


@pytest.mark.parametrize("device", DEVICES)
def test_neighbours_change_nothing(windows, device):
    embedder = torch_embedder(device)
    alone = [embedder.embed([window])[0].vector for window in windows]
    for wanted, got in zip(alone, embedder.embed(windows), strict=True):
        assert float(wanted @ got.vector) >= 0.9999


def test_more_windows_than_one_call_takes_come_back_in_order(windows, monkeypatch):
    monkeypatch.setattr("rtspk.engine.torch_embedder.LARGEST", 4)
    embedder = torch_embedder("cpu")
    many = [windows[number % len(windows)] for number in range(21)]
    singles = [embedder.embed([window])[0].vector for window in windows]
    for number, got in enumerate(embedder.embed(many)):
        assert float(got.vector @ singles[number % len(windows)]) >= 0.9999


@pytest.mark.parametrize("device", DEVICES)
def test_crops_give_what_their_windows_give(device):
    sound = read_audio(CONVERSATION)
    crops = [
        sound[start : start + length] for start, length in ((0, 48_000), (90_000, 24_000), (200_000, 9_999))
    ]
    embedder = torch_embedder(device)
    rows = [log_mel(crop) for crop in crops]
    windows = [
        Window(Segment(0, len(c)), r, np.ones(len(r), np.float32), len(c))
        for c, r in zip(crops, rows, strict=True)
    ]
    for wanted, got in zip(embedder.embed(windows), embedder.embed_samples(crops), strict=True):
        assert float(wanted.vector @ got) >= 0.999
    with pytest.raises(ModelError, match="wanted crops of 400 samples or more, got one of 10"):
        embedder.embed_samples([sound[:10]])
    with pytest.raises(ModelError, match=r"wanted voices from .*, got NaN, infinity or nothing"):
        embedder.embed_samples([crops[0], np.full(1_000, np.nan, np.float32)])


def test_an_answer_of_no_length_is_no_voice():
    with pytest.raises(ModelError, match="got NaN, infinity or nothing"):
        torch_embedder("cpu").voices(torch.zeros(1, 192))


def test_a_window_without_speech_is_refused(windows):
    silent = Window(windows[0].segment, windows[0].features, 0 * windows[0].mask, 0)
    with pytest.raises(ModelError, match="wanted a window with speech"):
        torch_embedder("cpu").embed([silent])


def test_weights_of_another_kind_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"mean": torch.zeros(3)}, tmp_path / "weights.safetensors", {"network": "resnet"})
    with pytest.raises(ModelError, match=r"wanted a network of conformer, .* in .*, got resnet"):
        TorchEmbedder(EmbedderCard("x", "", "", 3, mask_input="mask"), tmp_path, "cpu")


def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused(monkeypatch):
    monkeypatch.setattr(backend, "cuda_missing", lambda: "no NVIDIA device")
    assert isinstance(load_backend(device="auto"), OnnxEmbedder)
    with pytest.raises(ConfigError, match="wanted a GPU, got none: no NVIDIA device"):
        load_backend(device="cuda")


def test_auto_keeps_a_network_that_torch_cannot_build_on_the_cpu(monkeypatch, tmp_path):
    from safetensors.torch import save_file

    monkeypatch.setattr(backend, "cuda_missing", lambda: "")
    for name in (
        "card.toml",
        "trunk.onnx",
        "trunk.npz",
        "head.onnx",
        "head.npz",
        "cohort.npy",
        "voicing.npy",
    ):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    assert isinstance(load_backend(tmp_path, device="auto"), OnnxEmbedder)
    save_file({"mean": torch.zeros(3)}, tmp_path / "weights.safetensors", {"network": "resnet"})
    assert isinstance(load_backend(tmp_path, device="auto"), OnnxEmbedder)
    assert can_run(FOLDER)


def test_an_unknown_device_is_named():
    with pytest.raises(ConfigError, match="wanted a device of auto, cpu, cuda, got 'tpu'"):
        load_backend(device="tpu")

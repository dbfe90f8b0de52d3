"""The bench of the embedder, on the real one: what it says and what it times."""

from pathlib import Path

import pytest

from rtspk.bench import embedder as bench
from rtspk.engine.embedder import BUNDLED


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(bench, "AT_LEAST", 0.0)
    monkeypatch.setattr(bench, "BATCHES", (1, 3))


@pytest.mark.usefixtures("quick")
def test_each_length_is_timed_beside_the_peer(monkeypatch):
    monkeypatch.setattr(bench, "_torch", lambda *_: iter(()))
    results = list(bench.run(0, 1, peer=BUNDLED / "embedder"))
    assert [result.case for result in results] == ["onnx_cpu_window_1.5s", "onnx_cpu_window_3s"]
    for result in results:
        assert result.peer is not None
        assert result.peer_value > 0
        assert result.rtf == pytest.approx(result.value / float(result.case[16:-1]))


@pytest.mark.usefixtures("quick")
def test_torch_says_its_rate_and_its_share_of_the_chip():
    pytest.importorskip("torch", reason="the torch backend needs the torch extra")
    pytest.importorskip("safetensors", reason="the torch backend needs the torch extra")
    results = {result.case: result for result in bench.run(0, 1)}
    once = results["torch_cpu_batch_3"]
    rate = results["torch_cpu_batch_3_embeddings"]
    assert rate.value == pytest.approx(3 / once.value)
    assert results["torch_cpu_batch_3_peak"].unit == "of peak"
    assert results["torch_cpu_batch_3_peak"].value > 0


@pytest.mark.usefixtures("quick")
def test_a_model_without_weights_for_torch_is_timed_on_the_cpu_alone(tmp_path: Path):
    for name in (
        "card.toml",
        "trunk.onnx",
        "trunk.npz",
        "head.onnx",
        "head.npz",
        "cohort.npy",
        "voicing.npy",
    ):
        if (BUNDLED / "embedder" / name).exists():
            (tmp_path / name).write_bytes((BUNDLED / "embedder" / name).read_bytes())
    assert {result.case[:8] for result in bench.run(0, 1, model=tmp_path)} == {"onnx_cpu"}

"""Where a run computes."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.train.batches import Batch  # noqa: E402
from rtspk.train.device import choose_device, has_bfloat16, moved  # noqa: E402


def cards(monkeypatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("wanted", "count", "local", "device"),
    [
        ("auto", 0, 0, "cpu"),
        ("auto", 2, 0, "cuda:0"),
        ("auto", 2, 1, "cuda:1"),
        ("cuda", 1, 0, "cuda:0"),
        ("cpu", 2, 1, "cpu"),
    ],
)
def test_each_process_has_a_device(wanted, count, local, device, monkeypatch):
    cards(monkeypatch, count)
    assert choose_device(wanted, local) == torch.device(device)


@pytest.mark.parametrize(("wanted", "count", "local"), [("cuda", 0, 0), ("auto", 1, 1)])
def test_a_gpu_that_is_missing_is_said(wanted, count, local, monkeypatch):
    cards(monkeypatch, count)
    with pytest.raises(ConfigError, match=f"got {count} for number {local + 1}"):
        choose_device(wanted, local)


def test_a_batch_for_the_processor_stays_as_it_is():
    batch = Batch(torch.zeros(2, 3), torch.zeros(2, 1), torch.zeros(2), torch.zeros(2))
    assert moved(batch, torch.device("cpu")) is batch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_batch_moves_to_the_gpu_whole():
    batch = Batch(torch.ones(2, 3), torch.ones(2, 1), torch.ones(2), torch.ones(2))
    there = moved(batch, torch.device("cuda", 0))
    assert there.samples.is_cuda
    assert torch.equal(there.targets.cpu(), batch.targets)


@pytest.mark.parametrize(
    ("able", "wanted"),
    [
        ({"avx2": True}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True}, False),
    ],
)
def test_half_precision_is_for_processors_that_multiply_in_it(able, wanted, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert has_bfloat16(torch.device("cpu")) is wanted


def test_a_gpu_multiplies_in_half_precision():
    assert has_bfloat16(torch.device("cuda"))

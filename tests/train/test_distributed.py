"""Several processes on one batch give what one process gives, in train mode, with dropout and masks."""

import json
import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.train.distributed import ALONE, Ranks  # noqa: E402
from rtspk.train.loop import Trainer  # noqa: E402
from rtspk.train.recipe import Recipe  # noqa: E402


def test_the_rows_of_all_processes_are_the_batch_in_order():
    rows = [i for rank in range(3) for i in range(8)[Ranks(rank, 3, rank).rows(8)]]
    assert rows == list(range(8))


def test_more_processes_than_rows_are_refused():
    with pytest.raises(ConfigError, match="each of 4 processes, got 3"):
        Ranks(1, 4, 1).rows(3)


def test_torchrun_says_which_process_this_is(monkeypatch):
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert Ranks.of_environment() == Ranks(3, 4, 1)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name)
    assert Ranks.of_environment() == ALONE


def test_two_processes_learn_the_same_weights_as_one(pack, recipe_file, tmp_path):
    """Nine crops for two processes, so that their shares differ.

    With SGD: AdamW would make full steps of gradients that are zero but for rounding, such as those of an
    offset before a batch norm.
    """
    text = recipe_file.read_text().replace("batch = 3", "batch = 9\neach = 3")
    text = text.replace("[loop]", '[loop]\noptimiser = "sgd"\nrate = 0.005\ndevice = "cpu"')
    recipe_file.write_text(text)
    trainer = Trainer(Recipe.read(recipe_file), pack, tmp_path / "one" / "run", lambda *_: None)
    before = {name: value.detach().clone() for name, value in trainer.learner.named_parameters()}
    trainer.run()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    args = ["train", recipe_file, "--data", pack, "--out", tmp_path / "two" / "run", "--track", "none"]
    done = subprocess.run(
        [*torchrun, "-m", "rtspk", *map(str, args)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("next `rtspk export") == 1
    one, two = (torch.load(tmp_path / name / "run" / "last.pt", weights_only=True) for name in ("one", "two"))
    apart = {
        name: float((value - two["learner"][name]).abs().max()) for name, value in one["learner"].items()
    }
    assert max(apart.values()) < 1e-4, max(apart, key=apart.__getitem__)
    assert max(float((one["learner"][name] - value).abs().max()) for name, value in before.items()) > 0.01
    assert all(torch.allclose(value, two["average"][k], atol=1e-4) for k, value in one["average"].items())
    logs = [(tmp_path / name / "run" / "log.jsonl").read_text().splitlines() for name in ("one", "two")]
    for a, b in zip(*([json.loads(line) for line in lines] for lines in logs), strict=True):
        assert (a["step"], a["loss"]) == (b["step"], pytest.approx(b["loss"], abs=1e-3))

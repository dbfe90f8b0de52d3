"""Runs without teachers: a closed set measured on utterances kept out, then another that begins with it."""

import json

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.train.loop import Trainer  # noqa: E402 - behind the skip
from rtspk.train.recipe import Recipe  # noqa: E402

FIRST = """
name = "first"
[features]
kind = "mfcc"
mels = 30
coefficients = 20
[model]
network = "resnet"
[model.resnet]
depth = 18
channels = 2
pooling = "mean"
dimension = 6
[data]
targets = ""
noise = ""
validation = 0.5
crop_seconds = [0.5, 0.5]
batch = 4
workers = 0
[augment]
rooms = 2
[loss]
classifier = "softmax"
margin_weight = 1.0
[loop]
steps = 2
warmup = 0
save_every = 2
threads = 1
bf16 = false
"""


def test_a_closed_set_is_measured_and_another_begins_with_its_network(pack, tmp_path):
    (tmp_path / "first.toml").write_text(FIRST)
    first = Trainer(Recipe.read(tmp_path / "first.toml"), pack, tmp_path / "runs" / "first", lambda *_: None)
    final = torch.load(first.run(), weights_only=True)
    (row,) = map(json.loads, (tmp_path / "runs" / "first" / "log.jsonl").read_text().splitlines())
    assert row["accuracy"] in {0.0, 0.25, 0.5, 0.75, 1.0}  # one utterance of each of four speakers
    assert final["accuracy"] == {"validation": row["accuracy"]}
    assert {"teacher", "similarity"}.isdisjoint(row)
    assert [u.speaker for own in first.batches.speakers for u in own] == [f"set/{n}" for n in range(4)]

    second = FIRST.replace('name = "first"', 'name = "second"\nstart = "first/last.pt"')
    second = second.replace('"resnet"\n', '"resnet"\nfreeze = ["network.layer3"]\n', 1)
    second = second.replace("batch = 4", "batch = 3\nmost_spoken = 3")
    (tmp_path / "second.toml").write_text(second)
    run = Trainer(Recipe.read(tmp_path / "second.toml"), pack, tmp_path / "runs" / "second", lambda *_: None)
    begun = {name: value.clone() for name, value in run.learner.network.state_dict().items()}
    learnt = torch.load(tmp_path / "runs" / "first" / "last.pt", weights_only=True)["learner"]
    assert all(torch.equal(value, learnt[f"network.{name}"]) for name, value in begun.items())
    assert run.learner.margin.weight.shape == (3, 6)
    run.run()
    now = run.learner.network.state_dict()
    still = {name for name, value in begun.items() if torch.equal(value, now[name])}
    assert {name for name in begun if name.startswith("layer3.")} <= still
    assert not any(
        name.startswith(("layer1.", "layer4.")) and name.endswith("running_mean") for name in still
    )

"""Snapshots: an ensemble is measured as what it is, and named beside its best member."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.train.optimiser import cycle_ends, rate_at  # noqa: E402 - behind the skip
from rtspk.train.recipe import LoopConfig  # noqa: E402
from rtspk.train.snapshots import Ensemble, Snapshot, compare  # noqa: E402


class Turned(torch.nn.Module):
    """Stands for a network: unit vectors, turned at random by its seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.matrix = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
        self.network = self

    def forward(self, features, _mask):
        return torch.nn.functional.normalize(features.mean(1) @ self.matrix, dim=1)


class Trials:
    """Stands for the development set: the error rate of a single model is its own, of an ensemble 0.1."""

    def __init__(self, rates) -> None:
        self.rates = rates

    def error_rates(self, embedder, _features):
        return {"full": self.rates.get(embedder, 0.1)}


class Named:
    """Stands for the closed set: two utterances of speaker 0; what a model thinks is its classifier."""

    speakers = torch.tensor([0, 0])

    def probabilities(self, _network, classifier, _features):
        return classifier


def test_cycles_end_where_the_rate_is_lowest():
    loop = LoopConfig(steps=95, warmup=5, rate=1.0, rate_end=0.0, cycles=3)
    assert cycle_ends(loop) == [35, 65, 95]
    for end in cycle_ends(loop)[:-1]:
        assert rate_at(end - 1, loop) < 0.01
        assert rate_at(end, loop) == pytest.approx(1.0)


def test_the_last_cycle_ends_with_the_run_though_the_steps_do_not_divide():
    loop = LoopConfig(steps=10, warmup=2, cycles=3)
    assert cycle_ends(loop) == [5, 8, 10]


def test_an_ensembles_cosine_is_the_mean_of_its_members():
    members = [Turned(seed) for seed in (1, 2, 3)]
    features, mask = torch.randn(5, 7, 6, generator=torch.Generator().manual_seed(0)), torch.ones(5, 7)
    vectors = Ensemble(members)(features, mask)
    wanted = torch.stack([one(features, mask) @ one(features, mask).T for one in members]).mean(0)
    assert torch.allclose(vectors @ vectors.T, wanted, atol=1e-6)


def test_the_ensemble_stands_beside_the_best_by_each_measure():
    embedders = [Turned(1), Turned(2)]
    sure = [torch.tensor([[0.9, 0.1], [0.4, 0.6]]), torch.tensor([[0.4, 0.6], [0.45, 0.55]])]
    snapshots = [Snapshot(one, likely) for one, likely in zip(embedders, sure, strict=True)]
    trials = Trials(dict(zip(embedders, (0.3, 0.2), strict=True)))
    worth = compare(snapshots, torch.nn.Identity(), trials, Named(), lambda _done, _of: None)
    assert worth.row() == {
        "ensemble_eer": {"full": 0.1},
        "best_snapshot_eer": {"full": 0.2, "snapshot": 2},
        "ensemble_accuracy": {"accuracy": 0.5},
        "best_snapshot_accuracy": {"accuracy": 0.5, "snapshot": 1},
    }


def test_what_is_not_measured_is_left_out():
    snapshots = [Snapshot(Turned(1), None), Snapshot(Turned(2), None)]
    worth = compare(snapshots, torch.nn.Identity(), None, None, lambda _done, _of: None)
    assert worth.row() == {}

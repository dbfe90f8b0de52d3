"""Every optimiser goes downhill, and each goes on from its state as if nothing had been."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.train.muon import Muon  # noqa: E402 - behind the skip
from rtspk.train.optimiser import Optimiser, rate_at  # noqa: E402
from rtspk.train.recipe import LoopConfig  # noqa: E402

KINDS = ("adamw", "muon", "sgd")


class Learner(torch.nn.Module):
    """A matrix in a network, a matrix beside it, and an offset."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = torch.nn.Linear(6, 5)
        self.head = torch.nn.Linear(5, 3)

    def loss(self) -> torch.Tensor:
        steady = torch.linspace(-1, 1, 24).reshape(4, 6)
        return (self.head(self.network(steady)) - 1.0).square().mean()


def go(learner, optimiser, steps):
    for _ in range(steps):
        learner.loss().backward()
        optimiser.step(0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_downhill(kind):
    learner = Learner()
    before = learner.loss().item()
    go(learner, Optimiser(learner, LoopConfig(optimiser=kind)), 30)
    assert learner.loss().item() < 0.5 * before


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_from_its_state(kind):
    loop = LoopConfig(optimiser=kind)
    whole, broken = Learner(), Learner()
    optimiser = Optimiser(whole, loop)
    go(whole, optimiser, 6)
    first = Optimiser(broken, loop)
    go(broken, first, 3)
    second = Optimiser(broken, loop)
    second.restore(first.state())
    go(broken, second, 3)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), broken.parameters(), strict=True))


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3)])
def test_muon_steps_as_torchs_own_does(shape):
    torch.manual_seed(0)
    ours = torch.nn.Parameter(torch.randn(shape))
    theirs = torch.nn.Parameter(ours.detach().clone())
    settings = {"lr": 0.02, "weight_decay": 0.1}
    pairs = [
        (ours, Muon([ours], **settings)),
        (theirs, torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", **settings)),
    ]
    for _ in range(5):
        gradient = torch.randn(shape)
        for matrix, optimiser in pairs:
            matrix.grad = gradient.clone()
            optimiser.step()
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=2e-3)  # theirs rounds to bfloat16


def test_the_rate_rises_then_falls():
    loop = LoopConfig(steps=100, warmup=10, rate=1.0, rate_end=0.1)
    rates = [rate_at(step, loop) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.1)
    assert sorted(rates[10:], reverse=True) == rates[10:]


def test_each_cycle_of_the_rate_begins_at_the_top():
    loop = LoopConfig(steps=90, warmup=0, rate=1.0, rate_end=0.0, cycles=3)
    rates = [rate_at(step, loop) for step in range(91)]
    assert [step for step in range(90) if rates[step] == pytest.approx(1.0)] == [0, 30, 60]
    assert rates[29] < 0.01
    assert rates[90] == pytest.approx(0.0)

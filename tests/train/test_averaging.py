"""Averaged weights: each kind is what its name says, and goes on from a checkpoint."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.train.averaging import Average  # noqa: E402
from rtspk.train.recipe import LoopConfig, Recipe  # noqa: E402


def network_at(value: float) -> "torch.nn.Module":
    """A weight and a batch norm, which has a counter too."""
    network = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.BatchNorm1d(1))
    torch.nn.init.constant_(network[0].weight, value)
    network[1].num_batches_tracked.fill_(int(value))
    return network


def go(average, values, saved):
    for step, value in enumerate(values):
        average.learn(network_at(value), step)
        if step + 1 in saved:
            average.save(network_at(value))


def test_ema_is_the_plain_recursion():
    average = Average(network_at(1.0), LoopConfig(average="ema", decay=0.3))
    go(average, [2.0, 4.0, 3.0], {2})
    wanted = 1.0
    for step, value in enumerate([2.0, 4.0, 3.0]):
        decay = min(0.3, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * value
    assert average.weights["0.weight"].item() == pytest.approx(wanted)
    assert average.weights["1.num_batches_tracked"].item() == 3


def test_last_is_the_mean_of_the_last_saves():
    average = Average(network_at(0.0), LoopConfig(average="last", last=2))
    go(average, [1.0, 2.0, 3.0, 4.0, 6.0], {1, 3, 5})
    assert average.weights["0.weight"].item() == pytest.approx((3.0 + 6.0) / 2)
    assert average.weights["1.num_batches_tracked"].item() == 6


def test_none_is_the_last_save():
    average = Average(network_at(0.0), LoopConfig(average="none"))
    go(average, [1.0, 2.0, 3.0], {2})
    assert average.weights["0.weight"].item() == 2.0


@pytest.mark.parametrize("kind", ["ema", "last", "none"])
def test_it_goes_on_from_its_state(kind):
    loop = LoopConfig(average=kind, last=2, decay=0.5)
    whole, broken, again = (Average(network_at(0.0), loop) for _ in range(3))
    go(whole, [1.0, 2.0, 5.0, 9.0], {1, 2, 3, 4})
    go(broken, [1.0, 2.0], {1, 2})
    again.restore(broken.state())
    for step, value in ((2, 5.0), (3, 9.0)):
        again.learn(network_at(value), step)
        again.save(network_at(value))
    assert torch.equal(again.weights["0.weight"], whole.weights["0.weight"])


def test_a_checkpoint_without_recent_saves_will_do():
    average = Average(network_at(0.0), LoopConfig())
    average.restore({"average": Average(network_at(7.0), LoopConfig()).weights})
    assert average.weights["0.weight"].item() == 7.0


@pytest.mark.parametrize("resumed", [False, True])
def test_a_blend_is_partly_what_the_run_began_with(resumed):
    loop = LoopConfig(average="none", blend=0.75)
    average = Average(network_at(9.0), loop)
    assert average.blended() is average.weights  # it began with nothing
    average.begin(network_at(1.0))
    go(average, [2.0, 5.0], {2})
    if resumed:
        before, average = average, Average(network_at(0.0), loop)
        average.restore(before.state())
    assert average.blended()["0.weight"].item() == pytest.approx(0.25 * 1.0 + 0.75 * 5.0)
    assert average.blended()["1.num_batches_tracked"].item() == 5
    assert average.weights["0.weight"].item() == 5.0


@pytest.mark.parametrize("blend", [0.0, 1.1])
def test_a_blend_is_a_share(blend):
    with pytest.raises(ConfigError, match=f"wanted blend of more than 0, at most 1, got {blend}"):
        LoopConfig(blend=blend)


def test_a_blend_wants_something_to_blend_with():
    with pytest.raises(ConfigError, match=r"wanted a start to blend with, got none beside a blend of 0\.5"):
        Recipe("x", loop=LoopConfig(blend=0.5))
    assert Recipe("x", start="other/last.pt", loop=LoopConfig(blend=0.5)).loop.blend == 0.5

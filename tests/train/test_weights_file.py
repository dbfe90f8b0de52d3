"""The weights of a model folder can be read back into the network that it names."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from safetensors import safe_open  # noqa: E402 - behind the skip
from safetensors.torch import load  # noqa: E402

from rtspk.train.weights_file import halved  # noqa: E402


def test_floats_are_halved_counters_are_kept_and_the_words_come_along(tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    network[1].num_batches_tracked.fill_(1 << 20)
    content = halved(network, {"network": "plain", "config": "{}"})
    weights = load(content)
    assert weights.keys() == network.state_dict().keys()
    for name, value in network.state_dict().items():
        assert torch.equal(weights[name], value.half() if value.is_floating_point() else value)
    (tmp_path / "weights.safetensors").write_bytes(content)
    with safe_open(tmp_path / "weights.safetensors", "pt") as file:
        assert file.metadata() == {"network": "plain", "config": "{}"}


def test_a_table_that_is_a_view_is_stored_in_its_own_order():
    network = torch.nn.Linear(3, 4)
    network.weight = torch.nn.Parameter(torch.randn(3, 4).T)
    assert torch.equal(load(halved(network, {}))["weight"], network.weight.detach().half())

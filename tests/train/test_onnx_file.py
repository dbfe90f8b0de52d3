"""Large tables are stored in half precision, and all arithmetic stays in single."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")
onnx = pytest.importorskip("onnx", reason="exporting needs the train extra")

from onnx import numpy_helper  # noqa: E402 - behind the skip

from rtspk.engine.network import Network  # noqa: E402
from rtspk.train.onnx_file import SMALLEST_HALVED, exported  # noqa: E402


class Plain(torch.nn.Module):
    """A large table of each kind and a small one."""

    def __init__(self) -> None:
        super().__init__()
        self.large = torch.nn.Linear(32, 64)
        self.register_buffer("numbers", 3 * torch.arange(2 * SMALLEST_HALVED))

    def forward(self, x, y):
        return self.large(x) * y, self.numbers[x.argmax(-1)]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Plain().eval()


@pytest.fixture(scope="module")
def content(network):
    batch = torch.export.Dim("batch", min=1)
    example = (torch.randn(3, 32), torch.randn(3, 64))
    shapes = ({0: batch}, {0: batch})
    return exported(network, example, ["x", "y"], ["product", "number"], shapes)


pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter of torch warns of its own insides


def test_the_file_answers_as_the_network_whose_large_tables_are_halved(network, content, tmp_path):
    (tmp_path / "model.onnx").write_bytes(content)
    file = Network(tmp_path / "model.onnx")
    assert file.inputs == ("x", "y")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 32)).astype(np.float32), rng.normal(size=(5, 64)).astype(np.float32)
    product, number = file.run({"x": x, "y": y})
    weight = network.large.weight.detach().numpy()
    halved = weight.astype(np.float16).astype(np.float32)
    assert not np.array_equal(weight, halved)
    # Closer than half precision's arithmetic could be.
    assert product == pytest.approx((x @ halved.T + network.large.bias.detach().numpy()) * y, abs=1e-5)
    assert number.tolist() == (3 * x.argmax(-1)).tolist()


def test_small_tables_and_whole_numbers_are_stored_as_they_are(network, content):
    tables = {
        table.name: numpy_helper.to_array(table) for table in onnx.load_from_string(content).graph.initializer
    }
    floats = [value for value in tables.values() if value.dtype.kind == "f"]
    assert {value.dtype for value in floats if value.size >= SMALLEST_HALVED} == {np.dtype(np.float16)}
    assert {value.dtype for value in floats if value.size < SMALLEST_HALVED} == {np.dtype(np.float32)}
    assert [value.shape for value in floats if value.dtype == np.float16] in ([(64, 32)], [(32, 64)])
    assert any(np.array_equal(value, network.large.bias.detach().numpy()) for value in floats)
    assert any(np.array_equal(value, network.numbers.numpy()) for value in tables.values())

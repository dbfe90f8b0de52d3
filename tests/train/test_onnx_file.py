"""Matrix products are stored and done in eight bits, other large tables stored in half precision."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")
onnx = pytest.importorskip("onnx", reason="exporting needs the train extra")

from onnx import numpy_helper  # noqa: E402 - behind the skip

from rtspk.engine.network import Network  # noqa: E402
from rtspk.train.onnx_file import SMALLEST_HALVED, exported  # noqa: E402

STEP = 1 / 63  # of a weight in seven bits, against the largest of its column


class Plain(torch.nn.Module):
    """A matrix, a large table of each other kind, and small ones."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = torch.nn.Linear(32, 64)
        self.filter = torch.nn.Conv1d(32, 16, 3)
        self.register_buffer("numbers", 3 * torch.arange(2 * SMALLEST_HALVED))

    def forward(self, x, y):
        return self.matrix(x) * y, self.filter(x.transpose(1, 2)), self.numbers[x.argmax(-1)]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Plain().eval()


@pytest.fixture(scope="module")
def content(network):
    batch = torch.export.Dim("batch", min=1)
    example = (torch.randn(3, 5, 32), torch.randn(3, 5, 64))
    shapes = ({0: batch}, {0: batch})
    return exported(network, example, ["x", "y"], ["product", "filtered", "number"], shapes)


pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter of torch warns of its own insides


def test_exporting_says_nothing_of_the_tools_that_it_uses(network, caplog):
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        example = (torch.randn(3, 5, 32), torch.randn(3, 5, 64))
        exported(network, example, ["x", "y"], ["a", "b", "c"], ({0: batch}, {0: batch}))
    assert [str(w.message) for w in warned] == []
    assert caplog.messages == []


def test_the_file_answers_nearly_as_the_network(network, content, tmp_path):
    (tmp_path / "model.onnx").write_bytes(content)
    file = Network(tmp_path / "model.onnx")
    assert file.inputs == ("x", "y")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5, 32)).astype(np.float32), rng.normal(size=(2, 5, 64)).astype(np.float32)
    product, filtered, number = file.run({"x": x, "y": y})
    with torch.no_grad():
        exact, through, numbers = (t.numpy() for t in network(torch.from_numpy(x), torch.from_numpy(y)))
    assert np.linalg.norm(product - exact) < STEP * np.linalg.norm(exact)
    assert not np.allclose(product, exact, rtol=1e-4)  # it is eight bits that are measured here
    assert filtered == pytest.approx(through, abs=2e-3)  # half precision of the weights
    assert number.tolist() == numbers.tolist()


def test_tables_are_stored_by_their_kind_and_size(network, content):
    tables = {
        table.name: numpy_helper.to_array(table) for table in onnx.load_from_string(content).graph.initializer
    }
    assert [v.shape for v in tables.values() if v.dtype == np.int8 and v.size > 64] == [(32, 64)]
    floats = [value for value in tables.values() if value.dtype.kind == "f"]
    assert [value.shape for value in floats if value.dtype == np.float16] == [(16, 32, 3)]
    assert {value.dtype for value in floats if value.size < SMALLEST_HALVED} == {np.dtype(np.float32)}
    assert any(np.array_equal(value, network.matrix.bias.detach().numpy()) for value in floats)
    assert any(np.array_equal(value, network.numbers.numpy()) for value in tables.values())


def test_a_file_says_nothing_of_where_it_was_made(content):
    assert b"rtspk" not in content
    assert __file__.encode() not in content
    graph = onnx.load_from_string(content).graph
    assert not any(list(one.metadata_props) for one in (graph, *graph.node, *graph.initializer, *graph.input))

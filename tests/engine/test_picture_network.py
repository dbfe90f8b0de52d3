"""A network over pictures answers as ONNX Runtime does, whatever it hears."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rtspk.engine.by_tiles import ByTiles
from rtspk.engine.embedder import BUNDLED, load_embedder
from rtspk.engine.picture_network import KEPT, PictureNetwork
from rtspk.engine.trunk import Trunk
from rtspk.errors import ModelError
from rtspk.kernels.mel import log_mel
from rtspk.kernels.processor import features, has_wide_registers

TABLES = BUNDLED / "embedder" / "trunk.npz"
ONNX = BUNDLED / "embedder" / "trunk.onnx"
SAME = {"avx2", "fma"} <= features()  # elsewhere ONNX Runtime rounds sums otherwise


@pytest.fixture(scope="module")
def tables():
    with np.load(TABLES) as read:
        return dict(read)


def by_bytes():
    from rtspk.engine.by_bytes import ByBytes

    return ByBytes


@pytest.fixture(
    scope="module",
    params=[
        lambda: ByTiles,
        pytest.param(
            by_bytes, marks=pytest.mark.skipif(not has_wide_registers(), reason="no AVX-512 with VNNI here")
        ),
    ],
    ids=["tiles", "bytes"],
)
def way(request):
    return request.param()


@pytest.fixture(scope="module")
def network(tables, way):
    return PictureNetwork(tables, way)


@pytest.fixture(scope="module")
def twin():
    return Trunk(ONNX, 8)


def test_the_way_is_the_fastest_that_the_processor_has(tables):
    wanted = by_bytes() if has_wide_registers() else ByTiles
    assert PictureNetwork(tables)._way is wanted


@pytest.fixture(scope="module")
def rows(conversation):
    return log_mel(conversation[: 16_000 * 30], load_embedder().card.features)


def as_near_as_can_be(answer, wanted):
    assert answer.shape == wanted.shape
    assert answer.dtype == wanted.dtype
    if SAME:
        assert np.array_equal(answer, wanted)
    else:
        cosine = (answer * wanted).sum() / np.linalg.norm(answer) / np.linalg.norm(wanted)
        assert cosine > 0.99


@pytest.mark.parametrize("count", [8, 16, 40, 48, 176])
def test_speech_is_heard_as_by_onnx_runtime(network, twin, rows, count):
    for begin in range(0, len(rows) - count, len(rows) // 5):
        heard = rows[begin : begin + count]
        heard = heard - heard.mean(0)
        as_near_as_can_be(network(heard), twin(heard))


@pytest.mark.parametrize("value", [-1e9, -60.0, 0.0, 60.0, 1e9, -np.inf, np.inf])
def test_what_is_no_speech_is_heard_as_by_onnx_runtime(network, twin, value):
    heard = np.full((48, 80), value, np.float32)
    as_near_as_can_be(network(heard), twin(heard))
    heard[::2, ::2] = -heard[::2, ::2]
    as_near_as_can_be(network(heard), twin(heard))


def test_what_is_no_number_is_as_little_as_can_be(network):
    silent, strange = np.full((2, 48, 80), -1e9, np.float32)
    strange[:] = np.nan
    assert np.array_equal(network(strange), network(silent))


def test_an_answer_hangs_on_nothing_that_was_heard_before(network, rows):
    """Of other lengths and other sound: the pictures of a call are room for the next."""
    first = network(rows[:48])
    for count in (48, 16, 176, 48):
        network(rows[100 : 100 + count] * 3)
    assert np.array_equal(network(rows[:48]), first)


def test_threads_hear_beside_each_other(network, rows):
    parts = [rows[begin : begin + 48 + begin % 96] for begin in range(0, 960, 24)]
    wanted = [network(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        heard = list(pool.map(network, parts * 3))
    assert all(np.array_equal(one, other) for one, other in zip(heard, wanted * 3, strict=True))


def test_room_for_a_print_is_kept_and_for_a_longer_picture_not(tables, way, rows):
    network = PictureNetwork(tables, way)
    network(rows[: KEPT + 1])
    assert not network._rooms
    network(rows[:600])
    kept = network._rooms[0]
    network(rows[:48])
    assert network._rooms == [kept]
    for count in (48, 176, 48, 16):
        network(rows[:count])
    assert len(network._rooms) == 1


@pytest.mark.parametrize("shape", [(48,), (0, 80), (1, 48, 80)])
def test_what_is_no_picture_is_refused(network, shape):
    with pytest.raises(ModelError, match="wanted a picture of one channel, got shape"):
        network(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("weights3", lambda x: x.astype(np.int16)),
        ("weights3", lambda x: x[:15]),
        ("weights3", lambda x: x[:, :2]),
        ("weights0", lambda x: x[:, :2, :2]),
        ("weights3", lambda x: x[..., :16]),
        ("bias3", lambda x: x[1:]),
        ("bias3", lambda x: x + 2**26),
        ("scales3", lambda x: x[1:]),
        ("zeros", lambda x: x[1:]),
        ("levels", lambda x: x[1:]),
        ("steps", lambda x: x[:0]),
        ("steps", lambda x: x + 1),
        ("steps", lambda x: np.maximum(x, 0)),
        ("steps", lambda x: x * [1, 1, 3]),
        ("bias35", lambda _: None),
    ],
)
def test_other_tables_are_refused(tables, tmp_path, name, change):
    changed = {**tables, name: change(tables[name])}
    np.savez(tmp_path / "trunk.npz", **{name: one for name, one in changed.items() if one is not None})
    with pytest.raises(ModelError, match=r"wanted a network over pictures in .*, got others in trunk\.npz"):
        PictureNetwork.read(tmp_path / "trunk.npz")

"""A training pack of four tiny speakers, conversations of three, and recipes of seconds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtspk.audio import write_wav
from rtspk.rttm import SpeakerTurn, write_rttm
from rtspk.types import samples_of

torch = pytest.importorskip("torch", reason="training needs the torch extra")

RECIPE = """
name = "tiny"
[model.conformer]
channels = 4
width = 16
blocks = 2
heads = 2
pooling_width = 8
dimension = 12
[data]
batch = 3
crop_seconds = [0.5, 0.8]
late_share = 0.5
late_crop_seconds = [0.6, 0.9]
workers = 0
[augment]
rooms = 2
[loop]
steps = 6
warmup = 2
save_every = 2
threads = 1
bf16 = false
"""


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train.csv`, `train_targets.npz` and `noise.csv` beside their sound."""
    folder = tmp_path_factory.mktemp("pack")
    rng = np.random.default_rng(0)
    rows = ["file,speaker,dataset,lang,gender,start,end,target"]
    for speaker in range(4):
        time = np.arange(40_000) / 16_000
        tone = np.sin(2 * np.pi * 110 * (speaker + 1) * time) * (1 + np.sin(2 * np.pi * 3 * time))
        write_wav(folder / f"{speaker}.wav", (0.1 * tone + rng.normal(0, 0.01, 40_000)).astype(np.float32))
        rows += [f"{speaker}.wav,{speaker},set,en,f,{i},{i + 1.2},{2 * speaker + i}" for i in range(2)]
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    write_wav(folder / "noise.wav", rng.normal(0, 0.1, 20_000).astype(np.float32))
    (folder / "noise.csv").write_text("file\nnoise.wav\n")
    np.savez(folder / "train_targets.npz", one=rng.integers(-90, 90, (8, 10)).astype(np.int8))
    return folder


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


WriteTeacher = Callable[[Path, int], None]

SEGMENTER = """
name = "small"
task = "segmenter"
[features]
mels = 20
[model]
channels = 4
width = 16
blocks = 1
heads = 2
kernel = 3
dropout = 0.0
[data]
development = "dev"
teacher = "teacher.onnx"
teacher_share = 0.25
batch = 3
crop_seconds = 2.0
workers = 0
[loop]
steps = 6
warmup = 2
save_every = 2
threads = 1
bf16 = false
"""


@pytest.fixture
def segmenter_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SEGMENTER)
    return path


@pytest.fixture(scope="session")
def write_teacher() -> WriteTeacher:
    """Writes a network from 10 s of sound to logarithms of so many classes' chances, in 58 frames."""
    import onnx
    from onnx import helper, numpy_helper

    def write(path: Path, classes: int) -> None:
        # Windows of 170 ms and random taps for each class: it answers something, and differently everywhere.
        taps = np.random.default_rng(1).normal(0, 1, (classes, 1, 2720)).astype(np.float32)
        graph = helper.make_graph(
            [
                helper.make_node("Conv", ["sound", "taps"], ["heard"], strides=[2720]),
                helper.make_node("Transpose", ["heard"], ["frames"], perm=[0, 2, 1]),
                helper.make_node("LogSoftmax", ["frames"], ["said"], axis=-1),
            ],
            "teacher",
            [helper.make_tensor_value_info("sound", onnx.TensorProto.FLOAT, [1, 1, 160_000])],
            [helper.make_tensor_value_info("said", onnx.TensorProto.FLOAT, [1, 58, classes])],
            [numpy_helper.from_array(taps, "taps")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        path.write_bytes(model.SerializeToString())

    return write


@pytest.fixture(scope="session")
def conversations(tmp_path_factory: pytest.TempPathFactory, write_teacher: WriteTeacher) -> Path:
    """`train`, of 20.3 s and of 10 s, and `dev`, of 10 s: RTTM beside sound, and `teacher.onnx`."""
    folder = tmp_path_factory.mktemp("conversations")
    rng = np.random.default_rng(0)
    for name, seconds in (("train/one", 20.3), ("train/two", 10.0), ("dev/three", 10.0)):
        samples = rng.normal(0, 0.001, samples_of(seconds)).astype(np.float32)
        turns = []
        for speaker in range(3):
            for start in np.arange(0.1 + 1.1 * speaker, seconds - 2.0, 3.3):
                turns.append(SpeakerTurn(name, float(start), float(start) + 1.3, f"speaker {speaker}"))
                time = np.arange(samples_of(1.3)) / 16_000
                at = samples_of(float(start))
                samples[at : at + len(time)] += 0.1 * np.sin(2 * np.pi * 400 * (speaker + 1) * time)
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        write_wav(path.with_suffix(".wav"), samples)
        write_rttm(path.with_suffix(".rttm"), turns)
    write_teacher(folder / "teacher.onnx", 7)
    return folder


FILTERS, EVEN, CHANNELS, HIDDEN, LAYERS = 6, 4, 5, 16, 2
WritePublic = Callable[..., Path]


@pytest.fixture(scope="session")
def write_public() -> WritePublic:
    """Writes a small network of pyannote's make with weights of chance."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def write(path: Path, classes: int = 7, hidden: int = HIDDEN) -> Path:
        rng = np.random.default_rng(0)
        nodes, tables = [], []

        def table(*shape, values=None):
            name = f"t{len(tables)}"
            own = rng.normal(0, 0.3, shape).astype(np.float32) if values is None else values
            tables.append(numpy_helper.from_array(own, name))
            return name

        def add(kind, *inputs, **attributes):
            nodes.append(helper.make_node(kind, inputs, [f"v{len(nodes)}"], **attributes))
            return nodes[-1].output[0]

        half = rng.normal(0, 0.3, (FILTERS, 1, 125)).astype(np.float32)
        signs = np.where(np.arange(FILTERS) < EVEN, 1, -1).astype(np.float32)[:, None, None]
        middle = np.abs(half[:, :, :1]) * (signs > 0)
        filters = np.concatenate([half, middle, signs * half[:, :, ::-1]], axis=2)
        wave = [table(values=np.array([value], np.float32)) for value in (0.9, 0.02)]
        x = add("InstanceNormalization", "x", *wave, epsilon=1e-5)
        x = add("Abs", add("Conv", x, table(values=filters), strides=[10]))
        width = FILTERS
        for stage in range(3):
            x = add("MaxPool", x, kernel_shape=[3], strides=[3])
            x = add("InstanceNormalization", x, table(width), table(width), epsilon=1e-5)
            x = add("LeakyRelu", x, alpha=0.01)
            if stage < 2:
                x = add("Conv", x, table(CHANNELS, width, 5), table(CHANNELS))
                width = CHANNELS
        x = add("Transpose", x, perm=[2, 0, 1])
        for _ in range(LAYERS):
            weights = table(2, 4 * hidden, width), table(2, 4 * hidden, hidden), table(2, 8 * hidden)
            x = add("LSTM", x, *weights, hidden_size=hidden, direction="bidirectional")
            x = add("Transpose", x, perm=[0, 2, 1, 3])
            x = add("Reshape", x, table(values=np.array([0, 0, -1])))
            width = 2 * hidden
        x = add("Transpose", x, perm=[1, 0, 2])
        for size in (8, 8, classes):
            x = add("Add", table(size), add("MatMul", x, table(width, size)))
            x = add("LeakyRelu", x, alpha=0.01) if size == 8 else x
            width = size
        nodes.append(helper.make_node("LogSoftmax", [x], ["y"], axis=-1))
        ends = (
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, "n"])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "frames", classes])],
        )
        graph = helper.make_graph(nodes, "public", *ends, tables)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    return write

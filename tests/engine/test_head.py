"""The head by kernels of our own is the network's head: its slow twin is numpy, in single precision."""

import shutil

import numpy as np
import pytest

from rtspk.engine.embedder import BUNDLED, load_embedder
from rtspk.engine.head import AT_ONCE, Head
from rtspk.errors import ModelError
from rtspk.kernels.mel import log_mel
from rtspk.types import Segment, Window

WIDTH, HEADS, TAPS, FRAME, HIDDEN, DIMENSION, BLOCKS = 32, 4, 5, 64, 32, 32, 2
LAYERS = {
    "before.up": (2 * WIDTH, WIDTH),
    "before.down": (WIDTH, 2 * WIDTH),
    "attention.qkv": (3 * WIDTH, WIDTH),
    "attention.out": (WIDTH, WIDTH),
    "convolution.gate": (2 * WIDTH, WIDTH),
    "convolution.out": (WIDTH, WIDTH),
    "after.up": (2 * WIDTH, WIDTH),
    "after.down": (WIDTH, 2 * WIDTH),
}
NORMS = ("before.norm", "attention.norm", "convolution.norm", "after.norm", "norm")


def tables():
    """A head of chance."""
    rng = np.random.default_rng(3)
    scales = BLOCKS * WIDTH
    shapes = {
        "narrow": (WIDTH, FRAME),
        "pooling.inner": (HIDDEN, scales),
        "pooling.context": (HIDDEN, 2 * scales),
        "pooling.outer": (scales, HIDDEN),
        "project": (DIMENSION, 2 * FRAME),
        "add": (DIMENSION, 2 * scales),
    }
    norms = {"norm": scales}
    made = {"heads": np.array(HEADS)}
    for number in range(BLOCKS):
        shapes |= {f"blocks.{number}.{name}": shape for name, shape in LAYERS.items()}
        norms |= {f"blocks.{number}.{name}": WIDTH for name in NORMS}
        taps = rng.normal(0.0, 0.4, (TAPS + 1, WIDTH)).astype(np.float32)
        made[f"blocks.{number}.convolution.taps"] = taps
    for name, (outputs, inputs) in shapes.items():
        made[f"{name}_weights"] = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
        made[f"{name}_scales"] = rng.uniform(0.5, 1.5, outputs).astype(np.float32) / np.float32(
            70.0 * np.sqrt(inputs)
        )
        made[f"{name}_bias"] = rng.normal(0.0, 0.1, outputs).astype(np.float32)
    for name, width in norms.items():
        made[name] = np.stack([rng.uniform(0.5, 1.5, width), rng.normal(0.0, 0.2, width)]).astype(np.float32)
    made["mean"] = rng.normal(0.0, 0.1, DIMENSION).astype(np.float32)
    made["compensation"] = rng.normal(0.0, 0.2, (DIMENSION, DIMENSION)).astype(np.float32)
    return made


def slow_head(made, frames, mask):
    """The head frame by frame, in single precision, with all frames, those off the mask too."""

    def layer(name, x):
        return x @ (made[f"{name}_weights"] * made[f"{name}_scales"][:, None]).T + made[f"{name}_bias"]

    def norm(name, x):
        apart = x - x.mean(-1, keepdims=True)
        weight, bias = made[name]
        return apart / np.sqrt((apart**2).mean(-1, keepdims=True) + 1e-5) * weight + bias

    def logistic(x):
        return 1.0 / (1.0 + np.exp(-x))

    def feed_forward(name, x):
        y = layer(f"{name}.up", norm(f"{name}.norm", x))
        return x + 0.5 * layer(f"{name}.down", y * logistic(y))

    def softmax(x, axis):
        x = np.exp(x - x.max(axis, keepdims=True))
        return x / x.sum(axis, keepdims=True)

    def turned(x):
        half = x.shape[-1] // 2
        angle = np.arange(len(x))[:, None, None] * 10_000.0 ** (-np.arange(half) / half)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate(
            [a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], -1
        )

    def attention(name, x):
        q, k, v = (
            layer(f"{name}.qkv", norm(f"{name}.norm", x))
            .reshape(len(x), 3, HEADS, WIDTH // HEADS)
            .transpose(1, 0, 2, 3)
        )
        score = np.einsum("thd,shd->hts", turned(q), turned(k)) / np.sqrt(WIDTH // HEADS)
        share = softmax(score + np.where(mask > 0, 0.0, -1e9), 2)
        return x + layer(f"{name}.out", np.einsum("hts,shd->thd", share, v).reshape(len(x), WIDTH))

    def convolution(name, x):
        both = layer(f"{name}.gate", norm(f"{name}.norm", x))
        y = both[:, :WIDTH] * logistic(both[:, WIDTH:]) * mask[:, None]
        around = np.pad(y, ((TAPS // 2, TAPS // 2), (0, 0)))
        taps = made[f"{name}.taps"]
        y = sum(taps[tap] * around[tap : tap + len(x)] for tap in range(TAPS)) + taps[-1]
        return x + layer(f"{name}.out", y * logistic(y))

    def statistics(x, weights):
        mean = (x * weights).sum(0)
        return np.concatenate([mean, np.sqrt(((x - mean) ** 2 * weights).sum(0) + 1e-5)])

    x, scales = layer("narrow", frames), []
    for number in range(BLOCKS):
        own = f"blocks.{number}"
        x = feed_forward(f"{own}.before", x)
        x = convolution(f"{own}.convolution", attention(f"{own}.attention", x))
        x = norm(f"{own}.norm", feed_forward(f"{own}.after", x))
        scales.append(x)
    y, even = norm("norm", np.concatenate(scales, 1)), (mask / mask.sum())[:, None]
    hidden = np.tanh(layer("pooling.inner", y) + layer("pooling.context", statistics(y, even)))
    weights = softmax(layer("pooling.outer", hidden) + np.where(mask > 0, 0.0, -1e9)[:, None], 0)
    pooled = layer("project", statistics(frames, even)) + layer("add", statistics(y, weights))
    return (pooled - made["mean"]) @ made["compensation"]


def heard(rng, count):
    frames = np.maximum(rng.normal(0.0, 1.0, (count, FRAME)), 0.0).astype(np.float32)
    mask = (rng.random(count) < 0.7).astype(np.float32)
    mask[count // 2] = 1.0
    return frames, mask


def likeness(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("count", [1, 2, 5, 16, 23, 90])
def test_a_voice_is_that_of_the_slow_twin(count):
    made = tables()
    frames, mask = heard(np.random.default_rng(count), count)
    (voice,) = Head(made)([(frames, mask)])
    wanted = slow_head(made, frames.astype(np.float64), mask)
    assert voice.shape == (DIMENSION,)
    assert likeness(voice, wanted) > 0.9995
    assert np.linalg.norm(voice) == pytest.approx(np.linalg.norm(wanted), rel=0.02)


def test_windows_beside_it_change_no_bit_of_a_voice():
    rng = np.random.default_rng(0)
    windows = [heard(rng, count) for count in (17, 1, 40, 6)]
    head = Head(tables())
    together = head(windows)
    assert len(windows) == AT_ONCE
    for window, voice in zip(windows, together, strict=True):
        assert np.array_equal(head([window])[0], voice)


def test_frames_off_the_mask_change_no_bit_wherever_a_window_begins():
    head = Head(tables())
    frames, mask = heard(np.random.default_rng(1), 20)
    other = np.where(mask[:, None] > 0, frames, np.float32(1e6))
    assert np.array_equal(*(head([(own, mask)]) for own in (frames, other)))
    more = np.concatenate([np.zeros((3, FRAME), np.float32), frames])
    (moved,) = head([(more, np.concatenate([np.zeros(3, np.float32), mask]))])
    assert likeness(moved, head([(frames, mask)])[0]) > 0.9999


def test_a_long_stretch_after_a_short_one_is_heard_as_well():
    made = tables()
    head = Head(made)
    short, long = (heard(np.random.default_rng(count), count) for count in (8, 300))
    first = head([short])
    frames, mask = long
    assert likeness(head([long])[0], slow_head(made, frames.astype(np.float64), mask)) > 0.9995
    assert np.array_equal(head([short]), first)


@pytest.mark.parametrize(("frames", "mask"), [((5, FRAME), (4,)), ((5, 3), (5,)), ((0, FRAME), (0,))])
def test_what_is_no_window_is_refused(frames, mask):
    with pytest.raises(ModelError, match=f"wanted frames of {FRAME} numbers"):
        Head(tables())([(np.ones(frames, np.float32), np.ones(mask, np.float32))])


def test_a_mask_with_nothing_on_it_is_refused():
    with pytest.raises(ModelError, match="0 on the mask"):
        Head(tables())([(np.ones((5, FRAME), np.float32), np.zeros(5, np.float32))])


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("narrow_weights", None),
        ("narrow_weights", np.zeros((WIDTH, FRAME), np.float32)),
        ("narrow_weights", np.zeros((30, FRAME), np.int8)),
        ("add_scales", np.zeros(3, np.float32)),
        ("blocks.1.convolution.taps", np.zeros((TAPS, WIDTH), np.float32)),
        ("blocks.0.attention.norm", np.zeros((2, WIDTH - 1), np.float32)),
        ("heads", np.array(3)),
        ("heads", np.array(0)),
        ("compensation", np.zeros((DIMENSION, 2), np.float32)),
    ],
)
def test_tables_of_another_network_are_refused(tmp_path, name, other):
    made = tables() | {name: other}
    np.savez(tmp_path / "head.npz", **{key: one for key, one in made.items() if one is not None})
    with pytest.raises(ModelError, match="wanted the head of an embedder"):
        Head.read(tmp_path / "head.npz")


def folder(tmp_path, change):
    """The bundled model with another card."""
    source = BUNDLED / "embedder"
    tmp_path.mkdir()
    (tmp_path / "card.toml").write_text(change((source / "card.toml").read_text()))
    for name in ("trunk.onnx", "trunk.npz", "head.onnx", "cohort.npy", "voicing.npy"):
        shutil.copy(source / name, tmp_path)
    return tmp_path


def test_the_bundled_head_answers_as_onnx_runtime_does(tmp_path, conversation):
    def window(begin):
        samples = conversation[begin : begin + 28_000]
        features = log_mel(samples)
        mask = np.ones(len(features), np.float32)
        mask[60:90] = 0.0
        return Window(Segment(begin, begin + len(samples)), features, mask, len(samples))

    own = load_embedder()
    twin = load_embedder(
        folder(tmp_path / "onnx", lambda card: card.replace('head_tables = "head.npz"\n', ""))
    )
    assert own.card.head_tables
    assert not twin.card.head_tables
    windows = [window(begin) for begin in range(16_000, 400_000, 32_000)]
    for one, other in zip(own.embed(windows), twin.embed(windows), strict=True):
        assert one.vector @ other.vector > 0.999


def test_tables_that_are_missing_are_refused(tmp_path):
    with pytest.raises(
        ModelError, match=r"wanted the tables of head\.onnx at .*none\.npz, got nothing there"
    ):
        load_embedder(folder(tmp_path / "model", lambda card: card.replace("head.npz", "none.npz")))


def test_tables_of_a_head_without_a_trunk_are_refused(tmp_path):
    lines = (BUNDLED / "embedder" / "card.toml").read_text().splitlines(keepends=True)
    with pytest.raises(ModelError, match=r"wanted a trunk before the head_tables on the card of head\.onnx"):
        load_embedder(folder(tmp_path / "model", lambda _: "".join(o for o in lines if "trunk" not in o)))

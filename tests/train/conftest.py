"""A training pack of four tiny speakers, and a recipe of seconds."""

from pathlib import Path

import numpy as np
import pytest

from rtspk.audio import write_wav

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

"""The file that ships answers as the network that was trained."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.embedder import load_embedder  # noqa: E402 - behind the skip
from rtspk.errors import ModelError  # noqa: E402
from rtspk.train.checkpoint import read_checkpoint  # noqa: E402
from rtspk.train.export import export_checkpoint  # noqa: E402
from rtspk.train.loop import Trainer  # noqa: E402
from rtspk.train.recipe import Recipe  # noqa: E402
from rtspk.types import Segment, Window  # noqa: E402


@pytest.mark.filterwarnings("ignore")  # the exporter of torch warns of its own insides
def test_the_exported_model_answers_as_the_checkpoint(pack, recipe_file, tmp_path):
    path = Trainer(Recipe.read(recipe_file), pack, tmp_path / "run", lambda *_: None).run()
    checkpoint = read_checkpoint(path)
    identity = export_checkpoint(path, tmp_path / "model")
    embedder = load_embedder(tmp_path / "model")
    assert (embedder.card.id, embedder.card.dimension) == (identity, 12)
    assert identity.startswith("tiny-")
    assert "| set | not stated | 4 |" in (tmp_path / "model" / "README.md").read_text()
    rng = np.random.default_rng(0)
    network = checkpoint.embedder
    for frames in (40, 41, 175):
        features = rng.normal(10, 4, (frames, 80)).astype(np.float32)
        mask = (rng.random(frames) > 0.2).astype(np.float32)
        (answer,) = embedder.embed([Window(Segment(0, frames * 160), features, mask, 100)])
        # The engine fills up to whole groups of four frames, off the mask.
        filled = torch.from_numpy(np.pad(features, ((0, -frames % 4), (0, 0))))[None]
        wanted = network(filled, torch.from_numpy(np.pad(mask, (0, -frames % 4)))[None]).detach().numpy()[0]
        assert float(answer.vector @ wanted) > 0.9999
        assert np.linalg.norm(answer.vector) == pytest.approx(1.0, abs=1e-5)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "last.pt").write_text("hello")
    with pytest.raises(ModelError, match="wanted a checkpoint of rtspk train"):
        read_checkpoint(tmp_path / "last.pt")
    with pytest.raises(ModelError, match="got nothing there"):
        read_checkpoint(tmp_path / "none.pt")


def test_a_run_that_is_not_finished_is_not_exported(pack, recipe_file, tmp_path):
    Trainer(Recipe.read(recipe_file), pack, tmp_path / "run", lambda *_: None).run()
    with pytest.raises(ModelError, match="let it finish first"):
        read_checkpoint(tmp_path / "run" / "last.pt")

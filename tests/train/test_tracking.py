"""Tracking: what a run logs is there to be read, and a run that goes on goes on in the same place."""

import warnings

import pytest

pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError
from rtspk.train import tracking
from rtspk.train.recipe import LoopConfig, Recipe
from rtspk.train.tracking import open_tracker

RECIPE = Recipe("tiny", loop=LoopConfig(steps=4, rate=0.5))
ROW = {"step": 2, "loss": 3.5, "eer": {"full": 0.25}}


def test_an_unknown_tracker_is_named(tmp_path):
    with pytest.raises(ConfigError, match="got 'paper'"):
        open_tracker("paper", RECIPE, tmp_path, 0)


def test_a_tracker_that_is_not_installed_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="pip install mlflow"):
        open_tracker("mlflow", RECIPE, tmp_path, 0)
    open_tracker("auto", RECIPE, tmp_path, 0).log(ROW)
    assert not list(tmp_path.iterdir())


def test_tensorboard_has_every_number_and_the_recipe(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    tracker = open_tracker("tensorboard", RECIPE, tmp_path, 0)
    tracker.log(ROW)
    tracker.finish(tmp_path / "final.pt", "# tiny")
    tracker.close(failed=False)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    found = {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}
    assert found == {"loss": [(2, 3.5)], "eer/full": [(2, 0.25)]}
    said = [events.Tensors(name)[0].tensor_proto.string_val[0].decode() for name in events.Tags()["tensors"]]
    assert any("| loop.rate | 0.5 |" in text for text in said)
    assert any("# tiny" in text for text in said)


def test_mlflow_has_parameters_metrics_and_artifacts_of_one_run(tmp_path, monkeypatch):
    pytest.importorskip("sqlalchemy", reason="MLflow's store needs sqlalchemy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what MLflow and its own dependencies say of one another
        mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "final.pt").write_bytes(b"weights")
        first = open_tracker("mlflow", RECIPE, folder, 0)
        first.log(ROW)
        first.close(failed=True)
        again = open_tracker("mlflow", RECIPE, folder, 2)
        again.log({**ROW, "step": 4})
        again.finish(folder / "final.pt", "# tiny")
        again.close(failed=False)

        client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
        (run,) = client.search_runs([client.get_experiment_by_name("rtspk").experiment_id])
        assert (run.info.run_name, run.info.status) == ("tiny", "FINISHED")
        assert run.data.params["loop.rate"] == "0.5"
        history = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "eer/full")]
        assert history == [(2, 0.25), (4, 0.25)]
        assert {one.path for one in client.list_artifacts(run.info.run_id)} == {"README.md", "final.pt"}

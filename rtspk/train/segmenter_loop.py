"""Train the segmenter: recipe in, checkpoint out; killed at any step, it goes on as if it had not been."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from rtspk.engine.powerset import reordered
from rtspk.errors import ConfigError
from rtspk.files import bytes_of, make_folder, write_atomically
from rtspk.train.averaging import Average
from rtspk.train.device import choose_device, has_bfloat16, prepared
from rtspk.train.lesson import lesson_of
from rtspk.train.optimiser import Optimiser, rate_at
from rtspk.train.progress import Progress
from rtspk.train.recurrent_recipe import RecurrentRecipe
from rtspk.train.resuming import read_run
from rtspk.train.segmenter_recipe import SegmenterRecipe
from rtspk.train.tracking import Row, open_tracker

__all__ = ["SegmenterTrainer", "powerset_loss"]


class SegmenterTrainer:
    """One run of one recipe on one data folder.

    Args:
        recipe: what is trained, and how
        data: the folder of the conversations
        folder: the run's own: checkpoints and the log; a run that is there goes on
        progress: hears of every step
        tell: hears a line at every save
        track: where the run can be watched, as `rtspk.train.tracking` names it
    """

    def __init__(
        self,
        recipe: SegmenterRecipe | RecurrentRecipe,
        data: Path,
        folder: Path,
        progress: Progress,
        tell: Callable[[str], None] = lambda _line: None,
        track: str = "none",
    ) -> None:
        self.recipe, self.folder, self.progress, self.tell = recipe, folder, progress, tell
        make_folder(folder)
        loop = recipe.loop
        self.device = choose_device(loop.device, 0)
        torch.manual_seed(loop.seed)
        torch.set_num_threads(loop.threads)
        self.lesson = lesson_of(recipe, data, folder.parent / "cache", progress)
        self.learner = prepared(nn.ModuleDict({"network": self.lesson.network()}), self.device)
        self.bf16 = loop.bf16 and has_bfloat16(self.device)
        self.network = self.learner["network"]
        self.average = Average(self.network, loop)
        self.optimiser = Optimiser(self.learner, loop)
        self.step = 0
        if (folder / "last.pt").exists():
            self._resume(folder / "last.pt")
        elif recipe.start:
            self._start(folder.parent / recipe.start)
        self.tracker = open_tracker(track, recipe, folder, self.step)

    def run(self) -> Path:
        """Train to the last step; returns the path of the finished model, for `rtspk export`."""
        finished = False
        try:
            self._train()
            path = self._finish()
            finished = True
        finally:
            self.tracker.close(failed=not finished)
        return path

    def _train(self) -> None:
        loop = self.recipe.loop
        loader = DataLoader(
            Subset(self.lesson.batches, range(self.step, loop.steps)),
            batch_size=None,
            num_workers=self.recipe.data.workers,
            prefetch_factor=4 if self.recipe.data.workers else None,
        )
        summed, done, begun, waited = 0.0, 0, time.monotonic(), 0.0
        asked = begun
        for features, wanted in loader:
            waited += time.monotonic() - asked
            summed += self._learn(features.to(self.device), wanted.to(self.device))
            self.step += 1
            done += 1
            share = waited / (time.monotonic() - begun)
            self.progress("train", self.step, loop.steps, f"loss {summed / done:.3f}, waiting {share:.0%}")
            if self.step % loop.save_every == 0 or self.step == loop.steps:
                seconds = time.monotonic() - begun
                self.average.save(self.network)
                self._save()  # before anything is measured, which may fail
                self._report(summed / done, seconds / done, waited / seconds)
                summed, done, begun, waited = 0.0, 0, time.monotonic(), 0.0
            asked = time.monotonic()

    def _finish(self) -> Path:
        """Write what ships: the averaged network, and what was measured of it."""
        error = self._error()
        path = self._write("final.pt", {**self._state(), "error": error, "beside": self.lesson.beside()})
        self.tracker.finish(path, self.lesson.card(self.step, error))
        return path

    def _learn(self, features: Tensor, wanted: Tensor) -> float:
        loop = self.recipe.loop
        self.network.train()
        torch.manual_seed(loop.seed * 1_000_003 + self.step)  # dropout too is a function of the step
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            said = self.network(features)
        loss = powerset_loss(said, wanted)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it so
        self.optimiser.step(rate_at(self.step, loop), loop.clip)
        self.average.learn(self.network, self.step)
        return float(loss.detach())

    def averaged(self) -> nn.Module:
        """The network as it is measured and ships."""
        network = self.lesson.network()
        network.load_state_dict(self.average.blended())
        return network.to(self.device).eval()

    def _error(self) -> dict[str, float]:
        """On the development conversations; empty where there are none."""
        return self.lesson.error(self.averaged(), self.device)

    def _report(self, loss: float, seconds: float, waiting: float) -> None:
        """Log the mean loss since the last save, and measure; seconds are of a step."""
        error = self._error()
        row: Row = {
            "step": self.step,
            "loss": round(loss, 4),
            **{name: round(rate, 4) for name, rate in error.items()},
            "seconds_per_step": round(seconds, 3),
            "waiting": round(waiting, 3),
        }
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        self.tracker.log(row)
        steps = self.recipe.loop.steps
        measured = f"local DER {error['der']:.1%}, " if error else ""
        self.tell(
            f"step {self.step}/{steps}, loss {loss:.3f}, {measured}{seconds:.2f} s a step, "
            f"waiting {waiting:.0%}, {timedelta(seconds=round(seconds * (steps - self.step)))} left"
        )

    def _save(self) -> None:
        learnt = {"learner": self.learner.state_dict(), "optimiser": self.optimiser.state()}
        self._write("last.pt", self._state() | learnt)

    def _state(self) -> dict[str, object]:
        return {"recipe": json.dumps(asdict(self.recipe)), "step": self.step, **self.average.state()}

    def _write(self, name: str, state: dict[str, object]) -> Path:
        write_atomically(self.folder / name, bytes_of(lambda file: torch.save(state, file)))
        return self.folder / name

    def _start(self, path: Path) -> None:
        """Begin with the averaged weights of another run, at step 0."""
        if not path.is_file():
            raise ConfigError(f"wanted a checkpoint to start from at {path}, got nothing there")
        try:
            self.network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu")["average"])
        except Exception as error:  # torch raises many kinds for a damaged file
            raise ConfigError(
                f"wanted a checkpoint of this recipe's network to start from, got another in {path}"
            ) from error
        self.average.begin(self.network)

    def _resume(self, path: Path) -> None:
        state = read_run(path, self.recipe)
        try:
            self.learner.load_state_dict(state["learner"])
            self.optimiser.restore(state["optimiser"])
            self.average.restore(state)
            self.step = int(state["step"])
        except Exception as error:  # likewise
            raise ConfigError(f"wanted a checkpoint of this recipe, got another in {path}") from error


def powerset_loss(said: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy under the order of the speakers that fits each crop best (arXiv:1607.00325).

    Args:
        said: float32 [shape=(B, T, 7)], logarithms of the chances of the classes
        wanted: float32 [shape=(B, T, 7)], chances
    """
    orders = torch.as_tensor(reordered(), device=said.device)  # (6, 7)
    # Of all pairs of classes once, and each order's sum picks its own: far less than six losses.
    pairs = said.transpose(1, 2) @ wanted / said.shape[1]  # (B, 7 said, 7 wanted)
    rows = torch.arange(said.shape[-1], device=said.device)
    likelihood = pairs[:, orders, rows].sum(-1)  # (B, 6)
    return -likelihood.max(dim=1).values.mean()

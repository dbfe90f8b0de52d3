"""The training loop: recipe in, checkpoint out; killed at any step, it goes on as if it had not been."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from rtspk.engine.residual_conformer import ResidualConformer
from rtspk.errors import ConfigError
from rtspk.files import bytes_of, make_folder, write_atomically
from rtspk.train.audit import read_audited
from rtspk.train.averaging import Average
from rtspk.train.banks import build_augmenter
from rtspk.train.batched_augment import BatchedAugmenter
from rtspk.train.batches import Batch, Batches
from rtspk.train.card import readme_text
from rtspk.train.checkpoint import read_checkpoint
from rtspk.train.closed_set import ClosedSet
from rtspk.train.development import Development, choose_held_out
from rtspk.train.device import choose_device, has_bfloat16, moved, prepared
from rtspk.train.distributed import ALONE, Ranks, spread
from rtspk.train.features import build_features
from rtspk.train.learner import Learner
from rtspk.train.manifest import hold_out
from rtspk.train.network import SpeakerNetwork
from rtspk.train.optimiser import Optimiser, cycle_ends, rate_at
from rtspk.train.outcome import Outcome, snapshot_name
from rtspk.train.progress import Progress
from rtspk.train.recipe import Recipe
from rtspk.train.resnet import ResNet
from rtspk.train.resuming import read_run
from rtspk.train.scoring import voices
from rtspk.train.selection import select, split_utterances
from rtspk.train.spectrum import mask_spectrum
from rtspk.train.store import SampleStore
from rtspk.train.targets import compensated, read_targets
from rtspk.train.tracking import Row, measured, open_tracker

__all__ = ["Trainer"]

EXAMPLES: int = 48  # crops


def _unsaid(line: str) -> None:
    """Say nothing."""


class Trainer:
    """One run of one recipe on one data folder.

    Args:
        recipe: what is trained, and how
        data: the folder of the manifest
        folder: the run's own: checkpoints and the log; a run that is there goes on
        progress: hears of every step
        tell: hears a line at every save
        track: where the run can be watched, as `rtspk.train.tracking` names it
        ranks: which of the processes this is that train together; all of them make a Trainer
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Path,
        folder: Path,
        progress: Progress,
        tell: Callable[[str], None] = _unsaid,
        track: str = "none",
        ranks: Ranks = ALONE,
    ) -> None:
        self.recipe, self.folder, self.progress, self.tell, self.ranks = recipe, folder, progress, tell, ranks
        make_folder(folder)
        loop = recipe.loop
        self.device = choose_device(loop.device, ranks.local)
        torch.manual_seed(loop.seed)
        torch.set_num_threads(loop.threads)
        cache = folder.parent / "cache"
        manifest = read_audited(data / recipe.data.manifest, lambda a, b: progress("check files", a, b))
        utterances = select(manifest, recipe.data)
        store = SampleStore.build(
            [u.path for u in utterances], cache, lambda a, b: progress("decode speech", a, b)
        )
        held = choose_held_out(utterances, recipe.data.held_out, loop.seed)
        kept, left = hold_out(utterances, held)
        self.development = Development(left, store, loop.seed) if left else None
        kept, validated, tested = split_utterances(kept, recipe.data.validation, recipe.data.test, loop.seed)
        augmenter = build_augmenter(recipe, data, cache, progress)
        # On a GPU crops are changed there, all but by codecs; beside a CPU's network the workers do all.
        self.augment: BatchedAugmenter | None = None
        if self.device.type == "cuda":
            self.augment = BatchedAugmenter(augmenter).to(self.device)
            augmenter = replace(augmenter, config=recipe.augment.codecs())
        self.batches = Batches(kept, store, augmenter, recipe.features, recipe.data, loop.seed, loop.steps)
        self.closed_sets = {
            name: ClosedSet(own, self.batches.speakers, store, loop.seed)
            for name, own in (("validation", validated), ("test", tested))
            if own
        }
        table = recipe.data.targets
        targets = read_targets(data / table, [u.target for u in kept]) if table else []
        if recipe.data.compensated:
            targets = compensated(targets, kept)
        self.targets = [target.to(self.device) for target in targets]
        self.features = build_features(recipe.features).to(self.device)
        self.outcome = Outcome(
            recipe, self.batches, self.development, self.closed_sets, self.features, self.device
        )
        learner = Learner(recipe, len(self.batches.speakers), [t.shape[1] for t in self.targets])
        self.learner = prepared(learner, self.device)
        self.bf16 = loop.bf16 and has_bfloat16(self.device)
        self.average = Average(self.learner.network, loop)
        self.optimiser = Optimiser(self.learner, loop)
        self.step = 0
        if (folder / "last.pt").exists():
            self._resume(read_run(folder / "last.pt", recipe))
        elif recipe.start:
            self._start(folder.parent / recipe.start)
        self.tracker = open_tracker(track if ranks.first else "none", recipe, folder, self.step)

    def run(self) -> Path:
        """Train to the last step; returns the path of the finished model, for `rtspk export`."""
        finished = False
        try:
            self._train()
            if self.ranks.first:
                self._finish()
            finished = True
        finally:
            self.tracker.close(failed=not finished)
        return self.folder / "final.pt"

    def _train(self) -> None:
        loop = self.recipe.loop
        learner = spread(self.learner, self.ranks)
        ends = cycle_ends(loop) if loop.cycles > 1 else []
        waited, begun = 0.0, time.monotonic()
        sums: dict[str, float] = {}
        done = 0  # since the last save
        asked = time.monotonic()
        for batch in self._coming():
            waited += time.monotonic() - asked
            for name, value in self._learn(learner, batch).items():
                sums[name] = sums.get(name, 0.0) + value
            self.step += 1
            done += 1
            waiting = waited / (time.monotonic() - begun)
            self.progress(
                "train", self.step, loop.steps, f"loss {sums['loss'] / done:.2f}, waiting {waiting:.0%}"
            )
            if self.step in ends and self.ranks.first:  # before the save: a run that goes on has passed it
                self._snapshot(ends.index(self.step) + 1)
            if self.step % loop.save_every == 0 or self.step == loop.steps:
                seconds = time.monotonic() - begun
                self.average.save(self.learner.network)
                if self.ranks.first:
                    means = {name: value / done for name, value in sums.items()}
                    self._save()  # before anything is measured, which may fail
                    self._report(means, seconds / done, waited / seconds)
                sums, waited, done, begun = {}, 0.0, 0, time.monotonic()
            asked = time.monotonic()

    def _coming(self) -> Iterator[Batch]:
        """The batches of the steps to come; with other processes, each makes those of its turn."""
        steps, ranks, workers = self.recipe.loop.steps, self.ranks, self.recipe.data.workers
        own = [step for step in range(self.step, steps) if step % ranks.count == ranks.rank]
        loader = DataLoader(
            Subset(self.batches, own),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
        )
        made = iter(loader)
        for step in range(self.step, steps):
            turn = step % ranks.count
            batch = next(made) if turn == ranks.rank else None
            yield moved(ranks.shared(batch, turn, self.device), self.device)

    def _learn(self, learner: nn.Module, batch: Batch) -> dict[str, float]:
        loop = self.recipe.loop
        learner.train()
        torch.manual_seed(loop.seed * 1_000_003 + self.step)  # dropout too is a function of the step
        late = self.step >= loop.steps * (1.0 - self.recipe.data.late_share)
        heard = self._heard(batch.samples, self.recipe.data.late_augment if late else 1.0)
        features = mask_spectrum(heard, batch.mask, self.recipe.augment.spectrum)
        # The teachers first: among thousands of speakers the margin is noise at the start (bench/LOG.md).
        grown = min(1.0, self.step / max(1.0, self.recipe.loss.margin_warmup * loop.steps))
        margin = self.recipe.loss.late_margin if late else None
        targets = [table[batch.targets] for table in self.targets]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss, parts = learner(features, batch, targets, grown, margin)
        loss.backward()
        self.optimiser.step(rate_at(self.step, loop), loop.clip)
        self.average.learn(self.learner.network, self.step)
        return {"loss": float(loss.detach()), **parts}

    def _heard(self, samples: Tensor, chance: float = 1.0) -> Tensor:
        """Features of a batch's crops, changed first where the workers have not done it."""
        features: Tensor = self.features(samples if self.augment is None else self.augment(samples, chance))
        return features

    def _report(self, means: dict[str, float], seconds: float, waiting: float) -> None:
        """Log the means since the last save, and measure; seconds are of a step."""
        row: Row = {"step": self.step}
        row |= {name: round(value, 4) for name, value in means.items()}
        row |= {"seconds_per_step": round(seconds, 3), "waiting": round(waiting, 3)}
        if self.development is not None:
            row["eer"] = self.development.error_rates(self.averaged(), self.features)
        if "validation" in self.closed_sets:
            row["accuracy"] = self._accuracy("validation")
        self._log(row)
        steps = self.recipe.loop.steps
        self.tell(
            f"step {self.step}/{steps}, loss {means['loss']:.3f}, {measured(row)}{seconds:.2f} s a step, "
            f"waiting {waiting:.0%}, {timedelta(seconds=round(seconds * (steps - self.step)))} left"
        )

    def _log(self, row: Row) -> None:
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        self.tracker.log(row)

    def _accuracy(self, name: str) -> float:
        learner = self.learner
        return round(self.closed_sets[name].accuracy(learner.network, learner.margin, self.features), 4)

    def averaged(self) -> SpeakerNetwork:
        """The network with the averaged weights."""
        return self.outcome.network(self.average.blended())

    def _save(self) -> None:
        state = {
            "recipe": json.dumps(asdict(self.recipe)),
            "step": self.step,
            "learner": self.learner.state_dict(),
            **self.average.state(),
            "optimiser": self.optimiser.state(),
        }
        self._write(state, "last.pt")

    def _finish(self) -> None:
        """Write what ships: the averaged network, what its scores mean, and what it was made from."""
        self.progress("score", 0, 1)
        accuracy = {name: self._accuracy(name) for name in self.closed_sets}
        if "test" in accuracy:
            self._log({"step": self.step, "test_accuracy": accuracy["test"]})
        model = self.outcome.model(self.average.blended(), self.step, accuracy, self._examples())
        path = self._write(model, "final.pt")
        self.progress("score", 1, 1)
        worth = self.outcome.snapshots_worth(self.folder, self.progress)
        if worth:
            self._log({"step": self.step, **worth})
        self.tracker.finish(path, readme_text(read_checkpoint(path), self.recipe.name))

    def _examples(self) -> dict[str, Tensor]:
        """What the trained network hears, for those of its layers whose ranges are fixed at export."""
        if not isinstance(self.learner.network, ResidualConformer | ResNet):
            return {}
        batch = self.batches[0]
        samples, masks = batch.samples[:EXAMPLES], batch.mask[:EXAMPLES]
        return {"examples": self._heard(samples.to(self.device)).half().cpu(), "masks": masks}

    def _snapshot(self, number: int) -> None:
        """Keep what a cycle ended with, as a model of its own and with its classifier."""
        model = self.outcome.model(self.learner.network.state_dict(), self.step, {}, self._examples())
        self._write(model | {"margin": self.learner.margin.state_dict()}, snapshot_name(number))

    def _write(self, state: dict[str, object], name: str) -> Path:
        write_atomically(self.folder / name, bytes_of(lambda file: torch.save(state, file)))
        return self.folder / name

    def _start(self, path: Path) -> None:
        """Begin with the weights of another run, at step 0; other speakers begin where their voices are."""
        if path.suffix == ".onnx":
            self._borrow(path)
            return
        new_speakers = self.learner.begin_from(path)
        self.average.begin(self.learner.network)
        if new_speakers:
            own = voices(self.learner.network, self.features, self.batches.speakers, self.batches.store)
            self.learner.margin.place(own)

    def _borrow(self, path: Path) -> None:
        """Begin with a public network; fitted on the CPU, wherever the training is."""
        batch = self.batches[0]
        features = build_features(self.recipe.features)(batch.samples)
        rows = [[u.target for u in own] for own in self.batches.speakers]
        self.learner.cpu().borrow(path, features, batch.mask, [one.cpu() for one in self.targets], rows)
        self.learner.to(self.device)
        self.average.begin(self.learner.network)

    def _resume(self, state: dict[str, Any]) -> None:
        try:
            self.learner.load_state_dict(state["learner"])
            self.optimiser.restore(state["optimiser"])
            self.average.restore(state)
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"wanted the data that the run in {self.folder} was begun with, got others: {error}"
            ) from error
        self.step = int(state["step"])

"""The training loop: recipe in, checkpoint out; killed at any step, it goes on as if it had not been."""

import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from rtspk.engine.conformer import Conformer
from rtspk.errors import ConfigError
from rtspk.files import write_atomically
from rtspk.train.augment import Augmenter
from rtspk.train.batches import Batch, Batches
from rtspk.train.development import Development, choose_held_out
from rtspk.train.features import TorchLogMel
from rtspk.train.learner import Learner
from rtspk.train.manifest import hold_out, read_manifest, read_noises
from rtspk.train.optimiser import Optimiser, rate_at
from rtspk.train.recipe import Recipe
from rtspk.train.rooms import room_bank
from rtspk.train.scoring import centred, sets_of, voices
from rtspk.train.spectrum import mask_spectrum
from rtspk.train.store import SampleStore
from rtspk.train.targets import read_targets

__all__ = ["Trainer"]

Progress = Callable[[str, int, int], None]  # what is being done, how much is done, how much there is


class Trainer:
    """One run of one recipe on one data folder."""

    def __init__(self, recipe: Recipe, data: Path, folder: Path, progress: Progress) -> None:
        self.recipe, self.folder, self.progress = recipe, folder, progress
        folder.mkdir(parents=True, exist_ok=True)
        loop = recipe.loop
        torch.manual_seed(loop.seed)
        torch.set_num_threads(loop.threads)
        cache = folder.parent / "cache"
        utterances = read_manifest(data / recipe.data.manifest)
        noises = read_noises(data / recipe.data.noise)
        store = SampleStore.build(
            [u.path for u in utterances], cache, lambda a, b: progress("decode speech", a, b)
        )
        sounds = SampleStore.build(noises, cache, lambda a, b: progress("decode noise", a, b))
        held = choose_held_out(utterances, recipe.data.held_out, loop.seed)
        kept, left = hold_out(utterances, held)
        self.development = Development(left, store, loop.seed) if left else None
        rooms = room_bank(
            recipe.augment.rooms, loop.seed, cache, lambda a, b: progress("simulate rooms", a, b)
        )
        augmenter = Augmenter(recipe.augment, rooms, [sounds.read(path, 0, 1 << 40) for path in noises])
        self.batches = Batches(kept, store, augmenter, recipe.features, recipe.data, loop.seed, loop.steps)
        self.targets = read_targets(data / recipe.data.targets, [u.target for u in kept])
        self.features = TorchLogMel(recipe.features)
        self.learner = Learner(recipe, len(self.batches.speakers), [t.shape[1] for t in self.targets])
        self.average = {name: value.clone() for name, value in self.learner.network.state_dict().items()}
        self.optimiser = Optimiser(self.learner, loop)
        self.step = 0
        if (folder / "last.pt").exists():
            self._resume(torch.load(folder / "last.pt", weights_only=True))
        elif recipe.start:
            self._start(folder.parent / recipe.start)

    def run(self) -> Path:
        """Train to the last step; returns the path of the finished model, for `rtspk export`."""
        loop = self.recipe.loop
        loader = DataLoader(
            Subset(self.batches, range(self.step, loop.steps)),
            batch_size=None,
            num_workers=self.recipe.data.workers,
            prefetch_factor=4 if self.recipe.data.workers else None,
        )
        waited, begun = 0.0, time.monotonic()
        sums: dict[str, float] = {}
        asked = time.monotonic()
        for batch in loader:
            waited += time.monotonic() - asked
            for name, value in self._learn(batch).items():
                sums[name] = sums.get(name, 0.0) + value
            self.step += 1
            self.progress("train", self.step, loop.steps)
            if self.step % loop.save_every == 0 or self.step == loop.steps:
                seconds = time.monotonic() - begun
                self._report(sums, seconds, waited)
                self._save()
                sums, waited, begun = {}, 0.0, time.monotonic()
            asked = time.monotonic()
        return self._finish()

    def _learn(self, batch: Batch) -> dict[str, float]:
        loop = self.recipe.loop
        self.learner.train()
        torch.manual_seed(loop.seed * 1_000_003 + self.step)  # dropout too is a function of the step
        features = mask_spectrum(self.features(batch.samples), batch.mask, self.recipe.augment.spectrum)
        # The teachers first: among thousands of speakers the margin is noise at the start (bench/LOG.md).
        grown = min(1.0, self.step / max(1.0, self.recipe.loss.margin_warmup * loop.steps))
        targets = [table[batch.targets] for table in self.targets]
        with torch.autocast("cpu", torch.bfloat16, enabled=loop.bf16):
            loss, parts = self.learner(features, batch, targets, grown)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), loop.clip)
        self.optimiser.step(rate_at(self.step, loop))
        decay = min(loop.average, (1 + self.step) / (10 + self.step))
        for name, value in self.learner.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1.0 - decay)
            else:
                self.average[name].copy_(value)
        return parts

    def _report(self, sums: dict[str, float], seconds: float, waited: float) -> None:
        every = self.recipe.loop.save_every
        row: dict[str, float | int | dict[str, float]] = {"step": self.step}
        row |= {name: round(value / every, 4) for name, value in sums.items()}
        row |= {"seconds_per_step": round(seconds / every, 3), "waiting": round(waited / seconds, 3)}
        if self.development is not None:
            row["eer"] = self.development.error_rates(self.averaged(), self.features)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")

    def averaged(self) -> Conformer:
        """The network with the averaged weights."""
        network = Conformer(self.recipe.model)
        network.load_state_dict(self.average)
        return network.eval()

    def _save(self) -> None:
        state = {
            "recipe": json.dumps(asdict(self.recipe)),
            "step": self.step,
            "learner": self.learner.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state(),
        }
        self._write(state, "last.pt")

    def _finish(self) -> Path:
        """Write what ships: the averaged network, what its scores mean, and what it was made from."""
        self.progress("score", 0, 1)
        embedder = centred(self.averaged(), self.features, self.batches.speakers, self.batches.store)
        calibration = self.development.calibration(embedder, self.features) if self.development else None
        rates = self.development.error_rates(embedder, self.features) if self.development else {}
        state = {
            "recipe": json.dumps(asdict(self.recipe)),
            "step": self.step,
            "average": self.average,
            "mean": embedder.mean,
            "calibration": asdict(calibration) if calibration else {},
            "eer": rates,
            "sets": sets_of(self.batches.speakers),
        }
        self.progress("score", 1, 1)
        return self._write(state, "final.pt")

    def _write(self, state: dict[str, object], name: str) -> Path:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.folder / name, buffer.getvalue())
        return self.folder / name

    def _start(self, path: Path) -> None:
        """Begin with the weights of another run, at step 0; other speakers begin where their voices are."""
        margin = self.learner.margin.weight
        try:
            learnt = torch.load(path, weights_only=True)["learner"]
            same = learnt["margin.weight"].shape == margin.shape
            missing, unknown = self.learner.load_state_dict(
                learnt if same else learnt | {"margin.weight": margin.detach()}, strict=False
            )
        except (OSError, KeyError, RuntimeError) as error:
            raise ConfigError(
                f"wanted last.pt of a run of the same network at {path}, got: {error}"
            ) from error
        new = [name for name in missing if ".residuals." not in name]  # residual layers may be added
        if new or unknown:
            raise ConfigError(
                f"wanted last.pt of a run of the same network at {path}, got one that differs: "
                f"{', '.join((new or unknown)[:3])}"
            )
        self.average = {name: value.clone() for name, value in self.learner.network.state_dict().items()}
        if not same:
            own = voices(self.learner.network, self.features, self.batches.speakers, self.batches.store)
            margin.data.copy_(own)

    def _resume(self, state: dict[str, Any]) -> None:
        try:
            self.learner.load_state_dict(state["learner"])
            self.optimiser.restore(state["optimiser"])
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"expected a checkpoint of this recipe in {self.folder}, got another: {error}"
            ) from error
        self.average = state["average"]
        self.step = int(state["step"])

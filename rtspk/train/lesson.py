"""What a segmenter's run is taught, by kind of network: batches, where it begins, and how it is measured."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from rtspk.engine.powerset import MEMBERS
from rtspk.engine.recurrent import PARTS, RecurrentNetwork
from rtspk.engine.segmenter_network import SegmenterNetwork
from rtspk.errors import ConfigError
from rtspk.train.activity_batches import ActivityBatches
from rtspk.train.activity_set import FRAMES_PER_SECOND, ActivitySet
from rtspk.train.adopt import adopt_segmenter, read_weights
from rtspk.train.progress import Progress
from rtspk.train.recurrent_batches import RecurrentBatches, in_steps
from rtspk.train.recurrent_network import GroupedRecurrences
from rtspk.train.recurrent_recipe import RecurrentRecipe
from rtspk.train.recurrent_set import RecurrentSet
from rtspk.train.segmenter_card import activity_text, recurrent_text
from rtspk.train.segmenter_recipe import SegmenterRecipe
from rtspk.train.segmenter_scoring import LocalError, local_error, measure

__all__ = ["ActivityLesson", "Lesson", "RecurrentLesson", "lesson_of"]

AT_ONCE: int = 50  # windows that are measured at once


class Lesson(Protocol):
    """What a run of a segmenter needs."""

    @property
    def batches(self) -> Dataset[tuple[Tensor, Tensor]]:
        """Batch k: what the network hears, and the chances of the classes that it should give."""

    def network(self) -> nn.Module:
        """A network as a run begins with it."""

    def error(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """On what is kept out of training; empty where nothing is."""

    def beside(self) -> dict[str, Tensor]:
        """What a finished model holds beside the weights that it learns."""

    def card(self, steps: int, error: dict[str, float]) -> str:
        """What a finished model is and was made from, as Markdown; with what `error` said of it."""


class ActivityLesson:
    """A Conformer that hears log-mel, taught by references and by a teacher."""

    def __init__(self, recipe: SegmenterRecipe, data: Path, cache: Path, progress: Progress) -> None:
        self._recipe, wanted = recipe, recipe.data
        teacher = data / wanted.teacher if wanted.teacher else None

        def built(name: str, *, labelled: bool = True) -> ActivitySet:
            work = partial(progress, f"work on {name}")
            return ActivitySet.build(data / name, cache, recipe.features, teacher, work, labelled=labelled)

        self._sets = [built(name) for name in (wanted.train, *filter(None, [wanted.development]))]
        if wanted.pause_seconds:
            longest = round(wanted.pause_seconds * FRAMES_PER_SECOND)
            self._sets = [one.without_pauses(longest) for one in self._sets]
        unlabelled = built(wanted.unlabelled, labelled=False) if wanted.unlabelled else None
        loop = recipe.loop
        self.batches = ActivityBatches(self._sets[0], wanted, loop.seed, loop.steps, unlabelled)

    def network(self) -> SegmenterNetwork:
        """A network as a run begins with it."""
        return SegmenterNetwork(self._recipe.model, self._recipe.features.mels)

    def error(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Against the references of the development conversations."""
        if len(self._sets) < 2:
            return {}
        return measure(network, self._sets[1], self._recipe.data.crop_seconds, device).rates()

    def beside(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def card(self, steps: int, error: dict[str, float]) -> str:
        """The README that is exported."""
        return activity_text(self._recipe, self._recipe.name, steps, self.network(), error)


class RecurrentLesson:
    """pyannote's recurrences at fewer steps a second, taught to say what they said at every frame."""

    def __init__(self, recipe: RecurrentRecipe, data: Path, cache: Path, progress: Progress) -> None:
        self._recipe, wanted = recipe, recipe.data
        path = data / wanted.teacher
        if not path.is_file():
            raise ConfigError(f"wanted a teacher's ONNX file at {path}, got nothing there")
        self._weights = read_weights(path)
        self._parts = cache / f"{path.stem}-parts"
        identity = adopt_segmenter(path, self._parts, "")
        teacher = RecurrentNetwork(self._parts)
        self._sets = [
            RecurrentSet.build(
                data / name, cache, teacher, identity, wanted, partial(progress, f"work on {name}")
            )
            for name in (wanted.train, *filter(None, [wanted.development]))
        ]
        loop = recipe.loop
        self.batches = RecurrentBatches(self._sets[0], wanted, recipe.group, loop.seed, loop.steps)

    def network(self) -> GroupedRecurrences:
        """A network as a run begins with it: with the public weights."""
        return GroupedRecurrences(self._weights, self._recipe.group)

    @torch.no_grad()
    def error(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Against what the teacher says in whole windows of the development recordings."""
        if len(self._sets) < 2:
            return {}
        windows, total = self._sets[1], LocalError()
        length = windows.frames.shape[1]
        whole = np.flatnonzero(windows.counts == length)
        for at in range(0, len(whole), AT_ONCE):
            heard, taught = in_steps(windows, whole[at : at + AT_ONCE], length, self._recipe.group)
            said: Tensor = network(heard.to(device))
            pairs = zip(said.cpu().argmax(-1).numpy(), taught.argmax(-1).numpy(), strict=True)
            total = sum((local_error(MEMBERS[one], MEMBERS[truth]) for one, truth in pairs), total)
        return total.rates()

    def beside(self) -> dict[str, Tensor]:
        """The files of what is in front of the recurrences, byte for byte."""
        files = {name: (self._parts / name).read_bytes() for name in PARTS[:-1]}
        return {name: torch.frombuffer(bytearray(data), dtype=torch.uint8) for name, data in files.items()}

    def card(self, steps: int, error: dict[str, float]) -> str:
        """In some lines."""
        return recurrent_text(self._recipe, steps, error)


def lesson_of(
    recipe: SegmenterRecipe | RecurrentRecipe, data: Path, cache: Path, progress: Callable[..., None]
) -> Lesson:
    """The lesson of a recipe, on the data in a folder; what is made of these is kept in the cache."""
    if isinstance(recipe, RecurrentRecipe):
        return RecurrentLesson(recipe, data, cache, progress)
    return ActivityLesson(recipe, data, cache, progress)

"""Ask a teacher for the voice of every utterance: the table that a student is distilled from."""

import io
import os
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from rtspk.audio import loudest, stream_audio
from rtspk.engine.embedder import Embedder
from rtspk.errors import FormatError
from rtspk.files import write_atomically
from rtspk.kernels.mel import log_mel
from rtspk.train.manifest import Utterance
from rtspk.types import SAMPLE_RATE, FloatArray, Segment, Window, samples_of

__all__ = ["numbered", "stretches", "teach", "write_targets"]

WAITING: int = 8  # utterances for each thread that may wait, decoded, for the network
LEAST: int = samples_of(0.3)  # a shorter utterance is not heard: networks want some frames
SILENT: float = 1e-5  # a crop that is nowhere louder holds no voice


def numbered(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Give every utterance a row of the table: its own where each has one, else the next that is free."""
    free = max((u.target for u in utterances), default=-1) + 1
    out = []
    for u in utterances:
        out.append(u if u.target >= 0 else replace(u, target=free))
        free += u.target < 0
    return out


def teach(
    utterances: Sequence[Utterance],
    teacher: Embedder,
    length: int,
    progress: Callable[[int, int], None],
    threads: int | None = None,
) -> NDArray[np.int8]:
    """Embed every utterance at its speed.

    Utterances go through the network one by one in several threads: on a CPU a batch gains nothing.

    Args:
        utterances: with a row each
        teacher: any embedder; it is called from several threads
        length: samples of an utterance that it hears, the loudest in a row; all where there are fewer
        progress: called with utterances done and utterances in all
        threads: that embed; None for one for each core

    Returns:
        int8 [shape=(rows, dimension)], to be scaled to unit length; zeros where there was no voice to hear
    """
    rows = max((u.target for u in utterances), default=-1) + 1
    table = np.zeros((rows, teacher.card.dimension), np.int8)
    threads = threads or os.cpu_count() or 1
    pending: deque[tuple[int, Future[NDArray[np.int8]]]] = deque()
    done = 0

    def take() -> None:
        nonlocal done
        row, answer = pending.popleft()
        table[row] = answer.result()
        done += 1
        progress(done, len(utterances))

    ordered = sorted(utterances, key=lambda u: u.path)
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for path, own in groupby(ordered, key=lambda u: u.path):
            for u, samples in stretches(path, list(own)):
                pending.append((u.target, pool.submit(_voice, samples, u.speed, teacher, length)))
                if len(pending) >= WAITING * threads:
                    take()
        while pending:
            take()
    return table


def stretches(path: Path, utterances: Sequence[Utterance]) -> Iterator[tuple[Utterance, FloatArray]]:
    """Decode a file once and give the samples of each utterance in it; no more than these is in memory."""
    coming = deque(sorted(utterances, key=lambda u: u.start))
    heard: list[tuple[Utterance, list[FloatArray]]] = []
    for chunk in stream_audio(path, chunk_seconds=10.0):
        while coming and coming[0].start < chunk.end:
            heard.append((coming.popleft(), []))
        for u, parts in heard:
            parts.append(chunk.samples[max(0, u.start - chunk.start) : u.end - chunk.start])
        yield from ((u, np.concatenate(parts)) for u, parts in heard if u.end <= chunk.end)
        heard = [(u, parts) for u, parts in heard if u.end > chunk.end]
        if not coming and not heard:
            return
    nothing = np.zeros(0, np.float32)
    yield from ((u, np.concatenate([nothing, *parts])) for u, parts in heard)
    yield from ((u, nothing) for u in coming)


def write_targets(path: Path, name: str, table: NDArray[np.int8], add: Path | None = None) -> list[str]:
    """Write the table under the teacher's name, beside those that are in `add`.

    A table with fewer rows than another is filled up with zeros: its teacher did not hear those.

    Returns:
        the names of all teachers in the file

    Raises:
        FormatError: `add` is no file of targets.
    """
    tables: dict[str, NDArray[np.int8]] = {}
    if add is not None:
        try:
            with add.open("rb") as old, np.load(old) as kept:
                tables = {key: kept[key] for key in kept.files}
        except (OSError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise FormatError(f"wanted an .npz of teachers' embeddings at {add}, got {error}") from error
        if any(one.ndim != 2 for one in tables.values()):
            raise FormatError(f"wanted tables [shape=(utterances, width)] in {add}, got other shapes")
    tables[name] = table
    rows = max(len(one) for one in tables.values())
    whole = {key: np.pad(one, ((0, rows - len(one)), (0, 0))) for key, one in tables.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # as np.savez, which has names of its own
        for key, one in whole.items():
            with archive.open(f"{key}.npy", "w") as file:
                np.lib.format.write_array(file, one, allow_pickle=False)
    write_atomically(path, buffer.getvalue())
    return sorted(whole)


def _voice(samples: FloatArray, speed: float, teacher: Embedder, length: int) -> NDArray[np.int8]:
    """The teacher's vector of the loudest stretch; zeros where there is no voice."""
    card = teacher.card
    if speed != 1.0:
        samples = np.asarray(soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE), np.float32)
    crop = loudest(samples, length)
    if len(crop) < LEAST or np.abs(crop).max() < SILENT:
        return np.zeros(card.dimension, np.int8)
    rows = log_mel(np.ascontiguousarray(crop), card.features)
    window = Window(Segment(0, len(crop)), rows, np.ones(len(rows), np.float32), len(crop))
    vector = teacher.embed([window])[0].vector
    return np.rint(vector * (127.0 / np.abs(vector).max())).astype(np.int8)

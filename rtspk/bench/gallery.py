"""How the gallery scales: a search, what it misses, room on disk and in memory, opening and adding.

Voices are made up: unit vectors that spread as the model's cohort does, each person with one exemplar. Half
of the queries are enrolled voices heard anew, half are strangers. Beside it stand numpy, which compares with
everything, and hnswlib where it is installed.
"""

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator

from rtspk.bench.report import Percentiles, Result, Timings, machine, timed, versions
from rtspk.engine.cohort import Cohort
from rtspk.engine.embedder import BUNDLED
from rtspk.engine.gallery import Gallery
from rtspk.errors import ConfigError
from rtspk.types import Embedding, FloatArray, Segment, samples_of

__all__ = ["SIZES", "VoiceMaker", "run"]

SIZES: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
QUERIES = 500  # p99 is of these
COSINE = 0.65  # of a voice heard anew with its exemplar, as the model's are
BATCH = 20_000  # voices that are stored at once
GRAPH_LARGEST = 100_000  # hnswlib needs half an hour for a million
PACKAGES = ("faiss-cpu", "hnswlib")
MODEL = "bench"


class VoiceMaker:
    """Unit vectors with the mean and the covariance of a cohort."""

    def __init__(self, cohort: FloatArray, rng: Generator) -> None:
        self.dimension = cohort.shape[1]
        self._mean = cohort.mean(0)
        _, sizes, axes = np.linalg.svd(cohort - self._mean, full_matrices=False)
        self._axes = (axes * (sizes / np.sqrt(len(cohort)))[:, None]).astype(np.float32)
        self._rng = rng

    def voices(self, count: int) -> FloatArray:
        """So many voices: float32 [shape=(count, dimension)]."""
        drawn = self._mean + self._rng.standard_normal((count, len(self._axes)), np.float32) @ self._axes
        return _unit(drawn)

    def heard_anew(self, voices: FloatArray, cosine: float) -> FloatArray:
        """The same voices with this cosine to themselves."""
        other = self.voices(len(voices))
        other = _unit(other - np.einsum("nd,nd->n", other, voices)[:, None] * voices)
        return _unit(cosine * voices + np.float32(np.sqrt(1.0 - cosine**2)) * other)


def run(seed: int = 0, runs: int = 7, largest: int = SIZES[-1]) -> Iterator[Result]:
    """Measure galleries of 1,000 to a million exemplars, up to the largest wanted.

    Args:
        seed: of the voices
        runs: of opening and adding; searches are counted one by one, 500 of them
        largest: exemplars
    """
    sizes = [size for size in SIZES if size <= largest]
    if not sizes:
        raise ConfigError(f"wanted a gallery of {SIZES[0]} exemplars or more, got {largest}")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="rtspk-gallery-") as folder:
            yield from _measure(Path(folder) / "voices.db", size, seed, runs)


def _measure(path: Path, size: int, seed: int, runs: int) -> Iterator[Result]:
    maker = VoiceMaker(_cohort(), np.random.default_rng(seed))
    with Gallery.open(path, MODEL, maker.dimension) as gallery:
        voices = _fill(gallery, maker, size)
        gallery.search(voices[0], 1)
        begin = time.perf_counter()
        gallery.settle()
        building = time.perf_counter() - begin
    disk = sum(file.stat().st_size for file in path.parent.iterdir()) / size
    picked = np.random.default_rng(seed + 1).integers(size, size=QUERIES // 2)
    queries = np.concatenate([maker.heard_anew(voices[picked], COSINE), maker.voices(QUERIES - len(picked))])
    exact = _numpy(voices)
    truth = [exact(query) for query in queries]
    name = f"{size:.0e}".replace("e+0", "e")
    with Gallery.open(path, MODEL, maker.dimension) as gallery:
        ours = _timed(lambda query: int(gallery.search(query, 1)[0][0].removeprefix("person ")), queries)
        for peer, search, found in _peers(voices, exact, size):
            theirs = _timed(search, queries) if found is None else found
            times = Timings(tuple(ours[0]), tuple(theirs[0]))
            yield timed(
                "gallery", f"identify_{name}", times, peer, seed, PACKAGES, None, Percentiles.of(ours[0])
            )
            if peer != "numpy":
                yield _plain(
                    f"recall_{name}", _recall(ours[1], truth), "", peer, _recall(theirs[1], truth), seed
                )
        yield _plain(f"recall_{name}", _recall(ours[1], truth), "", "numpy", 1.0, seed)
        adding = [_added(gallery, maker) for _ in range(runs)]
    yield timed("gallery", f"add_and_find_{name}", Timings(tuple(adding), ()), None, seed, PACKAGES)
    opened = [_opened_elsewhere(path, maker.dimension, queries[0]) for _ in range(min(runs, 3))]
    seconds = Timings(tuple(one for one, _ in opened), ())
    yield timed("gallery", f"open_and_find_{name}", seconds, None, seed, PACKAGES)
    memory = statistics.median(grown for _, grown in opened) / size
    yield _plain(f"memory_an_exemplar_{name}", memory, "B", "numpy", 4.0 * maker.dimension, seed)
    yield _plain(f"disk_an_exemplar_{name}", disk, "B", None, None, seed)
    if building > 1.0:
        yield timed("gallery", f"codes_made_behind_{name}", Timings((building,), ()), None, seed, PACKAGES)


def _cohort() -> FloatArray:
    return Cohort.read(BUNDLED / "embedder" / "cohort.npy").vectors


def _fill(gallery: Gallery, maker: VoiceMaker, size: int) -> FloatArray:
    """Enrol so many people, and give their voices."""
    parts = []
    for start in range(0, size, BATCH):
        voices = maker.voices(min(BATCH, size - start))
        gallery.add_many(
            (f"person {start + row}", [_print(voice)], "made up", None) for row, voice in enumerate(voices)
        )
        parts.append(voices)
    return np.concatenate(parts)


def _print(voice: FloatArray) -> Embedding:
    return Embedding(voice, Segment(0, samples_of(10.0)), samples_of(10.0))


def _numpy(voices: FloatArray) -> Callable[[FloatArray], int]:
    return lambda query: int(np.argmax(voices @ query))


def _peers(
    voices: FloatArray, exact: Callable[[FloatArray], int], size: int
) -> Iterator[tuple[str, Callable[[FloatArray], int], tuple[list[float], list[int]] | None]]:
    """Peers by name, how they search, and what they found where that is known."""
    yield "numpy", exact, None
    try:
        import hnswlib
    except ImportError:
        return
    if size > GRAPH_LARGEST:
        return
    graph = hnswlib.Index(space="ip", dim=voices.shape[1])
    graph.init_index(max_elements=size, M=32, ef_construction=200, random_seed=0)
    graph.set_num_threads(1)
    graph.add_items(voices)
    graph.set_ef(400)
    yield "hnswlib", lambda query: int(graph.knn_query(query[None], k=1)[0][0, 0]), None


def _timed(search: Callable[[FloatArray], int], queries: FloatArray) -> tuple[list[float], list[int]]:
    """Seconds of each search, and what it found; a few searches before do not count."""
    for query in queries[:5]:
        search(query)
    seconds, found = [], []
    for query in queries:
        begin = time.perf_counter()
        found.append(search(query))
        seconds.append(time.perf_counter() - begin)
    return seconds, found


def _added(gallery: Gallery, maker: VoiceMaker) -> float:
    """Seconds from a new person to the first search that finds them."""
    (voice,) = maker.voices(1)
    begin = time.perf_counter()
    gallery.add("newcomer", [_print(voice)], "made up")
    found = gallery.search(voice, 1)
    seconds = time.perf_counter() - begin
    assert found[0][0] == "newcomer", "a person who was added is not found"
    return seconds


def _opened_elsewhere(path: Path, dimension: int, query: FloatArray) -> tuple[float, float]:
    """Seconds of opening and a first search in a process of its own, and the bytes by which it grew."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, grown = pool.apply(_open, (path, dimension, query))
    return seconds, grown


def _open(path: Path, dimension: int, query: FloatArray) -> tuple[float, float]:
    with Gallery.open(None, MODEL, dimension) as empty:  # the libraries are no part of it
        empty.add("nobody", [_print(query)], "made up")
        empty.search(query, 1)
    before, begin = _resident(), time.perf_counter()
    with Gallery.open(path, MODEL, dimension) as gallery:
        gallery.search(query, 1)
        return time.perf_counter() - begin, float(_resident() - before)


def _resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not say."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = dict(
        line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines() if ":" in line
    )
    return int(lines["VmRSS"].split()[0]) * 1024


def _plain(
    case: str, value: float, unit: str, peer: str | None, peer_value: float | None, seed: int
) -> Result:
    """A result that is no time: for bytes less is better, for rates more."""
    ratio = None
    if peer_value is not None and value:
        ratio = peer_value / value if unit == "B" else value / peer_value
    return Result(
        "gallery", case, value, unit, peer, peer_value, ratio, 1, machine(), seed, versions(*PACKAGES)
    )


def _recall(found: Sequence[int], truth: Sequence[int]) -> float:
    """Share of the queries whose nearest is the nearest in truth."""
    return sum(one == other for one, other in zip(found, truth, strict=True)) / len(truth)


def _unit(vectors: FloatArray) -> FloatArray:
    scaled: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled.astype(np.float32)

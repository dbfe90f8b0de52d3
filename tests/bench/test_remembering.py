"""Networks that are asked once: the same answers, and no second question."""

import numpy as np

from rtspk.bench.remembering import RememberingEmbedder, RememberingSegmenter
from rtspk.engine.embedder import EmbedderCard
from rtspk.engine.segmenter import find_segmenter, load_segmenter
from rtspk.types import Embedding, Segment, Window


class Counting:
    card = EmbedderCard(id="counting", file="", licence="", dimension=2)
    cohort = None

    def __init__(self) -> None:
        self.asked = 0

    def embed(self, windows):
        self.asked += len(windows)
        return [
            Embedding(np.array([w.mask.sum(), 1.0], np.float32), w.segment, w.net_speech) for w in windows
        ]


def window(start: int, spoken: int) -> Window:
    mask = np.zeros(10, np.float32)
    mask[:spoken] = 1.0
    return Window(Segment(start, start + 1600), np.ones((10, 80), np.float32), mask, spoken * 160)


def test_the_same_window_is_asked_once_and_keeps_its_own_place():
    inner = Counting()
    outer = RememberingEmbedder(inner)
    first, second, third = outer.embed([window(0, 4), window(0, 5), window(800, 4)])
    assert inner.asked == 2
    assert [one.vector[0] for one in (first, second, third)] == [4.0, 5.0, 4.0]
    assert third.segment == Segment(800, 2400)
    assert (outer.card, outer.cohort) == (inner.card, None)


def test_a_window_is_segmented_once():
    plain = load_segmenter(find_segmenter("light"))
    outer = RememberingSegmenter(plain)
    rows = np.random.default_rng(0).normal(12, 2, (100, 80)).astype(np.float32)
    first = outer.speakers(rows)
    assert outer.speakers(rows.copy()) is first
    assert np.array_equal(first, plain.speakers(rows))
    assert (outer.card, outer.frames) == (plain.card, plain.frames)

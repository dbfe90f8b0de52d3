"""Networks that are asked once: the same answers, and no second question."""

import numpy as np

from rtspk.bench.latency import voices
from rtspk.bench.remembering import RememberingEmbedder, RememberingSegmenter
from rtspk.engine.embedder import EmbedderCard
from rtspk.engine.segmenter import find_segmenter, load_segmenter
from rtspk.engine.settings import HOP
from rtspk.types import Embedding, Segment, Window


class Counting:
    card = EmbedderCard(id="counting", file="", licence="", dimension=2)
    cohort = None
    voicing = None
    trunk = None

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


def test_a_stream_is_segmented_once_also_where_it_ends_otherwise_than_before():
    plain = load_segmenter()
    outer = RememberingSegmenter(plain)
    sound = voices(8.0, 0)
    other = sound.copy()
    other[12 * HOP :] = sound[: len(sound) - 12 * HOP]

    def answers(segmenter, one):
        hearing = segmenter.hearing()
        for start in range(0, len(one), HOP):
            segmenter.hear(one[start : start + HOP], hearing)
            yield segmenter.heard(hearing)

    for one in (sound, sound, other):
        for (first, chances), (wanted_first, wanted) in zip(
            answers(outer, one), answers(plain, one), strict=True
        ):
            assert first == wanted_first
            assert np.array_equal(chances, wanted)
    hops = -(-len(sound) // HOP)
    assert len(outer._heard) == hops + hops - 12
    assert outer.hearing().late == []
    assert RememberingSegmenter(load_segmenter(find_segmenter("light"))).hearing() is None

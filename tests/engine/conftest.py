"""A conversation that everyone has, and a session whose network can be asked a thousand times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from rtspk.audio import read_audio
from rtspk.data import DEMO
from rtspk.engine.embedder import EmbedderCard
from rtspk.engine.events import Event
from rtspk.engine.frontend import Frontend
from rtspk.engine.gallery import Gallery
from rtspk.engine.identity import Identities
from rtspk.engine.pipeline import LocalSession
from rtspk.engine.segmenter import Segmenter, load_segmenter
from rtspk.engine.session import Session, SessionParts, SessionState
from rtspk.engine.settings import SessionConfig
from rtspk.engine.tracker import Tracker
from rtspk.kernels.mel import MelConfig
from rtspk.types import Embedding, FloatArray, Window


class PlainEmbedder:
    """A voice as the shape of its mean spectrum and its spread: poor, but honest and fast."""

    card = EmbedderCard(id="plain", file="", licence="", dimension=160)
    cohort = None
    voicing = None
    trunk = None

    def embed(self, windows: Sequence[Window]) -> list[Embedding]:
        return [Embedding(self._vector(w), w.segment, w.net_speech) for w in windows]

    def _vector(self, window: Window) -> FloatArray:
        heard = window.features[window.mask > 0]
        mean, spread = heard.mean(0), heard.std(0)
        vector = np.concatenate([mean - mean.mean(), 2.0 * (spread - spread.mean())])
        return (vector / (np.linalg.norm(vector) + 1e-6)).astype(np.float32)


@dataclass(frozen=True)
class Setup:
    """The shared parts and the embedder beside them."""

    parts: SessionParts
    embedder: PlainEmbedder

    def begin(self, state: SessionState | None = None) -> LocalSession:
        return LocalSession(Session(self.parts, state), self.embedder)

    def events(self, chunks: Sequence[FloatArray]) -> list[Event]:
        session = self.begin()
        said = [event for chunk in chunks for event in session.push(chunk)]
        return said + session.finish()


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    return load_segmenter()


@pytest.fixture(scope="session")
def conversation() -> FloatArray:
    return read_audio(DEMO / "conversation.opus")


@pytest.fixture(scope="session")
def setup_at(segmenter: Segmenter) -> Callable[[float], Setup]:
    embedder = PlainEmbedder()

    def make(latency: float) -> Setup:
        config = SessionConfig(latency=latency)
        gallery = Gallery.open(None, embedder.card.id, embedder.card.dimension)
        return Setup(
            SessionParts(
                Frontend(MelConfig(), segmenter, config.activity),
                Tracker(config.tracker, config.max_speakers),
                Identities(gallery, embedder.card.calibration, config.identity),
                config,
            ),
            embedder,
        )

    return make


@pytest.fixture(scope="session")
def setup(setup_at: Callable[[float], Setup]) -> Setup:
    return setup_at(1.0)

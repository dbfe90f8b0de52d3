"""A conversation, a session whose network can be asked a thousand times, galleries, talk, turns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from rtspk.audio import read_audio
from rtspk.data import DEMO
from rtspk.engine.embedder import EmbedderCard
from rtspk.engine.events import Event, ReviseEvent, SegmentEvent
from rtspk.engine.frontend import Frontend, FrontendState
from rtspk.engine.gallery import Gallery
from rtspk.engine.identity import Identities
from rtspk.engine.pipeline import LocalSession
from rtspk.engine.recurrence import alone
from rtspk.engine.segmenter import Segmenter, load_segmenter
from rtspk.engine.session import Session
from rtspk.engine.session_state import SessionParts, SessionState
from rtspk.engine.settings import HOP, MOST_SPEAKERS, SessionConfig, TrackerConfig
from rtspk.engine.tracker import Tracker
from rtspk.engine.tracker_state import Decision, Heard, LabelChange, TrackerState, piece_of
from rtspk.engine.turns import Turns
from rtspk.engine.turns_state import Said, TurnsState
from rtspk.engine.voicing import Voicing
from rtspk.kernels.mel import MelConfig
from rtspk.types import Embedding, FloatArray, Segment, Window, samples_of


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


# Sound and what is said of it


def blocks(frontend: Frontend, samples: FloatArray, state: FrontendState) -> Iterator[int]:
    """The stream time behind each block that samples complete, when it was heard."""
    for time, block in frontend.cut(samples, state):
        alone(frontend.take(block, state), frontend.tell)
        yield time


def json_of(events: list[Event]) -> list[dict[str, object]]:
    return [event.to_json() for event in events]


def cut(samples: FloatArray, sizes: list[int]) -> list[FloatArray]:
    """Pieces of the given sizes, over and over, until the sound is used up."""
    pieces, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        pieces.append(samples[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


# Galleries of small prints

MODEL = "test-model"
PRINT_DIMENSION = 64


def prints(seed, count=1):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, PRINT_DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [Embedding(vector, Segment(0, 48_000), 32_000) for vector in vectors]


def open_gallery(path, **options):
    return Gallery.open(path, MODEL, PRINT_DIMENSION, **options)


def bytes_of(path):
    """Everything that SQLite keeps of the gallery on disk."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))


def message(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(params=["file", "memory"])
def gallery(request, tmp_path):
    with open_gallery(tmp_path / "voices.db" if request.param == "file" else None) as made:
        yield made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "voices.db"


# Talk for the tracker

VOICE_DIMENSION = 192
NEVER = 1e6  # seconds between two slow paths


class Talk:
    """Voices as noisy directions, a hop at a time."""

    def __init__(
        self,
        config: TrackerConfig | None = None,
        max_speakers: int = MOST_SPEAKERS,
        seed: int = 0,
        voicing: Voicing | None = None,
    ) -> None:
        self.tracker = Tracker(config or TrackerConfig(), max_speakers, voicing)
        self.state = TrackerState()
        self.rng = np.random.default_rng(seed)
        self.hop = 0

    def voice(self, number: int) -> FloatArray:
        clean = np.zeros(VOICE_DIMENSION)
        clean[number] = 1.0
        vector = clean + self.rng.normal(0.0, 0.048, VOICE_DIMENSION)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def say(self, number: int, hops: int, net_speech: int = samples_of(1.5)) -> list[Decision]:
        said = []
        for _ in range(hops):
            window = Embedding(self.voice(number), Segment(self.hop * HOP, (self.hop + 1) * HOP), net_speech)
            said += self.hear(Heard(piece_of(self.hop, 0), HOP, window))[0]
            self.hop += 1
        return said

    def hear(self, *heard: Heard) -> tuple[list[Decision], list[LabelChange]]:
        return self.tracker.observe(heard, self.state)

    def window(self, number: int) -> Embedding:
        return Embedding(self.voice(number), Segment(0, HOP), samples_of(1.5))

    def pause(self, hops: int) -> None:
        self.hop += hops


def between(talk: Talk, one: int, other: int, share: float) -> Embedding:
    """A window that is so much of the second voice."""
    vector = np.zeros(VOICE_DIMENSION)
    vector[one], vector[other] = 1.0 - share, share
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Embedding(unit, Segment(talk.hop * HOP, (talk.hop + 1) * HOP), samples_of(1.5))


def known_two(talk: Talk) -> tuple[int, int]:
    return talk.say(0, 10)[-1].label, talk.say(1, 10)[-1].label


VECTOR = np.ones(4, np.float32)
JOIN = samples_of(0.3)


class Speech:
    """Whole hops of speech by one label after another."""

    def __init__(self) -> None:
        self.turns = Turns(TurnsState(), JOIN)
        self.hop = 0

    def say(self, label: int, hops: int, *, provisional: bool = False) -> None:
        for _ in range(hops):
            span = Segment(self.hop * HOP, (self.hop + 1) * HOP)
            decision = Decision(self.hop, label, 0.5, 0.9, provisional)
            self.turns.extend([Said(decision, [span], VECTOR)])
            self.hop += 1

    def settle(self) -> list[tuple[float, float, str]]:
        self.turns.close()
        for draft in self.turns.due(1 << 40):
            self.turns.finalise(draft)
        final = [
            e.turn for e in self.turns.state.events if isinstance(e, SegmentEvent) and e.state == "final"
        ]
        return [(t.segment.start / HOP, t.segment.end / HOP, t.label) for t in final]

    def revised(self) -> list[tuple[int, str, str]]:
        """Which segments became whose, and why."""
        events = [e for e in self.turns.state.events if isinstance(e, ReviseEvent)]
        return [(change.id, change.label, change.reason) for e in events for change in e.changes]

"""One stream's session: sound in, events out, and no I/O between.

session.receive_audio(samples)
session.receive_embeddings(embedder.embed(session.windows_to_embed()))
session.events_to_send()
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rtspk.engine.events import EndEvent, Event, SpeakerEvent
from rtspk.engine.frontend import Frontend, FrontendState, focus
from rtspk.engine.identity import Identities, IdentitiesState
from rtspk.engine.segmenter import ACTIVITY_HOP
from rtspk.engine.settings import HOP, SessionConfig
from rtspk.engine.tracker import Tracker, TrackerState
from rtspk.engine.turns import Draft, Turns, TurnsState, label_text, mean_vector
from rtspk.errors import ModelError, SessionError
from rtspk.kernels.mel import MelConfig
from rtspk.types import Embedding, FloatArray, Segment, Window, samples_of

__all__ = ["Session", "SessionParts", "SessionState"]

UNIT_ERROR: float = 1e-3  # of a vector's length
FORGET: int = samples_of(90.0)  # speech that never became a voice is dropped after this


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What all sessions share: read-only."""

    frontend: Frontend
    tracker: Tracker
    identities: Identities | None
    config: SessionConfig


@dataclass(slots=True)
class Heard:
    """A hop that waits for its embedding, or for its turn behind one that does."""

    hop: int
    spans: list[Segment]
    wanted: bool  # whether the network was asked


@dataclass(slots=True)
class SessionState:
    """All that one stream remembers: arrays and numbers, picklable and bounded."""

    frontend: FrontendState
    tracker: TrackerState = field(default_factory=TrackerState)
    turns: TurnsState = field(default_factory=TurnsState)
    identities: IdentitiesState = field(default_factory=IdentitiesState)
    heard: deque[Heard] = field(default_factory=deque)
    windows: list[Window] = field(default_factory=list)
    asked: int = 0  # windows taken and not answered yet
    next_hop: int = 0
    finished: bool = False
    ended: bool = False

    @classmethod
    def empty(cls, features: MelConfig) -> "SessionState":
        """Before the first sample."""
        return cls(FrontendState.empty(features))


class Session:
    """The verbs; the law is that any chunking of the same sound gives the same events."""

    def __init__(self, parts: SessionParts, state: SessionState | None = None) -> None:
        self._parts = parts
        self.state = SessionState.empty(parts.frontend.features) if state is None else state
        self._turns = Turns(self.state.turns)
        hops = samples_of(parts.config.latency) // HOP
        width = samples_of(parts.config.tracker.window_seconds) // HOP * HOP
        # A hop's window ends `after` hops behind it: as late as the latency allows, never beyond its middle.
        self._after = min(hops - 1, (width // HOP) // 2)
        self._before = width // HOP - 1 - self._after
        self._lag = hops * HOP

    def receive_audio(self, samples: FloatArray) -> None:
        """Take the next of the stream: float32 [shape=(n,)] at 16 kHz, any n.

        Raises:
            SessionError: the session is finished.
            AudioError: samples of another shape or type, or not finite; the session stays as it was.
        """
        if self.state.finished:
            raise SessionError(f"wanted no audio after finish, got {len(samples)} samples")
        for time in self._parts.frontend.blocks(samples, self.state.frontend):
            self._hear(time)
        self._advance()

    def windows_to_embed(self) -> list[Window]:
        """What the network is wanted for now; take and clear."""
        windows, self.state.windows = self.state.windows, []
        self.state.asked += len(windows)
        return windows

    def receive_embeddings(self, batch: Sequence[Embedding]) -> None:
        """The answers to the windows taken, in order, all or some of them.

        Raises:
            SessionError: more answers than windows were taken.
            ModelError: a vector that is no unit vector; the session stays as it was.
        """
        if len(batch) > self.state.asked:
            raise SessionError(f"wanted at most {self.state.asked} embeddings, got {len(batch)}")
        for embedding in batch:
            length = float(np.linalg.norm(embedding.vector))
            if not abs(length - 1.0) < UNIT_ERROR:  # a NaN is not below anything either
                raise ModelError(f"wanted voices as unit vectors, got one of length {length:.3g}")
        self.state.asked -= len(batch)
        answers = deque(batch)
        while answers:
            heard = self.state.heard.popleft()
            self._decide(heard, answers.popleft() if heard.wanted else None)
        self._advance()

    def events_to_send(self) -> list[Event]:
        """What there is to say; take and clear."""
        events, self.state.turns.events = self.state.turns.events, []
        return events

    def finish(self) -> None:
        """End the stream. The last windows may still want an answer; then comes the end event. Idempotent."""
        if self.state.finished:
            return
        self.state.finished = True
        state = self.state
        self._parts.frontend.flush(state.frontend)
        last = -(-state.frontend.received // HOP)
        while state.next_hop < last:
            self._ask(state.next_hop, state.frontend.received)
        self._advance()

    def _hear(self, time: int) -> None:
        """Ask about the hop whose window is complete at stream time `time`."""
        hop = time // HOP - 1 - self._after
        if hop >= 0:
            self._ask(hop, time)

    def _ask(self, hop: int, time: int) -> None:
        state, frontend = self.state, self._parts.frontend
        state.next_hop = hop + 1
        spans = self._spans(hop, time)
        wanted = False
        if spans:
            segment = Segment((hop - self._before) * HOP, (hop + 1 + self._after) * HOP)
            features, mask = frontend.window(segment, state.frontend)
            mask = self._focused(mask)
            net = int(mask.sum()) * frontend.features.hop
            wanted = net >= samples_of(self._parts.config.tracker.least_speech_seconds)
            if wanted:
                state.windows.append(Window(segment, features, mask, net))
        state.heard.append(Heard(hop, spans, wanted))

    def _focused(self, mask: FloatArray) -> FloatArray:
        """The part of a window's speech that belongs to its hop."""
        config, row = self._parts.config.tracker, self._parts.frontend.features.hop
        first = self._before * HOP // row
        gap, least = samples_of(config.pause_seconds) // row, samples_of(config.focus_seconds) // row
        return focus(mask, first, first + HOP // row, gap, least)

    def _spans(self, hop: int, time: int) -> list[Segment]:
        """Speech within a hop, as stretches of samples."""
        start, end = hop * HOP, min((hop + 1) * HOP, time)
        first = start // ACTIVITY_HOP
        speech = self._parts.frontend.speech(start, end, self.state.frontend)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], speech, [False]]).astype(np.int8)))
        spans = [
            Segment(max(start, (first + int(a)) * ACTIVITY_HOP), min(end, (first + int(b)) * ACTIVITY_HOP))
            for a, b in edges.reshape(-1, 2)
        ]
        return [span for span in spans if span.duration > 0]

    def _advance(self) -> None:
        """Decide all hops in front of the first that still waits for its embedding."""
        state = self.state
        while state.heard and not state.heard[0].wanted:
            self._decide(state.heard.popleft(), None)
        if state.finished and not state.ended and not state.heard:
            self._end()

    def _decide(self, heard: Heard, embedding: Embedding | None) -> None:
        state, tracker = self.state, self._parts.tracker
        if heard.spans:
            speech = sum(span.duration for span in heard.spans)
            decision, birth = tracker.observe(heard.hop, embedding, speech, state.tracker)
            if birth is not None:
                state.turns.events.append(SpeakerEvent("new", label_text(birth.label)))
                self._turns.born(birth.label, birth.hops)
            self._turns.extend(decision, heard.spans, embedding.vector if embedding else None)
            if embedding is not None and not decision.provisional:
                self._identify(decision.label)
                self._merge()
        time = (heard.hop + 1) * HOP
        self._turns.pause(time)
        self._finalise(time + self._after * HOP - self._lag)
        self._turns.drop_unknown(time - FORGET)

    def _finalise(self, horizon: int) -> None:
        for draft in self._turns.due(horizon):
            self._settle(draft)
            self._turns.finalise(draft)

    def _settle(self, draft: Draft) -> None:
        """A turn as a whole may be nearer to another voice than its hops were one by one."""
        vector = mean_vector(draft)
        if vector is None:
            return
        label, cosine = self._parts.tracker.nearest(vector, self.state.tracker)
        own = self._parts.tracker.cosine(draft.label, vector, self.state.tracker)
        if label != draft.label and cosine - own >= self._parts.config.tracker.update_margin:
            draft.label = label

    def _identify(self, label: int) -> None:
        identities, state = self._parts.identities, self.state
        if identities is None:
            return
        prototype = state.tracker.prototypes[state.tracker.labels.index(label)]
        self._rename(identities.update(label, prototype.centroid, prototype.speech, state.identities))

    def _merge(self) -> None:
        joined = self._parts.tracker.merge(self.state.tracker, self.state.identities.held)
        if joined is None:
            return
        gone, kept = joined
        self.state.turns.events.append(SpeakerEvent("merged", label_text(gone), into=label_text(kept)))
        self._turns.merge(gone, kept)
        if self._parts.identities is not None:
            self._rename(self._parts.identities.merge(gone, kept, self.state.identities))

    def _rename(self, changes: list[tuple[int, str | None]]) -> None:
        for label, name in changes:
            self.state.turns.events.append(SpeakerEvent("named", label_text(label), name=name))
            self._turns.name(label, name)

    def _end(self) -> None:
        self._turns.close()
        self._finalise(self.state.frontend.received + FORGET)
        self.state.ended = True
        samples, speakers = self.state.frontend.received, len(self.state.tracker.labels)
        self.state.turns.events.append(EndEvent(samples, speakers))

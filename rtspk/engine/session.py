"""One stream's session: sound in, events out, and no I/O between.

session.receive_audio(samples)
session.receive_embeddings(embedder.embed(session.windows_to_embed()))
session.events_to_send()
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from rtspk.engine.events import EndEvent, Event, SpeakerEvent
from rtspk.engine.gallery_records import new_name
from rtspk.engine.local import LocalActivity
from rtspk.engine.memory import NOBODY
from rtspk.engine.powerset import LOCAL_SPEAKERS
from rtspk.engine.recurrence import Asking, alone
from rtspk.engine.segmenter import ACTIVITY_HOP
from rtspk.engine.session_state import Asked, SessionParts, SessionState, Waiting
from rtspk.engine.settings import HOP
from rtspk.engine.tracker_state import Birth, Heard, Joined, LabelChange, Links, piece_of
from rtspk.engine.turns import Turns
from rtspk.engine.turns_state import Draft, Said, label_text, mean_vector
from rtspk.engine.unit import unit
from rtspk.engine.voiceprint import condensed
from rtspk.errors import ModelError, SessionError
from rtspk.types import Embedding, FloatArray, Segment, Window, samples_of

__all__ = ["Session"]

UNIT_ERROR: float = 1e-3  # of a vector's length
FORGET: int = samples_of(90.0)  # speech that never became a voice is dropped after this


class Session:
    """The verbs; the law is that any chunking of the same sound gives the same events."""

    def __init__(self, parts: SessionParts, state: SessionState | None = None) -> None:
        self._parts = parts
        self.state = SessionState(parts.frontend.empty()) if state is None else state
        self._turns = Turns(self.state.turns, samples_of(parts.config.activity.join_seconds))
        config = parts.config
        hops = samples_of(config.latency) // HOP
        self._lag = hops * HOP
        # A hop is decided on when `wait` more have been heard; its windows end `after` hops behind it.
        self._wait = min(hops - 1, -(-samples_of(config.tracker.hindsight_seconds) // HOP))
        self._after = min(self._wait, -(-samples_of(config.tracker.after_seconds) // HOP))
        self._before = samples_of(config.tracker.before_seconds)

    def receive_audio(self, samples: FloatArray) -> None:
        """Take the next of the stream: float32 [shape=(n,)] at 16 kHz, any n.

        Raises:
            SessionError: the session is finished.
            AudioError: samples of another shape or type, or that no sound has; the session stays as it was.
        """
        alone(self.take_audio(samples), self._parts.frontend.tell)

    def take_audio(self, samples: FloatArray) -> Asking[None]:
        """As `receive_audio`, but asks what is in passages, which many sessions can be told together."""
        if self.state.finished:
            raise SessionError(f"wanted no audio after finish, got {len(samples)} samples")
        frontend = self._parts.frontend
        for time, block in frontend.cut(samples, self.state.frontend):
            yield from frontend.take(block, self.state.frontend)
            self._hear(time)
        self._advance()

    def windows_to_embed(self) -> list[Window]:
        """What the network is wanted for now; take and clear."""
        sought, self.state.sought = self.state.sought, []
        self.state.asked += len(sought)
        return self._parts.frontend.windows(sought)

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
        answers = iter(batch)
        for one in self.state.waiting:
            one.answers.extend(islice(answers, one.missing))
        self._advance()

    def events_to_send(self) -> list[Event]:
        """What there is to say; take and clear."""
        events, self.state.turns.events = self.state.turns.events, []
        return events

    def label(self, speaker: str, name: str, *, keep: bool = False) -> None:
        """Say who a label is: its turns so far and to come get the name.

        Args:
            speaker: a label of this session, such as "S2"
            name: of the person
            keep: store the voice in the gallery too, so that other sessions know it

        Raises:
            SessionError: no such label, or a session without a gallery.
            GalleryError: a name that is none.
        """
        identities = self._parts.identities
        if identities is None:
            raise SessionError(f"wanted a session with a gallery to name {speaker}, got one without")
        name, label = new_name(name), self._label_of(speaker)
        if keep:
            memory = self.state.tracker.memory
            own = memory.labels == label
            pieces = [
                Embedding(unit(vector), Segment(0, net), net)
                for vector, net in zip(memory.vectors[own], map(samples_of, memory.weights[own]), strict=True)
            ]
            identities.gallery.add(name, condensed(pieces), f"session, {speaker}")
        self._rename(identities.pin(label, name, self.state.identities))

    def merge(self, gone: str, kept: str) -> None:
        """Say that two labels are one person: the first one's turns become the second one's.

        Raises:
            SessionError: no such label, or the same one twice.
        """
        first, second = self._label_of(gone), self._label_of(kept)
        if first == second:
            raise SessionError(f"wanted two labels to merge, got {gone} twice")
        self._parts.tracker.join(first, second, self.state.tracker)
        self._joined(first, second)

    def _label_of(self, speaker: str) -> int:
        """A label by how it is written; whoever may be new is somebody as soon as a person speaks of them."""
        for label in self.state.tracker.labels:
            if label_text(label) == speaker:
                return label
        if speaker == label_text(self.state.turns.next_label):
            birth = self._parts.tracker.adopt(self.state.tracker)
            if birth is not None:
                self._turns.born(birth.label, birth.pieces)
                return birth.label
        known = ", ".join(label_text(label) for label in self.state.tracker.labels) or "none yet"
        raise SessionError(f"wanted a label of this session ({known}), got {speaker!r}")

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
        hop = time // HOP - 1 - self._wait
        if hop >= 0:
            self._ask(hop, time)

    def _ask(self, hop: int, time: int) -> None:
        state = self.state
        state.next_hop = hop + 1
        activity = self._parts.frontend.listen(state.frontend)
        region = activity.region(hop * HOP, min((hop + 1) * HOP, time))
        speaking = [n for n in range(LOCAL_SPEAKERS) if activity.active[region, n].any()]
        links = state.traces.links(activity)
        segment = Segment(hop * HOP - self._before, (hop + 1 + self._after) * HOP)
        asked, masks = [], []
        for n in speaking:
            one, mask = self._asked(hop, n, activity, region, time, segment, links)
            asked.append(one)
            if one.wanted:
                masks.append(mask)
        state.sought += self._parts.frontend.seek(segment, masks, activity, state.frontend)
        for n in speaking:
            state.traces.add(piece_of(hop, n), activity.first + region.start, activity.active[region, n])
        state.waiting.append(Waiting(hop, asked))

    def _asked(
        self,
        hop: int,
        speaker: int,
        activity: LocalActivity,
        region: slice,
        time: int,
        segment: Segment,
        links: Sequence[Links],
    ) -> tuple[Asked, FloatArray]:
        """What a local speaker says in a hop, and where they are heard around it."""
        frontend, config = self._parts.frontend, self._parts.config.tracker
        row = frontend.features.hop
        least = samples_of(config.alone_seconds) // row
        mask, alone = frontend.mask(segment, speaker, activity, least, self.state.frontend)
        active = activity.active[region]
        spans = activity.spans(speaker, region, time)
        heard = Heard(
            piece_of(hop, speaker),
            sum(span.duration for span in spans),
            alone=alone,
            certainty=activity.certainty(speaker, activity.region(segment.start, segment.end)),
            links=links[speaker],
            others=tuple(piece for n in range(LOCAL_SPEAKERS) if n != speaker for piece, _ in links[n]),
            shared=int((active.sum(1)[active[:, speaker]] > 1).sum()) * ACTIVITY_HOP,
        )
        wanted = int(mask.sum()) * row >= samples_of(config.least_speech_seconds)
        return Asked(heard, spans, wanted), mask

    def _advance(self) -> None:
        """Decide all hops in front of the first that still waits for an embedding."""
        state = self.state
        while state.waiting and not state.waiting[0].missing:
            self._decide(state.waiting.popleft())
        if state.finished and not state.ended and not state.waiting:
            self._end()

    def _decide(self, waiting: Waiting) -> None:
        state = self.state
        if waiting.asked:
            answers = iter(waiting.answers)
            vectors = [next(answers) if one.wanted else None for one in waiting.asked]
            heard = [
                replace(one.heard, embedding=vector)
                for one, vector in zip(waiting.asked, vectors, strict=True)
            ]
            identities = self._parts.identities
            anchors = None
            if identities is not None:
                voices = [one.vector for one in vectors if one is not None]
                anchors = identities.anchors(voices, waiting.hop, state.identities)
            held = state.identities.held
            decisions, changes = self._parts.tracker.observe(heard, state.tracker, held, anchors)
            for change in changes:
                self._change(change)
            if changes:
                self._part()
                self._turns.reconsider(self._judge)
            self._turns.recast(self._whose)
            self._turns.extend(
                [
                    Said(
                        decision,
                        asked.spans,
                        None if vector is None else vector.vector,
                        asked.heard.shared > 0,
                    )
                    for decision, asked, vector in zip(decisions, waiting.asked, vectors, strict=True)
                ]
            )
            for decision, one in zip(decisions, heard, strict=True):
                if one.embedding is not None and not decision.provisional:
                    self._identify(decision.label)
        time = (waiting.hop + 1) * HOP
        self._turns.pause(time)
        self._finalise(time + self._wait * HOP - self._lag)
        self._turns.drop_unknown(time - FORGET)

    def _finalise(self, horizon: int) -> None:
        for draft in self._turns.ageing(horizon):
            self._settle(draft)
        for draft in self._turns.due(horizon):
            self._settle(draft)
            self._turns.finalise(draft)

    def _settle(self, draft: Draft) -> None:
        """A turn as a whole may be nearer to another voice than its hops were one by one."""
        vector = mean_vector(draft)
        if vector is None:
            return
        (label,) = self._judge([draft.label], vector[None])
        if label != draft.label and not self._turns.speaks(label, draft):
            self._turns.relabel(draft, label)

    def _identify(self, label: int) -> None:
        identities, state = self._parts.identities, self.state
        if identities is None:
            return
        tracker = state.tracker
        speech = tracker.speech[tracker.labels.index(label)]
        self._rename(identities.update(label, tracker.centroid(label), speech, state.identities))

    def _change(self, change: LabelChange) -> None:
        """Say what changes of the labels."""
        if isinstance(change, Joined):
            self._joined(change.gone, change.kept)
        elif isinstance(change, Birth):
            self._turns.born(change.label, change.pieces)

    def _part(self) -> None:
        """Cut the last turns where what is remembered of them has several labels by now."""
        memory = self.state.tracker.memory
        known = memory.labels != NOBODY
        labels = dict(zip(memory.pieces[known].tolist(), memory.labels[known].tolist(), strict=True))

        def heard(pieces: Sequence[int]) -> FloatArray | None:
            own = np.isin(memory.pieces, pieces)
            return unit(memory.weights[own] @ memory.vectors[own]) if own.any() else None

        self._turns.part(labels, self.state.tracker.births, heard)

    def _judge(self, labels: Sequence[int], vectors: FloatArray) -> list[int]:
        return self._parts.tracker.judge(labels, vectors, self.state.tracker)

    def _whose(self, pieces: Sequence[int], vector: FloatArray | None) -> int:
        return self._parts.tracker.whose(pieces, vector, self.state.tracker)

    def _joined(self, gone: int, kept: int) -> None:
        """Say that a label is part of another from now on."""
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
        self.state.tracker.newcomers = frozenset()
        self._turns.recast(self._whose)
        self._finalise(self.state.frontend.received + FORGET)
        self.state.ended = True
        samples, speakers = self.state.frontend.received, len(self.state.tracker.labels)
        self.state.turns.events.append(EndEvent(samples, speakers))

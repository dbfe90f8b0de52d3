"""Portions of many streams at one desk: each gets its own answers, and who fails, fails alone."""

import sqlite3

import numpy as np
import pytest

from rtspk.engine.gallery import Gallery
from rtspk.engine.pipeline import Engine
from rtspk.engine.recurrence import alone
from rtspk.engine.segmenter import Segmenter
from rtspk.engine.settings import SessionConfig
from rtspk.errors import ModelError
from rtspk.server.config import Limits
from rtspk.server.desk import Desk
from rtspk.server.listener import Listener
from rtspk.server.messages import AudioFormat, EndRequest, Label, Options, Start
from rtspk.server.portion import Outcome
from rtspk.server.stream import Stream


@pytest.fixture
def make():
    def stream(number):
        start = Start(format=AudioFormat(encoding="f32le"), options=Options(pace="file"))
        return Stream(str(number), "owner", start, SessionConfig(), Limits())

    return stream


@pytest.fixture
def desk(engine):
    return Desk(engine)


def local(engine, sound):
    session = engine.session()
    return [event.to_json() for event in [*session.push(sound), *session.finish()]]


def test_streams_in_one_round_hear_what_they_would_hear_alone(make, desk, engine, conversation):
    sounds = [conversation[at : at + 64000] for at in (0, 48000, 96000)]
    streams = [make(n) for n in range(3)]
    events, largest = [[], [], []], 0
    for stream, sound in zip(streams, sounds, strict=True):
        stream.receive(sound.astype("<f4").tobytes(), 0.0)
        stream.order(EndRequest())
    while ready := [stream for stream in streams if stream.is_ready()]:
        work = desk.work([stream.take() for stream in ready])
        largest = max(largest, *work.batches)
        for stream, outcome in zip(ready, work.outcomes, strict=True):
            stream.give_back(outcome.heard, 0.0)
            events[int(stream.number)] += [event.to_json() for event in outcome.events]
    assert largest > 4
    assert events == [local(engine, sound) for sound in sounds]


def test_sound_that_is_none_ends_its_own_session(make, desk, conversation):
    good, bad = make("good"), make("bad")
    good.receive(conversation[:16000].tobytes(), 0.0)
    bad.receive(np.full(16000, np.nan, "<f4").tobytes(), 0.0)
    good_one, bad_one = desk.work([good.take(), bad.take()]).outcomes
    assert (good_one.failure, good_one.heard) == (None, 16000)
    assert bad_one.failure.code == "bad_audio"


class Choosy:
    """Refuses a batch that holds a window of a shape that only one stream has."""

    def __init__(self, embedder):
        self.card, self.cohort, self.voicing = embedder.card, embedder.cohort, embedder.voicing
        self._embedder, self.trunk = embedder, embedder.trunk
        self.poison = None

    def embed(self, windows):
        if any(np.array_equal(window.features, self.poison) for window in windows):
            raise ModelError("wanted a secret, got another")
        return self._embedder.embed(windows)


def test_a_window_that_the_network_refuses_ends_its_own_session(make, engine, conversation):
    choosy = Choosy(engine.embedder)
    streams = [make("good"), make("bad")]
    for stream, sound in zip(streams, (conversation[:48000], conversation[48000:96000]), strict=True):
        stream.receive(sound.tobytes(), 0.0)
    probe = make("probe")
    probe.receive(conversation[48000:96000].tobytes(), 0.0)
    listener = Listener(probe.start.format, engine.parts(SessionConfig()))
    alone(listener.hear(probe.take(), Outcome()), engine.segmenter.tell)
    choosy.poison = listener.session.windows_to_embed()[0].features
    desk = Desk(Engine(choosy, engine.segmenter, engine.gallery))
    good, bad = desk.work([stream.take() for stream in streams]).outcomes
    assert good.failure is None
    assert (bad.failure.code, bad.failure.message) == ("internal", "the server failed at this session")


class Picky(Segmenter):
    """Refuses passages of which one is a certain stream's."""

    def __init__(self, segmenter, poison):
        self.__dict__.update(vars(segmenter))
        self.poison = poison

    def tell(self, passages):
        if any(np.array_equal(passage.new, self.poison) for passage in passages):
            raise ModelError("wanted a secret, got another")
        return super().tell(passages)


def test_a_passage_that_the_segmenter_refuses_ends_its_own_session(make, engine, conversation):
    streams = [make("good"), make("bad"), make("probe")]
    for stream, begin in zip(streams, (0, 48000, 48000), strict=True):
        stream.receive(conversation[begin : begin + 48000].tobytes(), 0.0)
    probe = Listener(streams[2].start.format, engine.parts(SessionConfig()))
    poison = next(probe.hear(streams[2].take(), Outcome())).new
    desk = Desk(Engine(engine.embedder, Picky(engine.segmenter, poison), engine.gallery))
    good, bad = desk.work([stream.take() for stream in streams[:2]]).outcomes
    assert good.failure is None
    assert good.heard
    assert (bad.failure.code, bad.failure.message) == ("internal", "the server failed at this session")


def test_a_stream_that_is_gone_is_forgotten_and_its_next_turn_fails(make, desk):
    stream = make("gone")
    stream.receive(bytes(4 * 16000), 0.0)
    assert desk.work([stream.take()]).outcomes[0].failure is None
    stream.give_back(16000, 0.0)
    stream.receive(bytes(4 * 16000), 0.0)
    assert desk.work([stream.take()], gone=["gone"]).outcomes[0].failure.code == "internal"


def test_a_voice_that_a_locked_gallery_cannot_keep_is_refused_and_its_session_goes_on(
    make, engine, conversation, tmp_path
):
    path, card = tmp_path / "voices.db", engine.embedder.card
    gallery = Gallery.open(path, card.id, card.dimension, busy_seconds=0.05)
    desk, stream = Desk(Engine(engine.embedder, engine.segmenter, gallery)), make("talk")
    stream.receive(conversation.astype("<f4").tobytes(), 0.0)
    while stream.is_ready():
        (outcome,) = desk.work([stream.take()]).outcomes
        stream.give_back(outcome.heard, 0.0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = order(desk, stream, Label(speaker="S1", name="Anna", scope="gallery"))
    assert (refused.failure, refused.events) == (None, [])
    assert [warning.code for warning in refused.warnings] == ["refused"]
    assert str(tmp_path) not in refused.warnings[0].message
    other.execute("ROLLBACK")
    other.close()
    kept = order(desk, stream, Label(speaker="S1", name="Anna", scope="gallery"))
    assert (kept.failure, kept.warnings, len(gallery)) == (None, [], 1)
    gallery.close()
    refused = order(desk, stream, Label(speaker="S1", name="Ben", scope="gallery"))
    assert [warning.code for warning in refused.warnings] == ["refused"]
    assert str(tmp_path) not in refused.warnings[0].message


def order(desk, stream, what):
    stream.order(what)
    (outcome,) = desk.work([stream.take()]).outcomes
    stream.give_back(outcome.heard, 0.0)
    return outcome

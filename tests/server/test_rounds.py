"""Rounds of many streams: each gets its own answers, and who fails, fails alone."""

import asyncio
import threading

import numpy as np
import pytest

from rtspk.engine.settings import HOP, SessionConfig
from rtspk.errors import ModelError
from rtspk.server.config import Limits
from rtspk.server.messages import AudioFormat, EndRequest, Options, Start
from rtspk.server.rounds import Rounds, run_round
from rtspk.server.stream import Stream


@pytest.fixture
def make(engine):
    def stream(number, latency=1.0):
        start = Start(format=AudioFormat(encoding="f32le"), options=Options(pace="file"))
        parts = engine.parts(SessionConfig(latency=latency))
        return Stream(str(number), "owner", start, parts, Limits())

    return stream


def local(engine, sound):
    session = engine.session()
    return [event.to_json() for event in [*session.push(sound), *session.finish()]]


def test_streams_in_one_round_hear_what_they_would_hear_alone(make, engine, conversation):
    sounds = [conversation[at : at + 64000] for at in (0, 48000, 96000)]
    streams = [make(n) for n in range(3)]
    events, largest = {"0": [], "1": [], "2": []}, 0
    for stream, sound in zip(streams, sounds, strict=True):
        stream.receive(sound.astype("<f4").tobytes(), 0.0)
        stream.order(EndRequest())
    while ready := [stream for stream in streams if stream.is_ready()]:
        round_ = run_round([(stream, stream.take()) for stream in ready], engine.embedder)
        largest = max(largest, *round_.batches)
        for outcome in round_.outcomes:
            outcome.stream.give_back()
            events[outcome.stream.number] += [event.to_json() for event in outcome.events]
    assert largest > 4
    assert [events[str(n)] for n in range(3)] == [local(engine, sound) for sound in sounds]


def test_sound_that_is_none_ends_its_own_session(make, engine, conversation):
    good, bad = make("good"), make("bad")
    good.receive(conversation[:16000].tobytes(), 0.0)
    bad.receive(np.full(16000, np.nan, "<f4").tobytes(), 0.0)
    good_one, bad_one = run_round([(s, s.take()) for s in (good, bad)], engine.embedder).outcomes
    assert good_one.failure is None
    assert good.heard == 16000
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
    turns = [(stream, stream.take()) for stream in streams]
    probe = make("probe")
    probe.receive(conversation[48000:96000].tobytes(), 0.0)
    probe.hear(probe.take())
    choosy.poison = probe.session.windows_to_embed()[0].features
    good, bad = run_round(turns, choosy).outcomes
    assert good.failure is None
    assert (bad.failure.code, bad.failure.message) == ("internal", "the server failed at this session")


def test_streams_that_wait_share_a_round_and_all_threads_work(make, engine):
    """The deadline alone starts nothing while threads are busy; what waits then goes together."""
    rounds_seen, both = [], threading.Barrier(3, timeout=30)

    class Held:
        card, cohort, voicing = engine.embedder.card, None, None

        def embed(self, windows):
            return engine.embedder.embed(windows)

    class Waits(Stream):
        def hear(self, turn):
            both.wait()
            super().hear(turn)

    async def serve():
        done = asyncio.Event()

        def finish(round_):
            rounds_seen.append([outcome.stream.number for outcome in round_.outcomes])
            if sum(map(len, rounds_seen)) == 10:
                done.set()

        rounds = Rounds(Held(), 2, 16, 0.0, finish)
        start = Start(format=AudioFormat(encoding="f32le"))
        held = [Waits(f"held{n}", "o", start, engine.parts(SessionConfig()), Limits()) for n in range(2)]
        others = [make(n) for n in range(8)]
        for stream in (*held, *others):
            stream.receive(bytes(4 * HOP), rounds.now())
            rounds.ready(stream)
        assert rounds.waiting == 8
        await asyncio.to_thread(both.wait)
        async with asyncio.timeout(30):
            await done.wait()
        rounds.close()

    asyncio.run(serve())
    assert sorted(map(len, rounds_seen))[:2] == [1, 1]
    assert max(map(len, rounds_seen)) >= 4


def test_a_round_that_breaks_as_a_whole_ends_its_streams_and_no_later_ones(make, engine):
    outcomes = []

    class Torn(Stream):
        @property
        def worked_seconds(self):
            raise RuntimeError("a fault of ours")

        @worked_seconds.setter
        def worked_seconds(self, value):
            pass

    async def serve():
        done = asyncio.Event()

        def finish(round_):
            outcomes.extend(round_.outcomes)
            if len(outcomes) == 2:
                done.set()

        rounds = Rounds(engine.embedder, 1, 1, 0.0, finish)
        start = Start(format=AudioFormat(encoding="f32le"))
        streams = [Torn("torn", "o", start, engine.parts(SessionConfig()), Limits()), make("whole")]
        for stream in streams:
            stream.receive(bytes(4 * HOP), rounds.now())
            rounds.ready(stream)
        async with asyncio.timeout(30):
            await done.wait()
        rounds.close()

    asyncio.run(serve())
    torn, whole = outcomes
    assert (torn.stream.number, torn.failure.code) == ("torn", "internal")
    assert (whole.stream.number, whole.failure) == ("whole", None)

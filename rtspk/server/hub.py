"""All streams of a server: begun, resumed, parked, drained; what their rounds come to goes to their links."""

import logging
import secrets
from collections.abc import Sequence

from rtspk.engine.events import EndEvent
from rtspk.errors import AudioError
from rtspk.server.access import Access, Principal
from rtspk.server.config import ServerConfig
from rtspk.server.link import Link
from rtspk.server.messages import EndRequest, Error, Flush, Label, Start, WarningMessage
from rtspk.server.places import Place, Places
from rtspk.server.portion import Order
from rtspk.server.protocol import Audio, Begin, Command, Do, Refuse
from rtspk.server.reports import ack_of, heartbeat_of, ready_of
from rtspk.server.round import Result, Round
from rtspk.server.rounds import Rounds
from rtspk.server.stream import Stream
from rtspk.server.telemetry import Telemetry
from rtspk.server.workers import Worker

__all__ = ["Hub"]

_log = logging.getLogger(__name__)

ACK_SECONDS: float = 1.0  # of sound between two acks
CLOSED_IN_ORDER: int = 1000  # by a client that wants no more; a page that is left says 1001
TAKEN_OVER: int = 4000  # close code of a connection whose session another one resumed


class Hub:
    """Lives on the event loop and awaits nothing."""

    def __init__(
        self,
        model: str,
        workers: Sequence[Worker],
        config: ServerConfig,
        access: Access,
        telemetry: Telemetry,
    ) -> None:
        self._model, self._config, self._access, self._telemetry = model, config, access, telemetry
        self.rounds = Rounds(workers, config.batch, config.deadline_seconds, self.finish_round)
        self.draining = False
        self._places = Places()

    @property
    def busy(self) -> int:
        """Streams with a connection."""
        return self._places.busy

    def obey(self, command: Command | None, link: Link, now: float) -> None:
        """Do what a connection's protocol asks for."""
        match command:
            case Begin(start):
                self._begin(start, link, now)
            case Audio(data):
                self._hear(data, link, now)
            case Do(order):
                self._order(order, link)
            case Refuse(error):
                self._refuse(link, error)

    def leave(self, link: Link, code: int | None, now: float) -> None:
        """A connection is gone: its session is parked if it broke, and ends if it was closed."""
        place = self._places.of(link)
        link.stream = None
        if place is None:
            return
        place.link = None
        if code == CLOSED_IN_ORDER or self.draining or not self._config.resume_seconds:
            self._drop(place)
            return
        self._places.park(place, now + self._config.resume_seconds)
        while self._places.parked > self._config.limits.parked:
            self._drop(self._places.least_missed())

    def finish_round(self, round_: Round) -> None:
        """Say what a round came to."""
        now = self.rounds.now()
        self._telemetry.count_round(round_, now)
        for result in round_.results:
            try:
                self._tell(result)
            except Exception as error:  # whatever it is, the other streams of the round go on
                _log.warning("session %s ended by %s", result.stream.number, type(error).__name__)
                self._give_up(result.stream)

    def tick(self, now: float) -> None:
        """Heartbeats, limits of time, and parked sessions that nobody came back for; a few times a second."""
        worst = 0.0
        for place in self._places:
            stream, link = place.stream, place.link
            if link is None:
                if now >= place.parked_until:
                    self._drop(place)
                continue
            lag = stream.lag(now)
            worst = max(worst, lag) if stream.is_live else worst
            self._warn_of_lag(place, link, lag)
            if now - place.begun > self._config.limits.session_seconds and not stream.ending:
                self._wind_up(place, "time_limit", "the session is as long as this server allows")
            if place.over and now >= place.lingers_until:
                link.close()
            elif now >= link.beat_at:
                link.beat_at = now + stream.start.options.heartbeat_seconds
                if stream.is_live:
                    self._telemetry.waits.observe(lag)
                link.say(heartbeat_of(stream, lag))
        self._telemetry.lag.set(worst)
        self._telemetry.queue.set(self.rounds.waiting)
        self._telemetry.sessions.set(self.busy)
        self._telemetry.parked.set(self._places.parked)

    def drain(self) -> None:
        """End all sessions in order: what they heard is said, then `end`."""
        self.draining = True
        for place in self._places:
            if place.link is None:
                self._drop(place)
            elif place.over:
                place.link.close()
            else:
                self._wind_up(place, "draining", "the server is going down; this is the end of the session")

    def _begin(self, start: Start, link: Link, now: float) -> None:
        principal = link.principal or self._access.principal(start.token)
        if principal is None:
            self._fail(link, "unauthorized", "wanted a token that this server knows")
        elif not principal.may("listen"):
            self._fail(link, "forbidden", "wanted a token with the scope listen")
        elif self.draining:
            self._fail(link, "draining", "the server is going down", retryable=True)
        else:
            link.principal = principal
            if start.resume is not None:
                self._resume(start, link, principal, now)
            elif self._has_room(link, principal):
                self._open(start, link, principal, now)

    def _has_room(self, link: Link, principal: Principal) -> bool:
        limits = self._config.limits
        streams = [place.stream for place in self._places if place.link is not None]
        own = sum(stream.owner == principal.name for stream in streams)
        allowed = principal.sessions or limits.sessions_per_token or limits.sessions
        if len(streams) < limits.sessions and own < allowed:
            return True
        self._fail(link, "too_many_sessions", "all sessions are taken; try again later", retryable=True)
        return False

    def _is_overloaded(self, now: float) -> bool:
        """Whether half of the live streams are behind; not those that sent more than their time has had."""
        slack = self._config.limits.lag_seconds / 2
        lags = [
            place.stream.lag(now)
            for place in self._places
            if place.link is not None
            and place.stream.is_live
            and place.stream.received_seconds <= now - place.begun + slack
        ]
        return bool(lags) and sorted(lags)[len(lags) // 2] > slack

    def _open(self, start: Start, link: Link, principal: Principal, now: float) -> None:
        if self._is_overloaded(now):
            self._fail(link, "overloaded", "the server has all it can do; try again later", retryable=True)
            return
        options, config = start.options, self._config.session
        config = config.with_choice(latency=options.latency, max_speakers=options.max_speakers)
        number = secrets.token_hex(6)
        try:
            stream = Stream(number, principal.name, start, config, self._config.limits)
        except AudioError as error:
            self._fail(link, "unsupported_format", str(error))
            return
        place = self._places.add(stream, now, link)
        self.rounds.join(stream)
        self._telemetry.started.inc()
        self._greet(place, link, resumed=False, now=now)

    def _resume(self, start: Start, link: Link, principal: Principal, now: float) -> None:
        assert start.resume is not None
        place = self._places.by_token(start.resume.token)
        if place is None or place.stream.owner != principal.name:
            self._fail(link, "resume_unknown", "no such session is kept; begin a new one")
            return
        if place.stream.start.format != start.format:
            self._fail(link, "unsupported_format", "wanted the format that the session began with")
            return
        missed = place.stream.replay.since(start.resume.seq)
        if missed is None:
            self._fail(link, "resume_lost", "events behind that number are not kept; begin a new session")
            return
        if place.link is None and not self._has_room(link, principal):
            return
        if place.link is not None:  # the old connection has not noticed that it is broken
            place.link.stream = None
            place.link.close(TAKEN_OVER, "resumed elsewhere")
        self._places.unpark(place)
        place.link = link
        place.stream.rewind()
        lingers = place.stream.start.options.linger_seconds > 0
        link.protocol.resume(lingers=lingers, ending=place.stream.ending)
        self._telemetry.resumed.inc()
        self._greet(place, link, resumed=True, now=now)
        link.say_missed(missed)
        if place.over and now >= place.lingers_until:
            link.close()

    def _greet(self, place: Place, link: Link, *, resumed: bool, now: float) -> None:
        stream = place.stream
        link.stream, link.beat_at = stream, now + stream.start.options.heartbeat_seconds
        link.acked_seconds = stream.received_seconds
        seconds = self._config.resume_seconds
        link.say(ready_of(stream, self._model, place.token, seconds, resumed=resumed))

    def _hear(self, data: bytes, link: Link, now: float) -> None:
        stream = link.stream
        if stream is None:
            return
        before = stream.received_seconds
        try:
            stream.receive(data, now)
        except AudioError as error:
            self._fail(link, "bad_audio", str(error))
            return
        self._telemetry.audio.inc(stream.received_seconds - before)
        lost = stream.shed(now, self._config.overload)
        if lost is None:
            self._fail(link, "overloaded", "the server cannot keep up with this session")
            return
        if lost:
            self._telemetry.lost.inc(lost)
            text = "the server cannot keep up: sound was left out"
            link.say(WarningMessage(code="lost_audio", message=text, lost_ms=round(lost * 1000)))
        if stream.received_seconds - link.acked_seconds >= ACK_SECONDS:
            link.acked_seconds = stream.received_seconds
            link.say(ack_of(stream))
        if stream.waiting_seconds > stream.backlog_seconds:
            link.room.clear()
        self.rounds.ready(stream)

    def _order(self, order: Order, link: Link) -> None:
        stream, principal = link.stream, link.principal
        if stream is None or principal is None:
            return
        if isinstance(order, Label) and order.scope == "gallery" and not principal.may("enroll"):
            text = "wanted a token with the scope enroll to keep a voice"
            link.say(WarningMessage(code="refused", message=text))
            return
        stream.order(order)
        self.rounds.ready(stream)

    def _tell(self, result: Result) -> None:
        stream, portion, outcome = result.stream, result.portion, result.outcome
        place = self._places.get(stream.number)
        if place is None:  # it was dropped while a worker had it
            return
        link, ended = place.link, False
        for event in outcome.events:
            text = stream.replay.add(event)
            ended = ended or isinstance(event, EndEvent)
            if link is not None:
                link.say_text(text)
        unread = self._config.limits.unread_bytes if link is None or link.is_cut else link.waiting_bytes
        stream.replay.forget(unread)
        place.over = place.over or ended
        now = self.rounds.now()
        if ended and not self.draining:
            place.lingers_until = now + stream.start.options.linger_seconds
        if link is None:
            if outcome.failure is not None:
                self._drop(place)  # nobody should come back to it
            return
        for warning in outcome.warnings:
            link.say(warning)
        if isinstance(portion.order, Flush):
            link.say(ack_of(stream, portion.order.id))
        if stream.waiting_seconds <= stream.backlog_seconds / 2:
            link.room.set()
        if outcome.failure is not None:
            self._refuse(link, outcome.failure)
        elif ended and now >= place.lingers_until:
            link.close()

    def _warn_of_lag(self, place: Place, link: Link, lag: float) -> None:
        """Say that live sound is about to be dropped, before it is; again only once it was better."""
        limit = self._config.limits.lag_seconds
        if lag > limit / 2 and not place.is_behind and place.stream.is_live:
            place.is_behind = True
            text = f"the server is {lag:.1f} s behind; from {limit:g} s on sound is left out"
            link.say(WarningMessage(code="overload", message=text))
        elif lag < limit / 4:
            place.is_behind = False

    def _give_up(self, stream: Stream) -> None:
        place = self._places.get(stream.number)
        if place is not None and place.link is not None:
            self._fail(place.link, "internal", "the server failed at this session")
        elif place is not None:
            self._drop(place)

    def _wind_up(self, place: Place, code: str, message: str) -> None:
        stream, link = place.stream, place.link
        if link is not None:
            link.say(WarningMessage.model_validate({"code": code, "message": message}))
            link.protocol.drain()
        if not stream.ending:
            stream.order(EndRequest())
            self.rounds.ready(stream)

    def _fail(self, link: Link, code: str, message: str, *, retryable: bool = False) -> None:
        self._refuse(link, link.protocol.refuse(code, message, retryable=retryable).error)

    def _refuse(self, link: Link, error: Error) -> None:
        self._telemetry.refused.labels(error.code).inc()
        place = self._places.of(link)
        link.refuse(error)
        link.stream = None
        if place is not None:
            self._drop(place)

    def _drop(self, place: Place) -> None:
        """Forget a stream; a worker that has it finishes its portion for nobody."""
        place.stream.abandon()
        self.rounds.leave(place.stream)
        self._places.remove(place)

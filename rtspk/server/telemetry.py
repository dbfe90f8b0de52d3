"""What Prometheus reads: counts, queues and histograms; nothing of voices, names or sound."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rtspk.engine.events import EndEvent, Event, ReviseEvent, SegmentEvent, SpeakerEvent
from rtspk.server.messages import Label, Merge
from rtspk.server.portion import Order
from rtspk.server.round import Round

__all__ = ["Telemetry"]

DELAYS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)  # s
KINDS: dict[type[Event], str] = {
    SegmentEvent: "segment",
    ReviseEvent: "revise",
    SpeakerEvent: "speaker",
    EndEvent: "end",
}
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Telemetry:
    """One registry for each server, so that two in one process do not share numbers."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.sessions = Gauge("rtspk_sessions", "Sessions with a connection", registry=registry)
        self.parked = Gauge(
            "rtspk_sessions_parked", "Broken sessions that wait to be resumed", registry=registry
        )
        self.connections = Gauge("rtspk_connections", "Open websockets", registry=registry)
        self.queue = Gauge(
            "rtspk_queue_streams", "Streams whose turn to work has not come", registry=registry
        )
        self.lag = Gauge(
            "rtspk_lag_seconds_max", "Longest wait of live sound, over all sessions", registry=registry
        )
        self.started = Counter("rtspk_sessions_started", "Sessions begun", registry=registry)
        self.resumed = Counter("rtspk_sessions_resumed", "Sessions resumed", registry=registry)
        self.refused = Counter("rtspk_refusals", "Connections ended by an error", ["code"], registry=registry)
        self.audio = Counter("rtspk_audio_seconds", "Sound received", registry=registry)
        self.lost = Counter("rtspk_audio_lost_seconds", "Sound dropped under load", registry=registry)
        self.work = Counter("rtspk_work_seconds", "Time of workers in rounds", registry=registry)
        self.windows = Counter("rtspk_windows", "Windows embedded", registry=registry)
        self.events = Counter("rtspk_events", "Events said", ["type"], registry=registry)
        self.identified = Counter(
            "rtspk_identifications", "Labels that the gallery gave a name", registry=registry
        )
        self.delay = Histogram(
            "rtspk_label_delay_seconds",
            "From live sound's arrival to what is said of it",
            buckets=DELAYS,
            registry=registry,
        )
        self.waits = Histogram(
            "rtspk_lag_seconds",
            "How long live sound waited, at each heartbeat",
            buckets=DELAYS,
            registry=registry,
        )
        self.batches = Histogram(
            "rtspk_batch_windows", "Windows in one call of the network", buckets=SIZES, registry=registry
        )

    def count_round(self, round_: Round, now: float) -> None:
        """Take what a round did."""
        self.work.inc(round_.seconds)
        self.windows.inc(round_.windows)
        for size in round_.batches:
            self.batches.observe(size)
        for result in round_.results:
            if result.portion.pieces and result.stream.is_live:  # a file waits for the server, as it should
                self.delay.observe(max(0.0, now - result.portion.pieces[-1].arrived))
            by_hand = _named_by_hand(result.portion.order)
            for event in result.outcome.events:
                self.events.labels(KINDS.get(type(event), "other")).inc()
                if isinstance(event, SpeakerEvent) and event.event == "named" and event.name is not None:
                    self.identified.inc(event.label != by_hand)

    def page(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)


def _named_by_hand(order: Order | None) -> str | None:
    """Whose name is a client's doing."""
    match order:
        case Label():
            return order.speaker
        case Merge():
            return order.into
    return None

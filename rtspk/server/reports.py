"""What the server says of a session itself: that it stands, what has arrived, how far it is."""

from rtspk.server.messages import VERSION, Ack, Heartbeat, Ready
from rtspk.server.stream import Stream

__all__ = ["ack_of", "heartbeat_of", "ready_of"]


def ready_of(stream: Stream, model: str, token: str, resume_seconds: float, *, resumed: bool) -> Ready:
    """The answer to `start`."""
    return Ready(
        version=VERSION,
        session=stream.number,
        resume_token=token,
        resume_seconds=resume_seconds,
        model=model,
        latency=stream.latency,
        resumed=resumed,
        received=stream.received,
        audio_ms=_milliseconds(stream.received_seconds),
    )


def ack_of(stream: Stream, flush: int | None = None) -> Ack:
    """What has arrived for good; `flush` is the number of the flush that it answers."""
    milliseconds = _milliseconds(stream.received_seconds)
    return Ack(seq=stream.replay.seq, received=stream.received, audio_ms=milliseconds, flush=flush)


def heartbeat_of(stream: Stream, lag: float) -> Heartbeat:
    """How far the work is; `lag` in seconds."""
    processed = stream.processed_seconds
    return Heartbeat(
        audio_ms=_milliseconds(stream.received_seconds),
        processed_ms=_milliseconds(processed),
        lag_ms=_milliseconds(lag),
        realtime_factor=round(stream.worked_seconds / processed, 4) if processed else 0.0,
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)

"""How many live streams one server carries: real clients on real sockets, each in its own time.

Label delay is the time from the moment when sound would have been spoken to the moment when its client first
reads who spoke then, less the latency that the session asked for.
"""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtspk.audio import read_audio
from rtspk.bench.report import Percentiles, Result, machine, versions
from rtspk.data import CONVERSATION
from rtspk.errors import ConfigError
from rtspk.server.messages import (
    AudioFormat,
    Options,
    Start,
    WarningMessage,
)
from rtspk.server.messages import Segment as SegmentMessage
from rtspk.server.wire import read_server_message, to_text
from rtspk.types import SAMPLE_RATE, seconds_of

__all__ = ["Load", "measure", "run"]

PACKAGES: tuple[str, ...] = ("onnxruntime", "websockets")
COUNTS: tuple[int, ...] = (1, 25, 40, 50, 75, 100, 125, 150, 200, 300, 400)
SECONDS: float = 12.0  # of each stream
WARM_SECONDS: float = 2.0  # of a stream that do not count
CHUNK: int = SAMPLE_RATE // 10  # what browsers and phones send at a time
LATENCY: float = 1.0
ALLOWED: float = 0.8  # s of label delay at the 95th percentile, beyond which a load is not sustained
LEFT_SECONDS: float = 30.0  # for the server to say the rest


@dataclass(slots=True)
class Load:
    """What a number of streams at once came to."""

    sessions: int
    delays: list[float] = field(default_factory=list)  # s beyond the latency
    lost_seconds: float = 0.0
    broken: int = 0  # sessions that did not reach their end
    server_seconds: float | None = None  # of processor time; None where the system does not say
    client_seconds: float = 0.0  # of processor time, of all clients together

    @property
    def sustained(self) -> bool:
        """Whether labels came in time, and nothing was dropped."""
        in_time = bool(self.delays) and float(np.percentile(self.delays, 95)) <= ALLOWED
        return in_time and not self.lost_seconds and not self.broken


def run(
    seed: int, runs: int, *, counts: tuple[int, ...] = COUNTS, seconds: float = SECONDS
) -> Iterator[Result]:
    """More and more streams until the server no longer keeps up; then the largest number that it did.

    Args:
        seed: of where in the conversation each stream begins
        runs: of each number of streams; their delays are taken together
        counts: numbers of streams to try, in order
        seconds: of each stream
    """
    if runs < 1:
        raise ConfigError(f"wanted at least one run, got {runs}")
    largest = 0
    with _server() as (port, process):
        for count in counts:
            loads = [measure(port, count, seconds, seed + turn, process) for turn in range(runs)]
            yield _result(loads, seconds, seed)
            if not all(load.sustained for load in loads):
                break
            largest = count
    # diart's own server serves one client (diart.websockets, 0.9.2).
    yield Result(
        "throughput",
        "streams sustained at once",
        float(largest),
        "streams",
        "diart 0.9.2, by design",
        1.0,
        float(largest),
        runs,
        machine(),
        seed,
        versions(*PACKAGES),
    )


def measure(port: int, sessions: int, seconds: float, seed: int, process: int | None = None) -> Load:
    """Send that many streams at once to a server on this machine, and listen to what it says.

    Args:
        port: of the server
        sessions: streams at once
        seconds: of each
        seed: of where in the conversation each begins
        process: id of the server's process, to count its processor time
    """
    load = Load(sessions)
    sound = read_audio(CONVERSATION)
    samples = (np.clip(sound, -1, 1) * 32767).astype("<i2")
    before, own = _processor_seconds(process), time.process_time()
    asyncio.run(_all_streams(port, load, np.concatenate([samples, samples]), seconds, seed))
    load.client_seconds = time.process_time() - own
    after = _processor_seconds(process)
    load.server_seconds = None if before is None or after is None else after - before
    return load


async def _all_streams(
    port: int, load: Load, samples: "np.ndarray[tuple[int], np.dtype[np.int16]]", seconds: float, seed: int
) -> None:
    rng = random.Random(seed)
    half = len(samples) // 2
    streams = []
    for number in range(load.sessions):
        begin = rng.randrange(half)
        data = samples[begin : begin + round(seconds * SAMPLE_RATE)].tobytes()
        streams.append(_stream(port, load, data, number / load.sessions))
    for answer in await asyncio.gather(*streams, return_exceptions=True):
        load.broken += isinstance(answer, BaseException)


async def _stream(port: int, load: Load, data: bytes, wait: float) -> None:
    """One client: sends in its own time, and reads when things are said."""
    from websockets.asyncio.client import connect

    async with connect(f"ws://127.0.0.1:{port}/v1/listen", compression=None, proxy=None) as socket:
        start = Start(format=AudioFormat(), options=Options(latency=LATENCY, heartbeat_seconds=30.0))
        await socket.send(to_text(start))
        await socket.recv()
        await asyncio.sleep(wait)  # microphones are not switched on together
        loop = asyncio.get_running_loop()
        begun = loop.time()

        async def send() -> None:
            for at in range(0, len(data), CHUNK * 2):
                spoken = seconds_of(at // 2 + CHUNK)
                await asyncio.sleep(max(0.0, begun + spoken - loop.time()))
                await socket.send(data[at : at + CHUNK * 2])
            await socket.send('{"type":"end"}')

        sender = asyncio.create_task(send())
        told = 0.0
        async with asyncio.timeout(seconds_of(len(data) // 2) + LEFT_SECONDS):
            async for text in socket:
                now, message = loop.time(), read_server_message(str(text))
                if isinstance(message, WarningMessage):
                    load.lost_seconds += (message.lost_ms or 0) / 1000
                if isinstance(message, SegmentMessage) and message.end > told:
                    told = message.end
                    if told > WARM_SECONDS and not sender.done():  # what the end flushes comes early
                        load.delays.append(now - begun - told - LATENCY)
                if message.type == "end":
                    break
            else:
                raise ConnectionError("the stream ended before its end")
        await sender


@contextlib.contextmanager
def _server() -> Iterator[tuple[int, int]]:
    """A server of its own process, without voices; gives its port and process id."""
    command = [sys.executable, "-m", "rtspk", "serve", "--port", "0", "--gallery"]
    environment = {key: value for key, value in os.environ.items() if key != "RTSPK_TOKEN"}
    # The very package that measures, wherever this was called from: `-m` looks in the working folder first.
    own = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = os.pathsep.join([own, *filter(None, [environment.get("PYTHONPATH")])])
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [*command, f"{folder}/voices.db"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        ) as process,
    ):
        try:
            assert process.stderr is not None
            lines = []
            for said in process.stderr:  # there may be notes before it
                if "serving at" in said:
                    break
                lines.append(said.strip())
            else:
                raise ConfigError(f"wanted a server to measure, got: {' '.join(lines) or 'nothing'}")
            yield int(said.rsplit(":", 1)[1]), process.pid
        finally:
            process.terminate()


def _processor_seconds(process: int | None) -> float | None:
    """Processor time of another process with its threads and children, where the system says it."""
    if process is None or not Path(f"/proc/{process}/stat").exists():
        return None
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # one that ends meanwhile
            # Behind the name in brackets: state, parent and, ten on, the user's time and the system's.
            fields = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            if process in {int(path.parent.name), int(fields[1])}:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / float(os.sysconf("SC_CLK_TCK"))


def _result(loads: list[Load], seconds: float, seed: int) -> Result:
    delays = [delay for load in loads for delay in load.delays]
    sessions = loads[0].sessions
    lost = sum(load.lost_seconds for load in loads)
    work = [load.server_seconds for load in loads if load.server_seconds is not None]
    clients = sum(load.client_seconds for load in loads) / len(loads) / seconds
    case = f"{sessions} streams, delay beyond the latency (clients took {clients:.0%} of a core"
    case += f", {lost:.1f} s lost)" if lost else ")"
    spread = Percentiles.of(delays) if delays else None
    return Result(
        bench="throughput",
        case=case,
        value=LEFT_SECONDS if spread is None else spread.p95,
        unit="s",
        peer=None,
        peer_value=None,
        ratio=None,
        runs=len(loads),
        machine=machine(),
        seed=seed,
        versions=versions(*PACKAGES),
        spread=spread,
        rtf=sum(work) / (len(work) * sessions * seconds) if work else None,
    )

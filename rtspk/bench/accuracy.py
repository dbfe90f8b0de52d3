"""How well the bundled conversation is told, with two of its three voices enrolled, as in `rtspk demo`.

One minute says whether an installation works as it should, not how good rtspk is: for that there are sets
with a reference (`rtspk evaluate`).
"""

from collections.abc import Iterator

from rtspk.audio import read_audio
from rtspk.bench.diarization import evaluate_diarization
from rtspk.bench.named_stream import NamedStream, StreamResult
from rtspk.bench.report import Result, machine, versions
from rtspk.data import DEMO
from rtspk.data.material import Material
from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import HOP
from rtspk.errors import ConfigError
from rtspk.rttm import read_rttm

__all__ = ["run"]

LATENCIES: tuple[float, ...] = (1.0, 5.0)  # s
PACKAGES: tuple[str, ...] = ("onnxruntime",)


def run(seed: int = 0, runs: int = 1, engine: Engine | None = None) -> Iterator[Result]:
    """Diarization error rates and what comes of names: the same in every run, so one is made.

    Args:
        seed: of nothing; it stands in the results as in those of other benches
        runs: at least one
        engine: to which the two voices are added; None loads the bundled one

    Raises:
        ConfigError: no run.
    """
    if runs < 1:
        raise ConfigError(f"wanted at least one run, got {runs}")
    engine = engine or Engine.load(":memory:")
    material = Material.read()
    for name, clip in material.voices.items():
        engine.enroll(name, DEMO / clip)
    for latency in LATENCIES:
        total = evaluate_diarization(engine, DEMO, DEMO, None, latency, 0.0, lambda _done, _all: None).total
        policy = f"at {latency:g} s, collar 0, overlap in, own activity"
        names = _names(engine, material, latency)
        for case, value in (
            (f"DER as first said {policy}", total.first.error.rate),
            (f"DER as revised {policy}", total.revised.error.rate),
            (
                f"enrolled speech without its name, final, at {latency:g} s",
                names.missed / names.enrolled_speech,
            ),
            (
                f"stranger's speech with a name, final, at {latency:g} s",
                names.stranger_named / names.stranger_speech,
            ),
        ):
            yield Result(
                "accuracy", case, value, "", None, None, None, 1, machine(), seed, versions(*PACKAGES)
            )


def _names(engine: Engine, material: Material, latency: float) -> StreamResult:
    """What the session says of names, against who really spoke."""
    conversation = DEMO / material.conversation
    sound = read_audio(conversation)
    stream = NamedStream(read_rttm(conversation.with_suffix(".rttm")), set(material.voices))
    with engine.session(latency=latency) as session:
        for start in range(0, len(sound), HOP):
            chunk = sound[start : start + HOP]
            stream.hear(session.push(chunk), start + len(chunk))
        stream.hear(session.finish(), len(sound))
    return stream.result(len(sound))

"""What tells voices from other sounds, learnt from an embedder's answers to both (`Voicing`)."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtspk.audio import read_audio
from rtspk.engine.anchors import Anchors
from rtspk.engine.pipeline import Engine
from rtspk.engine.session import Session
from rtspk.engine.settings import HOP, SessionConfig
from rtspk.engine.tracker import Tracker
from rtspk.engine.tracker_state import Decision, Heard, LabelChange, TrackerState, hop_of
from rtspk.engine.voicing import Voicing
from rtspk.errors import FormatError
from rtspk.files import bytes_of
from rtspk.people import NOT_SOUND
from rtspk.rttm import read_rttm
from rtspk.types import FloatArray, samples_of

__all__ = ["VoicingReport", "fit_voicing", "learn_voicing"]

SPOKEN: float = 0.7  # of a window's speech by the reference, or it is left out
LONGEST: int = samples_of(150.0)  # of one sound
RIDGE: float = 0.4  # against a total weight of 1000 for either kind
STEPS: int = 40  # of Newton's method; a dozen are enough
TOTAL: float = 1000.0  # weight of either kind, however many windows it has


@dataclass(frozen=True, slots=True)
class VoicingReport:
    """What was learnt, and how much of what it was learnt from lies on the wrong side."""

    voicing: Voicing
    voices: int  # windows
    sounds: int
    passed: float  # share of the sounds that are taken for voices

    def to_bytes(self) -> bytes:
        """The .npy that `Voicing.read` reads."""
        plane = np.append(self.voicing.normal, np.float32(self.voicing.offset))
        return bytes_of(lambda file: np.save(file, plane))


class _Listening(Tracker):
    """Decides nothing, and keeps all that it hears of voices alone."""

    def __init__(self) -> None:
        super().__init__(SessionConfig().tracker, 1)
        self.heard: list[Heard] = []

    def observe(
        self,
        heard: Sequence[Heard],
        state: TrackerState,  # noqa: ARG002
        apart: Collection[int] = (),  # noqa: ARG002
        anchors: Anchors | None = None,  # noqa: ARG002
    ) -> tuple[list[Decision], list[LabelChange]]:
        self.heard += [one for one in heard if one.embedding is not None and one.alone and one.speech > 0]
        return [Decision(one.piece, -1, 0.0, 0.0, provisional=True) for one in heard], []


def learn_voicing(
    engine: Engine,
    conversations: Path,
    sounds: Path,
    *,
    lost: float = 0.02,
    progress: Callable[[int, int], None],
) -> VoicingReport:
    """Stream conversations and sounds through sessions, and find the plane between what the embedder says.

    Args:
        engine: its embedder and segmenter are what is learnt about
        conversations: a folder of recordings, each with an RTTM of its stem
        sounds: a folder of recordings without a voice, at any depth
        lost: share of the windows with a voice that may lie on the wrong side
        progress: called with recordings done and recordings in all

    Raises:
        FormatError: no recordings or no windows of one of the two kinds.
        AudioError: a recording cannot be read.
    """
    talks = sorted(conversations.glob("*.rttm"))
    if not talks:
        raise FormatError(f"wanted recordings with RTTM files, got none in {conversations}")
    if not sounds.is_dir():
        raise FormatError(f"wanted a folder of sounds, got {sounds}")
    noises = _recordings(sounds, "**/*")
    of = len(talks) + len(noises)
    voices: list[FloatArray] = []
    for number, path in enumerate(talks, start=1):
        found = _recordings(conversations, f"{path.stem}.*")
        if not found:
            raise FormatError(f"wanted a recording of {path.stem}, got none in {conversations}")
        samples = read_audio(found[0])
        spoken = np.zeros(len(samples) + HOP, bool)
        for turn in read_rttm(path):
            spoken[samples_of(turn.start) : samples_of(turn.end)] = True
        for hop, speech, vector in _windows(engine, samples):
            if spoken[hop * HOP : (hop + 1) * HOP].sum() >= SPOKEN * speech:
                voices.append(vector)
        progress(number, of)
    others: list[FloatArray] = []
    for number, path in enumerate(noises, start=len(talks) + 1):
        others += [vector for _, _, vector in _windows(engine, read_audio(path)[:LONGEST])]
        progress(number, of)
    if not voices or not others:
        raise FormatError(f"wanted windows of voices and of sounds, got {len(voices)} and {len(others)}")
    voicing = fit_voicing(np.stack(voices), np.stack(others), lost)
    passed = float(np.mean([voicing.score(vector) >= 0.0 for vector in others]))
    return VoicingReport(voicing, len(voices), len(others), passed)


def fit_voicing(voices: FloatArray, sounds: FloatArray, lost: float) -> Voicing:
    """Logistic regression, either kind weighing the same, by Newton's method with a ridge.

    Args:
        voices: float32 [shape=(n, dimension)], unit vectors
        sounds: float32 [shape=(m, dimension)], likewise
        lost: share of the voices that may score below zero; it sets the offset
    """
    rows = np.concatenate([voices, sounds]).astype(np.float64)
    rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    wanted = np.repeat([1.0, 0.0], [len(voices), len(sounds)])
    weight = TOTAL / np.repeat([len(voices), len(sounds)], [len(voices), len(sounds)])
    ridge = RIDGE * np.eye(rows.shape[1])
    plane = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        chance = 1.0 / (1.0 + np.exp(-rows @ plane))
        gradient = rows.T @ (weight * (chance - wanted)) + ridge @ plane
        curvature = (rows * (weight * chance * (1.0 - chance))[:, None]).T @ rows + ridge
        step = np.linalg.solve(curvature, gradient)
        plane -= step
        if float(np.abs(step).max()) < 1e-6:
            break
    normal = plane[:-1].astype(np.float32)
    return Voicing(normal, -float(np.quantile(voices @ normal, lost)))


def _recordings(folder: Path, pattern: str) -> list[Path]:
    return [p for p in sorted(folder.glob(pattern)) if p.is_file() and p.suffix.lower() not in NOT_SOUND]


def _windows(engine: Engine, samples: FloatArray) -> list[tuple[int, int, FloatArray]]:
    """All windows of one voice alone in a recording: the hop, the samples of speech in it, the vector."""
    listening = _Listening()
    session = Session(replace(engine.parts(SessionConfig()), tracker=listening))
    session.receive_audio(samples)
    session.finish()
    while windows := session.windows_to_embed():
        session.receive_embeddings(engine.embedder.embed(windows))
    return [(hop_of(one.piece), one.speech, one.embedding.vector) for one in listening.heard if one.embedding]

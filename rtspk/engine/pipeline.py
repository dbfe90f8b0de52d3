"""The engine: models and gallery loaded once, shared by any number of sessions and threads."""

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import numpy as np

from rtspk.audio import read_audio
from rtspk.config import check_number, read_toml
from rtspk.engine.backend import load_backend
from rtspk.engine.calibration import Calibration
from rtspk.engine.embedder import Embedder, OnnxEmbedder, find_card
from rtspk.engine.enrolment import TWO_PEOPLE, Enrolment, Known, judged, sounds_like_two
from rtspk.engine.events import Event
from rtspk.engine.frontend import Frontend
from rtspk.engine.gallery import Gallery, clean_name
from rtspk.engine.gallery_file import default_gallery
from rtspk.engine.identity import Identities, matches
from rtspk.engine.registry import resolve_model
from rtspk.engine.segmenter import Segmenter, find_segmenter, load_segmenter
from rtspk.engine.session import Session
from rtspk.engine.session_state import SessionParts
from rtspk.engine.settings import MOST_SPEAKERS, SessionConfig
from rtspk.engine.tracker import Tracker
from rtspk.engine.unit import unit
from rtspk.engine.voiceprint import Voiceprint, voiceprint
from rtspk.errors import AudioError, GalleryError, SessionError
from rtspk.types import FloatArray, Match

__all__ = ["Engine", "Enrolment", "Identification", "LocalSession", "Verification"]

MOST_THREADS: int = 1024
LONGEST_WAIT: float = 86_400.0  # s
NEAREST: int = 16  # names that a voice to be enrolled is held against
NAMING: str = "naming.toml"  # beside a model's card: what its scores mean for names


@dataclass(frozen=True, slots=True)
class Identification:
    """Who a clip may be; `name` is None for a stranger."""

    name: str | None
    score: float
    probability: float
    candidates: tuple[Match, ...]
    net_speech: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether two clips are one voice."""

    same: bool
    score: float
    probability: float
    warnings: tuple[str, ...] = ()


class LocalSession:
    """A session with its network beside it: sound in, events out."""

    def __init__(self, session: Session, embedder: Embedder) -> None:
        self._session, self._embedder = session, embedder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.finish()

    def __reduce__(self) -> NoReturn:
        raise SessionError("wanted something that can be pickled, got a session with its networks")

    def push(self, samples: FloatArray) -> list[Event]:
        """Take the next samples, float32 [shape=(n,)] at 16 kHz; returns what there is to say."""
        self._session.receive_audio(samples)
        return self._answered()

    def finish(self) -> list[Event]:
        """End the stream; returns the rest. Idempotent."""
        self._session.finish()
        return self._answered()

    def label(self, speaker: str, name: str, *, keep: bool = False) -> list[Event]:
        """Say who a label such as "S2" is; `keep` stores the voice in the gallery too."""
        self._session.label(speaker, name, keep=keep)
        return self._session.events_to_send()

    def merge(self, gone: str, kept: str) -> list[Event]:
        """Say that two labels are one person."""
        self._session.merge(gone, kept)
        return self._session.events_to_send()

    def _answered(self) -> list[Event]:
        while windows := self._session.windows_to_embed():
            self._session.receive_embeddings(self._embedder.embed(windows))
        return self._session.events_to_send()


class Engine:
    """Everything that is shared and read-only, but for the gallery, which is safe for threads."""

    def __init__(
        self,
        embedder: Embedder,
        segmenter: Segmenter,
        gallery: Gallery,
        naming: Calibration | None = None,
    ) -> None:
        self.embedder, self.segmenter, self.gallery = embedder, segmenter, gallery
        self.naming = naming or embedder.card.calibration  # from scores to the probabilities of names

    @classmethod
    def load(
        cls,
        gallery: str | Path | None = None,
        *,
        model: str | Path | None = None,
        segmenter: str | Path | None = None,
        device: str = "auto",
        create: bool = True,
        threads: int = 1,
        busy_seconds: float = 5.0,
    ) -> Self:
        """Load the models and open the gallery.

        Args:
            gallery: an SQLite file of voices; None is the default one, ":memory:" one that is not kept
            model: folder of another embedder with its card, or the id of an installed one; None is the one
                in use (`rtspk models`), which is the bundled one unless told otherwise
            segmenter: folder of another segmenter with its card; "light" is the smaller one that comes with
                rtspk, None what the variable RTSPK_SEGMENTER says, or else the larger one
            device: where the embedder runs: "cpu", "cuda", or "auto", a GPU where there is one
            create: make the gallery where there is none; else a named one that is missing is an error
            threads: for the networks on a CPU
            busy_seconds: how long to wait for another program that is writing to the gallery

        Raises:
            ModelError: a model is missing or damaged.
            ConfigError: a GPU was asked for and there is none; a number out of its range.
            GalleryError: there is no such gallery, or another model made it.
        """
        check_number(threads, 1, MOST_THREADS, f"1 to {MOST_THREADS} threads", whole=True)
        check_number(busy_seconds, 0.0, LONGEST_WAIT, f"to wait for 0 to {LONGEST_WAIT:g} seconds")
        folder = resolve_model(model)
        embedder = load_backend(folder, device=device, threads=threads)
        listener = load_segmenter(find_segmenter(segmenter or os.environ.get("RTSPK_SEGMENTER")), threads)
        path = default_gallery() if gallery is None else Path(gallery)
        kept: Path | None = path
        if str(gallery) == ":memory:":
            kept = None
        elif not create and not path.exists():
            if gallery is not None or "RTSPK_GALLERY" in os.environ:
                raise GalleryError(f"wanted a gallery at {path}, got nothing there; `rtspk enroll` makes one")
            kept = None
        card = embedder.card
        opened = Gallery.open(
            kept, card.id, card.dimension, create=create or kept is None, busy_seconds=busy_seconds
        )
        return cls(embedder, listener, opened, opened.calibration() or _naming(folder))

    @property
    def can_be_repeated(self) -> bool:
        """Whether another process may load the like: its voices are in a file, its networks on a CPU."""
        return self.gallery.on_disk and isinstance(self.embedder, OnnxEmbedder)

    def session(
        self, *, latency: float = 1.0, max_speakers: int = MOST_SPEAKERS, config: SessionConfig | None = None
    ) -> LocalSession:
        """Begin a stream.

        Args:
            latency: seconds, 0.5 to 5; everything older is final
            max_speakers: labels at most
            config: all settings; latency and max_speakers of this call are then not used

        Raises:
            ConfigError: a number out of its range.
        """
        settings = config or SessionConfig(latency=latency, max_speakers=max_speakers)
        return LocalSession(Session(self.parts(settings)), self.embedder)

    def parts(self, config: SessionConfig) -> SessionParts:
        """What a session without its network needs."""
        gates, voicing = config.tracker, self.embedder.voicing
        if voicing is None:  # how surely it is speech is then all that tells voices from other sounds
            least = max(gates.birth_certainty, self.segmenter.card.birth_certainty)
            gates = replace(gates, birth_certainty=least)
        features, trunk = self.embedder.card.features, self.embedder.trunk
        longest = config.latency + config.tracker.before_seconds
        return SessionParts(
            Frontend(features, self.segmenter, config.activity, trunk, longest),
            Tracker(gates, config.max_speakers, voicing),
            Identities(self.gallery, self.naming, config.identity, self.embedder.cohort),
            config,
        )

    def voiceprint(self, clip: str | Path | FloatArray, *, with_parts: bool = False) -> Voiceprint:
        """The voice of a clip: a file, or samples float32 [shape=(n,)] at 16 kHz.

        With parts, its speech is also embedded in pieces of 2 s.
        """
        return self._voiceprint(_sound(clip), _called(clip), with_parts=with_parts)

    def enroll(self, name: str, *clips: str | Path | FloatArray, keep_clips: bool = False) -> Enrolment:
        """Store the voice of some clips under a name, new or known; all of them or none.

        Args:
            name: of the person
            clips: files, or samples float32 [shape=(n,)] at 16 kHz
            keep_clips: keep the sound too, so that another model can hear it when it takes this one's place

        Raises:
            AudioError: a clip cannot be read, or holds too little speech; samples of another shape or type.
            GalleryError: a name that is none.
            StorageError: the disk is full; nothing was stored, nothing lost.
        """
        name = clean_name(name)
        if not clips:
            raise AudioError(f"wanted at least one clip for {name!r}, got none")
        sources: list[str] = []
        prints: list[Voiceprint] = []
        kept: list[tuple[str, FloatArray]] = []
        for clip in clips:
            sound = _sound(clip)
            source = "samples" if isinstance(clip, np.ndarray) else Path(clip).name
            sources.append(source)
            prints.append(self._voiceprint(sound, _called(clip), with_parts=True))
            if keep_clips:
                kept.append((source, sound))
        everything = unit(np.sum([p.vector * np.float32(p.net_speech) for p in prints], axis=0))
        net_speech, quality = sum(p.net_speech for p in prints), min(p.quality.score for p in prints)
        found = self._matches(everything, net_speech, NEAREST, quality)
        enrolment = judged(name, prints, everything, self._known(name), found, self.embedder.card.calibration)
        self.gallery.add(
            name,
            [piece for p in prints for piece in p.pieces],
            [source for source, p in zip(sources, prints, strict=True) for _ in p.pieces],
            qualities=[p.quality.score for p in prints for _ in p.pieces],
            clips=kept,
        )
        return enrolment

    def identify(
        self, clip: str | Path | FloatArray, *, count: int = 5, probability: float = 0.5
    ) -> Identification:
        """The enrolled names nearest to a clip, and the best one where it is probable enough.

        Args:
            clip: a file, or samples float32 [shape=(n,)] at 16 kHz
            count: of the nearest names, at most
            probability: 0 to 1, from which on a name is taken for right

        Raises:
            AudioError: the clip cannot be read, or holds too little speech; samples of another shape or type.
            ConfigError: a number out of its range.
        """
        check_number(count, 1, math.inf, "a whole number of names, 1 or more", whole=True)
        check_number(probability, 0.0, 1.0, "a probability of 0 to 1")
        heard = self.voiceprint(clip, with_parts=True)
        said = self._doubts(heard)
        found = self._matches(heard.vector, heard.net_speech, count, heard.quality.score)
        if not found:
            return Identification(None, 0.0, 0.0, (), heard.net_speech, said)
        best = found[0]
        name = best.name if best.probability >= probability else None
        return Identification(name, best.score, best.probability, tuple(found), heard.net_speech, said)

    def verify(self, one: str | Path | FloatArray, other: str | Path | FloatArray) -> Verification:
        """Whether two clips are one voice."""
        a, b = self.voiceprint(one, with_parts=True), self.voiceprint(other, with_parts=True)
        score = float(a.vector @ b.vector)
        probability = self.embedder.card.calibration.probability(score, min(a.net_speech, b.net_speech))
        said = [
            f"{_called(clip)}: {doubt}"
            for clip, heard in ((one, a), (other, b))
            for doubt in self._doubts(heard)
        ]
        return Verification(probability >= 0.5, score, probability, tuple(said))

    def _doubts(self, heard: Voiceprint) -> tuple[str, ...]:
        """What speaks against a clip of one voice."""
        return (TWO_PEOPLE,) if sounds_like_two([heard], self.embedder.card.calibration) else ()

    def _known(self, name: str) -> Known:
        """What the gallery has of a name."""
        centroids = self.gallery.centroids([name])
        if name not in centroids:
            return Known()
        try:
            exemplars = self.gallery.show(name).exemplars
        except GalleryError:  # somebody else forgot it meanwhile
            return Known()
        vectors = np.stack([one.vector for one in exemplars])
        return Known(centroids[name], sum(one.net_speech for one in exemplars), vectors)

    def _voiceprint(self, samples: FloatArray, what: str, *, with_parts: bool) -> Voiceprint:
        activity = SessionConfig().activity
        return voiceprint(samples, self.segmenter, self.embedder, activity, what, with_parts=with_parts)

    def _matches(self, vector: FloatArray, net_speech: int, count: int, quality: float) -> list[Match]:
        cohort = self.embedder.cohort
        return matches(self.gallery, self.naming, vector, net_speech, count, cohort=cohort, quality=quality)


def _sound(clip: str | Path | FloatArray) -> FloatArray:
    """The samples of a clip."""
    if not isinstance(clip, str | Path | np.ndarray):
        raise AudioError(f"wanted a file, or samples as an array, got {type(clip).__name__}")
    return clip if isinstance(clip, np.ndarray) else read_audio(clip)


def _called(clip: str | Path | FloatArray) -> str:
    """What errors call a clip."""
    return "the samples" if isinstance(clip, np.ndarray) else str(clip)


def _naming(folder: Path) -> Calibration | None:
    """What a model says of its scores and names, where it says it."""
    path = find_card(folder).with_name(NAMING)
    return read_toml(path, Calibration) if path.is_file() else None

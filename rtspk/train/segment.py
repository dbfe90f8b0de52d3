"""Cut long files into pieces of one length, on paper: a manifest that points into the files as they are."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rtspk.errors import AudioError, ConfigError
from rtspk.train.headers import Header
from rtspk.train.manifest import Utterance
from rtspk.types import samples_of

__all__ = ["SUFFIXES", "Cutting", "SpeakerFrom", "files_below", "pieces", "whole_files"]

SpeakerFrom = Literal["none", "parent", "stem"]

SOUND = "aac ac3 aif aiff amr caf flac m4a mka oga ogg mp3 opus sph wav wma"
FILMS = "mkv mov mp4 webm"
SUFFIXES: frozenset[str] = frozenset(f".{kind}" for kind in f"{SOUND} {FILMS}".split())


@dataclass(frozen=True, slots=True)
class Cutting:
    """How long pieces are, and how far apart they begin."""

    seconds: float = 5.0
    hop_seconds: float | None = None  # None: each piece begins where the one before ends
    least_seconds: float = 1.5  # a shorter last piece is left out

    def __post_init__(self) -> None:
        if not 0.5 <= self.seconds <= 60.0:
            raise ConfigError(f"wanted pieces of 0.5 to 60 s, got {self.seconds:g}")
        if self.hop_seconds is not None and not 0.1 <= self.hop_seconds < math.inf:
            raise ConfigError(f"wanted a hop of at least 0.1 s, got {self.hop_seconds:g}")
        if not 0.1 <= self.least_seconds <= self.seconds:
            raise ConfigError(
                f"wanted a shortest piece of 0.1 to {self.seconds:g} s, got {self.least_seconds:g}"
            )


def files_below(source: Path) -> list[Path]:
    """A sound file itself, or every sound file in a folder and the folders below it.

    Raises:
        AudioError: nothing is there, or a folder without sound.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise AudioError(f"{source}: wanted a sound file or a folder of such, got nothing there")
    found = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise AudioError(f"{source}: wanted sound files in this folder, got none")
    return found


def whole_files(
    headers: dict[Path, Header], speaker_from: SpeakerFrom, dataset: str, licence: str = "not stated"
) -> list[Utterance]:
    """Each file as one long utterance.

    Args:
        headers: the files, with their lengths
        speaker_from: whose voice it is: `parent` names the file's folder, `stem` the file, `none` nobody
        dataset: what the files are called together
        licence: of the files
    """
    return [
        Utterance(
            path=path,
            start=0,
            end=header.samples,
            speaker={
                "none": "",
                "parent": f"{dataset}/{path.resolve().parent.name}",
                "stem": f"{dataset}/{path.stem}",
            }[speaker_from],
            dataset=dataset,
            language="",
            gender="",
            licence=licence,
            target=-1,
        )
        for path, header in headers.items()
    ]


def pieces(utterances: Sequence[Utterance], cutting: Cutting) -> Iterable[Utterance]:
    """Cut every utterance; lengths are as heard, so that a faster voice takes more of its file.

    A piece is an utterance that no teacher has heard: it has no target.
    """
    for u in utterances:
        length = round(samples_of(cutting.seconds) * u.speed)
        hop = length if cutting.hop_seconds is None else round(samples_of(cutting.hop_seconds) * u.speed)
        least = round(samples_of(cutting.least_seconds) * u.speed)
        for start in range(u.start, max(u.start, u.end - least) + 1, hop):
            end = min(start + length, u.end)
            if end - start >= least:
                yield replace(u, start=start, end=end, target=-1, name="")
            if end == u.end:
                break

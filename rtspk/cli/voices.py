"""Voices of clips: `enroll` keeps one under a name, `identify` looks one up, `verify` compares two."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtspk.cli.options import AsJson, Device, GalleryFile, Microphone, ModelFolder
from rtspk.cli.screen import answers, note, plain, print_json, progress, say, seconds_of, waiting
from rtspk.errors import AudioError, ConfigError, GalleryError

if TYPE_CHECKING:
    from rtspk.engine.pipeline import Enrolment, Identification
    from rtspk.types import FloatArray

__all__ = ["enroll", "identify", "verify"]

LONGEST_RECORDING: float = 600.0  # s; a voice is known long before


def enroll(
    name: Annotated[str | None, typer.Argument(metavar="NAME")] = None,
    clips: Annotated[
        list[str] | None, typer.Argument(metavar="CLIP...", help="Recordings of this voice alone.")
    ] = None,
    mic: Annotated[
        float | None,
        typer.Option("--mic", metavar="SECONDS", help="Record the microphone for so long instead."),
    ] = None,
    microphone: Microphone = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", metavar="DIR", help="Enrol everybody in it: a folder of clips or a clip each."
        ),
    ] = None,
    keep_clips: Annotated[
        bool,
        typer.Option(
            "--keep-clips", help="Keep the sound too, for `rtspk speakers reenroll` by another model."
        ),
    ] = False,
    gallery: GalleryFile = None,
    model: ModelFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Keep a voice under a name; a known name gains prints.

    Says how much speech it got, how good it is, and whether the voice is near another name's.
    Ten seconds of speech are enough; two clips from different days or microphones are better than one.
    """
    from rtspk.engine.gallery_records import new_name

    if folder is not None:
        if name is not None or clips or mic is not None or microphone is not None:
            raise ConfigError("wanted --folder by itself, got a NAME, CLIPs or --mic too")
        _enroll_folder(folder, gallery, model, device, keep_clips=keep_clips, as_json=as_json)
        return
    if name is None:
        raise ConfigError("wanted a NAME with CLIPs or --mic SECONDS, or --folder DIR, got neither")
    new_name(name)
    if bool(clips) == (mic is not None):
        raise ConfigError(f"wanted CLIPs or --mic SECONDS, got {'both' if clips else 'neither'}")
    if mic is not None and not 1.0 <= mic <= LONGEST_RECORDING:
        raise ConfigError(f"wanted --mic with 1 to {LONGEST_RECORDING:g} seconds, got {mic:g}")
    if mic is None and microphone is not None:
        raise ConfigError("wanted --microphone only with --mic SECONDS, got it with clips")
    sounds = _checked(clips or [])  # before a gallery is made for them
    from rtspk.engine.pipeline import Engine

    with waiting("loading the models"):
        engine = Engine.load(gallery, model=model, device=device)
    if mic is not None:
        sounds = [_recorded(mic, microphone)]
    with waiting("listening to the voice"):
        enrolled = engine.enroll(name, *sounds, keep_clips=keep_clips)
    if as_json:
        print_json(_enrolment_json(enrolled))
    else:
        _print_enrolment(enrolled)


def _enroll_folder(
    folder: Path,
    gallery: Path | None,
    model: Path | None,
    device: str,
    *,
    keep_clips: bool,
    as_json: bool,
) -> None:
    """Enrol everybody in a folder; who cannot be enrolled is named, and the others are."""
    from rtspk.engine.gallery_records import new_name
    from rtspk.people import people_in

    people = people_in(folder)
    refused: dict[str, str] = {}
    for name, clips in people.items():  # before a gallery is made for them
        try:
            new_name(name)
            _checked([str(clip) for clip in clips])
        except (AudioError, GalleryError) as error:
            refused[name] = str(error)
    enrolled: list[Enrolment] = []
    if len(refused) < len(people):
        from rtspk.engine.pipeline import Engine

        with progress() as advance:
            engine = Engine.load(gallery, model=model, device=device)
            for number, (name, clips) in enumerate(people.items(), start=1):
                if name not in refused:
                    try:
                        enrolled.append(engine.enroll(name, *clips, keep_clips=keep_clips))
                    except AudioError as error:
                        refused[name] = str(error)
                advance("listening to the voices", number, len(people))
    if as_json:
        print_json({"enrolled": [_enrolment_json(one) for one in enrolled], "refused": refused})
    else:
        for one in enrolled:
            _print_enrolment(one, with_name=True)
    said = [plain(f"{name}: {why}") for name, why in refused.items()]
    for line in said[1:]:
        note(f"rtspk: {line}")
    if said:
        raise AudioError(f"wanted everybody in {folder} enrolled, got {len(said)} refused; {said[0]}")


def identify(
    clip: Annotated[str, typer.Argument(metavar="CLIP")],
    gallery: GalleryFile = None,
    model: ModelFolder = None,
    device: Device = "auto",
    count: Annotated[int, typer.Option("--count", metavar="N", help="Names to show at most.")] = 5,
    probability: Annotated[
        float, typer.Option("--probability", metavar="P", help="Below this a voice is unknown.")
    ] = 0.5,
    as_json: AsJson = False,
) -> None:
    """Say whose voice a clip is: the best names with score and probability, or unknown."""
    if count < 1:
        raise ConfigError(f"wanted --count of 1 or more, got {count}")
    if not 0.0 <= probability <= 1.0:
        raise ConfigError(f"wanted --probability from 0 to 1, got {probability:g}")
    from rtspk.engine.pipeline import Engine

    with waiting("listening to the voice"):
        engine = Engine.load(gallery, model=model, device=device, create=False)
        found = engine.identify(clip, count=count, probability=probability)
    if as_json:
        print_json(_identification_json(found))
        return
    from rich.table import Table
    from rich.text import Text

    say(plain(found.name) if found.name is not None else "unknown")
    for warning in found.warnings:
        note(f"rtspk: {warning}")
    if not found.candidates:
        say("nobody is enrolled yet: `rtspk enroll NAME CLIP`")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("name")
    table.add_column("probability", justify="right")
    table.add_column("score", justify="right")
    for match in found.candidates:
        style = "bold" if match.name == found.name else ""
        table.add_row(Text(plain(match.name), style), f"{match.probability:.2f}", f"{match.score:.2f}")
    answers().print(table)


def verify(
    one: Annotated[str, typer.Argument(metavar="CLIP")],
    other: Annotated[str, typer.Argument(metavar="CLIP")],
    model: ModelFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Say whether two clips are the same voice."""
    from rtspk.engine.pipeline import Engine

    with waiting("comparing"):
        found = Engine.load(":memory:", model=model, device=device).verify(one, other)
    if as_json:
        values = {"score": round(found.score, 4), "probability": round(found.probability, 4)}
        print_json({"same": found.same, **values, "warnings": list(found.warnings)})
        return
    verdict = "the same voice" if found.same else "different voices"
    say(f"{verdict} (probability of one voice {found.probability:.2f}, score {found.score:.2f})")
    for warning in found.warnings:
        note(f"rtspk: {plain(warning)}")


def _checked(clips: list[str]) -> "list[str | Path | FloatArray]":
    """The clips; each is looked at before the first is worked on, but for pipes, which are read once."""
    from rtspk.audio import duration_seconds

    for clip in clips:
        if not Path(clip).is_fifo():
            duration_seconds(clip)
    return [*clips]


def _recorded(seconds: float, name: str | None) -> "FloatArray":
    """What the microphone hears in the next seconds: float32 [shape=(n,)]."""
    import numpy as np

    from rtspk.microphone import Microphone
    from rtspk.types import samples_of

    wanted, got = samples_of(seconds), 0
    parts: list[FloatArray] = []
    with progress() as advance, Microphone(name) as microphone:
        note(f"speak now, for {seconds:g} s ({plain(microphone.device.name)})")
        for chunk in microphone:
            parts.append(chunk.samples)
            got += len(chunk.samples)
            advance("recording", min(got, wanted), wanted)
            if got >= wanted:
                break
    if microphone.overruns:
        note(f"rtspk: {seconds_of(microphone.lost_samples):.2f} s of sound lost")
    return np.concatenate(parts)[:wanted]


def _enrolment_json(enrolled: "Enrolment") -> dict[str, object]:
    near = enrolled.near
    return {
        "name": enrolled.name,
        "net_speech": round(seconds_of(enrolled.net_speech), 3),
        "exemplars": enrolled.exemplars,
        "complete": enrolled.complete,
        "quality": round(enrolled.quality, 3),
        "near": None
        if near is None
        else {"name": near.name, "score": round(near.score, 4), "probability": round(near.probability, 4)},
        "warnings": list(enrolled.warnings),
    }


def _print_enrolment(enrolled: "Enrolment", *, with_name: bool = False) -> None:
    count = enrolled.exemplars
    prints = "1 print" if count == 1 else f"{count} prints" if count else "no new print"
    speech = seconds_of(enrolled.net_speech)
    say(f"{plain(enrolled.name)}: {speech:.1f} s of speech in {prints}, quality {enrolled.quality:.0%}")
    for warning in enrolled.warnings:
        note(f"rtspk: {plain(enrolled.name)}: {warning}" if with_name else f"rtspk: {warning}")


def _identification_json(found: "Identification") -> dict[str, object]:
    candidates = [
        {"name": m.name, "score": round(m.score, 4), "probability": round(m.probability, 4)}
        for m in found.candidates
    ]
    return {
        "name": found.name,
        "score": round(found.score, 4),
        "probability": round(found.probability, 4),
        "candidates": candidates,
        "net_speech": round(seconds_of(found.net_speech), 3),
        "warnings": list(found.warnings),
    }

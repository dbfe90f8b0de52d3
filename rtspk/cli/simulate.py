"""`rtspk simulate`: conversations with an exact reference out of labelled utterances."""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtspk.cli.options import AsJson
from rtspk.cli.screen import clock, note, plain, print_json, progress, say
from rtspk.errors import ConfigError

if TYPE_CHECKING:
    from rtspk.train.enrolment import Clip
    from rtspk.train.studio import Made

__all__ = ["simulate"]

NAMED: int = 3  # files in a note
NUMBER = r"-?\d+(?:\.\d+)?"


def simulate(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="Labelled utterances, as for `rtspk check-manifest`.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")],
    count: Annotated[int, typer.Option("--count", metavar="N", help="Conversations.")] = 10,
    speakers: Annotated[
        str, typer.Option("--speakers", metavar="N|LOW-HIGH", help="1 to 10; a range is gone through.")
    ] = "2-6",
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", help="Of each conversation, up to ten hours.")
    ] = 120.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed gives the same bytes.")] = 0,
    overlap: Annotated[
        float,
        typer.Option("--overlap", metavar="SHARE", help="Of the spoken time, in which two or more speak."),
    ] = 0.08,
    rooms: Annotated[
        int,
        typer.Option(
            "--rooms", metavar="N", help="Simulate N rooms; half of the conversations are in rooms."
        ),
    ] = 0,
    noise: Annotated[
        Path | None,
        typer.Option("--noise", metavar="CSV", help="A table of noises and music, with a column `file`."),
    ] = None,
    snr: Annotated[
        str, typer.Option("--snr", metavar="LOW-HIGH", help="Speech above noise, in dB.")
    ] = "10-25",
    codec: Annotated[
        float,
        typer.Option(
            "--codec", metavar="SHARE", help="Of the conversations: through Opus, MP3 or a telephone."
        ),
    ] = 0.0,
    one_microphone: Annotated[
        float,
        typer.Option(
            "--one-microphone",
            metavar="SHARE",
            help="Of the conversations: all voices brought to one long-term spectrum.",
        ),
    ] = 0.0,
    far: Annotated[
        float,
        typer.Option(
            "--far",
            metavar="SHARE",
            help="Of the conversations: heard by one far microphone, over steady noise.",
        ),
    ] = 0.0,
    file_format: Annotated[
        str, typer.Option("--format", metavar="wav|flac", help="Of the conversations.")
    ] = "wav",
    enrol: Annotated[
        float,
        typer.Option(
            "--enrol", metavar="S", help="Also a clip of each speaker, so long, of other utterances."
        ),
    ] = 0.0,
    strangers: Annotated[
        float,
        typer.Option("--strangers", metavar="SHARE", help="Of the speakers: those not to be enrolled."),
    ] = 0.5,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Processes.")] = 1,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Keep decoded sound and rooms there for the next time."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Mix conversations with an exact reference out of labelled utterances."""
    sizes, levels = _range(speakers, "--speakers"), _range(snr, "--snr")
    if any(size != int(size) for size in sizes) or not 1 <= sizes[0] <= sizes[1] <= 10:
        raise ConfigError(f"wanted --speakers of 1 to 10, such as 3 or 2-6, got {speakers!r}")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"wanted a folder as --out, got the file {out}")
    from rtspk.train.audit import read_audited
    from rtspk.train.conversation_set import SetConfig, simulate_set
    from rtspk.train.simulate import by_speaker

    config = SetConfig(
        count=count,
        seconds=seconds,
        speakers=tuple(range(int(sizes[0]), int(sizes[1]) + 1)),
        overlap=overlap,
        rooms=rooms,
        snr_db=levels,
        one_microphone=one_microphone,
        far=far,
        codec=codec,
        format=file_format,
        enrol_seconds=enrol,
        strangers=strangers,
        seed=seed,
    )
    with ExitStack() as stack:
        advance = stack.enter_context(progress())
        listed = read_audited(manifest, lambda done, of: advance("check files", done, of))
        utterances = by_speaker(listed)
        if cache is None:
            import tempfile

            out.mkdir(parents=True, exist_ok=True)
            cache = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".decoded-", dir=out)))
        made, clips = simulate_set(utterances, noise, cache, out, config, workers=workers, progress=advance)
    if older := _older(out, {one.name for one in made}, file_format):
        some = f"{', '.join(older[:NAMED])}{', ...' if len(older) > NAMED else ''}"
        note(f"rtspk: {plain(str(out))} also holds what another run made: {plain(some)}")
    _say(out, made, clips, enrol, as_json=as_json)


def _say(out: Path, made: "list[Made]", clips: "list[Clip]", enrol: float, *, as_json: bool) -> None:
    """Tell what was made, with clips of `enrol` seconds where they were asked for."""
    total, speech = sum(one.seconds for one in made), sum(one.speech for one in made)
    shared = sum(one.speech * one.overlap for one in made) / max(1e-9, speech)
    known = sum(clip.enrolled for clip in clips)
    people = len({name for one in made for name in one.who})
    if as_json:
        totals = {"conversations": len(made), "seconds": round(total, 3), "speech": round(speech, 3)}
        answer = {"out": str(out), **totals, "overlap": round(shared, 4), "speakers": people}
        print_json({**answer, "clips": len(clips), "enrolled": known} if enrol else answer)
        return
    say(
        f"{plain(str(out))}: {len(made)} conversation{'s' * (len(made) != 1)} of {people} "
        f"speaker{'s' * (people != 1)}, {clock(total)}, {speech / total:.0%} speech, "
        f"{shared:.1%} of it shared"
    )
    if clips:
        say(f"{plain(str(out / 'enrol.csv'))}: {known} speakers to enrol, {len(clips) - known} strangers")
    short = [clip for clip in clips if clip.seconds < 0.8 * enrol]
    if short:
        note(f"rtspk: {len(short)} clips are shorter than wanted: there is no more speech of these speakers")


def _older(folder: Path, names: set[str], file_format: str) -> list[str]:
    """Files of conversations in a folder that are not those of this run."""
    own = {f"{name}{suffix}" for name in names for suffix in (".rttm", ".uem", f".{file_format}")}
    return sorted(path.name for path in folder.glob("conv-*") if path.name not in own)


def _range(text: str, option: str) -> tuple[float, float]:
    """One number, or two with a dash between them.

    >>> _range("2-6", "--speakers"), _range("-5--2.5", "--snr"), _range("3", "--speakers")
    ((2.0, 6.0), (-5.0, -2.5), (3.0, 3.0))
    """
    found = re.fullmatch(rf"({NUMBER})(?:-({NUMBER}))?", text.strip(), re.ASCII)
    if found is None:
        raise ConfigError(f"wanted {option} as a number or LOW-HIGH, got {text!r}")
    low, high = found[1], found[2] or found[1]
    return float(low), float(high)

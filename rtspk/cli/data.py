"""`rtspk check-manifest`, `rtspk segment` and `rtspk teach`: training data before it is trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtspk.cli.options import AsJson
from rtspk.cli.screen import clock, note, plain, print_json, progress, say, seconds_of
from rtspk.errors import AudioError, ConfigError, FormatError

if TYPE_CHECKING:
    from rtspk.train.headers import Header
    from rtspk.train.manifest import Utterance

__all__ = ["check_manifest", "segment", "teach"]

MANIFESTS: tuple[str, ...] = (".csv", ".jsonl", ".jsonl.gz")
NAMED: int = 3  # files that are named where many cannot be read


def check_manifest(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST", help="A table (.csv), lhotse's .jsonl[.gz], or a folder of these."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Find all that is wrong with a list of training speech, in one report; no sound is decoded."""
    from rtspk.train.audit import audit_manifest

    with progress() as advance:
        report = audit_manifest(manifest, lambda done, of: advance("check files", done, of))
    if as_json:
        kinds = {
            part: [{"kind": one.kind, "count": one.count, "examples": list(one.examples)} for one in findings]
            for part, findings in (("problems", report.problems), ("notes", report.notes))
        }
        amounts = {"utterances": report.utterances, "files": report.files, "speakers": report.speakers}
        print_json({**amounts, "hours": round(report.hours, 3), **kinds})
    else:
        say(
            f"{report.utterances} utterances of {report.speakers} speakers in {report.files} files, "
            f"{report.hours:.2f} h"
        )
        for finding in report.problems:
            say(plain(str(finding)))
        for finding in report.notes:
            say(plain(f"{finding} [a note, no error]"))
    if report.problems:
        raise FormatError(f"wanted a sound manifest at {manifest}, got {report.totals}")
    if not report.utterances:
        raise FormatError(f"wanted utterances in {manifest}, got none")


def segment(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Sound files, folders of them, or one manifest.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="PATH", help="The manifest to write: a .csv, or a folder for it.")
    ],
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="Length of a piece.")] = 5.0,
    hop: Annotated[
        float | None, typer.Option("--hop", metavar="S", help="From start to start; else no overlap, no gap.")
    ] = None,
    least: Annotated[
        float, typer.Option("--least", metavar="S", help="A shorter last piece is left out.")
    ] = 1.5,
    speaker_from: Annotated[
        str, typer.Option("--speaker-from", metavar="WHAT", help="parent (the folder's name), stem or none.")
    ] = "none",
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="NAME", help="Else the first source's folder.")
    ] = None,
    licence: Annotated[str, typer.Option("--licence", metavar="TEXT", help="Of the files.")] = "not stated",
    lhotse: Annotated[bool, typer.Option("--lhotse", help="Also write cuts.jsonl.gz beside it.")] = False,
) -> None:
    """Cut long files into pieces of one length, by a manifest that points into them; no re-encoding."""
    from rtspk.train.manifest import write_manifest
    from rtspk.train.segment import Cutting, pieces

    cutting = Cutting(seconds, hop, least)
    table = out if out.suffix == ".csv" else out / "segments.csv"
    if out.suffix != ".csv" and out.exists() and not out.is_dir():
        raise ConfigError(f"wanted a folder or a .csv as --out, got the file {out}")
    whole, headers = _long_stretches(sources, speaker_from, dataset, licence)
    cut = list(pieces(whole, cutting))
    if not cut:
        raise ConfigError(
            f"wanted files of {least:g} s or more, got none that long: --least takes shorter ones"
        )
    table.parent.mkdir(parents=True, exist_ok=True)
    write_manifest(table, cut)
    written = plain(str(table))
    if lhotse:
        from rtspk.train.cuts import write_cuts

        cuts = table.with_name(
            "cuts.jsonl.gz" if table.name == "segments.csv" else f"{table.stem}_cuts.jsonl.gz"
        )
        write_cuts(cuts, cut, headers)
        written += f" and {plain(str(cuts))}"
    speakers = len({u.speaker for u in cut if u.speaker})
    heard = clock(seconds_of(sum(u.duration for u in cut)))
    said = f"{speakers} speakers" if speakers else "nobody known"
    files = len({u.path for u in cut})
    say(f"{written}: {len(cut)} pieces of {said} from {files} file{'s' * (files != 1)}, {heard}")


def teach(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="As for `rtspk check-manifest`.")],
    model: Annotated[
        Path, typer.Option("--model", metavar="DIR", help="The teacher: an embedder's folder with card.toml.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The .npz of targets to write.")],
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", help="The teacher hears the loudest so many seconds.")
    ] = 6.0,
    add: Annotated[
        Path | None, typer.Option("--add", metavar="FILE", help="Keep the teachers of this .npz beside it.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", help="Else one for each core.")
    ] = None,
) -> None:
    """Embed every utterance with a teacher, for a student to be distilled from."""
    if out.suffix != ".npz":
        raise ConfigError(f"wanted an .npz as --out, got {out}")
    if not out.parent.is_dir():
        raise ConfigError(f"wanted --out in an existing folder, got {out}")
    if add is not None and not add.is_file():
        raise ConfigError(f"wanted a file of targets as --add, got nothing at {add}")
    if not 1.0 <= seconds <= 60.0:
        raise ConfigError(f"wanted --seconds of 1 to 60, got {seconds:g}")
    if threads is not None and threads < 1:
        raise ConfigError(f"wanted at least one thread, got {threads}")
    from rtspk.engine.embedder import load_embedder
    from rtspk.train import teach as teaching
    from rtspk.train.audit import read_audited
    from rtspk.train.manifest import write_manifest
    from rtspk.types import samples_of

    teacher = load_embedder(model)
    with progress() as advance:
        utterances = read_audited(manifest, lambda done, of: advance("check files", done, of))
        rows = teaching.numbered(utterances)
        length = samples_of(seconds)
        table = teaching.teach(rows, teacher, length, lambda done, of: advance("teach", done, of), threads)
    teachers = teaching.write_targets(out, teacher.card.id, table, add)
    unheard = sum(not table[u.target].any() for u in rows)
    say(f"{plain(str(out))}: {len(rows)} utterances by {', '.join(map(plain, teachers))}")
    if unheard:
        note(f"rtspk: {unheard} utterances are too short or silent: they have no target")
    if rows != utterances:
        own = out.with_suffix(".csv")
        write_manifest(own, rows)
        say(f"{plain(str(own))}: the manifest with the rows of these targets; train with it")


def _long_stretches(
    sources: list[Path], speaker_from: str, dataset: str | None, licence: str
) -> "tuple[list[Utterance], dict[Path, Header]]":
    """What is to be cut, and the headers of its files; who speaks a manifest says, else the names."""
    from dataclasses import replace
    from typing import get_args

    from rtspk.train.headers import Header, read_headers
    from rtspk.train.manifest import read_manifest
    from rtspk.train.segment import SpeakerFrom, files_below, whole_files

    wanted: dict[str, SpeakerFrom] = {one: one for one in get_args(SpeakerFrom)}
    if speaker_from not in wanted:
        raise ConfigError(f"wanted --speaker-from of {', '.join(sorted(wanted))}, got {speaker_from!r}")
    listed: list[Utterance] | None = None
    if any(source.name.endswith(MANIFESTS) for source in sources):
        if len(sources) > 1:
            raise ConfigError(f"wanted one manifest, or sound files and folders, got {len(sources)} sources")
        if speaker_from != "none" or dataset is not None:
            raise ConfigError("wanted no --speaker-from and no --dataset with a manifest, which says both")
        listed = read_manifest(sources[0])
        files = [u.path for u in listed]
    else:
        files = [file for source in sources for file in files_below(source)]
    with progress() as advance:
        found = read_headers(files, lambda done, of: advance("read headers", done, of))
    headers = {path: header for path, header in found.items() if isinstance(header, Header)}
    errors = [header for header in found.values() if isinstance(header, AudioError)]
    if not headers:
        raise errors[0]
    for error in errors[:NAMED]:
        note(f"rtspk: left out: {plain(str(error))}")
    if len(errors) > NAMED:
        note(f"rtspk: {len(errors) - NAMED} more files are left out")
    if listed is None:
        first = sources[0].resolve()
        name = dataset or (first if first.is_dir() else first.parent).name
        return whole_files(headers, wanted[speaker_from], name, licence), headers
    there = [u for u in listed if u.path in headers]
    return [replace(u, end=min(u.end, headers[u.path].samples)) for u in there], headers

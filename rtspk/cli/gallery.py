"""`rtspk speakers ...`: the enrolled voices, listed, renamed, joined, forgotten, carried elsewhere.

None of it runs a model: a gallery is opened as the one of the model that it names itself.
"""

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtspk.cli.options import AsJson, Device, GalleryFile, ModelFolder
from rtspk.cli.screen import answers, note, plain, print_json, progress, say, seconds_of, waiting
from rtspk.errors import AudioError, ConfigError, GalleryError

if TYPE_CHECKING:
    from rtspk.engine.gallery import Gallery, SpeakerRecord

__all__ = [
    "delete",
    "export",
    "forget",
    "import_",
    "list_",
    "merge",
    "reenroll",
    "rename",
    "show",
    "where_is",
]

SHORTEST_KEY = 8  # bytes

Name = Annotated[str, typer.Argument(metavar="NAME")]
ArchiveKey = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="A file with the passphrase that signs the archive."),
]


def list_(gallery: GalleryFile = None, as_json: AsJson = False) -> None:
    """List who is enrolled, with how much speech."""
    where = where_is(gallery)
    records: list[SpeakerRecord] = []
    if _begun(where) or (gallery is not None and not where.exists()):
        with _opened(gallery) as opened:
            records = opened.speakers()
    if as_json:
        print_json({"gallery": str(where), "speakers": [record.to_json() for record in records]})
        return
    if not records:
        say("nobody is enrolled yet: `rtspk enroll NAME CLIP`")
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "speech", "prints", "since"):
        table.add_column(column, justify="right" if column in {"speech", "prints"} else "left")
    for record in records:
        speech = f"{seconds_of(record.net_speech):.1f} s"
        table.add_row(plain(record.name), speech, str(record.exemplars), record.created[:10])
    answers().print(table)


def show(name: Name, gallery: GalleryFile = None, as_json: AsJson = False) -> None:
    """Show one name with all its prints."""
    with _opened(gallery) as opened:
        found = opened.show(name)
    if as_json:
        print_json(found.to_json())
        return
    from rich.table import Table

    say(f"{plain(found.name)}, since {found.created}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("print", "made from", "speech", "quality", "when"):
        table.add_column(column, justify="left" if column in {"made from", "when"} else "right")
    for one in found.exemplars:
        speech = f"{seconds_of(one.net_speech):.1f} s"
        table.add_row(str(one.number), plain(one.source), speech, f"{one.quality:.0%}", one.created)
    answers().print(table)


def rename(
    old: Annotated[str, typer.Argument(metavar="OLD")],
    new: Annotated[str, typer.Argument(metavar="NEW")],
    gallery: GalleryFile = None,
) -> None:
    """Give a voice another name, which nobody has yet."""
    with _opened(gallery) as opened:
        record = opened.rename(old, new)
    say(f"{plain(old)} is now {plain(record.name)}")


def merge(
    source: Annotated[str, typer.Argument(metavar="NAME")],
    into: Annotated[str, typer.Argument(metavar="INTO")],
    gallery: GalleryFile = None,
) -> None:
    """Move all prints of one name to another, and forget the first name."""
    with _opened(gallery) as opened:
        record = opened.merge(source, into)
    say(f"{plain(source)} is now {plain(record.name)}, with {_counted(record.exemplars)}")


def delete(
    name: Name,
    gallery: GalleryFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget a voice; nothing of it is left in the file."""
    with _opened(gallery) as opened:
        known = opened.show(name)
        if not yes:
            _confirm(f"{plain(known.name)} and its {_counted(len(known.exemplars))}", plain(known.name))
        opened.delete(name)
    say(f"{plain(known.name)} is forgotten")


def forget(
    name: Name,
    number: Annotated[int, typer.Argument(metavar="PRINT", help="Its number in `rtspk speakers show NAME`.")],
    gallery: GalleryFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget one print of a voice, such as a bad clip's, and the clip if it was kept."""
    with _opened(gallery) as opened:
        known = opened.show(name)
        if not yes:
            _confirm(f"print {number} of {plain(known.name)}", plain(known.name))
        record = opened.forget(name, number)
    say(f"print {number} of {plain(record.name)} is forgotten, with {_counted(record.exemplars)} left")


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.json")],
    gallery: GalleryFile = None,
    key: ArchiveKey = None,
) -> None:
    """Write all voices to a JSON file that only its owner may read; with --key it is signed."""
    from rtspk.cli.output import check_writable

    check_writable(file)
    secret = _secret(key)
    with _opened(gallery) as opened:
        count = opened.export(file, key=secret)
    say(f"{_counted(count, 'voice')} in {plain(str(file))}")


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.json")],
    gallery: GalleryFile = None,
    model: ModelFolder = None,
    key: ArchiveKey = None,
) -> None:
    """Add the voices of an exported file; importing twice changes nothing. With --key it must be signed."""
    secret = _secret(key)
    path = where_is(gallery)
    if _begun(path):
        with _opened(gallery) as opened:
            count = opened.import_(file, key=secret)
    else:
        from rtspk.engine.embedder import read_card
        from rtspk.engine.gallery import Gallery
        from rtspk.engine.gallery_exchange import read_export
        from rtspk.engine.registry import resolve_model

        card = read_card(resolve_model(model))
        voices = read_export(file, card.id, card.dimension, secret)  # before a gallery is made for them
        with Gallery.open(path, card.id, card.dimension) as opened:
            count = opened.take(voices)
    say(f"{_counted(count, 'new print')} from {plain(str(file))}")


def reenroll(
    gallery: GalleryFile = None,
    model: ModelFolder = None,
    device: Device = "auto",
) -> None:
    """Let another model hear the clips that were kept, and put its prints in the place of the old ones."""
    from rtspk.engine.gallery import Gallery
    from rtspk.engine.gallery_place import forget as remove
    from rtspk.engine.gallery_place import take_place
    from rtspk.engine.gallery_records import new_name
    from rtspk.engine.pipeline import Engine

    path = where_is(gallery)
    with _opened(gallery) as old, old.held():  # else what others store meanwhile would be lost
        with waiting("loading the models"):
            engine = Engine.load(":memory:", model=model, device=device)
        card = engine.embedder.card
        if old.model_id == card.id:
            raise GalleryError(
                f"wanted a gallery of another model than {card.id}, got one of its own: {path}"
            )
        kept = {record.name: old.clips(record.name) for record in old.speakers()}
        wanted = {new_name(name): clips for name, clips in kept.items() if clips}
        if not wanted:
            raise GalleryError(
                f"wanted clips that were kept (`rtspk enroll --keep-clips`), got none in {path}"
            )
        fresh, aside = path.with_name(f".{path.name}.reenrolled"), _aside(path, old.model_id)
        lost = dict.fromkeys(set(kept) - set(wanted), "has no clips")
        remove(fresh)
        try:
            with Gallery.open(fresh, card.id, card.dimension) as new, progress() as advance:
                engine.gallery = new
                for number, (name, clips) in enumerate(wanted.items(), start=1):
                    try:
                        engine.enroll(name, *(samples for _, samples in clips), keep_clips=True)
                    except AudioError as error:
                        lost[name] = str(error)
                    advance("listening to the voices", number, len(wanted))
            if len(lost) == len(kept):
                raise AudioError(f"wanted clips with a voice, got none; {next(iter(lost.values()))}")
            take_place(fresh, path, aside)
        finally:
            remove(fresh)
    heard = len(kept) - len(lost)
    say(f"{heard} of {len(kept)} names heard anew by {card.id}; what was before is {plain(str(aside))}")
    note("rtspk: `speakers delete` does not reach what is there: remove that file when it is not needed")
    for name, why in sorted(lost.items()):
        note(f"rtspk: {plain(name)}: {why}: enroll this voice again")


def where_is(gallery: Path | None) -> Path:
    """The gallery that an option names, or else the default one."""
    from rtspk.engine.gallery_file import default_gallery

    return default_gallery() if gallery is None else gallery


def _secret(key: Path | None) -> bytes | None:
    """The passphrase in a file, without the line break that editors put behind it."""
    if key is None:
        return None
    try:
        secret = key.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"wanted a file with a key, got {error.strerror or error}: {key}") from error
    if len(secret) < SHORTEST_KEY:
        raise ConfigError(f"wanted a key of {SHORTEST_KEY} bytes or more, got {len(secret)} in {key}")
    return secret


def _begun(path: Path) -> bool:
    """Whether there is more than the empty file that a first `enroll` leaves which was ended at once."""
    return path.exists() and path.stat().st_size > 0


def _opened(gallery: Path | None) -> "Gallery":
    """Open a gallery whoever's model made it; what is none is refused by the gallery itself."""
    from rtspk.engine.gallery import Gallery
    from rtspk.engine.gallery_health import made_by

    path = where_is(gallery)
    if not path.exists():
        raise GalleryError(f"wanted a gallery at {path}, got nothing there; `rtspk enroll` makes one")
    model, dimension = made_by(path) or ("", 0)
    return Gallery.open(path, model, dimension, create=False)


def _aside(path: Path, model: str) -> Path:
    """Where a model's gallery goes when another's takes its place: never where one went before."""
    name = f"{path.name}.of-{model}".replace("/", "_")
    ends = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    return next(free for end in ends if not (free := path.with_name(name + end)).exists())


def _confirm(what: str, instead: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigError(f"wanted --yes where nobody can be asked, got {instead} alone")
    typer.confirm(f"Forget {what} for ever?", abort=True, err=True)


def _counted(count: int, what: str = "print") -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"

"""The application: every verb under its name, and how each of them ends."""

import errno
import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn, ParamSpec

import typer

import rtspk
from rtspk.cli import (
    build,
    calibrate,
    data,
    demo,
    doctor,
    gallery,
    listen,
    measure,
    models,
    serve,
    simulate,
    tune,
    voices,
    voicing,
)
from rtspk.cli.flags import Command, Group
from rtspk.cli.misuse import Misuse, told
from rtspk.errors import ReportError, RtspkError

__all__ = ["app", "main"]

P = ParamSpec("P")

EPILOG = (
    "Environment: RTSPK_GALLERY, RTSPK_MODEL, RTSPK_MODELS, RTSPK_SEGMENTER, RTSPK_DEVICE, RTSPK_TOKEN; "
    "RTSPK_TRACEBACK=1 shows where an internal failure began."
)

app = typer.Typer(
    name="rtspk",
    cls=Group,
    help="Says who is speaking, by name, as they speak.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; this is the process's entry point."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a stand-in for a stream may have none
        if reconfigure is not None:
            # Names in any script, also where the locale knows fewer letters than they have.
            reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
    args = _with_default_microphone(sys.argv[1:])
    try:
        status = app(args=args, prog_name="rtspk", standalone_mode=False)
    except typer.Abort:
        sys.exit(1)
    except Exception as error:
        if not isinstance(error, Misuse):
            raise
        if said := told(error, args):
            _complain(said)
        sys.exit(error.exit_code)
    sys.exit(status)


def _with_default_microphone(args: list[str]) -> list[str]:
    """Let `listen --mic` stand without a device, which Typer's options cannot by themselves.

    >>> _with_default_microphone(["listen", "--mic", "--latency", "2"])
    ['listen', '--mic=', '--latency', '2']
    """
    if args[:1] != ["listen"]:
        return args
    following = [*args[1:], "-"]
    return [
        "--mic=" if one == "--mic" and behind.startswith("-") else one
        for one, behind in zip(args, following, strict=True)
    ]


def _guarded(verb: Callable[P, None]) -> Callable[P, None]:
    """Make a verb end as the manual says: one line on stderr, and an exit status that says whose fault."""

    @functools.wraps(verb)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with _log_on_stderr():
                verb(*args, **kwargs)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:  # who reads us, such as `head`, has had enough
            _forget_stdout()
            raise SystemExit(0) from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except ReportError as error:
            for line in str(error).splitlines():
                _complain(line)
            raise SystemExit(error.exit_code) from error
        except RtspkError as error:
            _complain(str(error))
            raise SystemExit(error.exit_code) from error
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                _report(error)
            _forget_stdout()
            _complain("wanted room for the output, got a full disk")
            raise SystemExit(1) from error
        except Exception as error:
            _report(error)

    return call


def _report(error: Exception) -> NoReturn:
    """End with what nobody foresaw: the traceback for who asks, one line for everybody else."""
    if os.environ.get("RTSPK_TRACEBACK"):
        raise error
    said = " ".join(str(error).split())
    _complain(f"internal failure, {type(error).__name__}: {said} (RTSPK_TRACEBACK=1 shows the traceback)")
    raise SystemExit(1) from error


def _complain(text: str) -> None:
    sys.stderr.write(f"rtspk: {' '.join(text.split())}\n")


def _forget_stdout() -> None:
    """Send what Python still holds for stdout to nowhere, so that its exit does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Line(logging.Handler):
    """One line on stderr for each record, wherever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        _complain(record.getMessage())


@contextmanager
def _log_on_stderr() -> Iterator[None]:
    """Show what the package logs, from warnings on, while a verb runs."""
    log, handler = logging.getLogger("rtspk"), _Line(logging.WARNING)
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = True


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"rtspk {rtspk.__version__}\n")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end."),
    ] = False,
) -> None:
    del version


def _add(group: typer.Typer, name: str, verb: Callable[P, None]) -> None:
    group.command(name, cls=Command)(_guarded(verb))


speakers = typer.Typer(
    cls=Group, no_args_is_help=True, help="The enrolled voices: list, show, rename, merge, delete, move."
)
installed = typer.Typer(cls=Group, no_args_is_help=True, help="Installed embedders: list, use, add, remove.")
evaluate = typer.Typer(cls=Group, no_args_is_help=True, help="Error rates on sets with a known truth.")

_add(app, "demo", demo.demo)
_add(app, "listen", listen.listen)
_add(app, "devices", listen.devices)
_add(app, "enroll", voices.enroll)
_add(app, "identify", voices.identify)
_add(app, "verify", voices.verify)
_add(app, "calibrate", calibrate.calibrate)
_add(app, "serve", serve.serve)
_add(app, "bench", measure.bench)
_add(app, "check-manifest", data.check_manifest)
_add(app, "segment", data.segment)
_add(app, "teach", data.teach)
_add(app, "simulate", simulate.simulate)
_add(app, "train", build.train)
_add(app, "export", build.export)
_add(app, "tune", tune.tune)
_add(app, "voicing", voicing.voicing)
_add(app, "doctor", doctor.doctor)

app.add_typer(speakers, name="speakers")
_add(speakers, "list", gallery.list_)
_add(speakers, "show", gallery.show)
_add(speakers, "rename", gallery.rename)
_add(speakers, "merge", gallery.merge)
_add(speakers, "delete", gallery.delete)
_add(speakers, "forget", gallery.forget)
_add(speakers, "export", gallery.export)
_add(speakers, "import", gallery.import_)
_add(speakers, "reenroll", gallery.reenroll)

app.add_typer(installed, name="models")
_add(installed, "list", models.list_)
_add(installed, "use", models.use)
_add(installed, "add", models.add)
_add(installed, "remove", models.remove)

app.add_typer(evaluate, name="evaluate")
_add(evaluate, "trials", measure.trials)
_add(evaluate, "diarization", measure.diarization)
_add(evaluate, "identification", measure.identification)

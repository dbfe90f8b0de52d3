"""`rtspk serve`: many live streams over websockets, with a page, health and metrics on one port."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtspk.cli.options import Device, GalleryFile, ModelFolder, SegmenterFolder
from rtspk.cli.screen import note, print_json, waiting
from rtspk.errors import ConfigError

if TYPE_CHECKING:
    from rtspk.server.config import ServerConfig

__all__ = ["serve"]

BUSY_SECONDS: float = 1.0  # for a gallery that is locked: all streams of a worker wait meanwhile


def serve(
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Where to listen; else this machine alone."),
    ] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="0 takes a free one.")] = None,
    gallery: GalleryFile = None,
    model: ModelFolder = None,
    segmenter: SegmenterFolder = None,
    device: Device = "auto",
    tokens: Annotated[
        Path | None,
        typer.Option("--tokens", metavar="FILE", help="TOML of tables `tokens`: name, token, scopes."),
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option("--tls-cert", metavar="FILE", help="PEM, whole chain.")
    ] = None,
    tls_key: Annotated[str | None, typer.Option("--tls-key", metavar="FILE", help="PEM.")] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin", metavar="URL", help="Another site whose pages may connect; may be repeated."
        ),
    ] = None,
    max_sessions: Annotated[int | None, typer.Option("--max-sessions", metavar="N", help="At once.")] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="Each a process of its own; else one for each core."),
    ] = None,
    overload: Annotated[
        str | None,
        typer.Option(
            "--overload", metavar="drop-oldest|close", help="When live sound cannot be kept up with."
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Allow a public address without tokens and TLS, as behind a proxy."),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="TOML of all settings; options go before it."),
    ] = None,
    session_config: Annotated[
        Path | None,
        typer.Option("--session-config", metavar="FILE", help="Gates as TOML, as `rtspk tune` writes them."),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the protocol's JSON Schema and end.")
    ] = False,
) -> None:
    """Serve many live streams at once: websocket, web page, /healthz, /readyz, /metrics and /v1/speakers.

    A token of your own that may do everything: RTSPK_TOKEN. SIGTERM and Ctrl-C let sessions finish first.
    """
    if schema:
        from rtspk.server.wire import schema as protocol_schema

        print_json(protocol_schema())
        return
    given: dict[str, object] = {
        "host": host,
        "port": port,
        "tls_certificate": tls_cert,
        "tls_key": tls_key,
        "origins": origin and tuple(origin),
        "workers": workers,
        "overload": overload,
        "insecure": insecure or None,
    }
    settings = _settings(config, given, max_sessions, session_config)
    from rtspk.server.access import Access, check_address, is_local

    access = Access.load(tokens, settings)
    check_address(settings, access)
    if not access.needs_token and not is_local(settings.host):
        note(f"rtspk: without tokens everybody who reaches {settings.host} may do everything")
    import asyncio
    from contextlib import ExitStack
    from functools import partial

    from rtspk.engine.pipeline import Engine
    from rtspk.server.app import App, run

    load = partial(
        Engine.load, gallery, model=model, segmenter=segmenter, device=device, busy_seconds=BUSY_SECONDS
    )
    scheme = "https" if settings.tls_certificate else "http"
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    count = settings.worker_count
    note(f"rtspk: starting, {count} worker{'s' * (count != 1)} ...")
    with ExitStack() as loading:
        loading.enter_context(waiting("loading the models"))
        engine = load()
        apart = settings.worker_count > 1 and engine.can_be_repeated
        app = App(engine, settings, access, load if apart else None)

        def announce(bound: int) -> None:
            loading.close()
            note(f"rtspk: serving at {scheme}://{shown}:{bound}")

        asyncio.run(run(app, announce))


def _settings(
    config: Path | None, given: dict[str, object], max_sessions: int | None, session_config: Path | None
) -> "ServerConfig":
    """The settings of a file, or those of rtspk, with what was given on the command line in their place."""
    from dataclasses import asdict, replace

    from rtspk.config import read_toml, to_settings
    from rtspk.engine.settings import SessionConfig
    from rtspk.server.config import ServerConfig

    settings = ServerConfig() if config is None else read_toml(config, ServerConfig)
    chosen = {key: value for key, value in given.items() if value is not None}
    settings = to_settings({**asdict(settings), **chosen}, ServerConfig, "the options")
    if max_sessions is not None:
        if max_sessions < 1:
            raise ConfigError(f"wanted --max-sessions of 1 or more, got {max_sessions}")
        settings = replace(settings, limits=replace(settings.limits, sessions=max_sessions))
    if session_config is not None:
        settings = replace(settings, session=read_toml(session_config, SessionConfig))
    return settings

"""What a server answers to a plain request: the page, its health, its numbers, and the gallery."""

import asyncio
from http import HTTPStatus
from urllib.parse import unquote

from websockets.datastructures import Headers
from websockets.http11 import Request

from rtspk.engine.pipeline import Engine
from rtspk.server.access import Access, Principal, Scope, bearer
from rtspk.server.answer import Answer, fault, json_answer
from rtspk.server.connection import BodyConnection, BodyError
from rtspk.server.messages import VERSION
from rtspk.server.pages import load_pages
from rtspk.server.speakers import answer_speakers, scope_of
from rtspk.server.telemetry import Telemetry
from rtspk.server.wire import schema

__all__ = ["Site", "one_header"]

BODY_SECONDS: float = 60.0  # for a body to come whole


class Site:
    """All that is on the port beside the streams."""

    def __init__(self, engine: Engine, access: Access, telemetry: Telemetry, clip_bytes: int) -> None:
        """Make a site.

        Args:
            engine: whose gallery it shows
            access: who may see and change it
            telemetry: the server's
            clip_bytes: of a recording to enrol from, at most
        """
        self._engine, self._access, self._telemetry = engine, access, telemetry
        self._clip_bytes, self._pages = clip_bytes, load_pages()

    async def answer(self, connection: BodyConnection, request: Request, *, draining: bool) -> Answer:
        """Answer a request; `draining` says that the server is going down."""
        path = request.path.partition("?")[0]
        if path == "/v1/speakers" or path.startswith("/v1/speakers/"):
            return await self._answer_speakers(connection, request, path)
        if request.method not in {"GET", "HEAD"}:
            return fault(405, "bad_method", "wanted GET", allow="GET, HEAD")
        if path == "/metrics":
            missing = self._missing(request, "admin")
            kind = "text/plain; version=0.0.4; charset=utf-8"
            return missing or Answer(200, self._telemetry.page(), kind)
        return self._page(path, draining=draining) or fault(404, "not_found", "there is nothing here")

    def _page(self, path: str, *, draining: bool) -> Answer | None:
        """What anybody may read."""
        match path:
            case "/healthz":
                return Answer(200, b"ok\n")
            case "/readyz":
                return Answer(503, b"draining\n") if draining else Answer(200, b"ready\n")
            case "/v1/info":
                model = self._engine.embedder.card.id
                return json_answer(
                    {"protocol": VERSION, "model": model, "needs_token": self._access.needs_token}
                )
            case "/v1/schema":
                return json_answer(schema())
        return self._pages.get(path)

    async def _answer_speakers(self, connection: BodyConnection, request: Request, path: str) -> Answer:
        scope = scope_of(request.method)
        if scope is None:
            methods = "GET, HEAD, POST, PATCH, DELETE"
            return fault(405, "bad_method", "wanted GET, POST, PATCH or DELETE", allow=methods)
        if missing := self._missing(request, scope):
            return missing
        try:
            name = unquote(path.removeprefix("/v1/speakers").removeprefix("/"), errors="strict") or None
            async with asyncio.timeout(BODY_SECONDS):
                body = await connection.read_body(self._clip_bytes)
        except UnicodeDecodeError:
            return fault(400, "bad_request", "wanted a name in UTF-8")
        except BodyError as error:
            return fault(413, "too_large", str(error))
        except TimeoutError:
            return fault(408, "timeout", f"wanted the body within {BODY_SECONDS:g} s, got less of it")
        return await asyncio.to_thread(answer_speakers, self._engine, request.method, name, body)

    def _missing(self, request: Request, scope: Scope) -> Answer | None:
        """Why a request is not allowed; None where it is."""
        principal: Principal | None = self._access.principal(
            bearer(one_header(request.headers, "Authorization"))
        )
        if principal is None:
            return fault(HTTPStatus.UNAUTHORIZED, "unauthorized", "wanted a token that this server knows")
        if not principal.may(scope):
            return fault(HTTPStatus.FORBIDDEN, "forbidden", f"wanted a token with the scope {scope}")
        return None


def one_header(headers: Headers, name: str) -> str | None:
    """A header that stands once; one that stands more often counts as an empty one, which fits nothing."""
    values = headers.get_all(name)
    return values[0] if len(values) == 1 else "" if values else None

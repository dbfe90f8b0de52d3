"""What HTTP answers, before it is bytes; the headers that keep a page safe are the same for all."""

import json
from dataclasses import dataclass
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Response

__all__ = ["Answer", "fault", "json_answer", "to_response"]

SAFETY: dict[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and what there is to say."""

    status: int
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    keep: str = "no-store"  # what a cache may do
    wants_token: bool = False
    allow: str = ""  # the methods that there are, where another one came


def json_answer(value: object, status: int = 200) -> Answer:
    """A JSON body."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode() + b"\n", "application/json")


def fault(status: int, code: str, message: str, *, allow: str = "") -> Answer:
    """An error as JSON, in one line of our own words."""
    error = {"error": {"code": code, "message": " ".join(message.split())}}
    body = json.dumps(error, ensure_ascii=False).encode() + b"\n"
    return Answer(
        status, body, "application/json", wants_token=status == HTTPStatus.UNAUTHORIZED, allow=allow
    )


def to_response(answer: Answer, *, head: bool = False) -> Response:
    """The websockets library's form of it; a HEAD request gets no body."""
    headers = Headers({"Connection": "close"} | SAFETY)
    if answer.status != HTTPStatus.NO_CONTENT:  # RFC 9110, section 8.6
        headers["Content-Length"] = str(len(answer.body))
    if answer.body:
        headers["Content-Type"] = answer.kind
    headers["Cache-Control"] = answer.keep
    if answer.allow:
        headers["Allow"] = answer.allow
    if answer.wants_token:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(answer.status, HTTPStatus(answer.status).phrase, headers, b"" if head else answer.body)

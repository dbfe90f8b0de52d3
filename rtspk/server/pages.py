"""The web page's files, read once: what is not among them is not there."""

from importlib import resources
from pathlib import PurePosixPath

from rtspk.server.answer import Answer

__all__ = ["load_pages"]

KINDS: dict[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


def load_pages() -> dict[str, Answer]:
    """Answers by their paths; `/` is the page itself."""
    pages = {}
    for file in resources.files("rtspk.server").joinpath("web").iterdir():
        kind = KINDS.get(PurePosixPath(file.name).suffix)
        if kind is not None:
            pages[f"/{file.name}"] = Answer(200, file.read_bytes(), kind, keep="no-cache")
    if "/index.html" in pages:
        pages["/"] = pages["/index.html"]
    return pages

"""The web app's built files, as they lie in `static`: packed once, told apart by their hash, and never looked for.

Which files exist is known when the server starts, so no text from a request is ever part of a path. They are made by
`scripts/web` from the folder `web` and go into the wheel: whoever installs it needs no Node.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from mimetypes import guess_type

from fastapi import FastAPI, Request, Response

START = "index.html"
ASSETS = "/assets/"
"""Where the app's own files are found; they hold nobody's data."""
SCREENS = ("/", "/compare", "/drug", "/train", "/learn", "/limits")
"""Addresses of the app's screens; each is the same file, and the script shows the screen."""
PLACES = ("/r/", "/t/")
"""How the addresses of one job and of one training begin."""
_LEAST_PACKED = 1_000


@dataclass(frozen=True)
class File:
    """One file of the app."""

    content: bytes
    kind: str

    @cached_property
    def packed(self) -> bytes:
        """The same, packed by gzip; made when it is first asked for."""
        return gzip.compress(self.content, 6, mtime=0)

    @cached_property
    def mark(self) -> str:
        """What tells a browser whether it has the file already."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:20]}"'

    def response(self, request: Request) -> Response:
        """The file as the browser wants it, or the word that it has it already."""
        headers = {"ETag": self.mark, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if self.mark in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if len(self.content) >= _LEAST_PACKED and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.packed, media_type=self.kind, headers=headers | {"Content-Encoding": "gzip"})
        return Response(self.content, media_type=self.kind, headers=headers)


def built() -> Mapping[str, File]:
    """Every file of the app by its name under `static`."""
    root = resources.files("anfinsen.serve").joinpath("static")
    found = {START: root.joinpath(START)} | {f"assets/{one.name}": one for one in root.joinpath("assets").iterdir()}
    return {name: _file(one) for name, one in sorted(found.items())}


def _file(one: Traversable) -> File:
    kind = guess_type(one.name)[0] or "application/octet-stream"
    return File(one.read_bytes(), "text/javascript" if one.name.endswith(".js") else kind)


def add_files(app: FastAPI) -> None:
    """The app under its addresses."""
    files = built()

    def show(request: Request) -> Response:
        return files[START].response(request)

    for path in (*SCREENS, *(f"{place}{{id}}" for place in PLACES)):
        app.add_api_route(path, show, include_in_schema=False)
    for name, file in files.items():
        if name != START:
            app.add_api_route(f"/{name}", _giving(file), include_in_schema=False)


def _giving(file: File) -> Callable[[Request], Response]:
    def give(request: Request) -> Response:
        return file.response(request)

    return give

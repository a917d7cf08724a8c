"""Start a server: who may reach it is settled before anything listens.

settings -> token, where strangers could reach it -> socket -> desk (child, store) -> app -> uvicorn, until Ctrl-C
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from anfinsen.errors import UsageError
from anfinsen.limits import LIMITS, Limits
from anfinsen.serve.app import make_app
from anfinsen.serve.crew import Crew
from anfinsen.serve.desk import Desk
from anfinsen.serve.fleet import Fleet
from anfinsen.serve.guard import is_local
from anfinsen.serve.school import School
from anfinsen.serve.store import Store

if TYPE_CHECKING:
    from anfinsen.distributed.ray import Cluster

SHORTEST_TOKEN = 16
"""Characters below which a token could be guessed."""
FAREWELL_SECONDS = 3
"""Seconds that open connections are given when the server is stopped."""


@dataclass(frozen=True)
class Settings:
    """What a server is started with; an empty token is made where one is needed."""

    host: str = "127.0.0.1"
    port: int = 8765
    token: str = ""
    tasks: tuple[str, ...] = ()
    state: Path = Path("anfinsen-jobs")
    bundle: Path | None = None
    relatives: str | None = None
    threads: int | None = None


def token_for(settings: Settings) -> str:
    """The token that is asked for: the one given, a fresh one where strangers could reach the server, or none.

    >>> token_for(Settings()), len(token_for(Settings(host="0.0.0.0"))) > 30
    ('', True)
    """
    if not settings.token:
        return "" if is_local(settings.host) else secrets.token_urlsafe(24)
    if len(settings.token) < SHORTEST_TOKEN or not settings.token.isascii() or not settings.token.isprintable():
        raise UsageError(
            f"The token has {len(settings.token)} characters; at least {SHORTEST_TOKEN} of plain text are needed.",
            remedy="Leave --token out, and a good one is made.",
        )
    return settings.token


def open_desk(settings: Settings, limits: Limits = LIMITS, *, cluster: Cluster | None = None) -> Desk:
    """The desk with its store and who computes; refused where another server has the store, or by the bundle."""
    store = Store(settings.state)
    opening = {
        "bundle": None if settings.bundle is None else str(settings.bundle),
        "relatives": settings.relatives,
        "tasks": settings.tasks,
        "threads": settings.threads,
        "store": str(store.path.absolute()),
        "memory_share": limits.memory_share,
    }
    desk = Desk(store, Crew(opening) if cluster is None else Fleet(opening, cluster), limits)
    try:
        desk.open()
    except BaseException:
        store.close()
        raise
    return desk


def run(settings: Settings, *, tell: Callable[[str], None], cluster: Cluster | None = None) -> None:
    """Serve until Ctrl-C; `tell` shows where, and the token where it was made here. A cluster's workers compute too."""
    token = token_for(settings)
    listening = _listen(settings)
    with listening:
        tell("Opening the model ...")
        desk = open_desk(settings, cluster=cluster)
        school = School(settings.state / "trainings", desk.limits, bundle=settings.bundle)
        server = uvicorn.Server(
            uvicorn.Config(
                make_app(desk, token=token, school=school, is_fetching=True),
                http="h11",
                ws="none",
                access_log=False,  # an address is a key to a job
                log_level="warning",
                server_header=False,
                proxy_headers=False,
                limit_concurrency=desk.limits.connections,
                timeout_graceful_shutdown=FAREWELL_SECONDS,
            )
        )
        name, port = listening.getsockname()[:2]
        shown = f"[{name}]" if ":" in name else name
        tell(f"Ready: http://{shown}:{port}/ · {desk.model['name']} · {len(desk.menu)} questions · Ctrl-C ends it.")
        if token and not settings.token:
            tell(f"Whoever asks needs this token: {token}")
        if not is_local(settings.host):
            tell("What is asked and answered travels unencrypted; put a proxy with TLS before it for any open network.")
        try:
            server.run(sockets=[listening])
        finally:
            school.close()
            desk.close()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=LIMITS.connections)
    except OSError as error:
        raise UsageError(
            f"No server can answer at {settings.host}, port {settings.port}: {error.strerror or error}.",
            remedy="Give another --port (0 takes a free one) or another --host.",
        ) from None

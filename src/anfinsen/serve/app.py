"""The routes: what is asked over HTTP, each a few lines over the desk, the store and the reader.

`make_app` takes a desk that is open, since the routes come from the menu that its child told. One route a task is made
from it, beside the one that asks several tasks at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from anfinsen import __version__
from anfinsen.errors import AnfinsenError
from anfinsen.serve.asking import add_asking, add_events, add_jobs, add_results
from anfinsen.serve.contract import (
    Checked,
    Health,
    Key,
    Limit,
    Looked,
    Proteins,
    Refusal,
)
from anfinsen.serve.desk import Desk
from anfinsen.serve.entries import add_entries, entries_of
from anfinsen.serve.files import add_files
from anfinsen.serve.guard import COOKIE, HEADERS, Guard, session
from anfinsen.serve.looking import add_looking_closer
from anfinsen.serve.problem import Refused, fault, of_error, of_http, of_record, of_validation, refuse
from anfinsen.serve.reading import read
from anfinsen.serve.schema import complete
from anfinsen.serve.school import School
from anfinsen.serve.training import add_school

_ABOUT = """Deep learning on proteins: from a sequence to what a protein is, does and bears, with honest confidence.

Every answer says how sure it is and how near the protein is to anything that was learned from. Every refusal says
where, what came, what was expected and what to do. Short questions are answered at once (`/v1/predict`), long ones are
jobs with an address (`/v1/jobs`)."""
_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Refusal, "description": "Refused: where, what came and was expected, what to do."},
    "5XX": {"model": Refusal, "description": "A fault of the server; the same form, never a traceback."},
}


def make_app(desk: Desk, *, token: str = "", school: School | None = None, is_fetching: bool = False) -> FastAPI:
    """The application over an open desk; with a token, only who knows it is answered; with a school, it trains too.

    Where `is_fetching`, it gets proteins by their ids from public houses when somebody asks for that.
    """

    @asynccontextmanager
    async def until_closed(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(desk.close)
        if school is not None:
            await run_in_threadpool(school.close)
        desk.store.close()

    app = FastAPI(
        title="Anfinsen",
        version=__version__,
        description=_ABOUT,
        docs_url=None,  # the usual page of documents asks another server for its script
        redoc_url=None,
        lifespan=until_closed,
        responses=_ERRORS,
        separate_input_output_schemas=False,
    )
    app.add_middleware(Guard, token=token, limits=desk.limits)
    _handle_errors(app)
    add_files(app)
    _add_looking(app, desk, is_fetching)
    if is_fetching:
        add_entries(app, desk.limits)
    add_looking_closer(app, desk)
    add_asking(app, desk)
    add_jobs(app, desk)
    add_events(app, desk)
    add_results(app, desk)
    if school is not None:
        add_school(app, school)
    if token:
        _add_session(app, token)

    @cache
    def described() -> dict[str, Any]:
        page = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        return complete(page, desk.menu)

    app.openapi = described  # type: ignore[method-assign]
    return app


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return error.response()

    @app.exception_handler(AnfinsenError)
    async def of_house(_: Request, error: AnfinsenError) -> Response:
        return of_error(error).response()

    @app.exception_handler(RequestValidationError)
    async def of_shape(_: Request, error: RequestValidationError) -> Response:
        return of_validation(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def of_framework(_: Request, error: HTTPException) -> Response:
        response = of_http(error.status_code).response()
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def of_ours(_: Request, __: Exception) -> Response:
        response = fault().response()
        response.headers.update(HEADERS)
        return response


# Sessions ----------------------------------------------------------------------------------------------------------


def _add_session(app: FastAPI, token: str) -> None:
    guard = Guard(app, token=token)

    @app.post("/v1/session", status_code=204, tags=["Service"], summary="Open a session in a browser.")
    def open_session(key: Key, request: Request) -> Response:
        """Set a cookie that stands for the token, since a browser's links and events can send nothing else."""
        if not guard.is_token(key.token):
            raise refuse(401, "token", "token", "This is not the token.", "Copy it from where the server was started.")
        response = Response(status_code=204)
        is_secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, session(token), httponly=True, samesite="strict", secure=is_secure)
        return response


# What the service is -------------------------------------------------------------------------------------------------


def _add_looking(app: FastAPI, desk: Desk, is_fetching: bool) -> None:
    @app.get("/v1/health", tags=["Service"], summary="Is the service well?")
    def health() -> Health:
        return Health(
            status="ready" if desk.crew.is_alive else "starting",
            waiting=desk.open_jobs,
            restarts=max(0, desk.crew.starts - 1),
            version=__version__,
        )

    @app.get("/v1/limits", tags=["Service"], summary="Every limit, with its reason.")
    def limits() -> list[Limit]:
        fields = type(desk.limits).model_fields.items()
        return [
            Limit(name=name, value=getattr(desk.limits, name), meaning=field.description or "")
            for name, field in fields
        ]

    @app.get("/v1/tasks", tags=["Service"], summary="Every question that is answered, in words.")
    def tasks() -> dict[str, Any]:
        """The model, and of each task its question, explanation, conditions, terms, limits and the answer's shape.

        `fold_seconds` tells by a chain's length about how long folding takes; longer chains are not folded here.
        """
        return {
            "model": dict(desk.model),
            "tasks": list(desk.menu.values()),
            "looks": desk.looks,
            "fold_seconds": desk.fold_seconds,
        }

    @app.post("/v1/check", tags=["Ask"], summary="What would be asked? Nothing is computed.")
    def check(asked: Proteins) -> Checked:
        """Which records can be answered, what was mended on the way, and what is refused and why."""
        if is_fetching and isinstance(asked.sequences, str) and (entries := entries_of(asked.sequences)):
            return Checked(entries=tuple(entries))
        try:
            found = read(asked, limits=desk.limits)
        except Refused as refusal:
            if not refusal.refused:
                raise
            return Checked(refused=refusal.refused)
        return Checked(
            accepted=tuple(
                Looked(
                    id=example.protein.id,
                    length=example.residues,
                    messages=tuple(m.to_json() for chain in example.chains for m in chain.messages),
                )
                for example in found.examples
            ),
            residues=found.residues,
            seconds=round(desk.pace * found.residues, 1),
            refused=tuple(map(of_record, found.refused)),
            merged=tuple(map(str, found.merged)),
        )

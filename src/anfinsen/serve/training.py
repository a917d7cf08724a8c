"""The routes of the school: bring a table, read the plan, train, watch every step, stop, go on; and the lessons."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from starlette.concurrency import run_in_threadpool

from anfinsen.serve.contract import Asked, Told
from anfinsen.serve.school import School, Stage


def _plain(text: str) -> str:
    if any(unicodedata.category(sign) == "Cc" for sign in text):  # no command takes them
        raise PydanticCustomError("name", "a name without control signs")
    return text


Name = Annotated[str, Field(max_length=200), AfterValidator(_plain)]
LOOK_SECONDS = 0.4
"""How often a training's folder is looked at while somebody watches."""


class Table(Asked):
    """A table to learn from, and how it is to be read; what is left out is found out from the table."""

    table: str = Field(min_length=1, examples=["id,sequence,place\na,MKTAYIAKQRQISFVKSHFSRQ,nucleus\n"])
    """The table as text: CSV or TSV with a header."""
    name: Name = ""
    """What its file is called."""
    label: Name = ""
    """The column with the answers."""
    column: Name = ""
    """The column with the sequences."""
    partner: Name = ""
    """A second column with sequences, where each row is a pair."""
    kind: Name = ""
    """number, label, labels, tokens or values."""
    mode: Name = ""
    """What moves: frozen, lora or full."""
    epochs: Annotated[float, Field(gt=0, le=1_000)] | None = None
    """Passes over the rows."""
    seed: Annotated[int, Field(ge=0, le=10**9)] | None = None
    """The same number gives the same training."""


class Line(Told):
    """One sentence of the command line."""

    level: str
    """'' for plain, else heading, warning, error or refused."""
    text: str
    """The sentence."""


class Course(Told):
    """How a training stands."""

    id: str
    """128 random bits: who knows the address may watch the training."""
    stage: Stage
    """planning, planned, refused, training, done, failed or stopped."""
    request: dict[str, Any]
    """How the table is read, without the table."""
    plan: list[Line]
    """What will be done, what leaks, and what must be beaten."""
    told: list[Line]
    """What the training said; at its end, how good it is."""
    command: str
    """The same on the command line."""
    made: str
    """The folder of the trained model on the server's machine, once there is one."""


class Part(Told):
    """A part of a lesson."""

    kind: str
    """title, heading, say, note or draw."""
    text: str
    """Its text; of what is drawn, the lines."""


def add_school(app: FastAPI, school: School) -> None:
    """Trainings and lessons."""

    def told(id: str) -> Course:
        return Course(**asdict(school.find(id)))

    @app.post("/v1/trainings", status_code=201, tags=["Train"], summary="Bring a table, and have its training planned.")
    def enter(asked: Table) -> Course:
        """The plan says what is learned from, how it is split, what leaks, what must be beaten, how long it takes."""
        return told(school.enter(asked.table, asked.model_dump(exclude={"table"})).id)

    @app.get("/v1/trainings/{id}", tags=["Train"], summary="How a training stands.")
    def status(id: str) -> Course:
        return told(id)

    @app.post("/v1/trainings/{id}/start", tags=["Train"], summary="Train as planned, or go on.")
    def start(id: str) -> Course:
        return told(school.start(id).id)

    @app.post("/v1/trainings/{id}/stop", tags=["Train"], summary="Stop; what is learned is kept, and it can go on.")
    def stop(id: str) -> Course:
        return told(school.stop(id).id)

    def refuse_unknown(id: str) -> None:
        school.find(id)

    @app.get(
        "/v1/trainings/{id}/events",
        response_class=EventSourceResponse,
        dependencies=[Depends(refuse_unknown)],
        tags=["Train"],
        summary="Every step, as it happens.",
    )
    async def events(
        id: str, last: Annotated[int, Header(alias="Last-Event-ID", ge=0, le=10**9)] = 0
    ) -> AsyncIterator[ServerSentEvent]:
        """Server-Sent Events: `steps` with the records of events.jsonl, `training` when its stage changes."""
        before = ""
        while True:
            now = await run_in_threadpool(told, id)
            records = await run_in_threadpool(school.events, id, last)
            if records:
                last += len(records)
                yield ServerSentEvent(event="steps", id=str(last), data=records)
            if now.stage != before:
                before = now.stage
                yield ServerSentEvent(event="training", data=now.model_dump())
            if now.stage not in ("planning", "training"):
                return
            await asyncio.sleep(LOOK_SECONDS)

    @app.get("/v1/lessons", tags=["Learn"], summary="The lessons.")
    def lessons() -> list[Part]:
        """The list of lessons, as `anfinsen learn` shows it."""
        return [Part(**part) for part in school.lesson(None)]

    @app.get("/v1/lessons/{number}", tags=["Learn"], summary="One lesson, given by the real engine.")
    def lesson(number: Annotated[int, Field(ge=1, le=20)]) -> list[Part]:
        """Title, headings, paragraphs and pictures of a lesson; it is computed when it is first asked for."""
        return [Part(**part) for part in school.lesson(number)]

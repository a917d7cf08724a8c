"""The routes that ask: at once, or as a job with a status, events, answers, a report and the request that remakes it.

One route a task is made from the menu, beside the one that asks several tasks at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Path, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from anfinsen.serve.contract import Answered, Job, Links, Model, Prediction, Problem, Question, TaskQuestion
from anfinsen.serve.desk import Desk
from anfinsen.serve.guard import REPORT_POLICY, address_of
from anfinsen.serve.problem import of_record, refuse
from anfinsen.serve.reading import Read, chosen, packed, read, under
from anfinsen.serve.store import DAY, OPEN_STATES, Row, read_lines

LINES = "application/x-ndjson"


def _submit(desk: Desk, asked: Question, request: Request, *, is_kept: bool) -> tuple[str, Read]:
    """Read a question and let it wait; the request that is kept is the question itself."""
    found = read(asked, limits=desk.limits)
    if not is_kept and found.residues > desk.limits.direct_residues:
        raise refuse(
            413,
            "too_large",
            "sequences",
            f"{found.residues:,} residues came; {desk.limits.direct_residues:,} are answered while you wait.",
            "Ask the same at POST /v1/jobs.",
        )
    tasks = chosen(asked, found.examples, desk.menu)
    examples = under(found.examples, asked, tasks, desk.menu)
    id = desk.submit(
        json.dumps(asked.model_dump(exclude_defaults=True)),
        [(example.residues, packed(example)) for example in examples],
        tasks=tasks,
        refused=[of_record(error) for error in found.refused],
        merged=[str(one) for one in found.merged],
        owner=address_of(request.scope),
        is_kept=is_kept,
    )
    return id, found


def add_asking(app: FastAPI, desk: Desk) -> None:
    """Ask and wait: of all tasks together, and of each by itself."""

    async def answered(asked: Question, request: Request) -> Response:
        id, _ = await run_in_threadpool(_submit, desk, asked, request, is_kept=False)
        row = await _ended(desk, id, desk.limits.direct_seconds)
        if row is None:  # it goes on, and is found at its address
            desk.store.retain(id)
            job = _job(desk, _found(desk, id))
            return Response(job.model_dump_json(), 202, {"Location": job.links.job}, "application/json")
        try:
            if row.state != "done":
                raise refuse(
                    503,
                    "failed",
                    "the process that computes",
                    row.reason,
                    "Ask again; if it fails again, tell who runs this.",
                )
            body = await run_in_threadpool(_body, desk, row)
        finally:
            desk.store.forget(id)
        return Response(body, media_type="application/json")

    later: dict[int | str, dict[str, Any]] = {
        202: {"model": Job, "description": "It takes longer, and goes on as a job."}
    }

    @app.post(
        "/v1/predict", response_model=Answered, responses=later, tags=["Ask"], summary="Ask, and wait for the answer."
    )
    async def predict(asked: Question, request: Request) -> Response:
        """Every task that is named about every protein, in one pass. Nothing that is asked here is kept."""
        return await answered(asked, request)

    for name, entry in desk.menu.items():
        app.add_api_route(
            f"/v1/predict/{name}",
            _one_task(name, answered),
            methods=["POST"],
            response_model=Answered,
            responses=later,
            tags=["Tasks"],
            summary=entry["question"],
            description=" ".join(filter(None, (entry["explanation"], entry["limits"]))),
            name=name,
        )


def _one_task(name: str, answered: Callable[[Question, Request], Awaitable[Response]]) -> Callable[..., Any]:
    async def predict_one(asked: TaskQuestion, request: Request) -> Response:
        return await answered(Question(sequences=asked.sequences, conditions=asked.conditions, tasks=(name,)), request)

    return predict_one


@contextmanager
def _listening(desk: Desk, id: str) -> Iterator[asyncio.Event]:
    """An event that is set, in this loop, whenever something changes about a job."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        loop.call_soon_threadsafe(heard.set)

    with desk.listening(id, tell):
        yield heard


async def _ended(desk: Desk, id: str, seconds: float) -> Row | None:
    """The job once it has ended; None where that takes longer than `seconds`."""
    with _listening(desk, id) as heard:
        try:
            async with asyncio.timeout(seconds):
                while (row := desk.store.find(id)) is not None and row.state in OPEN_STATES:
                    await heard.wait()
                    heard.clear()
        except TimeoutError:
            return None
    return row


def _body(desk: Desk, row: Row) -> str:
    """An `Answered` as text: the lines are put in as they are, so that they are those of predictions.jsonl."""
    parts = {
        "predictions": f"[{', '.join(line.strip() for line in read_lines(desk.store.path, row.id))}]",
        "refused": json.dumps(row.refused),
        "merged": json.dumps(row.merged),
        "model": json.dumps(row.model),
    }
    return "{" + ", ".join(f'"{name}": {text}' for name, text in parts.items()) + "}"


# Jobs ----------------------------------------------------------------------------------------------------------------


def _found(desk: Desk, id: str) -> Row:
    row = desk.store.find(id)
    if row is None:
        raise refuse(
            404,
            "no_job",
            "the address",
            "There is no such job, or it was forgotten in time.",
            "Look at the address, or ask again.",
        )
    return row


def _job(desk: Desk, row: Row) -> Job:
    def time(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")

    here = f"/v1/jobs/{row.id}"
    failed = row.asked - row.answered if row.state == "done" else 0
    so_far = f"{row.answered:,} of {row.asked:,} protein{'' if row.asked == 1 else 's'} answered."
    sentence = {
        "queued": "It waits for its turn.",
        "running": so_far,
        "done": so_far + (f" {failed:,} could not be." if failed else ""),
    }.get(row.state, row.reason)
    return Job(
        id=row.id,
        state=row.state,
        sentence=sentence,
        asked=row.asked,
        answered=row.answered,
        refused=tuple(Problem(**problem) for problem in row.refused),
        merged=row.merged,
        tasks=row.tasks,
        model=Model(**row.model),
        created=time(row.created),
        started=None if row.started is None else time(row.started),
        finished=None if row.finished is None else time(row.finished),
        kept_until=time((row.finished or row.created) + desk.limits.keep_days * DAY),
        links=Links(
            job=here,
            page=f"/r/{row.id}",
            **{name: f"{here}/{name}" for name in ("events", "answers", "report", "request")},
        ),
    )


def add_jobs(app: FastAPI, desk: Desk) -> None:
    """A job's beginning, its status, its end."""

    @app.post("/v1/jobs", status_code=201, tags=["Jobs"], summary="Ask, and come back for the answer.")
    def start(asked: Question, request: Request, response: Response) -> Job:
        """A job with an address that nobody can guess; it survives a restart of the server."""
        id, _ = _submit(desk, asked, request, is_kept=True)
        job = _job(desk, _found(desk, id))
        response.headers["Location"] = job.links.job
        return job

    @app.get("/v1/jobs/{id}", tags=["Jobs"], summary="How a job stands.")
    def status(id: str) -> Job:
        return _job(desk, _found(desk, id))

    @app.post("/v1/jobs/{id}/cancel", tags=["Jobs"], summary="Stop a job; what is answered stays.")
    def cancel(id: str) -> Job:
        _found(desk, id)
        desk.cancel(id)
        return _job(desk, _found(desk, id))

    @app.delete("/v1/jobs/{id}", status_code=204, tags=["Jobs"], summary="Stop a job and forget everything about it.")
    def forget(id: str) -> Response:
        _found(desk, id)
        desk.cancel(id)
        desk.store.forget(id)
        return Response(status_code=204)


def add_events(app: FastAPI, desk: Desk) -> None:
    """A job's progress as a stream."""

    def refuse_unknown(id: str) -> None:
        """Before the stream begins, since what is streamed has no status any more."""
        _found(desk, id)

    @app.get(
        "/v1/jobs/{id}/events",
        response_class=EventSourceResponse,
        dependencies=[Depends(refuse_unknown)],
        tags=["Jobs"],
        summary="Progress, as it happens.",
    )
    async def events(
        id: str,
        last: Annotated[int, Header(alias="Last-Event-ID", ge=0, le=10**9)] = 0,
    ) -> AsyncIterator[ServerSentEvent]:
        """Server-Sent Events: `protein` for each that is answered, with its sentences; `job` when its state changes.

        The stream ends with the job. With `Last-Event-ID` it goes on after the one that was seen last.
        """
        with _listening(desk, id) as heard:
            while True:
                heard.clear()
                now = await run_in_threadpool(desk.store.find, id)
                while cards := await run_in_threadpool(desk.store.cards, id, last):
                    for last, number, card in cards:
                        if card is not None:
                            yield ServerSentEvent(event="protein", id=str(last), data={"number": number, **card})
                if now is None:
                    return
                yield ServerSentEvent(event="job", data=_job(desk, now).model_dump())
                if now.state not in OPEN_STATES:
                    return
                await heard.wait()


def add_results(app: FastAPI, desk: Desk) -> None:
    """What comes of a job: answers, the request, the report."""

    @app.get(
        "/v1/jobs/{id}/answers",
        tags=["Jobs"],
        summary="predictions.jsonl, one protein a line.",
        response_class=Response,
        responses={200: {"content": {LINES: {"schema": {"type": "string"}}}}},
    )
    def answers(id: str) -> Response:
        """What is answered so far, in the order asked, exactly as the command line writes it."""
        _found(desk, id)
        lines: Iterator[str] = read_lines(desk.store.path, id)
        headers = {"Content-Disposition": 'attachment; filename="predictions.jsonl"'}
        return StreamingResponse(lines, media_type=LINES, headers=headers)

    @app.get("/v1/jobs/{id}/answers/{number}", tags=["Jobs"], summary="One protein of a job, by its place.")
    def one_answer(id: str, number: Annotated[int, Path(ge=0, le=10**9)]) -> Prediction:
        """The line of predictions.jsonl of the protein that was asked as the so-many-th, counted from 0."""
        _found(desk, id)
        line = desk.store.protein(id, number)
        if line is None:
            raise refuse(404, "no_protein", "the address", "This protein is not answered.", "Wait, or look at the job.")
        return Response(line, media_type="application/json")  # type: ignore[return-value]

    @app.get(
        "/v1/jobs/{id}/request", response_model=Question, tags=["Jobs"], summary="The request that remakes the job."
    )
    def request(id: str) -> Response:
        """Sent to POST /v1/jobs of a server with the same model, it gives the same answers."""
        _found(desk, id)
        return Response(desk.store.request(id), media_type="application/json")

    @app.get(
        "/v1/jobs/{id}/report",
        tags=["Jobs"],
        summary="The report: one page to keep and to mail.",
        response_class=HTMLResponse,
    )
    async def report(id: str) -> HTMLResponse:
        """Pictures, sentences, tables and provenance in one HTML file that asks no network and runs nothing."""
        row = _found(desk, id)
        if row.state in OPEN_STATES:
            raise refuse(409, "not_done", "the job", "The report is made when the job has ended.", "Wait for the job.")
        html = await asyncio.wrap_future(desk.report(id))
        return HTMLResponse(html, headers={"Content-Security-Policy": REPORT_POLICY})

"""The desk: jobs wait here, and one thread asks the child about their proteins, a few of several jobs at a time.

    submit -> waiting -> batch (one packed row, jobs in turns, all asked the same) -> crew -> store -> listeners

A child that dies takes no job with it at once: each job of the batch is tried a second time by itself, so that only the
one that kills its child fails, with a sentence. A job that runs too long fails too, and what it has is kept.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from anfinsen.errors import AnfinsenError
from anfinsen.limits import LIMITS, Limits
from anfinsen.serve.contract import Problem
from anfinsen.serve.crew import Crew, WorkerDied
from anfinsen.serve.problem import refuse
from anfinsen.serve.store import Store

BATCH_RESIDUES, BATCH_PROTEINS = 8_192, 32
"""What is asked at once of each that computes: about one packed row; so long a new question may have to wait."""
DEATHS = 2
"""Deaths of the child after which a job is not tried again."""
GRACE_SECONDS = 5.0
"""Seconds that a batch may go on for after one of its jobs was cancelled; another child needs as long to start."""
FIRST_PACE = 0.003
"""Seconds a residue that answers are expected to take before any was given here."""
PURGE_SECONDS = 3_600
REPORT_SECONDS = 120
_log = logging.getLogger(__name__)


@dataclass
class _Waiting:
    """A job in memory: what is still to be asked, as numbers and residues."""

    id: str
    tasks: tuple[str, ...]
    todo: deque[tuple[int, int]]
    owner: str = ""
    deaths: int = 0
    started: float | None = None


@dataclass
class _Batch:
    """Proteins that are asked together: job, number and residues of each."""

    tasks: tuple[str, ...]
    jobs: list[_Waiting] = field(default_factory=list)
    proteins: list[tuple[str, int, int]] = field(default_factory=list)
    residues: int = 0
    is_interrupted: bool = False


class Desk:
    """All open jobs; `open` starts the child, `close` ends everything and keeps what is done."""

    def __init__(self, store: Store, crew: Crew, limits: Limits = LIMITS) -> None:
        self.store, self.crew, self.limits = store, crew, limits
        self.model: Mapping[str, str] = {}
        self.menu: Mapping[str, Mapping[str, Any]] = {}
        self.looks: tuple[str, ...] = ()
        self.fold_seconds: tuple[float, ...] = ()
        self.pace = FIRST_PACE
        self._changed = threading.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._errands: deque[tuple[Callable[[], None], Future[Any]]] = deque()
        self._listeners: dict[str, set[Callable[[], None]]] = {}
        self._now: _Batch | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="anfinsen-desk", daemon=True)

    def open(self) -> None:
        """Start the child, take up what an earlier server left, and begin."""
        told = self.crew.start()
        self.model, self.menu = told["model"], {entry["name"]: entry for entry in told["tasks"]}
        self.looks, self.fold_seconds = tuple(told.get("looks", ())), tuple(told.get("fold_seconds", ()))
        self.store.reopen(self.model)
        for id, todo in self.store.waiting():
            row = self.store.find(id)
            assert row is not None
            self._waiting[id] = _Waiting(id, row.tasks, deque(todo))
        self._thread.start()

    def close(self) -> None:
        """Stop asking; jobs that are not done go on when a server opens the same store."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            waiting = [made for _, made in self._errands]
        self.crew.stop()
        if self._thread.is_alive():
            self._thread.join(10)
        self.crew.close()  # should the thread have started another child meanwhile, this ends it too
        for made in waiting:
            made.cancel()

    # What requests ask of it -----------------------------------------------------------------------------------------

    def submit(
        self,
        request: str,
        questions: Sequence[tuple[int, Mapping[str, Any]]],
        *,
        tasks: tuple[str, ...],
        refused: Sequence[Problem] = (),
        merged: Sequence[str] = (),
        owner: str = "",
        is_kept: bool = True,
    ) -> str:
        """Keep a job and let it wait; its id is 128 random bits. Refused where too many wait."""
        id = secrets.token_hex(16)
        todo = deque((number, residues) for number, (residues, _) in enumerate(questions))
        with self._changed:
            self._refuse_crowd(owner)
            self._waiting[id] = _Waiting(id, tasks, deque(), owner)  # its place in the queue is taken
        try:
            self.store.add(
                id,
                request,
                questions,
                tasks=tasks,
                model=self.model,
                refused=[problem.model_dump() for problem in refused],
                merged=merged,
                is_kept=is_kept,
            )
        except BaseException:
            with self._changed:
                self._waiting.pop(id, None)
            raise
        with self._changed:
            self._waiting[id].todo = todo
            self._changed.notify_all()
        return id

    def _refuse_crowd(self, owner: str) -> None:
        mine = Counter(job.owner for job in self._waiting.values())[owner]
        for count, limit, whose in (
            (len(self._waiting), self.limits.queue_jobs, ""),
            (mine, self.limits.user_jobs, " of yours"),
        ):
            if count >= limit:
                raise refuse(
                    429,
                    "queue_full",
                    "the queue",
                    f"{count} jobs{whose} wait already, which is the limit.",
                    "Ask again when one of them is done.",
                    headers={"Retry-After": "30"},
                )

    def cancel(self, id: str) -> bool:
        """Ask nothing more for a job; what is answered stays. Whether it was still open."""
        with self._changed:
            job, batch = self._waiting.pop(id, None), self._now
        if job is not None and batch is not None and job in batch.jobs:
            timer = threading.Timer(GRACE_SECONDS, self._interrupt, [batch])
            timer.daemon = True
            timer.start()
        is_moved = self.store.move(id, "cancelled", "It was cancelled.")
        self._tell(id)
        return is_moved

    def _interrupt(self, batch: _Batch) -> None:
        """End a batch that still goes on though one of its jobs was cancelled; the others are asked again."""
        with self._changed:
            if self._now is batch:
                batch.is_interrupted = True
                self.crew.kill()

    def report(self, id: str) -> Future[str]:
        """The HTML of an ended job's report; made once, between two batches."""
        made: Future[str] = Future()
        if (html := self.store.report(id)) is not None:
            made.set_result(html)
            return made
        with self._changed:
            self._errands.append((lambda: self._report(id, made), made))
            self._changed.notify_all()
        return made

    def look(self, message: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """Have the child look closer at something, between two batches. Refused where too many wait."""
        made: Future[dict[str, Any]] = Future()
        with self._changed:
            if len(self._errands) >= self.limits.queue_jobs:
                raise refuse(
                    429,
                    "queue_full",
                    "the queue",
                    "Too much waits already.",
                    "Ask again.",
                    headers={"Retry-After": "30"},
                )
            self._errands.append((lambda: self._look(message, made), made))
            self._changed.notify_all()
        return made

    @contextmanager
    def listening(self, id: str, heard: Callable[[], None]) -> Iterator[None]:
        """Have `heard` called, from another thread, whenever something changes about a job."""
        with self._changed:
            self._listeners.setdefault(id, set()).add(heard)
        try:
            yield
        finally:
            with self._changed:
                self._listeners[id].discard(heard)
                if not self._listeners[id]:
                    del self._listeners[id]

    @property
    def open_jobs(self) -> int:
        """Jobs that wait or run."""
        return len(self._waiting)

    def _tell(self, id: str) -> None:
        with self._changed:
            listeners = list(self._listeners.get(id, ()))
        for heard in listeners:
            with suppress(RuntimeError):  # a listener whose loop was closed
                heard()

    # The thread ------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        purged = 0.0
        while not self._is_closing:
            if time.monotonic() - purged > PURGE_SECONDS or purged == 0.0:
                self.store.purge(days=self.limits.keep_days, size=self.limits.kept_bytes)
                purged = time.monotonic()
            with self._changed:
                errand = self._errands.popleft()[0] if self._errands else None
                batch = self._now = None if errand is not None else self._next()
                if errand is None and batch is None:
                    self._changed.wait(PURGE_SECONDS)
                    continue
            try:
                if errand is not None:
                    errand()
                elif batch is not None:
                    self._ask(batch)
            except Exception:  # noqa: BLE001 - the desk outlives whatever happens to one batch
                _log.exception("a batch failed")
                for job in batch.jobs if batch is not None else ():
                    self._fail(job, "Something broke here that should not. The server's log tells more.")
            self._now = None

    def _next(self) -> _Batch | None:
        """Proteins of the jobs in turns, beginning with the one that waits longest; a job that saw a death is alone."""
        ready = [job for job in self._waiting.values() if job.todo]
        if not ready:
            return None
        first = ready[0]
        together = (
            [job for job in ready if job.tasks == first.tasks and not job.deaths] if not first.deaths else [first]
        )
        batch = _Batch(first.tasks)
        while together:
            for job in tuple(together):
                number, residues = job.todo[0]
                hands = self.crew.hands
                is_full = len(batch.proteins) >= BATCH_PROTEINS * hands
                is_full |= batch.residues + residues > BATCH_RESIDUES * hands
                if batch.proteins and is_full:
                    together.remove(job)
                    continue
                job.todo.popleft()
                batch.proteins.append((job.id, number, residues))
                batch.residues += residues
                if job not in batch.jobs:
                    batch.jobs.append(job)
                if not job.todo:
                    together.remove(job)
        for job in batch.jobs:  # whoever was served stands behind those who were not
            self._waiting[job.id] = self._waiting.pop(job.id)
        return batch

    def _ask(self, batch: _Batch) -> None:
        now, longest = time.monotonic(), 60.0 * self.limits.job_minutes
        for job in batch.jobs:
            if job.started is None:
                job.started = now
                self.store.move(job.id, "running")
                self._tell(job.id)
        seconds = min(longest - (now - (job.started or now)) for job in batch.jobs)
        asked = self.store.questions([(id, number) for id, number, _ in batch.proteins])
        proteins = [one for one in asked if one is not None]
        left = deque(place for place, one in zip(batch.proteins, asked, strict=True) if one is not None)
        try:
            message = {"kind": "answer", "tasks": batch.tasks, "proteins": proteins}
            for reply in self.crew.ask(message, len(proteins), seconds):
                id, number, _ = left.popleft()
                self._keep(id, number, reply)
            self.pace += 0.3 * ((time.monotonic() - now) / max(1, batch.residues) - self.pace)  # newer counts for more
            for job in batch.jobs if len(batch.jobs) == 1 else ():
                job.deaths = 0  # it was another's fault, so it may be asked beside others again
        except (WorkerDied, AnfinsenError) as death:
            if self._is_closing:
                return
            _log.warning("the process that computes: %s", death)
            self._after_death(batch, left, death)
        for job in batch.jobs:
            if not job.todo and job.id in self._waiting:
                self._finish(job)
            elif time.monotonic() - (job.started or now) > longest:
                self._fail(job, self._too_long())

    def _keep(self, id: str, number: int, reply: Mapping[str, Any]) -> None:
        if "fault" in reply:
            problem = Problem(
                code="not_answered",
                where=f"record {reply['row']} ({reply['record']})",
                reason=reply["fault"],
                remedy=reply["remedy"] or "Leave it out.",
                row=reply["row"],
                record=reply["record"],
            )
            self.store.refuse(id, number, problem.model_dump())
        else:
            self.store.keep(id, number, reply["line"], reply["card"])
        self._tell(id)

    def _after_death(self, batch: _Batch, left: Sequence[tuple[str, int, int]], death: Exception) -> None:
        """Put back what was not answered; a job fails that was alone with the child when it died, and not for the
        first time.
        """
        is_late = isinstance(death, WorkerDied) and death.is_late
        for job in batch.jobs:
            mine = [(number, residues) for id, number, residues in left if id == job.id]
            if not mine:
                continue
            job.deaths += not batch.is_interrupted
            job.todo.extendleft(reversed(mine))
            if is_late and len(batch.jobs) == 1:
                self._fail(job, self._too_long())
            elif job.deaths >= DEATHS:
                self._fail(job, f"The process that computes ended while it answered this job, {DEATHS} times: {death}.")

    def _too_long(self) -> str:
        return f"It ran for {self.limits.job_minutes:g} minutes, which is the limit. What it answered is kept."

    def _finish(self, job: _Waiting) -> None:
        with self._changed:
            self._waiting.pop(job.id, None)
        self.store.move(job.id, "done")
        self._tell(job.id)

    def _fail(self, job: _Waiting, reason: str) -> None:
        with self._changed:
            self._waiting.pop(job.id, None)
        self.store.move(job.id, "failed", reason)
        self._tell(job.id)

    def _report(self, id: str, made: Future[str]) -> None:
        try:
            row, html = self.store.find(id), self.store.report(id)
            if html is None and row is not None:
                message = {"kind": "report", "job": id, "refused": list(row.refused)}
                (reply,) = self.crew.ask(message, 1, REPORT_SECONDS)
                html = str(reply["html"])
                self.store.keep_report(id, html)
            made.set_result(html or "")
        except (WorkerDied, AnfinsenError) as death:
            made.set_exception(AnfinsenError(f"The report could not be made: {death}.", remedy="Ask for it again."))

    def _look(self, message: Mapping[str, Any], made: Future[dict[str, Any]]) -> None:
        if not made.set_running_or_notify_cancel():
            return  # nobody waits for it any more
        try:
            (reply,) = self.crew.ask({"kind": "look", **message}, 1, self.limits.look_seconds)
        except (WorkerDied, AnfinsenError) as death:
            made.set_exception(AnfinsenError(f"It could not be looked at: {death}.", remedy="Ask for a shorter one."))
            return
        if "told" in reply:
            made.set_result(reply["told"])
        else:
            made.set_exception(AnfinsenError(reply["fault"], remedy=reply["remedy"]))

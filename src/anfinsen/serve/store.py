"""Jobs and their answers in one SQLite file: whole after every step, there after a restart, forgotten in time.

    job      a question: its request, how it stands, what was refused
    protein  one accepted record of a job; `place` says as which it was finished, NULL while it waits

Texts are packed by zlib, since per-residue answers are long. A lock beside the file keeps a second server out. What is
deleted is overwritten. It knows neither model nor network.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anfinsen.errors import UsageError
from anfinsen.serve.contract import State

FILE, LOCK = "jobs.sqlite", "lock.sqlite"
OPEN_STATES = ("queued", "running")
DAY = 86_400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    id TEXT PRIMARY KEY, state TEXT, reason TEXT, request BLOB, tasks TEXT, model TEXT, refused TEXT, merged TEXT,
    asked INT, is_kept INT, created REAL, started REAL, finished REAL, report BLOB, bytes INT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS protein (
    job TEXT, number INT, residues INT, question BLOB, place INT, line BLOB, card BLOB,
    PRIMARY KEY (job, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_place ON protein (job, place);
"""


@dataclass(frozen=True)
class Row:
    """A job as it lies in the store."""

    id: str
    state: State
    reason: str
    tasks: tuple[str, ...]
    model: Mapping[str, str]
    refused: tuple[Mapping[str, Any], ...]
    merged: tuple[str, ...]
    asked: int
    answered: int
    is_kept: bool
    created: float
    started: float | None
    finished: float | None


class Store:
    """The jobs of one server, in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder / FILE
        self._key = threading.RLock()
        self._lock = sqlite3.connect(folder / LOCK, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            self._lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            self._lock.close()
            raise UsageError(
                f"Another server works in '{folder}'.", remedy="Stop it, or give another folder with --state."
            ) from None
        self._base = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._base.executescript(
            f"PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON; {_SCHEMA}"
        )
        self.path.chmod(0o600)

    def close(self) -> None:
        """Let go of the folder."""
        with self._key:
            self._base.close()
            self._lock.close()

    def add(
        self,
        id: str,
        request: str,
        questions: Sequence[tuple[int, Mapping[str, Any]]],
        *,
        tasks: Sequence[str],
        model: Mapping[str, str],
        refused: Sequence[Mapping[str, Any]],
        merged: Sequence[str],
        is_kept: bool,
    ) -> None:
        """Keep a new job; `questions` are residues and packed examples."""
        rows = [(id, number, residues, _pack(one)) for number, (residues, one) in enumerate(questions)]
        size = sum(len(row[3]) for row in rows)
        told = (_pack(request), json.dumps(tasks), json.dumps(model), json.dumps(refused), json.dumps(merged))
        with self._key, self._base:
            self._base.execute("BEGIN")
            self._base.execute(
                "INSERT INTO job VALUES (?, 'queued', '', ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, ?)",
                (id, *told, len(rows), is_kept, time.time(), size + len(told[0])),
            )
            self._base.executemany("INSERT INTO protein VALUES (?, ?, ?, ?, NULL, NULL, NULL)", rows)

    def find(self, id: str) -> Row | None:
        """A job by its id."""
        found = self._one(
            "SELECT state, reason, tasks, model, refused, merged, asked, "
            "(SELECT COUNT(*) FROM protein WHERE job = job.id AND line IS NOT NULL), "
            "is_kept, created, started, finished FROM job WHERE id = ?",
            id,
        )
        if found is None:
            return None
        state, reason, *told, asked, answered, is_kept, created, started, finished = found
        tasks, model, refused, merged = (json.loads(text) for text in told)
        return Row(
            id=id,
            state=state,
            reason=reason,
            tasks=tuple(tasks),
            model=model,
            refused=tuple(refused),
            merged=tuple(merged),
            asked=asked,
            answered=answered,
            is_kept=bool(is_kept),
            created=created,
            started=started,
            finished=finished,
        )

    def waiting(self) -> list[tuple[str, list[tuple[int, int]]]]:
        """Open jobs in order, each with the numbers and residues of the proteins that are still to be answered."""
        with self._key:
            jobs = self._base.execute(
                "SELECT id FROM job WHERE state IN (?, ?) ORDER BY created", OPEN_STATES
            ).fetchall()
            todo = "SELECT number, residues FROM protein WHERE job = ? AND place IS NULL ORDER BY number"
            return [(id, self._base.execute(todo, (id,)).fetchall()) for (id,) in jobs]

    def questions(self, wanted: Sequence[tuple[str, int]]) -> list[dict[str, Any] | None]:
        """The packed examples of some proteins; none of a job that was forgotten meanwhile."""
        query = "SELECT question FROM protein WHERE job = ? AND number = ?"
        rows = [self._one(query, *one) for one in wanted]
        return [None if row is None else json.loads(_text(row[0])) for row in rows]

    def keep(self, job: str, number: int, line: str, card: Mapping[str, Any]) -> None:
        """Keep one answer; a job that was forgotten meanwhile, or a protein that is answered, is left as it is."""
        blobs = _pack(line), _pack(card)
        with self._key, self._base:
            self._base.execute("BEGIN")
            self._base.execute(
                "UPDATE protein SET line = ?, card = ?, "
                "place = (SELECT COALESCE(MAX(place), 0) + 1 FROM protein WHERE job = ?) "
                "WHERE job = ? AND number = ? AND place IS NULL",
                (*blobs, job, job, number),
            )
            self._base.execute("UPDATE job SET bytes = bytes + ? WHERE id = ?", (sum(map(len, blobs)), job))

    def refuse(self, job: str, number: int, problem: Mapping[str, Any]) -> None:
        """A protein that could not be answered: it counts as done, and the job says why."""
        with self._key, self._base:
            self._base.execute("BEGIN")
            self._base.execute(
                "UPDATE protein SET place = (SELECT COALESCE(MAX(place), 0) + 1 FROM protein WHERE job = ?) "
                "WHERE job = ? AND number = ?",
                (job, job, number),
            )
            self._base.execute(
                "UPDATE job SET refused = json_insert(refused, '$[#]', json(?)) WHERE id = ?",
                (json.dumps(problem), job),
            )

    def move(self, job: str, state: State, reason: str = "") -> bool:
        """Set how an open job stands; an ended one stays as it is. Whether it was moved."""
        now = time.time()
        started = now if state == "running" else None
        finished = None if state in OPEN_STATES else now
        with self._key:
            done = self._base.execute(
                "UPDATE job SET state = ?, reason = ?, started = COALESCE(started, ?), finished = ? "
                "WHERE id = ? AND state IN (?, ?)",
                (state, reason, started, finished, job, *OPEN_STATES),
            )
            return done.rowcount > 0

    def cards(self, job: str, after: int) -> list[tuple[int, int, dict[str, Any] | None]]:
        """Place, number and card of at most a hundred proteins that were finished after `after`; no card if refused."""
        with self._key:
            rows = self._base.execute(
                "SELECT place, number, card FROM protein WHERE job = ? AND place > ? ORDER BY place LIMIT 100",
                (job, after),
            ).fetchall()
        return [(place, number, card and json.loads(_text(card))) for place, number, card in rows]

    def protein(self, job: str, number: int) -> str | None:
        """The line of predictions.jsonl of one protein, counted from 0; None where it is not answered."""
        found = self._one("SELECT line FROM protein WHERE job = ? AND number = ?", job, number)
        return None if found is None or found[0] is None else json.loads(_text(found[0]))

    def request(self, job: str) -> str:
        """The request as it came."""
        text: str = json.loads(_text(self._one("SELECT request FROM job WHERE id = ?", job)[0]))
        return text

    def report(self, job: str) -> str | None:
        """The report, where it was already made."""
        found = self._one("SELECT report FROM job WHERE id = ?", job)
        return None if found is None or found[0] is None else _text(found[0])

    def keep_report(self, job: str, html: str) -> None:
        """Keep the report, so that it is made once."""
        blob = zlib.compress(html.encode(), 6)
        with self._key:
            self._base.execute("UPDATE job SET report = ?, bytes = bytes + ? WHERE id = ?", (blob, len(blob), job))

    def retain(self, job: str) -> None:
        """Keep a job whose asker was not to come back for it, after all."""
        with self._key:
            self._base.execute("UPDATE job SET is_kept = 1 WHERE id = ?", (job,))

    def forget(self, job: str) -> None:
        """Delete a job with everything that belongs to it."""
        with self._key, self._base:
            self._base.execute("BEGIN")
            self._base.execute("DELETE FROM protein WHERE job = ?", (job,))
            self._base.execute("DELETE FROM job WHERE id = ?", (job,))

    def purge(self, *, days: float, size: int) -> int:
        """Forget ended jobs that are older than `days`, then the oldest until all take less than `size` bytes."""
        with self._key:
            ended = self._base.execute(
                "SELECT id, finished, bytes FROM job WHERE state NOT IN (?, ?) ORDER BY finished", OPEN_STATES
            ).fetchall()
            (held,) = self._base.execute("SELECT COALESCE(SUM(bytes), 0) FROM job").fetchone()
            gone = 0
            for id, finished, bytes_ in ended:
                if finished >= time.time() - days * DAY and held <= size:
                    break
                self.forget(id)
                held, gone = held - bytes_, gone + 1
            if gone:
                self._base.execute("PRAGMA incremental_vacuum").fetchall()
            return gone

    def reopen(self, model: Mapping[str, str]) -> None:
        """After a restart: what nobody waits for any more is forgotten, running jobs queue again, others' jobs end."""
        with self._key:
            for (id,) in self._base.execute("SELECT id FROM job WHERE NOT is_kept").fetchall():
                self.forget(id)
            self._base.execute("UPDATE job SET state = 'queued' WHERE state = 'running'")
            rows = self._base.execute("SELECT id, model FROM job WHERE state = 'queued'").fetchall()
        for id, told in rows:
            if json.loads(told) != dict(model):
                self.move(id, "failed", "The server was started again with another model. Ask again.")

    def _one(self, query: str, *values: object) -> Any:
        with self._key:
            return self._base.execute(query, values).fetchone()


def read_lines(path: Path, job: str) -> Iterator[str]:
    """The lines of predictions.jsonl of a job, in the order asked, by whoever may read the file."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)) as base:
        query = "SELECT line FROM protein WHERE job = ? AND line IS NOT NULL ORDER BY number"
        for (blob,) in base.execute(query, (job,)):
            yield json.loads(_text(blob))


def _pack(value: Any) -> bytes:
    return zlib.compress(json.dumps(value).encode(), 1)


def _text(blob: bytes) -> str:
    return zlib.decompress(blob).decode()

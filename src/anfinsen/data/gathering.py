"""States on their way into a file: a kill loses no finished state, and no torn file is taken for whole.

    X.h5.part      an SQLite database: the states that are done, committed block by block
    .writing-X.h5  the file while it is written, in one go, from the file that stood there and from the part
    X.h5           appears by a rename when it is whole; then the part is deleted

HDF5, Parquet and Zarr files that are open when their process is killed may be unreadable; a database recovers. A run
into a file that is there already adds to it. Only one run at a time writes a file; the lock is the database's own, so
it goes with the process that held it. Memory does not grow with the number of proteins.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy

from anfinsen.data.store import DTYPES, About, Entry, Values, field_key, format_of, read_store
from anfinsen.errors import UsageError
from anfinsen.structure.protein import Protein

COMMIT_SECONDS, COMMIT_BYTES = 2.0, 64_000_000
"""A kill costs at most this much finished work, beside the block of proteins that was being computed."""
_WAIT_SECONDS = 0.2
_TABLES = """
CREATE TABLE IF NOT EXISTS about (text TEXT);
CREATE TABLE IF NOT EXISTS records (n INTEGER PRIMARY KEY, sha256 BLOB, id TEXT, UNIQUE (sha256, id));
CREATE TABLE IF NOT EXISTS states
    (n INTEGER PRIMARY KEY, sha256 BLOB UNIQUE, name BLOB, length INTEGER, is_kept INTEGER, value BLOB);
"""


class Gathering:
    """Use it as a context: `wants` each protein, `put` the states of the wanted and `settle`, in the end `finish`.

    Left without `finish`, by an error or a kill, what was put stays in the part for the next run.
    """

    def __init__(self, path: Path, about: About) -> None:
        self.path = path
        self.about = about
        self._format = format_of(path)
        self._part = path.with_name(f"{path.name}.part")
        self._beside = path.with_name(f".writing-{path.name}")
        self._replaced = path.with_name(f".replaced-{path.name}")
        self._committed, self._waiting_bytes = time.monotonic(), 0
        self._is_changed = self._is_deleted = False

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._database = _locked(self._part)
        try:
            self._recover()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        """Let go of the part, and leave none behind that holds nothing."""
        if self._database.in_transaction:
            self._database.execute("COMMIT")
        if not self._has_new():
            self._delete_part()
        self._database.close()

    def _has_new(self) -> bool:
        found = self._database.execute("SELECT 1 FROM states WHERE value IS NOT NULL AND NOT is_kept LIMIT 1")
        return found.fetchone() is not None

    def _delete_part(self) -> None:
        if self._is_deleted:
            return  # a part of this name may by now be another run's
        # both go while the lock is still held, the journal first: once the part is gone, its names are another run's
        self._database.execute("PRAGMA journal_mode = MEMORY")
        with suppress(PermissionError):  # Windows keeps an open file; what stays is a part with nothing new in it
            self._part.with_name(f"{self._part.name}-journal").unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
        self._is_deleted = True

    def wants(self, protein: Protein) -> bool:
        """Note the protein's id; true if its sequence has no states yet and nobody else will bring them."""
        sha256 = bytes.fromhex(protein.sha256)
        noted = self._database.execute(
            "INSERT OR IGNORE INTO records (sha256, id) VALUES (?, ?)", (sha256, _stored(protein.id))
        )
        name = bytes.fromhex(field_key(protein.sequence))
        wanted = self._database.execute(
            "INSERT OR IGNORE INTO states (sha256, name, length, is_kept) VALUES (?, ?, ?, 0)",
            (sha256, name, len(protein)),
        )
        self._is_changed |= noted.rowcount > 0
        return wanted.rowcount > 0

    def put(self, protein: Protein, values: Values) -> None:
        """Keep the states of a wanted protein."""
        value = numpy.ascontiguousarray(values, DTYPES[self.about.dtype]).tobytes()
        try:
            self._database.execute(
                "UPDATE states SET value = ? WHERE sha256 = ?", (value, bytes.fromhex(protein.sha256))
            )
        except (sqlite3.DataError, OverflowError):
            raise UsageError(
                f"The states of '{protein.id}' take {len(value):,} bytes, which is more than one entry may.",
                remedy="Use --dtype fp16, or --per window or protein.",
            ) from None
        self._waiting_bytes += len(value)

    def settle(self) -> None:
        """Commit what was put, if that is much or long ago; called where a run may go on from."""
        if self._waiting_bytes >= COMMIT_BYTES or time.monotonic() - self._committed >= COMMIT_SECONDS:
            self._commit()

    def finish(self) -> None:
        """Write the file, put it in its place, delete the part; no file is written for no states at all."""
        self._database.execute("COMMIT")
        if self._has_new() or (self._is_changed and self.path.exists()):
            _remove(self._beside)
            self._format.write(self._beside, self.about, self._entries())
            _flush(self._beside)
            self._take_place()
        self._delete_part()

    def _entries(self) -> Iterator[Entry]:
        """What the file held, then what is new, each in the order in which it was asked."""
        if self.path.exists():
            for entry in read_store(self.path)[1]:
                yield Entry(entry.sha256, entry.name, self._ids(entry.sha256), entry.length, entry.values)
        new = self._database.execute(
            "SELECT sha256, name, length, value FROM states WHERE NOT is_kept AND value IS NOT NULL ORDER BY n"
        )
        shape = (self.about.dim,) if self.about.per == "protein" else (-1, self.about.dim)
        for sha256, name, length, value in new:
            values = numpy.frombuffer(value, DTYPES[self.about.dtype]).reshape(shape)
            yield Entry(sha256.hex(), name.hex(), self._ids(sha256.hex()), length, values)

    def _ids(self, sha256: str) -> tuple[str, ...]:
        found = self._database.execute("SELECT id FROM records WHERE sha256 = ? ORDER BY n", (bytes.fromhex(sha256),))
        return tuple(name for (name,) in found)

    def _recover(self) -> None:
        """Go on from what a part and a file hold; refuse those of another model or another kind."""
        self._database.executescript(_TABLES)
        if self._replaced.exists() and not self.path.exists():
            self._replaced.rename(self.path)
        _remove(self._replaced)
        told = self._database.execute("SELECT text FROM about").fetchone()
        if told is not None:
            self._refuse_another(self._part, About.model_validate_json(told[0]))
            self._is_changed = True
        self._database.execute("BEGIN")
        if self.path.exists():
            about, entries = read_store(self.path)
            self._refuse_another(self.path, about)
            self._keep(entries)
        elif told is not None:
            self._database.execute("UPDATE states SET is_kept = 0")
        self._database.execute("DELETE FROM states WHERE value IS NULL AND NOT is_kept")
        if told is None:
            self._database.execute("INSERT INTO about VALUES (?)", (self.about.model_dump_json(),))
        self._commit()

    def _commit(self) -> None:
        self._database.execute("COMMIT")
        self._database.execute("BEGIN")
        self._committed, self._waiting_bytes = time.monotonic(), 0

    def _keep(self, entries: Iterator[Entry]) -> None:
        """Take over the index of the file that is there; its values stay in it."""
        self._database.execute("UPDATE states SET is_kept = 0")
        for entry in entries:
            sha256 = bytes.fromhex(entry.sha256)
            rows = [(sha256, name) for name in entry.ids]
            self._database.executemany("INSERT OR IGNORE INTO records (sha256, id) VALUES (?, ?)", rows)
            self._database.execute(
                "INSERT INTO states (sha256, name, length, is_kept) VALUES (?, ?, ?, 1) "
                "ON CONFLICT (sha256) DO UPDATE SET is_kept = 1",
                (sha256, bytes.fromhex(entry.name), entry.length),
            )

    def _refuse_another(self, path: Path, theirs: About) -> None:
        for name, value in theirs.model_dump().items():
            mine = getattr(self.about, name)
            if value != mine:
                raise UsageError(
                    f"'{path}' already holds states of another kind: its {name} is '{value}', now '{mine}' was asked.",
                    remedy="Give another file with --out, or delete that one.",
                )

    def _take_place(self) -> None:
        if self.path.is_dir():  # a folder cannot be renamed onto another
            self.path.rename(self._replaced)
        self._beside.rename(self.path)
        _remove(self._replaced)


def _locked(part: Path) -> sqlite3.Connection:
    """The database of a part, held by this process alone; waits while another run holds it."""
    is_told = False
    while True:
        part.touch()
        before = part.stat().st_ino
        database = sqlite3.connect(part, timeout=0, isolation_level=None)
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript("BEGIN EXCLUSIVE; COMMIT")
            if part.exists() and part.stat().st_ino == before:
                return database
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise
            if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                database.close()
                raise UsageError(
                    f"'{part}' is damaged: {error}.", remedy="Delete it; the states in it are computed again."
                ) from None
            if not is_told:
                logging.getLogger(__name__).warning("Another run is writing '%s'; waiting for it.", part.stem)
                is_told = True
        database.close()
        time.sleep(_WAIT_SECONDS)


def _stored(name: str) -> str:
    """A name as SQLite takes it: halves of letters, which stand for bytes that are no UTF-8, are written out."""
    return name.encode("utf-8", "backslashreplace").decode()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    for file in [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())

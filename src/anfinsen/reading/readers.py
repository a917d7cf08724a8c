"""From any source to proteins: FASTA, tables, structures, standard input, a bare sequence.

Every record of a source comes out once, in order: as an Example, as an InputError that says where and
why it is refused, or as Merged where the very same record stood before. One bad record never stops the
others; only a source that cannot be used as a whole raises, when its first item is asked for. Records
are read one at a time, and the ids that stood before lie on the disk. Knows nothing of tasks and models.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from anfinsen.data.elsewhere import at_hand
from anfinsen.data.example import Example
from anfinsen.errors import InputError, UsageError
from anfinsen.intake import opened, read_whole, refuse_noise
from anfinsen.limits import LIMITS, Limits
from anfinsen.reading.delimited import read_text_table
from anfinsen.reading.fasta import QUERY, read_fasta
from anfinsen.reading.letters import compact, mend, refuse_length, remark
from anfinsen.reading.raw import RawRecord, place
from anfinsen.reading.tables import read_parquet
from anfinsen.structure.formats import STRUCTURE_ENDINGS, read_chains
from anfinsen.structure.protein import Message, Protein

if TYPE_CHECKING:
    from anfinsen.reading.genes import Translate

Source = str | Path | IO[bytes]
STDIN = "-"
_BARE = re.compile(r"[A-Z]{10,}\*?|[A-Za-z]{40,}\*?")
"""Capitals, or a text too long for a mistyped file name."""


@dataclass(frozen=True)
class Merged:
    """A record that is not answered again because the same id with the same residues and conditions stood before.

    `into` is the row of the record that answers for it.
    """

    file: str
    row: int
    record: str
    into: int

    def __str__(self) -> str:
        """The sentence that a user is shown."""
        place = f"{self.file}, " if self.file else ""
        return (
            f"{place}record {self.row} ({self.record}): The same record stands in row {self.into}; it is answered once."
        )


def read_examples(
    source: Source,
    *,
    column: str | None = None,
    remove_gaps: bool = False,
    translate: Translate | None = None,
    limits: Limits = LIMITS,
) -> Iterator[Example | InputError | Merged]:
    """Proteins and the conditions that their table gives, refusals and twins, in the order of the source.

    `source` is a path (FASTA, CSV, TSV, Parquet, PDB, mmCIF or BinaryCIF by its ending, also packed with
    gzip; any other text is FASTA), '-' for standard input, an open binary stream of FASTA, or, where no
    such file exists, a bare sequence. `column` names the sequence column of a table. With `translate` (see
    `reading.genes`) the records are DNA or RNA, and each of their open reading frames is a protein.
    """
    source = at_hand(source)
    file = _label(source)
    records = _structure(source, file, limits) if _ending(source) in STRUCTURE_ENDINGS else None
    if records is None and translate is not None:
        genes = _records(source, file, column, limits.replaced(max_residues=limits.nucleotides))
        records = _judged(_translated(genes, file, translate), file, False, limits, lambda: False)
    elif records is None:
        raw = _records(source, file, column, limits)
        records = _judged(raw, file, remove_gaps, limits, _alignment_test(source, file, column, limits))
    yield from _told_apart(records, file, limits)


def read_records(
    records: Iterable[RawRecord | InputError], *, limits: Limits = LIMITS
) -> Iterator[Example | InputError | Merged]:
    """The same for records that came in no file, such as those of a request to the server."""
    yield from _told_apart(_judged(iter(records), "", False, limits, lambda: False), "", limits)


def _told_apart(
    records: Iterator[Example | InputError], file: str, limits: Limits
) -> Iterator[Example | InputError | Merged]:
    count = 0
    with closing(_Twins()) as twins:
        for count, record in enumerate(records, 1):
            if count > limits.records:
                raise InputError(
                    f"The file has more than {limits.records:,} records, which is the limit.",
                    remedy="Split it.",
                    file=file,
                )
            yield record if isinstance(record, InputError) else twins.judge(record, record.protein.row or count)
    if count == 0:
        raise InputError("The file has no records.", remedy="Give a file with at least one sequence.", file=file)


def count_records(source: Source, *, column: str | None = None) -> int | None:
    """How many records a file holds, refused ones included; None where it can be read only once."""
    source = at_hand(source)
    if not isinstance(source, str | Path) or not Path(source).is_file():
        return None
    if _ending(source) in STRUCTURE_ENDINGS:
        return sum(1 for _ in read_examples(source, column=column))
    return sum(1 for _ in _records(source, _label(source), column, LIMITS))


def read_proteins(
    source: Source,
    *,
    column: str | None = None,
    remove_gaps: bool = False,
    limits: Limits = LIMITS,
    on_merged: Callable[[Merged], None] = lambda merged: logging.getLogger(__name__).warning("%s", merged),
) -> Iterator[Protein | InputError]:
    """The proteins of `read_examples` without conditions; twins go to `on_merged`, by default into the log."""
    for record in read_examples(source, column=column, remove_gaps=remove_gaps, limits=limits):
        if isinstance(record, Merged):
            on_merged(record)
        else:
            yield record if isinstance(record, InputError) else record.protein


class _Twins:
    """Which ids stood before, with which residues and conditions: what makes a record new, a twin or a clash.

    They lie in a database of SQLite's without a name, which moves to the disk when it outgrows two megabytes.
    """

    def __init__(self) -> None:
        self._seen = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._seen.executescript(
            "PRAGMA journal_mode = OFF;"
            "CREATE TABLE first (id BLOB PRIMARY KEY, row, digest BLOB, conditions TEXT) WITHOUT ROWID;"
            "CREATE TABLE more (id BLOB, conditions TEXT, row, PRIMARY KEY (id, conditions)) WITHOUT ROWID;"
            "BEGIN"
        )

    def close(self) -> None:
        """Forget them."""
        self._seen.close()

    def judge(self, example: Example, row: int) -> Example | InputError | Merged:
        """The example itself if it asks something new."""
        protein = example.protein
        name = hashlib.sha256(protein.id.encode("utf-8", "surrogatepass")).digest()
        digest, conditions = bytes.fromhex(protein.sha256), repr(sorted(example.conditions.items()))
        found = self._seen.execute("SELECT row, digest, conditions FROM first WHERE id = ?", (name,)).fetchone()
        if found is None:
            self._seen.execute("INSERT INTO first VALUES (?, ?, ?, ?)", (name, row, digest, conditions))
            return example
        into, known, asked = found
        if digest != known:
            return InputError(
                f"The id '{protein.id}' stands already in record {into}, with another sequence.",
                remedy="Give each protein an id of its own.",
                file=protein.source,
                row=row,
                record=protein.id,
            )
        if conditions != asked:
            self._seen.execute("INSERT OR IGNORE INTO more VALUES (?, ?, ?)", (name, conditions, row))
            (into,) = self._seen.execute(
                "SELECT row FROM more WHERE id = ? AND conditions = ?", (name, conditions)
            ).fetchone()
        return example if into == row else Merged(protein.source, row, protein.id, into)


def _translated(
    records: Iterator[RawRecord | InputError], file: str, translate: Translate
) -> Iterator[RawRecord | InputError]:
    for record in records:
        if isinstance(record, InputError):
            yield record
        else:
            yield from translate(record, file)


def _judged(
    records: Iterator[RawRecord | InputError],
    file: str,
    remove_gaps: bool,
    limits: Limits,
    is_alignment: Callable[[], bool],
) -> Iterator[Example | InputError]:
    for record in records:
        if isinstance(record, InputError):
            yield record
            continue
        try:
            sequence, told = mend(record.raw, remove_gaps=remove_gaps, limits=limits, is_alignment=is_alignment)
        except InputError as error:
            yield place(error, file=file, row=record.row, record=record.id)
            continue
        messages = record.messages + told
        protein = Protein(record.id, sequence, record.description, file, record.row, messages=messages)
        yield Example(protein, conditions=record.conditions)


def _structure(source: Source, file: str, limits: Limits) -> Iterator[Example | InputError]:
    with opened(source, file=file, limits=limits) as reader:
        content = read_whole(reader, file=file, limits=limits)
    for row, found in enumerate(read_chains(file, content, limits=limits), 1):
        if isinstance(found, InputError):
            yield found
            continue
        try:
            refuse_length(len(found), limits)
        except InputError as error:
            yield place(error, file=file, row=row, record=found.id)
            continue
        told = found.messages + remark(found.sequence, limits)
        yield Example(replace(found, source=file, row=row, messages=told))


def _records(source: Source, file: str, column: str | None, limits: Limits) -> Iterator[RawRecord | InputError]:
    ending = _ending(source)
    if isinstance(source, str) and source != STDIN and not _exists(source):
        yield _bare(source)
        return
    if ending == ".parquet" and isinstance(source, str | Path):
        yield from read_parquet(source, column=column, limits=limits)
        return
    binary = sys.stdin.buffer if source == STDIN else source
    with opened(binary, file=file, limits=limits) as reader:
        head = reader.peek(4_096)[:4_096]
        refuse_noise(head, file)
        if ending in (".csv", ".tsv"):
            yield from read_text_table(reader, file=file, tabs=ending == ".tsv", column=column, limits=limits)
            return
        _refuse_structure_text(head, file)
        yield from read_fasta(reader, file=file, limits=limits)


def _bare(text: str) -> RawRecord:
    if _BARE.fullmatch(text.strip()):
        message = Message("info", f"This is no file but a sequence of letters; it is called '{QUERY}'.")
        return RawRecord(1, QUERY, text, messages=(message,))
    shown = text if len(text) <= 60 else text[:59] + "…"
    _refuse_id(shown)
    raise UsageError(
        f"There is no file '{shown}', and it is no sequence.",
        remedy="Give the path of a file, '-' for standard input, or at least 10 residues in capitals.",
    )


def _refuse_id(text: str) -> None:
    """An id of a public house is no file yet, and nothing is fetched unasked."""
    from anfinsen.reading.sources import TITLES, find_entry

    if entry := find_entry(text):
        raise UsageError(
            f"There is no file '{text}'; it may be an id of {TITLES[entry.house].removeprefix('The ')}.",
            remedy=f"Get it with: anfinsen fetch {entry.id}",
        )


def _alignment_test(source: Source, file: str, column: str | None, limits: Limits) -> Callable[[], bool]:
    """Whether all records of a source are equally long: a second reading, made only once and only when asked."""

    @cache
    def is_alignment() -> bool:
        if not isinstance(source, str | Path) or not _exists(source) or not Path(source).is_file():
            return False
        count, width = 0, 0
        try:
            for record in _records(source, file, column, limits):
                length = len(compact(record.raw)) if isinstance(record, RawRecord) else -1
                if count and length != width:
                    return False
                count, width = count + 1, length
        except InputError:
            return False  # the first reading meets the same fault and tells it
        return count > 1

    return is_alignment


def _refuse_structure_text(head: bytes, file: str) -> None:
    for start, name, ending in ((b"HEADER ", "PDB", ".pdb"), (b"ATOM  ", "PDB", ".pdb"), (b"data_", "mmCIF", ".cif")):
        if head.startswith(start):
            raise InputError(
                f"This is a structure in {name} format.", remedy=f"Give it a name that ends in {ending}.", file=file
            )


def _exists(path: str | Path) -> bool:
    """False also for a text that is too long to be a path, such as a pasted sequence."""
    try:
        return Path(path).exists()
    except OSError:
        return False


def _label(source: Source) -> str:
    if source == STDIN:
        return "standard input"
    if not isinstance(source, str | Path):
        return "the given text"
    return str(source) if isinstance(source, Path) or _exists(source) else ""


def _ending(source: Source) -> str:
    """The ending that says what a file holds, in lower case, '.gz' left out."""
    if not isinstance(source, str | Path) or source == STDIN:
        return ""
    name = Path(source).name.lower().removesuffix(".gz")
    return Path(name).suffix

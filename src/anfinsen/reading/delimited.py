"""CSV and TSV as raw records, one line at a time, with Python's csv module.

It is stricter here than a data-frame library: the very row that is ragged is named, and one unclosed
quotation mark costs one row, not the rest of the file. Knows nothing of letters or tasks.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from anfinsen.errors import InputError, UsageError
from anfinsen.intake import Line, lines
from anfinsen.limits import Limits
from anfinsen.reading.letters import Messages
from anfinsen.reading.raw import RawRecord, first_line, place
from anfinsen.reading.tables import Columns
from anfinsen.structure.protein import Message

_QUOTED_LINES = 1_000
"""Lines that one quoted cell may run over before its quotation mark counts as never closed."""


class TextRow(NamedTuple):
    """A row as it stands; row 0 is the header, with what is said about the whole file."""

    row: int
    cells: list[str]
    refusal: InputError | None = None
    messages: Messages = ()
    line: int | None = None
    """On which line of the file it begins, from 1."""


def read_text_table(
    reader: io.BufferedReader, *, file: str, tabs: bool, column: str | None, limits: Limits
) -> Iterator[RawRecord | InputError]:
    """The rows of a CSV or TSV file as raw records, counted from 1 after the header."""
    rows = read_cells(reader, file=file, tabs=tabs, limits=limits)
    header = next(rows)
    columns = Columns.find(header.cells, chosen=column, file=file, limits=limits)
    messages = header.messages
    for row, cells, refusal, *_ in rows:
        name = f"row-{row}"
        try:
            if columns.id is not None and columns.id < len(cells):
                name = cells[columns.id].strip() or name
            if refusal is not None:
                raise refusal
            record = columns.record(row, cells, limits)
        except InputError as error:
            yield place(error, file=file, row=row, record=name)
            continue
        yield RawRecord(row, record.id, record.raw, "", record.conditions, messages + record.messages)
        messages = ()


def read_cells(reader: io.BufferedReader, *, file: str, tabs: bool, limits: Limits) -> Iterator[TextRow]:
    """The header and then the rows of a CSV or TSV file as cells; a row that cannot be read says why."""
    rows = _rows(lines(reader, 2 * limits.max_residues + limits.cell_bytes))
    header = next(rows, None)
    if header is None:
        raise UsageError(f"{file} has no header.", remedy="Name the columns in its first line, such as id,sequence.")
    line, messages = first_line(header[1][0])
    if line.text.startswith(">"):
        raise UsageError(f"{file} is FASTA, not a table.", remedy="Give it a name that ends in .fasta.")
    mark = "\t" if tabs else _delimiter(line.text)
    if mark != "," and not tabs:
        shown = "tabs" if mark == "\t" else f"'{mark}'"
        messages += (Message("info", f"The file has {shown} between its columns."),)
    try:
        names = _cells((line, *header[1][1:]), mark)
    except InputError as error:
        raise UsageError(f"The header of {file} cannot be read: {error.reason}", remedy=error.remedy) from None
    yield TextRow(0, names, None, messages)
    row = 0
    for row, (number, group) in enumerate(rows, 1):
        cells: list[str] = []
        try:
            cells = _cells(group, mark)
            _refuse_ragged(cells, len(names), mark)
        except InputError as error:
            yield TextRow(row, cells, error, line=number)
        else:
            yield TextRow(row, cells, line=number)
    if row == 0:
        raise UsageError(f"{file} has a header and no rows.", remedy="Add at least one row.")


def _delimiter(header: str) -> str:
    """The sign that stands most often in the header; a comma where none does."""
    return max((",", ";", "\t"), key=header.count)


def _rows(source: Iterator[Line]) -> Iterator[tuple[int, tuple[Line, ...]]]:
    """Lines as rows, each with the number of its first: more than one where a quoted cell runs over line ends."""
    waiting: deque[Line] = deque()
    number = 0
    while True:
        line = waiting.popleft() if waiting else next(source, None)
        if line is None:
            return
        number += 1
        if not line.text.strip():
            continue
        group, size = [line], line.length
        while (
            sum(part.text.count('"') for part in group) % 2
            and len(group) < _QUOTED_LINES
            and size < csv.field_size_limit()
        ):
            more = waiting.popleft() if waiting else next(source, None)
            if more is None:
                break
            group.append(more)
            size += more.length
        if sum(part.text.count('"') for part in group) % 2:
            waiting.extendleft(reversed(group[1:]))
            group = group[:1]
        yield number, tuple(group)
        number += len(group) - 1


def _cells(group: tuple[Line, ...], mark: str) -> list[str]:
    if any(line.length > len(line.text) for line in group):
        size = sum(line.length for line in group)
        raise InputError(
            f"The row has {size:,} characters.", remedy="Shorten its cells; a sequence may be long, text not."
        )
    try:
        text = [line.text + "\n" for line in group]
        return next(csv.reader(text, delimiter=mark, strict=True))
    except csv.Error as error:
        if group[0].text.count('"') % 2:
            raise InputError(
                "A quotation mark in this row is never closed.", remedy="Close it, or take it out."
            ) from None
        raise InputError(f"The row is not valid CSV: {error}.", remedy="Put cells with quotes in quotes.") from None


def _refuse_ragged(cells: Sequence[str], width: int, mark: str) -> None:
    if len(cells) == width:
        return
    hint = "Write decimals with a point, and put cells that hold a comma in quotes." if mark == "," else ""
    raise InputError(
        f"The row has {len(cells)} cell{'s' if len(cells) != 1 else ''}; the header has {width}.",
        remedy=hint if len(cells) > width and hint else "Give each column one cell; an empty one is fine.",
    )

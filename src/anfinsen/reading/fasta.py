"""FASTA and bare sequences as raw records, one at a time, with no memory of the records before.

Text without '>' is one sequence called 'query'; when its lines are of different lengths it is probably
a list of sequences, and that is refused rather than joined.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from anfinsen.errors import InputError
from anfinsen.intake import Line, lines
from anfinsen.limits import Limits
from anfinsen.reading.letters import Messages
from anfinsen.reading.raw import RawRecord, first_line, place, split_header
from anfinsen.structure.protein import Message

QUERY = "query"
"""The id of a sequence that came without one."""


@dataclass
class _Open:
    """A record whose lines are still coming."""

    row: int
    header: Line | None
    parts: list[str] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    length: int = 0
    is_cut: bool = False

    def add(self, line: Line, limit: int) -> None:
        """Take one more line; beyond the limit only its length is kept."""
        self.length += line.length
        if self.length > limit:
            self.is_cut, self.parts = True, []
        elif line.text:
            self.parts.append(line.text)
        if self.header is None and line.text.strip():
            # Only three widths matter: the first, any other before the end, and the last.
            self.widths = [*self.widths, line.length] if len(self.widths) < 3 else self._merge_width(line.length)

    def _merge_width(self, width: int) -> list[int]:
        first, middle, last = self.widths
        return [first, middle if middle != first else last, width]


def read_fasta(reader: io.BufferedReader, *, file: str, limits: Limits) -> Iterator[RawRecord | InputError]:
    """The records of FASTA text, in order; a record that cannot be used is an InputError in its place."""
    # Twice the longest chain leaves room for blanks and digits; a header needs one more byte than allowed.
    limit = 2 * limits.max_residues
    messages: Messages = ()
    current: _Open | None = None
    row = 0
    for number, line in enumerate(lines(reader, max(limit, limits.header_bytes + 2))):
        if number == 0:
            line, messages = first_line(line)
        if line.text.startswith(">"):
            if current is not None:
                yield _close(current, messages, file, limits)
                messages = ()
            row += 1
            current = _Open(row, line)
        elif current is not None:
            current.add(line, limit)
        elif line.text.strip():
            row += 1
            current = _Open(row, None)
            current.add(line, limit)
    if current is not None:
        yield _close(current, messages, file, limits)


def _close(record: _Open, messages: Messages, file: str, limits: Limits) -> RawRecord | InputError:
    name = QUERY
    try:
        if record.header is None:
            description = ""
            _refuse_list(record.widths)
            if len(record.parts) > 1:
                messages += (Message("info", f"Without '>', {len(record.parts)} lines were joined to one sequence."),)
        else:
            name = record.header.text[1:].strip().split(" ")[0]
            name, description, told = split_header(_header(record.header, limits), record.row, limits)
            messages += told
        if record.is_cut:
            raise InputError(
                f"The record has {record.length:,} characters; the longest protein that is answered has "
                f"{limits.max_residues:,} residues.",
                remedy="Cut it into domains and give them as records of their own.",
            )
    except InputError as error:
        return place(error, file=file, row=record.row, record=name)
    return RawRecord(record.row, name, "\n".join(record.parts), description, messages=messages)


def _header(line: Line, limits: Limits) -> str:
    if line.length > limits.header_bytes + 1:
        raise InputError(
            f"The header has {line.length - 1:,} characters; the limit is {limits.header_bytes:,}.",
            remedy="Give the record a short name.",
        )
    return line.text[1:]


def _refuse_list(widths: list[int]) -> None:
    if any(width != widths[0] for width in widths[:-1]) or widths[-1] > widths[0]:
        raise InputError(
            "Without '>' this is one sequence, but its lines are of different lengths: is it a list of sequences?",
            remedy="Put a line with '>' and a name before each sequence.",
        )

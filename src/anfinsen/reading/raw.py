"""A record as it stands in a source, before its letters are judged: name, text, place, conditions.

Here stands what FASTA and tables share: the policy for names. A name is data: HTML and formulas in it
are kept as they are and escaped where they are written. Only what breaks a line, a file or an eye is
refused: control characters, signs that turn the direction of writing, bytes that are no text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from anfinsen.errors import InputError
from anfinsen.intake import Line
from anfinsen.limits import Limits
from anfinsen.reading.letters import Messages, name_character
from anfinsen.structure.protein import Message


@dataclass(frozen=True)
class RawRecord:
    """One record of a source; `row` counts from 1, `raw` is its text before `letters.mend`."""

    row: int
    id: str
    raw: str
    description: str = ""
    conditions: Mapping[str, float] = field(default_factory=dict)
    messages: Messages = ()


def first_line(line: Line) -> tuple[Line, Messages]:
    """The first line of a text without its byte order mark, and what is said once about the whole text."""
    told: Messages = ()
    if line.text.startswith("\ufeff"):
        line = line._replace(text=line.text[1:], length=line.length - 1)
        told += (Message("mended", "The byte order mark (U+FEFF) at the start of the file was removed."),)
    if "\r" in line.ending:
        kind = "Windows line ends (CR LF)" if "\n" in line.ending else "old Mac line ends (CR)"
        told += (Message("mended", f"The file has {kind}; they were read as line ends (LF)."),)
    return line, told


def place(error: InputError, *, file: str, row: int, record: str = "") -> InputError:
    """The same refusal with its place."""
    error.file, error.row, error.record = file, row, printable(record)
    return error


def printable(name: str) -> str:
    """A name that can be printed on one line, cut after 60 characters."""
    safe = "".join(letter if letter.isprintable() else "�" for letter in name)
    return safe if len(safe) <= 60 else safe[:59] + "…"


def split_header(header: str, row: int, limits: Limits) -> tuple[str, str, Messages]:
    """Id (the first word), description and messages of a header without its '>'; refuses hostile headers."""
    refuse_name(header.replace("\t", " "), "header", limits)
    words = header.split(maxsplit=1)
    if not words:
        return f"row-{row}", "", (no_name(row),)
    return words[0], words[1].strip() if len(words) > 1 else "", ()


def no_name(row: int) -> Message:
    """What is said about a record without a name."""
    return Message("mended", f"The record has no name; it is called 'row-{row}'.")


def refuse_name(name: str, kind: str, limits: Limits) -> None:
    """Refuse a name or header that is too long or holds signs that cannot be shown."""
    size = len(name.encode("utf-8", "surrogateescape"))
    if size > limits.header_bytes:
        raise InputError(
            f"The {kind} has {size:,} bytes; the limit is {limits.header_bytes:,}.",
            remedy="Give the record a short name.",
        )
    for letter in name:
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            raise InputError(
                f"The {kind} holds {_lower_first(name_character(letter))}, which cannot be shown.",
                remedy="Write the name in letters, digits and signs, as UTF-8 text.",
            )


def _lower_first(text: str) -> str:
    return "byte" + text[4:] if text.startswith("Byte") else text

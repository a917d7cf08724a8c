"""Tables as raw records: which column is which, what a cell may hold, and Parquet.

Every cell is text first: 'NA' in a sequence column is the peptide Asn-Ala, never 'missing'. Parquet is read
with pyarrow, which refuses damaged files; the reader of polars 2.1 ends the whole process on some. CSV and
TSV stand in `reading.delimited`. Knows nothing of letters or tasks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow
from pyarrow import parquet

from anfinsen.errors import InputError, UsageError, suggest
from anfinsen.limits import Limits
from anfinsen.reading.letters import Messages
from anfinsen.reading.raw import RawRecord, no_name, place, printable, refuse_name
from anfinsen.structure.protein import Message

SEQUENCE_COLUMNS = ("sequence", "seq", "aa_seq", "protein")
ID_COLUMNS = ("id", "name", "entry", "accession", "protein_id", "uniprot_id")
CONDITION_COLUMNS = {
    "temperature": "temperature",
    "ph": "ph",
    "growth_temperature": "growth_temperature",
    "ogt": "growth_temperature",
}
"""Columns, in lower case, that become `Example.conditions`, and the condition's name; degrees Celsius and pH."""
_RANGES = {"temperature": (-50.0, 150.0), "growth_temperature": (-50.0, 150.0), "ph": (-2.0, 16.0)}

_UNKNOWN = ("na", "n/a", "nan", "null", "none", "-", "?")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_BATCH = 2_000


@dataclass(frozen=True)
class Columns:
    """Where things stand in a row."""

    names: tuple[str, ...]
    sequence: int
    id: int | None
    conditions: Mapping[int, str]

    @classmethod
    def find(cls, names: Sequence[str], *, chosen: str | None, file: str, limits: Limits) -> Columns:
        """Recognise the columns by their names, or say which names there are."""
        if len(names) > limits.table_columns:
            raise UsageError(
                f"{file} has {len(names):,} columns; the limit is {limits.table_columns}.",
                remedy="Keep the columns with the sequence, the name and the conditions.",
            )
        folded = [name.strip().lower() for name in names]
        twice = sorted({name for name in folded if name and folded.count(name) > 1})
        if twice:
            raise UsageError(f"{file} has two columns called '{printable(twice[0])}'.", remedy="Rename one of them.")
        place_of = {name: at for at, name in enumerate(folded)}
        return cls(
            tuple(printable(name) for name in names),
            _sequence_column(place_of, chosen, [printable(name) for name in names], file),
            next((place_of[name] for name in ID_COLUMNS if name in place_of), None),
            {at: CONDITION_COLUMNS[name] for name, at in place_of.items() if name in CONDITION_COLUMNS},
        )

    def record(self, row: int, cells: Sequence[str], limits: Limits) -> RawRecord:
        """One row as a raw record; raises InputError without its place."""
        name = cells[self.id].strip() if self.id is not None else ""
        messages: Messages = () if name else (no_name(row),) if self.id is not None else ()
        refuse_name(name, "name", limits)
        for at, cell in enumerate(cells):
            size = len(cell.encode("utf-8", "surrogateescape"))
            if at != self.sequence and size > limits.cell_bytes:
                raise InputError(
                    f"The cell in column '{self.names[at]}' has {size:,} bytes; the limit is {limits.cell_bytes:,}.",
                    remedy="Shorten it, or take the column out.",
                )
        conditions: dict[str, float] = {}
        for at, condition in self.conditions.items():
            number, told = _read_number(cells[at], self.names[at])
            messages += told
            if number is not None:
                conditions[condition] = number
                refuse_impossible(number, condition, f"in column '{self.names[at]}'")
        return RawRecord(row, name or f"row-{row}", cells[self.sequence], conditions=conditions, messages=messages)


def read_parquet(path: str | Path, *, column: str | None, limits: Limits) -> Iterator[RawRecord | InputError]:
    """The rows of a Parquet file as raw records, a few thousand at a time."""
    file = str(path)
    with opened_parquet(path) as table:
        names = [str(name) for name in table.schema_arrow.names]
        columns = Columns.find(names, chosen=column, file=file, limits=limits)
        _refuse_no_text(table.schema_arrow.field(columns.sequence).type, columns, file)
        wanted = sorted({columns.sequence, *columns.conditions} | ({columns.id} if columns.id is not None else set()))
        for row, values in enumerate(_values(table, [names[at] for at in wanted]), 1):
            cells = [""] * len(names)
            for at, value in zip(wanted, values, strict=True):
                cells[at] = "" if value is None else str(value)
            try:
                yield columns.record(row, cells, limits)
            except InputError as error:
                yield place(error, file=file, row=row, record=cells[columns.id or 0])


@contextmanager
def opened_parquet(path: str | Path) -> Iterator[parquet.ParquetFile]:
    """A Parquet file; one that is not there, damaged or something else is refused, also while it is read."""
    if not Path(path).is_file():
        raise UsageError(f"There is no file '{path}'.", remedy="Give the path of a file.")
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as table:
            yield table
    except (pyarrow.ArrowException, OSError, MemoryError, UnicodeError):
        raise InputError(
            "The Parquet file is damaged, or is no Parquet file.", remedy="Write it again, or give CSV.", file=str(path)
        ) from None


def _values(table: parquet.ParquetFile, names: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for batch in table.iter_batches(batch_size=_BATCH, columns=list(names), use_threads=False):
        yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def _refuse_no_text(kind: pyarrow.DataType, columns: Columns, file: str) -> None:
    inner = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    if not (
        pyarrow.types.is_string(inner) or pyarrow.types.is_large_string(inner) or pyarrow.types.is_string_view(inner)
    ):
        raise UsageError(
            f"The column '{columns.names[columns.sequence]}' of {file} holds no text.",
            remedy="Name the column with the sequences: --column NAME.",
        )


def _sequence_column(place_of: Mapping[str, int], chosen: str | None, names: Sequence[str], file: str) -> int:
    if chosen is not None:
        if chosen.strip().lower() not in place_of:
            raise UsageError(f"{file} has no column '{chosen}'.", remedy=suggest(chosen, names))
        return place_of[chosen.strip().lower()]
    for name in SEQUENCE_COLUMNS:
        if name in place_of:
            return place_of[name]
    longest = max(names, key=len, default="")
    if len(longest) >= 30 and longest.isalpha():
        raise UsageError(f"The first line of {file} is a sequence, not a header.", remedy="Add a first line: sequence")
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    raise UsageError(
        f"{file} has no column called {', '.join(SEQUENCE_COLUMNS[:-1])} or {SEQUENCE_COLUMNS[-1]}; it has: {shown}.",
        remedy="Name the column with the sequences: --column NAME.",
    )


def _read_number(cell: str, column: str) -> tuple[float | None, Messages]:
    text = cell.strip()
    if not text:
        return None, ()
    if text.lower() in _UNKNOWN:
        return None, (Message("info", f"'{text}' in column '{column}' was read as unknown."),)
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text), ()
    if _NUMBER.fullmatch(text.replace(",", ".", 1)):
        raise InputError(
            f"'{text}' in column '{column}' has a decimal comma.", remedy=f"Write it as {text.replace(',', '.', 1)}."
        )
    raise InputError(
        f"'{printable(text)}' in column '{column}' is no number.",
        remedy="Write a number such as 37.5, or leave it empty.",
    )


def refuse_impossible(number: float, condition: str, where: str) -> None:
    """Refuse what no protein was ever put through; `where` says where the number stood."""
    low, high = _RANGES.get(condition, (-math.inf, math.inf))
    if low <= number <= high:
        return
    unit = "" if condition == "ph" else " °C"
    kelvin = condition != "ph" and 200 < number < 450
    raise InputError(
        f"{number:g} {where} is outside {low:g} to {high:g}{unit}" + (": is it in kelvin?" if kelvin else "."),
        remedy=f"Write it in degrees Celsius: {number - 273.15:g}."
        if kelvin
        else "Mend the number, or leave it empty.",
    )

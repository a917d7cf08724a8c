"""A table of answers as it comes: CSV, TSV, Parquet, FASTA in biotrainer's style, or two Python lists.

    >Seq1 SET=train TARGET=Nucleus        becomes a row with the columns id, sequence, target and split

Whatever it was, it leaves as `Whole`: cells, row numbers, refused records. It knows no role of a column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow

from anfinsen.errors import InputError, UsageError
from anfinsen.intake import opened
from anfinsen.limits import LIMITS
from anfinsen.reading.fasta import read_fasta
from anfinsen.tables.rows import Whole, read_whole_table

FASTA_ENDINGS = (".fasta", ".fa", ".faa")
TABLE_ENDINGS = (".csv", ".tsv", ".parquet", *FASTA_ENDINGS)
"""Endings by which a table of one's own is told from the name of a task."""
SEQUENCE, SEQUENCE_PAIR = "sequence", ("sequence_a", "sequence_b")
"""How the columns of given lists are called."""
_ATTRIBUTE = re.compile(r"(\w+)=(\S+)")


def is_table(name: str | Path) -> bool:
    """Whether a name means a table.

    >>> is_table("data.csv"), is_table("localization")
    (True, False)
    """
    return str(name).lower().removesuffix(".gz").endswith(TABLE_ENDINGS)


def is_file_name(name: str) -> bool:
    """Whether a name can only mean a file, be it there or not, and never a task, whose name has no dot.

    >>> is_file_name("data.xlsx"), is_file_name("localization")
    (True, False)
    """
    return "." in Path(name).name or Path(name).is_file()


def read_table(path: str | Path) -> Whole:
    """A CSV, TSV or Parquet table, or FASTA whose headers hold the answers, with all its columns."""
    ending = Path(Path(path).name.lower().removesuffix(".gz")).suffix
    return _read_fasta(path) if ending in FASTA_ENDINGS else read_whole_table(path)


def _read_fasta(path: str | Path) -> Whole:
    """FASTA whose headers hold their answers, as a table with the columns id, sequence, target and split."""
    file = str(path)
    rows: list[dict[str, str]] = []
    numbers: list[int] = []
    refused: list[InputError] = []
    with opened(path, file=file, limits=LIMITS) as reader:
        for record in read_fasta(reader, file=file, limits=LIMITS):
            if isinstance(record, InputError):
                refused.append(record)
                continue
            given = {key.upper(): value for key, value in _ATTRIBUTE.findall(record.description)}
            rows.append({"id": record.id, "sequence": record.raw, "target": given.get("TARGET", ""), **_set_of(given)})
            numbers.append(record.row)
    if not any(row["target"] for row in rows):
        raise UsageError(
            f"No header of {file} holds an answer.", remedy="Write headers such as >Seq1 TARGET=Nucleus, or give CSV."
        )
    names = ["id", "sequence", "target", *(["split"] if any("split" in row for row in rows) else [])]
    columns = [pyarrow.array([row.get(name, "") for row in rows], pyarrow.large_string()) for name in names]
    return Whole(file, pyarrow.table(columns, names), tuple(numbers), tuple(refused))


def _set_of(given: Mapping[str, str]) -> dict[str, str]:
    if "SET" not in given:
        return {}
    return {"split": "valid" if given.get("VALIDATION", "").lower() == "true" else given["SET"]}


def from_lists(
    sequences: Sequence[str] | Sequence[tuple[str, str]],
    labels: Sequence[object],
    more: Mapping[str, Sequence[object]] | None = None,
) -> Whole:
    """Two Python lists as a table; `more` are further columns, such as ids, a split or conditions.

    Where the first holds tuples of two sequences, the table is one of pairs.
    """
    columns: dict[str, Sequence[object]] = {**_sides(sequences), "label": labels, **(more or {})}
    for name, column in columns.items():
        if len(column) != len(sequences):
            raise UsageError(
                f"There are {len(sequences):,} sequences but {len(column):,} values of '{name}'.",
                remedy="Give one for each sequence.",
            )
    if not len(sequences):
        raise UsageError("The list of sequences is empty.", remedy="Give at least twenty sequences.")
    texts = [pyarrow.array([_text(value) for value in column], pyarrow.large_string()) for column in columns.values()]
    return Whole("the given lists", pyarrow.table(texts, list(columns)), tuple(range(1, len(sequences) + 1)))


def _sides(sequences: Sequence[str] | Sequence[tuple[str, str]]) -> dict[str, Sequence[object]]:
    if not any(isinstance(one, tuple) for one in sequences):
        return {SEQUENCE: sequences}
    for at, one in enumerate(sequences, 1):
        if not isinstance(one, tuple) or len(one) != 2:
            raise UsageError(
                f"Sequence {at} of the list is no pair, and others are.", remedy="Give two sequences in each place."
            )
    return {name: [str(one[side]) for one in sequences] for side, name in enumerate(SEQUENCE_PAIR)}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return ";".join(map(str, sorted(value) if isinstance(value, set | frozenset) else value))
    return str(value)

"""Sequences end to end: what a corpus is packed from, a public table or a file of the user's.

A table is read a few ten thousand rows at a time, and again each time it is asked; a file is read once, by the same
strict readers as everywhere. A sequence belongs to one split; one that comes without is for training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy
import pyarrow
from numpy.typing import NDArray
from pyarrow import compute, parquet

from anfinsen.data.bits import Letters
from anfinsen.errors import InputError
from anfinsen.reading.readers import Merged, read_examples
from anfinsen.sets.catalog import Table
from anfinsen.tables.roles import SPLIT
from anfinsen.tables.rows import read_whole_table

TRAIN = "train"
"""The split of sequences that come without one."""
_BATCH = 65_536


class Rows(NamedTuple):
    """N sequences of one split, end to end."""

    split: str
    letters: Letters
    lengths: NDArray[numpy.int64]
    ids: list[str]


class Source(Protocol):
    """Rows that can be read again, and where they come from."""

    @property
    def source(self) -> str:
        """What it is, in words."""

    @property
    def refused(self) -> Sequence[InputError]:
        """What could not be read."""

    def sha256(self) -> str:
        """The hash of the files."""

    def __iter__(self) -> Iterator[Rows]: ...


@dataclass(frozen=True)
class TableRows:
    """The rows of a public table, of all its splits, read anew each time and a part at a time."""

    table: Table
    refused: tuple[InputError, ...] = ()

    @property
    def source(self) -> str:
        """What it is, in words."""
        return f"{self.table.title} ({self.table.name})"

    def sha256(self) -> str:
        """The hash of the table's files, in their order."""
        return _hash_of(self.table.paths())

    def __iter__(self) -> Iterator[Rows]:
        table = self.table
        names = [table.id, table.sequence, SPLIT, *([table.drop] if table.drop else [])]
        for path in table.paths():
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=_BATCH, columns=names, use_threads=False):
                    kept = batch if table.drop is None else batch.filter(compute.invert(batch.column(table.drop)))
                    for split, theirs in table.splits.items():
                        chosen = kept.filter(compute.is_in(kept.column(SPLIT), pyarrow.array(theirs)))
                        if chosen.num_rows:
                            ids = [str(name) for name in chosen.column(table.id).to_pylist()]
                            yield Rows(split, *_letters(chosen.column(table.sequence)), ids)


@dataclass(frozen=True)
class FileRows:
    """The rows of a file of the user's, read once; a table with a column 'split' keeps its splits."""

    path: str
    rows: tuple[Rows, ...]
    refused: tuple[InputError, ...] = ()

    @classmethod
    def read(cls, path: str, column: str | None = None) -> FileRows:
        """Read and mend every sequence; what cannot be read is in `refused`."""
        found: dict[str, list[tuple[str, str]]] = {}
        refused: list[InputError] = []
        ending = Path(path.lower().removesuffix(".gz")).suffix
        table = read_whole_table(path) if ending in (".csv", ".tsv", ".parquet") else None
        if table is not None and SPLIT in table.folded:
            name = table.sequence_column(column)
            judged, _ = table.judged(name, None)
            refused += judged.refused
            for row, split, residues in zip(
                judged.numbers, judged.texts(judged.folded[SPLIT]), judged.residues[name], strict=True
            ):
                found.setdefault(split, []).append((f"row-{row}", residues))
        else:
            for record in read_examples(path, column=column):
                if isinstance(record, InputError):
                    refused.append(record)
                elif not isinstance(record, Merged):
                    found.setdefault(TRAIN, []).append((record.protein.id, record.protein.sequence))
        return cls(path, tuple(rows_of(split, records) for split, records in found.items()), tuple(refused))

    @property
    def source(self) -> str:
        """What it is, in words."""
        return Path(self.path).name

    def sha256(self) -> str:
        """The hash of the file."""
        return _hash_of([Path(self.path)])

    def __iter__(self) -> Iterator[Rows]:
        return iter(self.rows)


def rows_of(split: str, records: Iterable[tuple[str, str]]) -> Rows:
    """Ids and sequences as rows."""
    ids, sequences = zip(*records, strict=True)
    letters = numpy.frombuffer("".join(sequences).encode(), dtype=numpy.uint8)
    return Rows(split, letters, numpy.array([len(sequence) for sequence in sequences]), list(ids))


def _letters(column: pyarrow.Array) -> tuple[Letters, NDArray[numpy.int64]]:
    """The text of a column end to end, and how long each cell is."""
    text = column.cast(pyarrow.large_string())
    if not len(text):
        return numpy.zeros(0, numpy.uint8), numpy.zeros(0, numpy.int64)
    _, ends, letters = text.buffers()
    places = numpy.frombuffer(ends, dtype=numpy.int64)[text.offset : text.offset + len(text) + 1]
    return numpy.frombuffer(letters, dtype=numpy.uint8)[places[0] : places[-1]], numpy.diff(places)


def _hash_of(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()

"""A table with all its columns: read whole, judged row by row, its cells carried through as they are.

`reading.readers` keeps the sequence, the name and the conditions of a row, because an answer needs no more; here every
column stays. Rows that cannot be read and rows with bad residues are refused, each with its place. Knows nothing of
splits, labels and models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pyarrow

from anfinsen.data.elsewhere import at_hand
from anfinsen.errors import InputError, UsageError, suggest
from anfinsen.intake import opened, refuse_noise
from anfinsen.limits import LIMITS, Limits
from anfinsen.reading.delimited import read_cells
from anfinsen.reading.letters import Messages, mend
from anfinsen.reading.raw import place
from anfinsen.reading.tables import Columns, opened_parquet

PAIR_COLUMNS = (
    ("a", "b"),
    ("sequence_a", "sequence_b"),
    ("seq_a", "seq_b"),
    ("sequence_1", "sequence_2"),
    ("sequence1", "sequence2"),
    ("protein_a", "protein_b"),
    ("protein", "drug"),
    ("protein", "smiles"),
    ("target", "drug"),
    ("sequence", "drug"),
    ("sequence", "smiles"),
)
"""Names of two columns, in lower case, that make a table of pairs."""
_LOOKED_AT = 200
_MOSTLY = 0.9


@dataclass(frozen=True)
class Whole:
    """A table whose rows can be read: its cells, the number of each row in the file, and what was refused."""

    file: str
    cells: pyarrow.Table
    numbers: tuple[int, ...]
    refused: tuple[InputError, ...] = ()
    messages: Messages = ()
    residues: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each column that was judged, its sequences in clean letters."""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, as the file has them."""
        return tuple(self.cells.column_names)

    @cached_property
    def folded(self) -> dict[str, str]:
        """The names of the columns by their names in lower case."""
        return {name.strip().lower(): name for name in self.names}

    def column(self, name: str) -> str:
        """The column of that name, whatever its capitals; a wrong name is answered with the right one."""
        if name.strip().lower() not in self.folded:
            raise UsageError(f"{self.file} has no column '{name}'.", remedy=suggest(name, self.names))
        return self.folded[name.strip().lower()]

    def texts(self, name: str) -> list[str]:
        """The cells of a column as text, empty where there is nothing."""
        return ["" if value is None else str(value) for value in self.cells.column(name).to_pylist()]

    def pair_columns(self) -> tuple[str, str] | None:
        """The two columns of partners, where their names say so."""
        for one, other in PAIR_COLUMNS:
            if one in self.folded and other in self.folded:
                return self.folded[one], self.folded[other]
        return None

    def sequence_column(self, chosen: str | None, limits: Limits = LIMITS) -> str:
        """The column with the sequences; raises UsageError where there is none."""
        return self.names[Columns.find(self.names, chosen=chosen, file=self.file, limits=limits).sequence]

    def holds_proteins(self, name: str) -> bool:
        """Whether nearly all of the first cells of a column can be read as residues."""
        cells = list(dict.fromkeys(cell for cell in self.texts(name)[: 10 * _LOOKED_AT] if cell.strip()))[:_LOOKED_AT]
        return bool(cells) and sum(_is_protein(cell) for cell in cells) >= _MOSTLY * len(cells)

    def judged(self, name: str, id_column: str | None, limits: Limits = LIMITS) -> tuple[Whole, int]:
        """The table with the clean `residues` of a column, without the rows that have none.

        Also returns how many sequences had to be mended to be compared; the cells themselves stay as they are.
        """
        found: dict[str, str | InputError] = {}
        kept, clean, refused, mended = [], [], list(self.refused), 0
        ids = self.texts(id_column) if id_column is not None else None
        for at, cell in enumerate(self.texts(name)):
            if cell not in found:
                found[cell] = _residues(cell, limits)
            residues = found[cell]
            if isinstance(residues, InputError):
                again = InputError(residues.reason, remedy=residues.remedy, position=residues.position)
                record = ids[at] if ids is not None else f"row-{self.numbers[at]}"
                refused.append(place(again, file=self.file, row=self.numbers[at], record=record))
            else:
                kept.append(at)
                clean.append(residues)
                mended += residues != cell
        table = self.taken(kept)
        by_row = sorted(refused, key=lambda error: error.row or 0)
        return replace(table, refused=tuple(by_row), residues={**table.residues, name: tuple(clean)}), mended

    def taken(self, places: Sequence[int]) -> Whole:
        """Only these rows."""
        return replace(
            self,
            cells=self.cells.take(pyarrow.array(places, pyarrow.int64())),
            numbers=tuple(self.numbers[at] for at in places),
            residues={name: tuple(column[at] for at in places) for name, column in self.residues.items()},
        )


def read_whole_table(path: str | Path, *, limits: Limits = LIMITS) -> Whole:
    """A CSV, TSV or Parquet file with all its columns; the cells of CSV and TSV are text."""
    path = at_hand(path)
    ending = Path(Path(path).name.lower().removesuffix(".gz")).suffix
    if ending == ".parquet":
        with opened_parquet(path) as found:
            names = [str(name) for name in found.schema_arrow.names]
            _refuse_size(names, found.metadata.num_rows, str(path), limits)
            table = Whole(str(path), found.read(use_threads=False), tuple(range(1, found.metadata.num_rows + 1)))
    elif ending in (".csv", ".tsv"):
        table = _read_text(path, ending == ".tsv", limits)
    else:
        raise UsageError(
            f"'{path}' is no table by its name.", remedy="Give a file that ends in .csv, .tsv or .parquet."
        )
    if not len(table):
        first = f": {table.refused[0]}" if table.refused else "."
        raise InputError(f"No row of the table can be read{first}", remedy="Mend the file.", file=str(path))
    return table


def _read_text(path: str | Path, tabs: bool, limits: Limits) -> Whole:
    file = str(path)
    good: list[list[str]] = []
    numbers: list[int] = []
    refused: list[InputError] = []
    with opened(path, file=file, limits=limits) as reader:
        refuse_noise(reader.peek(4_096)[:4_096], file)
        rows = read_cells(reader, file=file, tabs=tabs, limits=limits)
        header = next(rows)
        names = [name.strip() for name in header.cells]
        _refuse_size(names, 0, file, limits)
        for row, cells, refusal, *_ in rows:
            if row > limits.records:
                _refuse_size(names, row, file, limits)
            if refusal is None:
                refusal = _unreadable(cells)
            if refusal is not None:
                refused.append(place(refusal, file=file, row=row, record=f"row-{row}"))
                continue
            good.append(cells)
            numbers.append(row)
    columns = [pyarrow.array([cells[at] for cells in good], pyarrow.large_string()) for at in range(len(names))]
    return Whole(file, pyarrow.table(columns, names), tuple(numbers), tuple(refused), header.messages)


def _refuse_size(names: Sequence[str], rows: int, file: str, limits: Limits) -> None:
    Columns.find(names, chosen=names[0] if names else None, file=file, limits=limits)
    if rows > limits.records:
        raise InputError(
            f"The file has more than {limits.records:,} records, which is the limit.", remedy="Split it.", file=file
        )


def _unreadable(cells: Sequence[str]) -> InputError | None:
    for cell in cells:
        try:
            cell.encode()
        except UnicodeEncodeError:
            return InputError("The row holds bytes that are not UTF-8 text.", remedy="Save the file as UTF-8.")
    return None


def _residues(cell: str, limits: Limits) -> str | InputError:
    try:
        return mend(cell, limits=limits)[0]
    except InputError as error:
        return error


def _is_protein(cell: str) -> bool:
    return isinstance(_residues(cell, LIMITS), str)

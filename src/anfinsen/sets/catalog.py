"""Public data sets: what each table holds, where its files lie on this machine, where they come from.

A task names its table here-style, in its own file:

    Table("localization/scl10.parquet", value="location", splits={"train": ("train_la",), "test": ("test",)}, ...)

The folder that holds the tables is `ANFINSEN_DATA`, else `../shared/data` beside the working folder. Data
files never travel with the package.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars

from anfinsen.data.example import Example, Value
from anfinsen.errors import MissingDataError, UnknownNameError
from anfinsen.structure.protein import Protein

VARIABLE = "ANFINSEN_DATA"


@dataclass(frozen=True)
class Table:
    """One public table: files, columns, splits, and the credit it is owed.

    `splits` maps our split names to values of the column `split_column`; `conditions` maps a condition's name
    to its column; rows in which the column `drop` is true are left out.
    """

    files: str
    splits: Mapping[str, tuple[str, ...]]
    title: str
    source: str
    licence: str
    id: str = "id"
    sequence: str = "sequence"
    value: str | None = None
    mask: str | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    drop: str | None = None
    split_column: str = "split"

    @property
    def name(self) -> str:
        """A short name for tables and cards, such as 'scl10'; of many files, their folder's."""
        path = Path(self.files)
        return path.parent.name if "*" in path.name else path.stem

    def paths(self) -> list[Path]:
        """The files on this machine; says what to get and from where if there are none."""
        found = sorted(data_folder().glob(self.files))
        if not found:
            raise MissingDataError(
                f"The table '{self.files}' ({self.title}) is not in {data_folder()}.",
                remedy=f"Get it from {self.source} ({self.licence}) and set {VARIABLE} to the folder "
                f"that holds '{self.files}'.",
            )
        return found

    def is_here(self) -> bool:
        """Whether the table is on this machine."""
        return any(data_folder().glob(self.files))

    def load(self, split: str) -> list[Example]:
        """The examples of one split, in the order of the file."""
        if split not in self.splits:
            raise UnknownNameError(f"split of {self.name}", split, self.splits)
        rows = polars.concat([polars.read_parquet(path) for path in self.paths()])
        rows = rows.filter(polars.col(self.split_column).cast(polars.String).is_in(self.splits[split]))
        if self.drop is not None:
            rows = rows.filter(~polars.col(self.drop))
        return [self._example(number, row) for number, row in enumerate(rows.iter_rows(named=True), 1)]

    def _example(self, number: int, row: Mapping[str, Any]) -> Example:
        value: Value | None = row[self.value] if self.value else None
        conditions = {name: float(row[column]) for name, column in self.conditions.items() if row[column] is not None}
        protein = Protein(id=str(row[self.id]), sequence=row[self.sequence], source=self.files, row=number)
        return Example(protein, value, row[self.mask] if self.mask else None, conditions)


def data_folder() -> Path:
    """The folder with the public tables; it need not exist."""
    return Path(os.environ.get(VARIABLE) or Path("..") / "shared" / "data")

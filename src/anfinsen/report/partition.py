"""A split table on its way out: the file with its new column, the refused rows beside it, the leaks as sentences.

The cells of the table are written as they came, so that nothing of the user's is changed; refused.csv is for
reading, and its cells are made harmless for spreadsheets. It knows how a split is shown, not how it is made.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow
from pyarrow import parquet
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from anfinsen.errors import UsageError
from anfinsen.report.paragraph import paragraph
from anfinsen.report.tables import write_refused, written_beside
from anfinsen.tables.partition import Parted
from anfinsen.tables.roles import SPLIT
from anfinsen.wording import refusals

REFUSED = "refused.csv"
_MARKS = {"error": "[bold red]Error:[/] ", "warning": "[yellow]Warning:[/] ", "info": ""}


def refuse_place(out: Path, source: Path) -> None:
    """Refuse a place where the split table cannot go, before anything is computed."""
    if out.suffix.lower() not in (".csv", ".tsv", ".parquet"):
        raise UsageError(f"'{out}' is no table by its name.", remedy="Give a file that ends in .csv, .tsv or .parquet.")
    if out.resolve() == source.resolve():
        raise UsageError(f"'{out}' is the table itself.", remedy="Give another file with --out.")


def write_parted(out: Path, parted: Parted) -> None:
    """Write the table with its column `split`, and the refused rows, if any, beside it."""
    cells = parted.table.cells
    names = pyarrow.array(parted.split.names.tolist(), pyarrow.string())
    has = parted.table.folded.get(SPLIT)
    cells = cells.drop_columns([has]) if has else cells
    cells = cells.append_column(SPLIT, names)
    if out.suffix.lower() == ".parquet":
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = out.with_name(f".writing-{out.name}")
        try:
            parquet.write_table(cells, beside)
            beside.replace(out)
        finally:
            beside.unlink(missing_ok=True)
    else:
        with written_beside(out) as file:
            writer = csv.writer(file, delimiter="\t" if out.suffix.lower() == ".tsv" else ",", lineterminator="\n")
            writer.writerow(cells.column_names)
            for batch in cells.to_batches(max_chunksize=2_000):
                columns = [["" if cell is None else cell for cell in column.to_pylist()] for column in batch.columns]
                writer.writerows(zip(*columns, strict=True))
    with written_beside(out.with_name(out.name + ".json")) as file:
        json.dump(dict(parted.split.record), file, indent=1)
    if parted.table.refused:
        write_refused(out.with_name(REFUSED), parted.table.refused)


def show_parted(parted: Parted, out: Path, console: Console) -> None:
    """What was done and what was found, in sentences."""
    for sentence in (str(parted.split), *parted.told):
        paragraph(console, sentence)
    for finding in sorted(parted.findings, key=lambda one: list(_MARKS).index(one.level)):
        console.print(_MARKS[finding.level] + escape(str(finding)))
    for sentence in refusals(parted.table.refused, out.with_name(REFUSED)):
        paragraph(console, sentence, style="red")
    paragraph(console, f"The table with its column '{SPLIT}' is in {out}.")


class SplitProgress(Progress):
    """A moving bar for each part of the work; called with what is done, how much of it, and of how much."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        super().__init__(*columns, console=console, transient=True, disable=not console.is_terminal)

    def __call__(self, what: str, done: int, total: int) -> None:
        """So much of this part is done."""
        row = next((task.id for task in self.tasks if task.description == what), None)
        self.update(self.add_task(what) if row is None else row, completed=done, total=total)

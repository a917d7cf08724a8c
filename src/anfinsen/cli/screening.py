"""The verb that ranks a library of molecules against a protein."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from anfinsen.cli.screen import Threads, app, notices, screen

if TYPE_CHECKING:
    from anfinsen.drug.molecule import Molecule
    from anfinsen.structure.protein import Protein


@app.command("screen")
def screen_library(
    target: Annotated[str, typer.Option(metavar="FILE", help="One protein: the same kinds of files as for predict.")],
    library: Annotated[
        str, typer.Option(metavar="FILE", help="Molecules: .smi, .sdf, .csv (packed or not), .parquet, or one SMILES.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for scores, tables and the page; goes on where it was.")] = Path(
        "screen"
    ),
    top: Annotated[int, typer.Option(min=1, max=200, help="Families whose first molecule is drawn.")] = 24,
    keep: Annotated[int, typer.Option(min=1, max=20_000, help="Best molecules in the ranking.")] = 1000,
    by: Annotated[str, typer.Option(help="affinity, or likeness to known ligands.")] = "affinity",
    known: Annotated[str | None, typer.Option(metavar="FILE", help="Molecules that are known to bind.")] = None,
    panel: Annotated[str | None, typer.Option(metavar="FILE", help="Proteins that a drug should leave alone.")] = None,
    kept: Annotated[
        Path | None, typer.Option(help="Folder in which molecules that were read are kept for the next screen.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="The column with the formulas, if its name is unusual.")] = None,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Folder of an affinity model.")] = None,
    threads: Threads = None,
) -> None:
    """Rank a library of any size against a protein: families first, with ranges, off-targets and warnings."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from anfinsen import runtime
    from anfinsen.data.kept import Shelf, kept_folder
    from anfinsen.data.library import count_rows
    from anfinsen.errors import UnknownNameError
    from anfinsen.inference.screening import BY, Screener, open_predictor
    from anfinsen.report.screening import Counts, write_screen_folder

    if by not in BY:
        raise UnknownNameError("way to rank", by, BY)
    runtime.use_threads(threads)
    protein, others = one_protein(target), _proteins(panel) if panel else []
    shelf = Shelf(kept or kept_folder(), children=runtime.threads())
    screener = Screener(open_predictor(bundle), protein, shelf, known=_known(known), by=by)
    rows = answered = there = 0
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), "left")
    with Progress(*columns, console=notices) as progress:
        bar = progress.add_task("molecules", total=count_rows(library))
        for done in screener.run(library, out, column=column):
            rows, answered = rows + done.rows, answered + done.answered
            there += done.rows if done.was_there else 0
            progress.update(bar, completed=rows)
    if there:
        screen.print(f"{there:,} rows were already answered in {escape(str(out))}.")
    if not answered:
        raise typer.Exit(_all_refused(out, library))
    first = write_screen_folder(out, screener, library, Counts(rows, answered), keep=keep, top=top, panel=others)
    for hit in first[:10]:
        far = "  far from training" if hit["far"] else ""
        numbers = f"pKd {hit['pkd']:.1f} ({hit['low']:.1f} to {hit['high']:.1f})"
        screen.print(f"{hit['rank']:>5}  [bold]{escape(hit['drug'])}[/]  {numbers}{far}")
    if by == "affinity" and all(hit["far"] for hit in first):
        notices.print("All of these are far from training, so the order is a guess: known ligands are a better guide.")
    refused = f"{rows - answered:,} are refused, see {out / 'refused.csv'}. " if rows > answered else ""
    screen.print(escape(f"{answered:,} molecules are ranked. {refused}The page is {out / 'report.html'}."))
    raise typer.Exit(3 if rows > answered else 0)


def _all_refused(out: Path, library: str) -> int:
    from anfinsen.inference.screening import refused
    from anfinsen.report.tables import write_refused

    write_refused(out / "refused.csv", refused(out, Path(library).name))
    notices.print(escape(f"Every row of {library} was refused; {out / 'refused.csv'} says why."))
    return 1


def one_protein(source: str) -> Protein:
    """The only protein of a file."""
    from anfinsen.errors import UsageError

    found = _proteins(source)
    if len(found) > 1:
        raise UsageError(f"The target holds {len(found):,} proteins.", remedy="Give one; others go into --panel.")
    return found[0]


def _proteins(source: str) -> list[Protein]:
    """The proteins of a file; a refusal ends the command, for a panel with a gap misleads."""
    from anfinsen.data.example import Example
    from anfinsen.data.readers import read_examples
    from anfinsen.errors import InputError, UsageError

    found = []
    for record in read_examples(source):
        if isinstance(record, InputError):
            raise record
        if isinstance(record, Example):
            found.append(record.protein)
    if not found:
        raise UsageError(f"{source} holds no protein.", remedy="Give at least one.")
    return found


def _known(source: str | None) -> list[Molecule]:
    from anfinsen.drug.reading import read_molecules
    from anfinsen.errors import InputError

    found = []
    for record in read_molecules(source) if source else ():
        if isinstance(record, InputError):
            raise record
        found.append(record)
    return found

"""The verb that ranks a library of molecules against a protein."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from anfinsen.cli.scaling import On, Workers, anywhere, crew, everywhere
from anfinsen.cli.screen import DRUGS, Threads, app, notices, screen, tell
from anfinsen.report.paragraph import paragraph
from anfinsen.wording import counted

if TYPE_CHECKING:
    from anfinsen.drug.molecule import Molecule
    from anfinsen.inference.screening import Done, Hit
    from anfinsen.report.screening import Counts
    from anfinsen.structure.protein import Protein

By = Annotated[
    str | None,
    typer.Option(help="likeness to the nearest known binder, or affinity; likeness where any is known if left out."),
]
Known = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Molecules that are known to bind, beside those that come with Anfinsen; or 'none', to ask no binders.",
    ),
]


@app.command("screen", rich_help_panel=DRUGS)
@anywhere
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
    by: By = None,
    known: Known = None,
    panel: Annotated[str | None, typer.Option(metavar="FILE", help="Proteins that a drug should leave alone.")] = None,
    kept: Annotated[
        Path | None, typer.Option(help="Folder in which molecules that were read are kept for the next screen.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="The column with the formulas, if its name is unusual.")] = None,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Folder of an affinity model.")] = None,
    on: On = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Rank a library of any size against a protein by what is known to bind it or its relatives: families first."""
    from anfinsen import runtime
    from anfinsen.data.elsewhere import at_hand
    from anfinsen.errors import UnknownNameError
    from anfinsen.inference.screening import BY, Screener, open_predictor, screening
    from anfinsen.inference.spread import spread
    from anfinsen.kinship.kin import NOBODY as NONE
    from anfinsen.reading.kept import Shelf, kept_folder
    from anfinsen.reading.library import read_library
    from anfinsen.report.screening import write_screen_folder
    from anfinsen.sets.known_binders import NOBODY, find_binders

    if by is not None and by not in BY:
        raise UnknownNameError("way to rank", by, BY)
    runtime.use_threads(threads)
    library, shelf_folder = at_hand(library), (kept or kept_folder()).absolute()
    next(iter(read_library(library, column=column)), None)  # one that cannot be read is told before the folder is taken
    protein, others = one_protein(target), _proteins(panel) if panel else []
    ligands, along = ([], NOBODY) if known == NONE else (_known(known), find_binders(protein.sequence))
    shelf = Shelf(shelf_folder, children=runtime.threads())
    screener = Screener(open_predictor(bundle), protein, shelf, known=ligands, along=along, by=by)
    paragraph(screen, screener.choice)
    with crew(on, workers) as cluster:
        over = spread(cluster, partial(screening, everywhere(bundle), protein, shelf_folder, ligands, along, by))
        counts = _watched(screener.run(library, out, column=column, over=over), library, out)
    if not counts.answered:
        raise typer.Exit(_all_refused(out, library))
    first = write_screen_folder(out, screener, library, counts, keep=keep, top=top, panel=others)
    for hit in first[:10]:
        screen.print(f"{hit['rank']:>5}  [bold]{escape(hit['drug'])}[/]  {_numbers(hit)}")
    refused = f"{counts.refused:,} refused, see {out / 'refused.csv'}. " if counts.refused else ""
    ranked = counted(counts.answered, "molecule is", "molecules are")
    paragraph(screen, f"{ranked} ranked. {refused}The page is {out / 'report.html'}.")
    raise typer.Exit(3 if counts.refused else 0)


def _numbers(hit: Hit) -> str:
    """How like a known binder a hit is, where one is known, and how tightly it should bind."""
    known = " (known)" if hit["known_itself"] else ""
    alike = "" if hit["known_likeness"] is None else f"likeness {hit['known_likeness']:.2f}{known}  "
    far = "  far from training" if hit["far"] else ""
    return f"{alike}pKd {hit['pkd']:.1f} ({hit['low']:.1f} to {hit['high']:.1f}){far}"


def _watched(shards: Iterable[Done], library: str, out: Path) -> Counts:
    """The shards as they are done, with a bar; how many rows they have."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from anfinsen.reading.library import count_rows
    from anfinsen.report.screening import Counts

    rows = answered = there = 0
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), "left")
    with Progress(*columns, console=notices, disable=not notices.is_terminal) as progress:
        bar = progress.add_task("molecules", total=count_rows(library))
        for done in shards:
            rows, answered = rows + done.rows, answered + done.answered
            there += done.rows if done.was_there else 0
            progress.update(bar, completed=rows)
    if there:
        paragraph(screen, f"{counted(there, 'row was', 'rows were')} already answered in {out}.")
    return Counts(rows, answered)


def _all_refused(out: Path, library: str) -> int:
    from anfinsen.inference.screening import refused
    from anfinsen.report.tables import write_refused

    write_refused(out / "refused.csv", refused(out, Path(library).name), has_lines=True)
    tell(f"Every row of {library} was refused; {out / 'refused.csv'} says why.")
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
    from anfinsen.errors import InputError, UsageError
    from anfinsen.reading.readers import read_examples

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
    from anfinsen.data.elsewhere import at_hand
    from anfinsen.drug.reading import read_molecules
    from anfinsen.errors import InputError

    found = []
    for record in read_molecules(at_hand(source)) if source else ():
        if isinstance(record, InputError):
            raise record
        found.append(record)
    return found

"""The verb that folds: sequences go in, structures with their confidence come out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from anfinsen.cli.scaling import anywhere
from anfinsen.cli.screen import ASK, Bundled, Column, Raw, Source, Threads, app, leave, notices, say
from anfinsen.wording import counted

if TYPE_CHECKING:
    from anfinsen.inference.fold import Fold, Folds
    from anfinsen.structure.protein import Protein


@app.command(rich_help_panel=ASK)
@anywhere
def fold(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for structures, tables, pictures and the page.")] = Path("folds"),
    homodimer: Annotated[
        bool, typer.Option("--homodimer", help="Fold each protein with a copy of itself, joined by a linker.")
    ] = False,
    partner: Annotated[
        str | None, typer.Option(help="A file with one protein that is folded with each of FILE, joined by a linker.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="An ESMFold checkpoint on this machine, by name or folder, instead of our folder."),
    ] = None,
    no_templates: Annotated[
        bool,
        typer.Option("--no-templates", help="Let the network answer alone; lean on no known structure."),
    ] = False,
    column: Column = None,
    raw_csv: Raw = False,
    bundle: Bundled = None,
    threads: Threads = None,
) -> None:
    """Fold every protein in FILE: a 3-D model with confidence, contacts and expected errors, and a page."""
    from anfinsen import runtime
    from anfinsen.errors import InputError, UsageError
    from anfinsen.inference.fold import answered
    from anfinsen.reading.readers import read_proteins
    from anfinsen.report.fold import PAGE, FoldFolder

    if homodimer and partner:
        raise UsageError("--homodimer and --partner were both given.", remedy="Give one of them.")
    if model and bundle:
        raise UsageError("--model and --bundle were both given.", remedy="Give one of them.")
    runtime.use_threads(threads)
    folds, about = _opened(model, bundle, templates=not no_templates)
    other = _partner(partner) if partner else None
    records = list(read_proteins(source, column=column))
    refused = [record for record in records if isinstance(record, InputError)]
    proteins = [record for record in records if not isinstance(record, InputError)]
    _announce(proteins, folds, homodimer, other)
    folder, done = FoldFolder(out, raw=raw_csv), 0
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notices, transient=True, disable=not notices.is_terminal) as progress:
        bar = progress.add_task("folding", total=sum(map(_cost, proteins)))
        for protein, found in zip(proteins, answered(proteins, folds, other, homodimer), strict=True):
            progress.update(bar, advance=_cost(protein), description=f"folded {escape(protein.id)}")
            if isinstance(found, InputError):
                refused.append(found)
                continue
            folder.add(found)
            done += 1
            _tell(found)
    folder.close(refused, about)
    where = f"The page is {out / PAGE}; model.cif and model.pdb of each protein lie beside it."
    leave(refused, out / "refused.csv", answered=done, where=where)


def _opened(model: str | None, bundle: Path | None, *, templates: bool) -> tuple[Folds, dict[str, str]]:
    """Whatever folds, and the lines at the foot of the page."""
    from anfinsen import __version__

    if model:
        from anfinsen.inference.esmfold import ESMFold

        return ESMFold.load(model), {"Anfinsen": __version__, "Model": model}
    from anfinsen.inference.fold import Builder
    from anfinsen.report.origin import origin

    builder = Builder.load(bundle, templates=templates)
    return builder, origin(builder.folder.bundle)


def _partner(file: str) -> Protein:
    from anfinsen.errors import InputError, UsageError
    from anfinsen.reading.readers import read_proteins

    first = next(iter(read_proteins(file)), None)
    if isinstance(first, InputError):
        raise first
    if first is None:
        raise UsageError(f"'{file}' holds no protein.", remedy="Give a file with the partner's sequence.")
    return first


def _cost(protein: Protein) -> float:
    from anfinsen.inference.fold import seconds

    return seconds(len(protein))


def _beside(protein: Protein, homodimer: bool, other: Protein | None) -> int:
    """Residues that are folded together with a protein."""
    return len(protein) if homodimer else 0 if other is None else len(other)


def _announce(proteins: list[Protein], folds: Folds, homodimer: bool, other: Protein | None) -> None:
    """How long and how much memory it will take, before it is begun."""
    from anfinsen.inference.fold import LINKER, refusal, seconds

    proteins = [one for one in proteins if refusal(one, folds, partner=_beside(one, homodimer, other)) is None]
    if not proteins:
        return
    beside = [_beside(one, homodimer, other) for one in proteins]
    sizes = [len(one) + (more + len(LINKER) if more else 0) for one, more in zip(proteins, beside, strict=True)]
    wait = sum(map(seconds, sizes))
    about = f"{wait:.0f} seconds" if wait < 90 else f"{wait / 60:.0f} minutes"
    notices.print(
        f"{counted(len(proteins), 'protein')}, the longest of {max(sizes):,} residues: about {about} on one core with "
        f"the embedded folder, {folds.memory(max(sizes)) / 1e9:.1f} GB beside the weights."
    )


def _tell(found: Fold) -> None:
    say(found.say(), name=found.protein.id)
    for message in found.messages:
        say(f"{message.level}: {message.text}", style="yellow" if message.level == "warning" else "dim")

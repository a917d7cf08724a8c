"""Verbs that answer: a file of proteins goes in, answers or states come out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import track

from anfinsen.cli.scaling import On, Part, Workers, anywhere, crew, everywhere, part_of
from anfinsen.cli.screen import (
    ASK,
    Bundled,
    Column,
    Given,
    Raw,
    Relatives,
    Source,
    Threads,
    app,
    notices,
    reading,
    screen,
)
from anfinsen.errors import UsageError
from anfinsen.report.paragraph import paragraph

if TYPE_CHECKING:
    from anfinsen.inference.jobs import Record
    from anfinsen.inference.predictor import Predictor
    from anfinsen.reading.genes import Translate


@app.command(rich_help_panel=ASK)
@anywhere
def predict(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="FASTA (also .gz, or - for standard input), CSV, Parquet, PDB, mmCIF, or a bare sequence.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the answers; the same folder again goes on where it stopped.")
    ] = Path("predictions"),
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Only this task; may be given again. See `anfinsen tasks`.")
    ] = None,
    column: Column = None,
    partner: Annotated[str | None, typer.Option(help="The second column, where a model asks about pairs.")] = None,
    condition: Given = None,
    remove_gaps: Annotated[bool, typer.Option("--remove-gaps", help="Take '-' and '.' out of the sequences.")] = False,
    raw_csv: Raw = False,
    translate: Annotated[
        bool, typer.Option("--translate", help="FILE holds DNA or RNA: find its genes and ask about their proteins.")
    ] = False,
    code: Annotated[
        int | None, typer.Option(help="NCBI's number of the genetic code; 1 is the standard, 11 that of bacteria.")
    ] = None,
    shortest: Annotated[int | None, typer.Option(help="Residues of the shortest gene that is looked for; 50.")] = None,
    relatives: Relatives = None,
    bundle: Bundled = None,
    part: Part = None,
    on: On = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Answer every question about every protein in FILE; write tables and a report."""
    from anfinsen import runtime
    from anfinsen.inference.jobs import predicting, run_job, under_conditions
    from anfinsen.inference.predictor import Predictor
    from anfinsen.inference.spread import spread
    from anfinsen.report.folder import write_folder
    from anfinsen.report.watcher import Watcher

    runtime.use_threads(threads)
    load = partial(Predictor.load, everywhere(bundle), task or (), relatives=relatives)
    with reading(relatives):
        predictor = load()
    genes = _genes(translate, code, shortest)
    found, total = _questions(source, predictor, column, partner, remove_gaps, genes)
    records = under_conditions(part_of(found, part), condition or (), predictor.tasks)
    with (
        crew(on, workers) as cluster,
        Watcher(screen, predictor.tasks, total, predictor.bundle.records) as watcher,
    ):
        over = spread(cluster, partial(predicting, load))
        name = f"{source}, part {part}" if part else source
        result = run_job(records, predictor, out, source=name, on_answer=watcher, over=over)
        write_folder(out, result, predictor, raw_csv=raw_csv)
    watcher.conclude(result, out)
    raise typer.Exit(result.exit_code)


def _questions(
    source: str,
    predictor: Predictor,
    column: str | None,
    partner: str | None,
    remove_gaps: bool,
    genes: Translate | None,
) -> tuple[Iterable[Record], int | None]:
    """The proteins or pairs of a source, and how many there are if that is known beforehand."""
    from anfinsen.reading.readers import count_records, read_examples
    from anfinsen.tables.pairs import read_pairs

    if predictor.of_pairs:
        known = [one.name for task in predictor.tasks for one in task.conditions]
        pairs = read_pairs(source, column=column or "", partner=partner or "", conditions=known)
        return pairs, len(pairs)
    found = read_examples(source, column=column, remove_gaps=remove_gaps, translate=genes)
    return found, count_records(source, column=column) if genes is None else None


def _genes(translate: bool, code: int | None, shortest: int | None) -> Translate | None:
    """How genes are translated, or None where proteins are given."""
    if not translate:
        if code is not None or shortest is not None:
            flag = "--code" if code is not None else "--shortest"
            raise UsageError(f"{flag} says how genes are read.", remedy="Say --translate too, or leave it out.")
        return None
    from anfinsen.reading.genes import SHORTEST, STANDARD, translator

    return translator(STANDARD if code is None else code, SHORTEST if shortest is None else shortest)


@app.command(rich_help_panel=ASK)
@anywhere
def embed(
    source: Source,
    out: Annotated[
        Path,
        typer.Option(help="File for the states: .h5, .parquet or .zarr. The same file again goes on, or is added to."),
    ],
    per: Annotated[
        Literal["residue", "window", "protein"],
        typer.Option(help="One state a residue, the mean of each window of 32 residues, or the mean of each protein."),
    ] = "protein",
    layer: Annotated[str, typer.Option(help="'last', or the number of a layer; 0 is the embedding.")] = "last",
    dtype: Annotated[
        Literal["fp16", "fp32"], typer.Option(help="Half precision takes half the room, and is exact to three digits.")
    ] = "fp16",
    column: Column = None,
    bundle: Bundled = None,
    backbone: Annotated[
        str | None, typer.Option(help="A public checkpoint instead, such as facebook/esm2_t12_35M_UR50D.")
    ] = None,
    part: Part = None,
    on: On = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Write the states that the model makes of every protein in FILE: numbers for models of your own."""
    from anfinsen import runtime
    from anfinsen.inference.embedder import Embedder, conclusion, embed_file, embedding
    from anfinsen.inference.spread import spread
    from anfinsen.reading.readers import count_records, read_examples
    from anfinsen.report.tables import write_refused

    runtime.use_threads(threads)
    load = partial(Embedder.load, everywhere(bundle), backbone, per=per, layer=layer, dtype=dtype)
    embedder = load()
    total = count_records(source, column=column)
    found = part_of(read_examples(source, column=column), part)
    records = track(found, "embedding", total, console=notices, transient=True, disable=not notices.is_terminal)
    with crew(on, workers) as cluster:
        result = embed_file(records, embedder, out, over=spread(cluster, partial(embedding, load)))
        write_refused(out.with_name("refused.csv"), result.refused)
    for sentence in conclusion(result, embedder.about, out):
        paragraph(screen, sentence)
    raise typer.Exit(result.exit_code)

"""Verbs about drugs: how tightly they hold a protein, and the model that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anfinsen.cli.scaling import anywhere
from anfinsen.cli.screen import DRUGS, OWN, Threads, app, leave, screen, tell
from anfinsen.errors import InputError
from anfinsen.report.paragraph import paragraph
from anfinsen.wording import counted

KNOWN = 5
"""Proteins whose known binders are told; of a large kinase they take seconds to find."""


@app.command(rich_help_panel=DRUGS)
@anywhere
def affinity(
    protein: Annotated[str, typer.Option(metavar="FILE", help="Proteins: the same kinds of files as for predict.")],
    drug: Annotated[
        str, typer.Option(metavar="FILE", help="Molecules: .smi (SMILES, then a name), .sdf, or one bare SMILES.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the tables and the report.")] = Path("affinity"),
    reasons: Annotated[
        int, typer.Option(min=0, help="For so many of the tightest pairs, what of drug and protein holds them.")
    ] = 12,
    explain: Annotated[
        bool, typer.Option("--explain", help="Judge these reasons by deletion, and write them to reasons.csv.")
    ] = False,
    pocket: Annotated[
        str | None,
        typer.Option(
            metavar="RESIDUES|FILE.csv|auto",
            help="Residues that count for more: 719,743-745, a CSV (protein, position), or auto for a guess.",
        ),
    ] = None,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Folder of an affinity model.")] = None,
    threads: Threads = None,
) -> None:
    """Say how tightly each drug holds each protein, tightest first, with intervals, chemistry checks and drawings."""
    from anfinsen import runtime
    from anfinsen.data.example import Example
    from anfinsen.drug.molecule import Molecule
    from anfinsen.drug.reading import read_molecules
    from anfinsen.inference import affinity_pocket
    from anfinsen.inference.affinity import AffinityPredictor, say_known
    from anfinsen.reading.readers import read_examples
    from anfinsen.report.drug import write_drug_folder
    from anfinsen.report.tables import write_refused
    from anfinsen.tasks.affinity import say

    runtime.use_threads(threads)
    proteins, molecules = list(read_examples(protein)), list(read_molecules(drug, is_judged=True))
    refused = [one for one in (*proteins, *molecules) if isinstance(one, InputError)]
    table = out / "refused.csv"
    asked = [one.protein for one in proteins if isinstance(one, Example)]
    drugs = [one for one in molecules if isinstance(one, Molecule)]
    if not asked or not drugs:
        tell(f"There is no {'protein' if not asked else 'molecule'} left to ask about.")
        write_refused(table, refused, has_lines=True)
        leave(refused, table, answered=0)
    predictor = AffinityPredictor.load(bundle)
    pockets = affinity_pocket.read_pockets(pocket, asked) if pocket else {}
    remarks = affinity_pocket.say(pockets, asked, is_guess=pocket == affinity_pocket.AUTO) if pocket else []
    remarks += [told for one in asked[:KNOWN] if (told := say_known(one, drugs))]
    answers = sorted(predictor.predict(asked, drugs, pockets=pockets), key=lambda answer: -answer["value"])
    for sentence in (*remarks, *map(say, answers[:20])):
        paragraph(screen, sentence)
    doubts = write_drug_folder(
        out, predictor, answers, asked, drugs, refused, reasons, is_judged=explain, remarks=remarks
    )
    for sentence in doubts:
        paragraph(screen, sentence)
    pairs = counted(len(answers), "pair is", "pairs are")
    where = f"{pairs} answered in {out / 'affinity.csv'}; see {out / 'report.html'}."
    leave(refused, table, answered=len(answers), where=where)


@app.command("affinity-fit", rich_help_panel=OWN)
@anywhere
def affinity_fit(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The table of measured affinities: davis or kiba.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("runs/affinity"),
    threads: Threads = None,
) -> None:
    """Learn an affinity model from a public table; `anfinsen affinity --bundle` then answers from it.

    Stopped, it goes on from its last ten epochs when it is started again with the same --out.
    """
    from anfinsen import runtime
    from anfinsen.errors import UnknownNameError
    from anfinsen.inference.embedder import Embedder
    from anfinsen.sets.affinity import TABLES
    from anfinsen.training.affinity import AffinityConfig
    from anfinsen.training.affinity_bundle import make_bundle

    if table not in TABLES:
        raise UnknownNameError("table of affinities", table, TABLES)
    runtime.use_threads(threads)
    made = make_bundle(TABLES[table], Embedder.load(per="residue"), AffinityConfig(), tell, out / "training")
    made.save(out)
    screen.print(escape(f"{made.name} learnt from {made.record.trained_on:,} pairs and is in {out}."))

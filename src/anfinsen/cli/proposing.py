"""The verb that changes a molecule step by step toward tighter binding."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anfinsen.cli.scaling import anywhere
from anfinsen.cli.screen import DRUGS, Threads, app, screen
from anfinsen.report.paragraph import INDENT, paragraph
from anfinsen.wording import counted


@app.command("propose-drug", rich_help_panel=DRUGS)
@anywhere
def propose_drug(
    target: Annotated[str, typer.Option(metavar="FILE", help="One protein: the same kinds of files as for predict.")],
    seed: Annotated[str, typer.Option(metavar="SMILES", help="The molecule to change, or a file that holds one.")],
    out: Annotated[Path, typer.Option(help="Folder for the table and the page.")] = Path("suggestions"),
    count: Annotated[int, typer.Option(min=1, max=100, help="Suggestions.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Rounds of change.")] = 4,
    alike: Annotated[float, typer.Option(min=0, max=1, help="Least likeness to the seed (Tanimoto, ECFP4).")] = 0.4,
    draw: Annotated[int, typer.Option("--draw", min=0, help="Seed of the draws: the same one, the same answer.")] = 1,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Folder of an affinity model.")] = None,
    threads: Threads = None,
) -> None:
    """Suggest changes of a molecule that might bind the protein better, each with reason, range and doubts."""
    from dataclasses import replace

    from anfinsen import runtime
    from anfinsen.cli.screening import one_protein
    from anfinsen.drug.molecule import Molecule
    from anfinsen.drug.reading import read_molecules
    from anfinsen.errors import InputError, UsageError
    from anfinsen.inference.redesign import HYPOTHESIS, Redesigner
    from anfinsen.inference.screening import open_predictor
    from anfinsen.report.redesign import signed, write_redesign_folder
    from anfinsen.tasks.affinity import say

    runtime.use_threads(threads)
    read = list(read_molecules(seed, is_judged=True))
    if error := next((one for one in read if isinstance(one, InputError)), None):
        raise error
    molecules = [one for one in read if isinstance(one, Molecule)]
    if len(molecules) != 1:
        given = counted(len(molecules), "molecule was", "molecules were")
        raise UsageError(f"{given} given as a seed.", remedy="Give one.")
    if molecules[0].source == "":
        molecules[0] = replace(molecules[0], id="the seed")
    redesigner = Redesigner(open_predictor(bundle), one_protein(target), molecules[0], alike=alike, start=draw)
    paragraph(screen, say(redesigner.seed.answer))
    for message in molecules[0].messages:
        paragraph(screen, message.text, indent=INDENT)
    found = redesigner.search(count, rounds)
    write_redesign_folder(out, redesigner, found)
    for number, one in enumerate(found.suggestions, 1):
        gain = f"{signed(one.gain)} ({signed(one.low)} to {signed(one.high)})"
        screen.print(f"[bold]{number}[/]  {escape(one.idea.molecule.smiles)}")
        paragraph(screen, f"pKd {one.idea.answer['value']:.1f}, gain {gain}. {one.reason}", indent=INDENT)
        if one.doubts:
            paragraph(screen, f"Doubts: {'; '.join(one.doubts)}.", indent=INDENT)
    if not found.suggestions:
        paragraph(screen, "No change was found that the rules let through; a lower --alike lets more through.")
    judged = counted(found.judged, "molecule was", "molecules were")
    paragraph(screen, f"{judged} judged; see {out / 'report.html'}. {HYPOTHESIS}")
    raise typer.Exit(0 if found.suggestions else 1)

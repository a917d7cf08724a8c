"""The verb that finds sites: a structure or a sequence goes in, residues and ranked pockets come out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anfinsen.cli.scaling import anywhere
from anfinsen.cli.screen import ASK, Column, Raw, Source, Threads, app, leave, say


@app.command(rich_help_panel=ASK)
@anywhere
def sites(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for tables, scripts for viewers, pictures and the page.")] = Path(
        "sites"
    ),
    column: Column = None,
    raw_csv: Raw = False,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Folder of a model that knows ligand-sites.")] = None,
    threads: Threads = None,
) -> None:
    """Find where each protein in FILE could hold a ligand: residues by kind and, on a structure, ranked pockets."""
    from anfinsen import runtime
    from anfinsen.errors import InputError
    from anfinsen.inference.sites import SiteFinder, headline
    from anfinsen.inference.sites import say as tell_site
    from anfinsen.reading.readers import read_proteins
    from anfinsen.report.origin import origin
    from anfinsen.report.sites import PAGE, write_sites_folder
    from anfinsen.tasks.ligand_sites import TASK

    runtime.use_threads(threads)
    finder = SiteFinder.load(bundle)
    refused, answers = [], []
    for record in read_proteins(source, column=column):
        if isinstance(record, InputError):
            refused.append(record)
            continue
        (found,) = finder.find([record])
        answers.append(found)
        say(headline(found), name=record.id)
        for site in found.sites[:5]:
            say(tell_site(site, record))
        for message in found.messages:
            say(message.text, style="yellow" if message.level == "warning" else "")
    known = finder.predictor.bundle
    write_sites_folder(out, answers, refused, about=origin(known), record=known.records[TASK.name], raw=raw_csv)
    where = f"The page is {out / PAGE}; tables, scripts for PyMOL and ChimeraX and pictures lie beside it."
    leave(refused, out / "refused.csv", answered=len(answers), where=where)

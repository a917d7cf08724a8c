"""The verb that gets proteins from elsewhere: ids go in, files come out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anfinsen.cli.scaling import anywhere
from anfinsen.cli.screen import ASK, app, notices, screen


@app.command(rich_help_panel=ASK)
@anywhere
def fetch(
    ids: Annotated[
        list[str],
        typer.Argument(
            metavar="ID...", help="UniProt (P69905), PDB (4HHB) or AlphaFold DB (AF-P69905-F1), one or many."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the files; what is there is not fetched again.")] = Path(
        "fetched"
    ),
    again: Annotated[bool, typer.Option("--again", help="Fetch also what is there, for a newer release.")] = False,
) -> None:
    """Get sequences and structures by their ids from UniProt, the PDB and AlphaFold DB."""
    from anfinsen.reading.sources import TITLES, Fetched
    from anfinsen.reading.sources import fetch as fetch_all

    refused = 0
    for found in fetch_all(ids, out, again=again):
        if isinstance(found, Fetched):
            word = f"from {TITLES[found.entry.house]}" if found.is_new else "was here already"
            screen.print(
                escape(f"{found.entry.id}: {found.path} ({word}, SHA-256 {found.sha256[:12]})"), soft_wrap=True
            )
        else:
            refused += 1
            notices.print(f"[red]Refused:[/] {escape(str(found))}", soft_wrap=True)
    raise typer.Exit(0 if not refused else 3 if refused < len(ids) else 1)

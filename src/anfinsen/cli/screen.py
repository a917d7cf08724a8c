"""What all verbs share: the command line itself, the two screens, and flags that mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
screen = Console()
notices = Console(stderr=True)

Bundled = Annotated[
    Path | None, typer.Option("--bundle", help="Folder of a trained model; the embedded one if left out.")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Compute threads; all cores if left out.")]

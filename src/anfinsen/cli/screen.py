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


def tell(sentence: str) -> None:
    """One plain sentence beside the answers; brackets in it are brackets, and lines break where the terminal does."""
    notices.print(sentence, markup=False, highlight=False, soft_wrap=True)


Bundled = Annotated[
    Path | None, typer.Option("--bundle", help="Folder of a trained model; the embedded one if left out.")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Compute threads; all cores if left out.")]
Source = Annotated[str, typer.Argument(metavar="FILE", help="The same kinds of files as for predict.")]
Column = Annotated[str | None, typer.Option("--column", help="The column with the sequences, if its name is unusual.")]
Given = Annotated[
    list[str] | None, typer.Option("--condition", help="For all proteins, such as growth_temperature=37.")
]
Raw = Annotated[bool, typer.Option("--raw-csv", help="Write CSV cells as they are, for machines only.")]

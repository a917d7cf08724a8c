"""What all verbs share: the command line itself, the two screens, and flags that mean the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from anfinsen.errors import InputError
from anfinsen.report.paragraph import INDENT, paragraph
from anfinsen.wording import refusals

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # in rich's own markup a bracket is a colour, and vanishes
)
ASK, DRUGS, OWN, SHARE, LOOK = (
    "Ask about proteins",
    "Drugs and partners",
    "Models of your own",
    "Serve, share, rent",
    "See what is here",
)
"""Parts of the list of verbs."""
screen = Console()
notices = Console(stderr=True)


def tell(sentence: str) -> None:
    """One plain sentence beside the answers; brackets in it are brackets, and lines break where the terminal does."""
    notices.print(sentence, markup=False, highlight=False, soft_wrap=True)


def say(sentence: str, *, name: str = "", style: str = "") -> None:
    """A sentence of an answer: after the name of what it is about, or indented beneath it."""
    if name:
        paragraph(screen, Text.assemble((name, "bold"), f"  {sentence}" if sentence else ""))
    else:
        paragraph(screen, sentence, indent=INDENT, style=style)


def reading(relatives: str | None) -> AbstractContextManager[object]:
    """A word on the screen while a large file is read, if one was given."""
    from anfinsen.kinship.kin import NOBODY

    return nullcontext() if relatives in (None, NOBODY) else notices.status(f"reading {escape(relatives)}")


def leave(refused: Sequence[InputError], table: Path, *, answered: int, where: str = "") -> NoReturn:
    """Where the answers are, if there are any, and what was refused; then the exit code that says the same."""
    if answered:
        paragraph(screen, where)
    for sentence in refusals(refused, table):
        paragraph(screen, sentence, style="red")
    raise typer.Exit(1 if not answered else 3 if refused else 0)


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
Relatives = Annotated[
    str | None,
    typer.Option(
        "--relatives",
        help="FASTA of many proteins, such as Swiss-Prot, to look for relatives in, beside the families that come with "
        "Anfinsen; or 'none', to ask no relatives.",
    ),
]

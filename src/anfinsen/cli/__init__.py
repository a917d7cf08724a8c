"""The command line: each verb reads its flags, calls one room of the house, and shows what came back.

    screen      the command line itself, the two screens, flags that all verbs share
    answering   predict, embed
    fetching    fetch
    folding     fold
    behaving    behave
    cloud       cloud plan
    explaining  explain
    learning    train, split, distill
    own         what `train data.csv` shows and asks
    drugs       affinity, affinity-fit
    screening   screen
    proposing   propose-drug
    mutating    scan, propose
    partnering  interact, interact-fit
    serving     serve
    siting      sites
    sharing     push, pull
    teaching    learn
    trying      sweep, seeds
    judging     bench, tasks, doctor, verify, limits

Heavy rooms are imported inside the verbs, so that `anfinsen --help` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from anfinsen import __version__
from anfinsen.cli import (
    answering,
    behaving,
    cloud,
    drugs,
    explaining,
    fetching,
    folding,
    judging,
    learning,
    mutating,
    partnering,
    proposing,
    screening,
    serving,
    sharing,
    siting,
    teaching,
    trying,
)
from anfinsen.cli.screen import app, notices, screen, tell
from anfinsen.errors import AnfinsenError, InputError, StoppedError

__all__ = [
    "answering",
    "app",
    "behaving",
    "cloud",
    "drugs",
    "explaining",
    "fetching",
    "folding",
    "judging",
    "learning",
    "main",
    "mutating",
    "partnering",
    "proposing",
    "screening",
    "serving",
    "sharing",
    "siting",
    "teaching",
    "trying",
]

DISK = 74
"""Exit code where a file or folder cannot be read or written."""


def _version(asked: bool) -> None:
    if asked:
        screen.print(f"anfinsen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Anfinsen: from a protein's sequence to what it is, what it does and how it behaves."""


def main() -> None:
    """Run the command line; a user's error is a sentence and an exit code, never a traceback."""
    try:
        app()
    except InputError as error:
        # a record that is refused is listed; an InputError that arrives here is about the whole source
        notices.print(f"[bold red]Sorry:[/] {escape(str(error))}")
        sys.exit(1)
    except StoppedError as error:
        tell(str(error))
        sys.exit(error.exit_code)
    except AnfinsenError as error:
        notices.print(f"[bold red]Sorry:[/] {escape(str(error))}")
        sys.exit(error.exit_code)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        notices.print(
            f"[bold red]Sorry:[/] {escape(f'{error.strerror}{place}.')} Check the path and the room on the disk."
        )
        sys.exit(DISK)
    except KeyboardInterrupt:
        notices.print("Stopped. The same command goes on from here.")
        sys.exit(130)

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

import sqlite3
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
INTERRUPTED = 130
"""Exit code to which typer turns Ctrl-C."""
ROOM = "Check the path, the rights to it and the room on the disk."


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
    except SystemExit as left:
        if left.code == INTERRUPTED:
            tell("Stopped. What is already written stays.")
        raise
    except StoppedError as error:
        tell(str(error))
        sys.exit(error.exit_code)
    except AnfinsenError as error:
        _sorry(str(error))
        # a record that is refused is listed; an InputError that arrives here is about the whole source
        sys.exit(1 if isinstance(error, InputError) else error.exit_code)
    except OSError as error:
        _sorry(_of_disk(error))
        sys.exit(DISK)
    except sqlite3.Error as error:  # in such a file lie states in the making
        _sorry(f"A file cannot be written: {error}. {ROOM}")
        sys.exit(DISK)


def _sorry(sentence: str) -> None:
    notices.print(f"[bold red]Sorry:[/] {escape(sentence)}")


def _of_disk(error: OSError) -> str:
    """What the system said of a file, with what can be done."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"'{error.filename}' is a file where a folder is needed. Give another name."
    place = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror}{place}. {ROOM}"

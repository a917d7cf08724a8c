"""The lessons, in their order: each a title, a promise, and a function that writes it on a page.

The list is there at once; the engine is loaded when a lesson is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.table import Table as Grid

from anfinsen.errors import UsageError

if TYPE_CHECKING:
    from anfinsen.hub.bundle import Bundle
    from anfinsen.learn.pictures import Page


class Teach(Protocol):
    """Writes a lesson on a page, with the model that comes with the package; `fast` trains for a step or two only."""

    def __call__(self, page: Page, bundle: Bundle, *, fast: bool = False) -> None: ...


@dataclass(frozen=True)
class Lesson:
    """One lesson of the list."""

    title: str
    promise: str


LESSONS: tuple[Lesson, ...] = (
    Lesson("What a protein is to a network", "letters, numbers, a hidden residue"),
    Lesson("Forward, loss, backward, step", "one step in slow motion, then many"),
    Lesson("Transfer against scratch", "what a pre-trained body is worth"),
    Lesson("What confidence means", "promises, sets, far from training"),
)


def teachers() -> tuple[Teach, ...]:
    """Who gives each of `LESSONS`, in their order."""
    from anfinsen.learn import confidence, reading, stepping, transfer

    return (reading.teach, stepping.teach, transfer.teach, confidence.teach)


def contents(console: Console) -> None:
    """The list of lessons."""
    grid = Grid.grid(padding=(0, 2))
    for number, lesson in enumerate(LESSONS, 1):
        grid.add_row(f"  {number}", lesson.title, lesson.promise, style="")
    console.print("Four short lessons. They run the real engine on 32 real proteins, in seconds.\n")
    console.print(grid)
    console.print("\nBegin with: anfinsen learn 1")


def give(number: int, console: Console, *, fast: bool = False) -> None:
    """One lesson, from its title to where to go next."""
    if not 1 <= number <= len(LESSONS):
        raise UsageError(f"There is no lesson {number}.", remedy=f"Choose one from 1 to {len(LESSONS)}.")
    from anfinsen.hub.bundle import Bundle, default_bundle
    from anfinsen.learn.pictures import Page

    page = Page(console)
    page.title(f"Lesson {number}: {LESSONS[number - 1].title}")
    teachers()[number - 1](page, Bundle.load(default_bundle()), fast=fast)

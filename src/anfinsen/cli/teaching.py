"""The verb that teaches, and the slow walk that `train --slow` takes before it trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from anfinsen.cli.screen import OWN, Threads, app, screen

if TYPE_CHECKING:
    from anfinsen.data.example import Example
    from anfinsen.models.network import Network
    from anfinsen.tasks import Task

Heated = Annotated[
    bool, typer.Option("--heat", help="Rise in stages: head, adapters, whole body; each until it gains no more.")
]
Slowly = Annotated[
    bool, typer.Option("--slow", help="First walk one batch through the network, in words and pictures.")
]

WALKED = 6
"""Proteins in the batch of the slow walk."""


@app.command(rich_help_panel=OWN)
def learn(
    lesson: Annotated[
        int | None, typer.Argument(metavar="[LESSON]", help="Number of the lesson; the list if left out.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Learn how a network learns: four short lessons that run the real engine."""
    from anfinsen.learn.lessons import contents, give

    if lesson is None:
        contents(screen)
        return
    from anfinsen import runtime

    runtime.use_threads(threads)
    give(lesson, screen)


def walk_slowly(network: Network, task: Task, examples: Sequence[Example]) -> None:
    """Walk a few proteins of a task through a network that is about to be trained; it stays as it is."""
    from anfinsen.learn.pictures import Page
    from anfinsen.learn.walk import take, tell

    page = Page(screen)
    page.title(f"One batch of '{task.name}', slowly")
    posed = [task.pose(examples[number], number) for number in range(min(WALKED, len(examples)))]
    # a short stride, because most of this network may have been trained for long
    tell(take(network, task, posed, learning_rate=1e-4), task, page)
    page.title("Now the training itself")

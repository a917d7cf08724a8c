"""A sweep: many trainings with different settings, of which the validation proteins choose one.

    recipe + space -> trial 0: the recipe as it is
                   -> trial 1, 2 ...: what the results so far make promising (see `study`)
                   -> the best on validation -> ONE look at the test split

Trying many settings on the test split and printing the best is how results come out too good; here the test split
is opened once, by the winner. `sweep` runs in this process, one trial after another, and ends after an interruption as
if nothing had happened, because what a trial tries depends on its number and on the results before it alone. `sweep_on`
runs on a cluster, a trial a worker: what is tried depends on who was done first, and a trial that is far behind the
others at the same look is not trained to its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anfinsen.errors import AnfinsenError
from anfinsen.training.recipe import Recipe
from anfinsen.training.space import with_settings
from anfinsen.training.study import Journal, Swept, Tried, folder_of

if TYPE_CHECKING:
    from anfinsen.distributed.ray import Cluster
    from anfinsen.distributed.tuning import Question

Try = Callable[[Recipe, Path], float]
"""Trains by a recipe in a folder and gives the validation loss; lower is better."""
Look = Callable[[float], None]
"""Told the best validation loss so far, at each look of a training."""
TryWatched = Callable[[Recipe, Path, Look], float]
Tell = Callable[[Tried], None]
"""Told each trial as it ends."""


def sweep(recipe: Recipe, folder: Path, trials: int, attempt: Try, *, tell: Tell = lambda tried: None) -> Swept:
    """Run trials in `folder` until there are `trials` of them, those of earlier calls included, and choose the best.

    `tell` hears of every trial, at once of those that had ended before.
    """
    journal = Journal(folder, recipe)
    for tried in journal.ended:
        tell(tried)
    while len(journal.ended) < trials:
        number, settings = journal.ask()
        valid = _attempt(attempt, with_settings(journal.plain, settings), folder / folder_of(number))
        tell(journal.keep(number, valid))
    return journal.swept()


def sweep_on(
    cluster: Cluster,
    recipe: Recipe,
    folder: Path,
    trials: int,
    make: Callable[[], TryWatched],
    *,
    tell: Tell = lambda tried: None,
) -> Swept:
    """The same on a cluster, a trial a worker; `make` makes on a worker what trains there.

    Workers on several machines need a `folder` that all of them see.
    """
    from anfinsen.distributed.tuning import tune

    journal = Journal(folder, recipe)
    for tried in journal.ended:
        tell(tried)

    def ask() -> Question:
        number, settings = journal.ask()
        return {"number": number, "settings": settings}

    def told(question: Question, valid: float | None, is_whole: bool) -> None:
        tell(journal.keep(question["number"], valid, is_whole=is_whole))

    looks = math.ceil(recipe.train.steps / recipe.train.judge_every)
    answering = partial(_answering, make, journal.plain, folder.absolute())
    tune(cluster, answering, ask, told, count=trials - len(journal.ended), looks=looks)
    return journal.swept()


def _answering(
    make: Callable[[], TryWatched], recipe: Recipe, folder: Path
) -> Callable[[Question, Look], float | None]:
    """On a worker: what answers a question of `sweep_on`."""
    attempt = make()

    def answer(question: Question, look: Look) -> float | None:
        place = folder / folder_of(question["number"])
        return _attempt(
            lambda one, place: attempt(one, place, look), with_settings(recipe, question["settings"]), place
        )

    return answer


def _attempt(attempt: Try, recipe: Recipe, folder: Path) -> float | None:
    """The loss of one trial; a training that runs away is a result too, and the sweep goes on."""
    try:
        valid = attempt(recipe, folder)
    except AnfinsenError as error:
        if type(error) is not AnfinsenError:  # a wrong call, a stop by the user: not this trial's doing
            raise
        return None
    return valid if math.isfinite(valid) else None

"""Coverage: does a nine-in-ten answer hold nine times in ten, over twenty draws of real proteins?

    held-out proteins -> the shipped heads -> 20 x (half calibrates, half judges) -> mean and range of the draws

The proteins are those of the validation and test splits together, none of which a head was trained on (validation
proteins decided when to stop). Each draw deals them at random, so that both halves are alike: this proves the
procedure, and what it promises for proteins like these. Whether it still holds on the official test splits, which are
NOT like the validation split, is what the rows 'coverage' of the suite 'sequence' say.

Residues of one protein are not exchangeable, so the sets of secondary structure are calibrated by proteins, and a
protein counts by the share of its residues whose true letter is in its set. The rows of classes and of bands of
identity to training show for whom 90 % is not kept. A class with at least 20 calibration rows is promised 85 % of its
own; a rarer one is promised nothing. On 900 proteins of localization that floor raised the endoplasmic reticulum from
74 to 85 % and made sets longer, from 2.4 to 2.8 classes; 90 % for every class would have taken 3.8. Coverage alone is
cheap (name every class), so it is told beside it how much an answer leaves open.
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import TRAIN
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.errors import MissingDataError, UnknownNameError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.kinship.leaks import band_of
from anfinsen.kinship.neighbours import Reach
from anfinsen.models.fast import quicken
from anfinsen.targets.base import COVERAGE
from anfinsen.targets.coverage import DRAWS, EVERYONE, Redrawn, by_group, groups_of, redraw
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.ask import ask

TASK_NAMES = ("localization", "melting-temperature", "secondary-structure")
POOL = 1000
"""Held-out proteins of a task that are dealt, drawn at random with a fixed seed where there are more."""
SPLIT = f"{COVERAGE * 100:.0f}"
_LEFT_OPEN = {
    "label": "{:.1f} classes stand in a set in the mean",
    "number": "an interval is {:.1f} {} long in the mean",
    "tokens": "{:.2f} letters stand in a residue's set in the mean",
}


def coverage_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """A row for each task, and for each of its classes and bands of identity that has proteins enough."""
    rows: list[Score] = []
    for name in TASK_NAMES:
        task = TASKS[name]
        if name not in bundle.network.heads:
            tell(f"coverage: {bundle.label} does not answer '{name}'.")
            continue
        try:
            examples = held_out(task, limit or POOL)
        except MissingDataError as error:
            tell(f"coverage: {error}")
            continue
        tell(f"coverage: {len(examples):,} held-out proteins of {name} are dealt {DRAWS} times.")
        outputs = [one[name] for one in ask(quicken(bundle.network), [task], examples)]
        redrawn = redraw(task.target, outputs, examples)
        tell(_spread(task, redrawn))
        groups = groups_of(examples, task.target.labels if task.target.kind == "label" else (), bands(task, examples))
        for group, estimate in by_group(redrawn, groups).items():
            split = SPLIT if group == EVERYONE else f"{SPLIT}, {group}"
            rows.append(Question(TRAIN, name, task.table.name, split, "coverage").row(bundle.label, estimate))
    if not rows:
        raise UnknownNameError(
            f"task in '{bundle.label}' whose coverage is measured", TASK_NAMES[0], bundle.network.heads
        )
    return rows


def held_out(task: Task, count: int) -> list[Example]:
    """At most `count` proteins of the validation and test splits, each once, and without their conditions."""
    found: dict[str, Example] = {}
    for split in ("valid", *task.tests):
        for example in task.examples(split):
            if example.value is not None:
                found.setdefault(example.protein.sequence, Example(example.protein, example.value, example.mask))
    return draw(list(found.values()), count)


def bands(task: Task, examples: list[Example]) -> NDArray[numpy.str_]:
    """The band of identity of each protein to its nearest training protein, as the sketch of a bundle estimates it."""
    reach = Reach.fit([example.protein for example in task.examples("train")])
    return band_of(numpy.array([reach.nearest(example.protein.sequence)[0] or 0.0 for example in examples]))


def _spread(task: Task, redrawn: Redrawn) -> str:
    """The coverage of a task in words."""
    all_of_them = redrawn.estimate()
    left_open = _LEFT_OPEN[task.target.kind].format(redrawn.width, getattr(task.target, "unit", ""))
    return (
        f"coverage of {task.name}: {all_of_them.value:.1%} in the mean of {DRAWS} draws, standard deviation between "
        f"draws {redrawn.spread():.1%}, n = {all_of_them.n:,} proteins judged in each; {left_open}."
    )

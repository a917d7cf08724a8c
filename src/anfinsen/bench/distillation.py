"""A distillation as benchmark rows: what the student saves and what it loses, on proteins that neither has seen.

    bundles -> for each task: the test splits together -> compare -> compute_ratio, accuracy_loss, seconds_ratio,
                                                                     memory_ratio   (split 'distilled')

Compute is counted, not measured, so its interval is the figure itself; time and memory are of this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.tasks import Task
from anfinsen.training.meter import Comparison, compare

SUITE, SPLIT = "train", "distilled"
TASKS_OF_SUITE = ("localization", "secondary-structure")
"""The tasks on which a student must show what it saves."""


def distillation_rows(
    teacher: Bundle,
    student: Bundle,
    tasks: Sequence[Task],
    *,
    limit: int | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> list[Score]:
    """Four rows a task over all its test splits together; `tell` hears the sentence of each comparison."""
    rows: list[Score] = []
    for task in tasks:
        comparison = compare(teacher, student, task, _posed(task)[:limit])
        tell(comparison.sentence())
        rows += rows_of(comparison, task, student.label)
    return rows


def rows_of(comparison: Comparison, task: Task, model: str, split: str = SPLIT) -> list[Score]:
    """One comparison as rows."""
    loss = comparison.loss
    figures = {
        "compute_ratio": (comparison.compute_ratio, comparison.compute_ratio, comparison.compute_ratio),
        "accuracy_loss": (loss.value, loss.low, loss.high),
        "seconds_ratio": (comparison.seconds_ratio, None, None),
        "memory_ratio": (comparison.memory_ratio, None, None),
    }
    place = {"suite": SUITE, "task": task.name, "dataset": task.table.name, "split": split, "model": model}
    return [
        Score.build({**place, "metric": metric, "value": value, "low": low, "high": high, "n": loss.n})
        for metric, (value, low, high) in figures.items()
    ]


def _posed(task: Task) -> list[Example]:
    return [task.pose(example, index) for split in task.tests for index, example in enumerate(task.examples(split))]

"""Which benchmarks exist: data only, derived from the tasks, so that a new task appears by itself.

    sequence         every task except masked residues, each test split, each of the task's scores
    language-model   masked residues
    a task's name    that task alone

It knows no model and no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anfinsen.errors import UnknownNameError
from anfinsen.tasks import TASKS, Task

SEQUENCE = "sequence"
LANGUAGE_MODEL = "language-model"


@dataclass(frozen=True)
class Exam:
    """One task with the splits and scores that a benchmark prints, and the suite it belongs to."""

    suite: str
    task: Task

    @property
    def splits(self) -> tuple[str, ...]:
        """The test splits, none of which training sees."""
        return self.task.tests

    @property
    def metrics(self) -> tuple[str, ...]:
        """The scores, the headline first."""
        return self.task.metrics


def suites() -> dict[str, tuple[Exam, ...]]:
    """Every suite by name, with its exams in the order of registration."""
    found: dict[str, list[Exam]] = {SEQUENCE: [], LANGUAGE_MODEL: []}
    for name in TASKS:
        suite = LANGUAGE_MODEL if TASKS[name].target.head == "masked" else SEQUENCE
        found[suite].append(Exam(suite, TASKS[name]))
    return {name: tuple(exams) for name, exams in found.items()}


def exams(names: Sequence[str]) -> list[Exam]:
    """The exams that `names` (of suites or tasks) ask for, each once, in the order asked; all if none is named."""
    every = suites()
    by_name = {exam.task.name: (exam,) for group in every.values() for exam in group} | every
    chosen: dict[str, Exam] = {}
    for name in names or every:
        if name not in by_name:
            raise UnknownNameError("suite or task", name, by_name)
        chosen |= {exam.task.name: exam for exam in by_name[name] if exam.task.name not in chosen}
    return list(chosen.values())

"""A distillation as benchmark rows: what the student saves and what it loses, on proteins that neither has seen.

    bundles -> for each task: the test splits together -> compare -> compute_ratio, accuracy_loss, seconds_ratio,
                                                                     memory_ratio   (split 'distilled')

The study compares the student that comes with the package with the bundle that taught it. Its making is one command:
    anfinsen distill src/anfinsen/weights/anfinsen-xs --recipe recipes/distil-half.toml --out runs/half
and its folder runs/half/bundle is put beside its teacher's as anfinsen-xs-half.

Compute is counted, not measured, so its interval is the figure itself; time and memory are of this machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from anfinsen.bench.study import Tell
from anfinsen.bench.suite import TRAIN
from anfinsen.data.example import Example
from anfinsen.errors import MissingDataError, UnknownNameError
from anfinsen.hub.bundle import EMBEDDED, WEIGHTS, Bundle, default_bundle
from anfinsen.hub.record import Score
from anfinsen.tasks import TASKS, Task
from anfinsen.training.distill import TAUGHT_BY
from anfinsen.training.meter import Comparison, compare

SPLIT = "distilled"
STUDENT = WEIGHTS / f"{EMBEDDED.name}-half"
"""The student that comes with the package, beside its teacher."""
TASKS_OF_SUITE = ("localization", "secondary-structure")
"""The tasks on which a student must show what it saves."""


def student_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """The study: the shipped student beside its teacher, the embedded bundle, whose network is asked about."""
    if not (STUDENT / "bundle.json").is_file():
        raise MissingDataError(
            f"No student comes with this copy of Anfinsen ('{STUDENT.name}').",
            remedy=f"Make one: anfinsen distill {default_bundle()} --student half --out runs/half, then put "
            f"runs/half/bundle at {STUDENT}.",
        )
    teacher, student = Bundle.load(default_bundle()), Bundle.load(STUDENT)
    if bundle.label != teacher.label:
        raise UnknownNameError("teacher of the student that comes with the package", bundle.label, [teacher.label])
    taught = student.provenance.get(TAUGHT_BY, "")
    if not taught.endswith(teacher.sha256):
        tell(f"distillation: '{student.name}' was taught by {taught or 'nobody it names'}, an older teacher than this.")
    teacher.network = bundle.network
    tasks = [TASKS[name] for name in TASKS_OF_SUITE if name in student.records and name in teacher.records]
    return distillation_rows(teacher, student, tasks, limit=limit, tell=tell)


def distillation_rows(
    teacher: Bundle,
    student: Bundle,
    tasks: Sequence[Task],
    *,
    limit: int | None = None,
    tell: Tell = lambda sentence: None,
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
    place = {"suite": TRAIN, "task": task.name, "dataset": task.table.name, "split": split, "model": model}
    return [
        Score.build({**place, "metric": metric, "value": value, "low": low, "high": high, "n": loss.n})
        for metric, (value, low, high) in figures.items()
    ]


def _posed(task: Task) -> list[Example]:
    return [task.pose(example, index) for split in task.tests for index, example in enumerate(task.examples(split))]

"""`anfinsen.distill`: a trained model in, a cheaper one out that answers nearly as well, with the proof.

student = anfinsen.distill(model)             of a model of `anfinsen.train`, which remembers its rows
student = anfinsen.distill("my-model", "my-table.csv", student="3x96")
print(student)                                what it saves, and what that costs, each with its interval
student.answers(["MKT..."])                   predictions, as of any model
student.save("my-student")                    a bundle, for `anfinsen predict --bundle my-student`
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from anfinsen.hub.bundle import Bundle
from anfinsen.training.distill import HALF, Distillation, run
from anfinsen.training.meter import Comparison
from anfinsen.workshop.audit import task_again
from anfinsen.workshop.door import Answering, Model, nested


class Student(Answering):
    """A model that was taught by another one; `comparisons` set the two side by side, one for each task."""

    def __init__(self, bundle: Bundle, comparisons: Sequence[Comparison], notes: Sequence[str] = ()) -> None:
        self.comparisons, self._notes = tuple(comparisons), tuple(notes)
        super().__init__(bundle, tuple(one.task for one in self.comparisons))

    def __str__(self) -> str:
        return "\n".join([*self._notes, *(one.sentence() for one in self.comparisons)])


def distill(
    teacher: Model | str | Path,
    table: str | Path | None = None,
    *,
    student: str = HALF,
    tasks: Sequence[str] = (),
    unlabelled: str | Path | None = None,
    out: str | Path | None = None,
    **settings: Any,
) -> Student:
    """Teach a cheaper model to answer like `teacher`, and measure both on the same proteins.

    The teacher is a model of `train` or a bundle's folder, which needs the `table` that it learnt from where that was
    your own. `student` is 'half' of the compute, LAYERSxDIM such as '3x96', or a body by its name. `tasks` are all of
    the teacher's if none is named. `unlabelled` is a file of sequences that the teacher explains to the student.
    `settings` are a recipe's keys as for `train`, such as train__steps=500. With `out` a run that was stopped goes on.
    """
    recipe = Distillation.build(nested(settings, {"student": student, "tasks": tuple(tasks)}), source="the call")
    rows = teacher.rows if table is None and isinstance(teacher, Model) else table
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="anfinsen-", ignore_cleanup_errors=True) as place:
        folder = teacher.save(Path(place) / "teacher") if isinstance(teacher, Model) else Path(teacher)
        made = Path(place) / "run" if out is None else Path(out)
        comparisons = run(
            folder,
            recipe,
            made,
            unlabelled=None if unlabelled is None else str(unlabelled),
            own=None if rows is None else partial(task_again, rows),
            tell=notes.append,
        )
        return Student(Bundle.load(made / "bundle"), comparisons, notes)

"""What the page says of a question once, for all proteins: its meaning, how good its answers are, where it learned."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from anfinsen.drawing.small import score_dots
from anfinsen.hub.record import TaskRecord
from anfinsen.report.glossary import anchor
from anfinsen.report.standing import Standing, find_standing, metric_title
from anfinsen.tasks.base import Task


@dataclass(frozen=True)
class Question:
    """One question, ready to be explained; `task` and `record` are missing where nobody has them."""

    anchor: str
    title: str
    task: Task | None
    record: TaskRecord | None
    standing: Standing | None
    dots: Markup


def make_question(name: str, task: Task | None, record: TaskRecord | None) -> Question:
    """A task with the scores of the model that answered."""
    standing = find_standing(record.scores, task) if record is not None else None
    dots = Markup("")
    if standing is not None:
        title = f"{metric_title(standing.score.metric)} of this model and its rivals"
        dots = score_dots(standing.dots(), title=title, lower_is_better=standing.lower_is_better)
    title = task.title if task is not None else name
    return Question(question_anchor(name), title, task, record, standing, dots)


def question_anchor(name: str) -> str:
    """Where the page explains a task."""
    return anchor(name).replace("term-", "question-", 1)

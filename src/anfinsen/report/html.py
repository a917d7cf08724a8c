"""The report: one HTML file that opens from a disk, asks nothing of any network and runs nothing.

    predictions + tasks + records -> sections (`card`) -> template (autoescaped) -> one file, written beside and renamed

Names, messages and labels are strangers' text and are escaped where they are written; a content policy forbids
scripts and every outside request as a second wall. The template and the style sheet lie beside this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Template

from anfinsen.drawing.small import score_figure
from anfinsen.errors import InputError
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.prediction import Prediction
from anfinsen.report.answer import coverage
from anfinsen.report.card import Line, Section, make_line, make_section
from anfinsen.report.glossary import Glossary
from anfinsen.report.grouping import arranged, leaders
from anfinsen.report.paper import make_template, write_page
from anfinsen.report.question import make_question, question_anchor
from anfinsen.report.standing import metric_title
from anfinsen.targets.base import Answer
from anfinsen.tasks.base import Task

MOST_LINES = 1000
"""Proteins in the overview; a longer page would no longer open."""
MOST_SECTIONS = 50
"""Proteins with a section of their own; the others stand in the overview and in the tables."""
MOST_COLUMNS = 4
"""Answers a protein in the overview; of more questions one of each group is shown."""
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def write_report(
    path: str | Path,
    predictions: Iterable[Prediction],
    *,
    tasks: Mapping[str, Task],
    records: Mapping[str, TaskRecord],
    about: Mapping[str, str],
    refused: Sequence[InputError] = (),
) -> None:
    """Write the report; `about` is printed as the provenance: versions, bundle, hash, date."""
    lines: list[Line] = []
    sections: list[Section] = []
    asked: dict[str, Answer] = {}
    for number, prediction in enumerate(predictions, 1):
        lines.append(make_line(number, prediction, tasks))
        asked |= {name: answer for name, answer in prediction.answers.items() if name not in asked}
        if number <= MOST_SECTIONS:
            sections.append(make_section(number, prediction, tasks, records))
    known = {name: tasks[name] for name in asked if name in tasks}
    glossary = Glossary({term: text for task in known.values() for term, text in task.terms.items()})
    questions = [
        make_question(name, tasks.get(name), records.get(name))
        for names in arranged(asked, tasks).values()
        for name in names
    ]
    write_page(
        Path(path),
        _template(),
        headline=headline(lines),
        remarks=_remarks(lines, refused),
        lines=lines[:MOST_LINES],
        count=len(lines),
        sections=sections,
        columns=_columns(asked, tasks),
        asked=len(asked),
        questions=questions,
        is_measured=any(question.standing is not None for question in questions),
        refused=refused,
        about=about,
        glossary=glossary,
        coverage=coverage(),
    )


def _columns(asked: Mapping[str, Answer], tasks: Mapping[str, Task]) -> dict[str, str]:
    """The titles of the answers in the overview: all, or one of each group where they are many."""
    every = [name for names in arranged(asked, tasks).values() for name in names]
    chosen = every if len(every) <= MOST_COLUMNS else leaders(asked, tasks)
    return {name: tasks[name].title if name in tasks else name for name in chosen}


def headline(lines: Sequence[Line]) -> str:
    """What the report holds, in a few words.

    >>> headline([])
    'No protein was answered'
    """
    if not lines:
        return "No protein was answered"
    counts = {len(line.cells) for line in lines}
    proteins = _count(len(lines), "protein")
    if len(counts) == 1:
        (questions,) = counts
        return f"{proteins}, {_count(questions, 'question').lower()}{' each' if len(lines) > 1 else ''}"
    return f"{proteins}, {_count(sum(len(line.cells) for line in lines), 'answer').lower()}"


def _remarks(lines: Sequence[Line], refused: Sequence[InputError]) -> list[str]:
    """What must be known before the first answer is read."""
    far = sum(any(far for _, _, far in line.cells.values()) for line in lines)
    mended, warned = sum(line.mended for line in lines), sum(line.warned for line in lines)
    remarks = []
    if far:
        remarks.append(f"{_count(far, 'protein')} with an answer far from training: treat such answers as guesses.")
    if warned:
        remarks.append(f"{_count(warned, 'protein')} with a warning.")
    if mended:
        remarks.append(f"{_count(mended, 'sequence')} mended on the way in.")
    if refused:
        remarks.append(f"{_count(len(refused), 'record')} refused; reasons and remedies are listed below.")
    return remarks


def _count(number: int, noun: str) -> str:
    figure = _WORDS[number].capitalize() if number < len(_WORDS) else f"{number:,}"
    return f"{figure} {noun}{'' if number == 1 else 's'}"


@cache
def _template() -> Template:
    return make_template(
        "report.html.jinja",
        filters={
            "score": score_figure,
            "metric": metric_title,
            "thousands": "{:,}".format,
            "question": question_anchor,
        },
    )

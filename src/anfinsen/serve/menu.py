"""The task list as the service tells it, and an answer as a card for the page; made in the child that knows the tasks.

Nothing here names a task: a new task file appears in routes, types, form and page by itself. The shape of an answer is
read from an answer to invented outputs, so that it cannot differ from what the task really gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import isinf
from typing import Any

from anfinsen.hub.record import TaskRecord
from anfinsen.inference.prediction import Prediction
from anfinsen.models.windows import windows_of
from anfinsen.reading.letters import RARE
from anfinsen.report.answer import kind_of, letter_names
from anfinsen.report.card import make_card
from anfinsen.report.grouping import group_of
from anfinsen.report.page import invented, shortened
from anfinsen.report.standing import find_standing, metric_title
from anfinsen.targets.base import Number
from anfinsen.targets.values import Values
from anfinsen.tasks.base import GROUPS, Task

MOST_NAMES = 40
"""Class names that a schema lists; more are told as text."""
_REACH = {
    "type": "object",
    "description": "How near the protein is to those that the task was trained on.",
    "properties": {
        "far": {"type": "boolean"},
        "nearest_identity": {"type": ["number", "null"]},
        "nearest_id": {"type": ["string", "null"]},
    },
    "required": ["far", "nearest_identity", "nearest_id"],
}


def entry(task: Task, record: TaskRecord | None = None) -> dict[str, Any]:
    """Everything that a stranger is told about a task, and what its bundle keeps of it."""
    answer = invented(task)
    shape = shape_of(answer, task.target.labels)
    return {
        "name": task.name,
        "title": task.title,
        "question": task.question,
        "explanation": task.explanation,
        "limits": task.limits,
        "terms": dict(task.terms),
        "group": GROUPS.get(group_of(answer, task), group_of(answer, task)),
        "place": list(GROUPS).index(group_of(answer, task)) if group_of(answer, task) in GROUPS else len(GROUPS),
        "leads": task.leads,
        "kind": kind_of(answer),
        "letters": letter_names(task),
        "zones": _zones(task),
        "span": _span(task),
        "standing": _standing(task, record),
        "source": _source(task, record),
        "of_pairs": task.of_pairs,
        "conditions": [{"name": one.name, "unit": one.unit, "meaning": one.meaning} for one in task.conditions],
        "answer": {
            **shape,
            "description": task.explanation,
            "properties": {**shape["properties"], "reach": _REACH},
            "required": ["reach"],
            "example": {**shortened(answer), "reach": {"far": False, "nearest_identity": 0.62, "nearest_id": "P00698"}},
        },
    }


def _zones(task: Task) -> list[tuple[float | None, str]]:
    """Upper end and name of each zone of a number a residue, None where a zone has no end."""
    zones = task.target.zones if isinstance(task.target, Values) else ()
    return [(None if isinf(end) else end, name) for end, name in zones]


def _span(task: Task) -> list[float]:
    """Where most numbers of the training lie, so that one protein's place among them can be drawn."""
    if not isinstance(task.target, Number):
        return []
    return [task.target.center - 2 * task.target.spread, task.target.center + 2 * task.target.spread]


def _standing(task: Task, record: TaskRecord | None) -> dict[str, Any] | None:
    """How good the answers usually are: the headline score, its rivals, and the verdict."""
    found = find_standing(record.scores, task) if record is not None else None
    if found is None:
        return None
    rows = [(found.score, "ours"), *((one, "baseline") for one in found.baselines[:3])]
    rows += [(one, "published") for one in found.published[:2]]
    return {
        "headline": found.headline,
        "circumstance": found.circumstance,
        "verdict": found.verdict,
        "brief": found.brief,
        "is_weak": found.is_weak,
        "metric": metric_title(found.score.metric),
        "lower_is_better": found.lower_is_better,
        "rows": [
            {"model": one.model if kind != "ours" else "This model", "kind": kind, "value": one.value, "low": one.low,
             "high": one.high, "n": one.n}
            for one, kind in rows
        ],
    }  # fmt: skip


def _source(task: Task, record: TaskRecord | None) -> dict[str, Any]:
    """What it was learned from, and who published figures beside it."""
    return {
        "dataset": record.dataset if record is not None else "",
        "licence": record.licence if record is not None else "",
        "trained_on": record.trained_on if record is not None else 0,
        "references": sorted({one.source for one in task.published}),
    }


def shape_of(value: Any, labels: Iterable[str] = ()) -> dict[str, Any]:
    """The JSON schema that a value follows; a mapping from class names is told as one.

    >>> shape_of({"label": "a", "probabilities": {"a": 0.9, "b": 0.1}}, ("a", "b"))["properties"]["probabilities"]
    {'type': 'object', 'additionalProperties': {'type': 'number'}}
    """
    names = set(labels)
    if isinstance(value, Mapping):
        if value and names and set(value) <= names:
            return {"type": "object", "additionalProperties": shape_of(next(iter(value.values())), names)}
        return {"type": "object", "properties": {key: shape_of(one, names) for key, one in value.items()}}
    if isinstance(value, list | tuple):
        return {"type": "array", "items": shape_of(value[0], names) if value else {}}
    if isinstance(value, str):
        return {"type": "string"} | ({"enum": sorted(names)} if value in names and len(names) <= MOST_NAMES else {})
    if isinstance(value, bool) or value is None:
        return {} if value is None else {"type": "boolean"}
    return {"type": "number"}


def marks(sequence: str, longest: int) -> list[dict[str, Any]]:
    """Where a chain was not read as twenty kinds of residues in one piece: rare letters, and windows that overlap.

    >>> marks("MKXXU", 10)
    [{'from': 3, 'to': 4, 'word': 'X, an unknown residue'}, {'from': 5, 'to': 5, 'word': 'U, selenocysteine'}]
    >>> marks("M" * 15, 10)
    [{'from': 6, 'to': 10, 'word': 'windows 1 and 2 overlap'}]
    """
    rare = [
        {"from": found.start() + 1, "to": found.end(), "word": f"{found[1]}, {RARE[found[1]]}"}
        for found in re.finditer(rf"([{''.join(RARE)}])\1*", sequence)
    ]
    seams = [
        {"from": begins + 1, "to": ends, "word": f"windows {number} and {number + 1} overlap"}
        for number, ((_, ends), (begins, _)) in enumerate(pairwise(windows_of(len(sequence), longest)), 1)
    ]
    return rare + seams


def card(
    prediction: Prediction, tasks: Mapping[str, Task], records: Mapping[str, TaskRecord], longest: int
) -> dict[str, Any]:
    """One protein for the page: its name, what must be told, and each answer as a sentence with its confidence.

    `longest` is how many residues the model reads in one piece.
    """
    answers = []
    for name, answer in prediction.answers.items():
        made = make_card(name, answer, tasks.get(name), records.get(name))
        sure, near = made.confidence, made.nearness
        is_range = kind_of(answer) in ("number", "values", "tracks")
        answers.append(
            {
                "task": name,
                "title": made.title,
                "kind": made.kind,
                "group": GROUPS.get(group_of(answer, tasks.get(name)), ""),
                "question": made.question,
                "brief": made.brief,
                "sentence": made.sentence,
                "sure": None
                if sure is None
                else {
                    "word": sure.word if is_range else f"{sure.word} confidence",
                    "figure": sure.figure,
                    "meaning": sure.meaning,
                },
                "near": None if near is None else {"far": near.far, "title": near.title, "reason": near.reason},
                "limits": made.limits,
            }
        )
    return {
        "title": prediction.title,
        "length": prediction.residues,
        "messages": [message.to_json() for message in prediction.messages],
        "marks": marks(prediction.sequence, longest),
        "answers": answers,
    }

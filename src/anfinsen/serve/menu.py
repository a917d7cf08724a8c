"""The task list as the service tells it, and an answer as a card for the page; made in the child that knows the tasks.

Nothing here names a task: a new task file appears in routes, types, form and page by itself. The shape of an answer is
read from an answer to invented outputs, so that it cannot differ from what the task really gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from anfinsen.hub.record import TaskRecord
from anfinsen.inference.prediction import Prediction
from anfinsen.report.answer import kind_of
from anfinsen.report.card import make_card
from anfinsen.report.page import invented, shortened
from anfinsen.tasks.base import Task

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


def entry(task: Task) -> dict[str, Any]:
    """Everything that a stranger is told about a task."""
    answer = invented(task)
    shape = shape_of(answer, task.target.labels)
    return {
        "name": task.name,
        "title": task.title,
        "question": task.question,
        "explanation": task.explanation,
        "limits": task.limits,
        "terms": dict(task.terms),
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


def card(prediction: Prediction, tasks: Mapping[str, Task], records: Mapping[str, TaskRecord]) -> dict[str, Any]:
    """One protein for the page: its name, what must be told, and each answer as a sentence with its confidence."""
    answers = []
    for name, answer in prediction.answers.items():
        made = make_card(name, answer, tasks.get(name), records.get(name))
        sure, near = made.confidence, made.nearness
        is_range = kind_of(answer) in ("number", "values", "tracks")
        answers.append(
            {
                "task": name,
                "title": made.title,
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
        "answers": answers,
    }

"""A task as a page of the documentation, made from its file alone: nothing on the page is typed by hand.

    task -> question, explanation, how to ask, the shape of the answer, data, scores in use, published figures, words

Scores of our own are not on it: they belong to a model, and stand on its card. `scripts/pages` writes all pages into
docs/tasks, and a test fails when one is out of date.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module, util
from typing import Any

import numpy

from anfinsen.data.example import Example
from anfinsen.structure.protein import Protein
from anfinsen.targets.metrics import METRICS
from anfinsen.tasks import Task

_PROTEIN = Protein("example", "MKTAYIAKQRQI")
_PARTNER = Protein("partner", "GSHMLEDPVDAF")
_KEPT = 3
_MOST_NAMES = 24
_MANY = 14
_FLAT = re.compile(r"\[[^\[\]{}]*\]")
"""A list of plain values in JSON, which stands on one line."""


def task_page(task: Task) -> str:
    """The page of one task, as Markdown."""
    parts = [
        f"# {task.title}",
        f"*{task.question}* · `{task.name}`",
        task.explanation,
        *_story(task),
        "## How to ask",
        _commands(task),
        *_conditions(task),
        "## What it answers",
        *_answer(task),
        "## What it learned from",
        _data(task),
        "## How it is judged",
        _scores(task),
        *_published(task),
        *(["## Limits", task.limits] if task.limits else []),
        *(["## Words", _list(f"**{term}**: {meaning}" for term, meaning in task.terms.items())] if task.terms else []),
        f"<!-- made by scripts/pages from the file of the task '{task.name}' -->",
    ]
    return "\n\n".join(parts) + "\n"


def _story(task: Task) -> list[str]:
    """What the task's file says to a newcomer: its docstring without the title."""
    name = f"anfinsen.tasks.{task.name.replace('-', '_')}"
    if util.find_spec(name) is None:
        return []
    text = inspect.cleandoc(import_module(name).__doc__ or "")
    return [paragraph for paragraph in text.split("\n\n")[1:] if paragraph.strip()]


def _commands(task: Task) -> str:
    told = "".join(f" --condition {one.name}={one.center:g}" for one in task.conditions)
    lines = [f"anfinsen predict proteins.fasta --task {task.name}{told} --out answers"]
    if task.target.head == "masked":
        lines = []
    lines += [f"anfinsen train {task.name} --out runs/{task.name}", f"anfinsen bench {task.name}"]
    return "```console\n" + "\n".join(f"$ {line}" for line in lines) + "\n```"


def _conditions(task: Task) -> list[str]:
    if not task.conditions:
        return []
    told = [f"`{one.name}`{f' ({one.unit})' if one.unit else ''}: {one.meaning}" for one in task.conditions]
    return ["It may be told, and answers also where nobody knows:", _list(told)]


def _answer(task: Task) -> list[str]:
    names = [name for name in task.target.labels if name]
    parts = []
    if names:
        spelled = dict(zip(names, getattr(task.target, "names", ()), strict=False))
        shown = [f"`{name}`{f' ({spelled[name]})' if name in spelled else ''}" for name in names[:_MOST_NAMES]]
        more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        parts.append(f"One of {len(names):,}: {', '.join(shown)}{more}.")
    if task.target.head != "masked":
        text = json.dumps(shortened(invented(task)), indent=1, ensure_ascii=False)
        text = _FLAT.sub(lambda found: re.sub(r"\s+", " ", found[0]).replace("[ ", "[").replace(" ]", "]"), text)
        parts += [
            "The shape of an answer in `predictions.jsonl`; its figures are invented, and long lists are cut short:",
            f"```json\n{text}\n```",
        ]
    return parts or ["It answers with the chance of every residue at every hidden place."]


def invented(task: Task) -> Any:
    """An answer to outputs that no network made: the shape is right, the figures mean nothing."""
    generator = numpy.random.default_rng(1)
    length = (len(_PROTEIN),) if task.target.per_residue else ()
    length = (len(_PROTEIN) ** 2,) if task.target.per_pair else length
    outputs = generator.normal(size=(*length, task.target.size))
    example = Example(_PROTEIN, partner=_PARTNER) if task.of_pairs else Example(_PROTEIN)
    return task.answers([outputs], [example], {})[0]


def shortened(value: Any) -> Any:
    """At most three of everything, numbers with three digits."""
    if isinstance(value, Mapping):
        kept = list(value.items())
        is_long = len(kept) > _MANY
        return {key: shortened(one) for key, one in (kept[:_KEPT] if is_long else kept)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [shortened(one) for one in value[:_KEPT]]
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _data(task: Task) -> str:
    table = task.table
    rows = [
        f"{table.title}.",
        f"Source: {table.source}. Licence: {table.licence}. Table: `{table.files}`.",
        "| split | rows of the table | its part |\n|---|---|---|\n"
        + "\n".join(
            f"| `{name}` | {', '.join(f'`{value}`' for value in values) or 'see above'} | {_part(task, name)} |"
            for name, values in table.splits.items()
        ),
    ]
    return "\n\n".join(rows)


def _part(task: Task, split: str) -> str:
    if split in task.tests:
        return "test: looked at last"
    return {"train": "training", "valid": "when to stop; one half calibrates", "calibrate": "calibration"}.get(
        split, "see above"
    )


def _scores(task: Task) -> str:
    told = [f"**{name}**: {METRICS[name].meaning}" for name in task.metrics]
    return (
        "How good a model is stands on its card and is printed by the benchmark, with 95 % intervals, the number of "
        "proteins and baselines beside it. The scores, the headline first:\n\n" + _list(told)
    )


def _published(task: Task) -> list[str]:
    if not task.published:
        return ["No published figure belongs to exactly these splits."]
    rows = "\n".join(
        f"| {one.model} | {one.metric} | {one.value:g} | {one.split} | {one.source} |" for one in task.published
    )
    return [
        f"Published figures of others:\n\n| model | score | value | split | source |\n|---|---|---|---|---|\n{rows}"
    ]


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)

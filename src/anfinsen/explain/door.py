"""Why an answer was given, by whoever gave it: the network, or a plain rule in its place.

`explain` is the call that `anfinsen.explain` stands for: a protein and a task's name in, an explanation out.
"""

from __future__ import annotations

from pathlib import Path

from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError, UsageError
from anfinsen.explain import explanation
from anfinsen.explain.composition import explain_composition
from anfinsen.explain.explanation import Explanation
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.inference.predictor import as_examples, tasks_of
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer
from anfinsen.tasks.ask import ask
from anfinsen.tasks.base import Task
from anfinsen.tasks.plain import PlainTask


def explain(
    protein: str | Protein | Example, task: str, *, residue: int | None = None, bundle: str | Path | None = None
) -> Explanation:
    """Why a bundle, the embedded one if none is given, answers `task` about one protein as it does.

    Of a task with an answer for every residue, `residue` (from 1) asks about one of them. The credits (L,) stand in
    `views`, how far to believe them in `faithfulness`, and all of it in words in `sentences()`.
    """
    opened = Bundle.load(bundle or default_bundle())
    found = task_of(opened, task)
    asked = list(as_examples([protein]))
    if len(asked) != 1 or asked[0].partner is not None:
        raise UsageError("An answer is explained for one protein.", remedy="Give one, and ask again for the next.")
    return explain_answer(opened, found, asked[0], residue=residue)


def task_of(bundle: Bundle, name: str) -> Task:
    """The task of a bundle that has this name."""
    known = tasks_of(bundle)
    if name not in known:
        raise UnknownNameError(f"task in the bundle '{bundle.name}'", name, known)
    return known[name]


def explain_answer(bundle: Bundle, task: Task, example: Example, *, residue: int | None = None) -> Explanation:
    """Why a bundle gave one answer about one protein: explained is who answered, and who else was heard is said."""
    network, calibration = bundle.network.eval(), bundle.records[task.name].calibration
    if task.of_pairs or task.target.per_pair:
        return explanation.explain(network, task, example)  # no chain by itself is asked about: it refuses
    (outputs,) = (one[task.name] for one in ask(network, [task], [example]))
    if isinstance(task, PlainTask) and residue is None:
        line = task.line(network.heads[task.name], calibration)
        if line is not None:
            own = outputs[: task.target.size] / calibration.get("temperature", 1.0)
            return explain_composition(task, example, line, own)
    (answer,) = task.answers([outputs], [example], calibration)
    return explanation.explain(network, task, example, residue=residue, said=_said(answer), beside=task.beside(answer))


def _said(answer: Answer) -> str:
    """The class that an answer names first; empty where it names none."""
    first: Answer = next(iter(answer.get("labels", ())), {})
    return str(answer.get("label", first.get("label", "")))

"""The call that `anfinsen.explain` stands for: a protein and a task's name in, an explanation out."""

from __future__ import annotations

from pathlib import Path

from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError, UsageError
from anfinsen.explain import explanation
from anfinsen.explain.explanation import Explanation
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.inference.predictor import as_examples, tasks_of
from anfinsen.structure.protein import Protein


def explain(
    protein: str | Protein | Example, task: str, *, residue: int | None = None, bundle: str | Path | None = None
) -> Explanation:
    """Why a bundle, the embedded one if none is given, answers `task` about one protein as it does.

    Of a task with an answer for every residue, `residue` (from 1) asks about one of them. The credits (L,) stand in
    `views`, how far to believe them in `faithfulness`, and all of it in words in `sentences()`.
    """
    opened = Bundle.load(bundle or default_bundle())
    known = tasks_of(opened)
    if task not in known:
        raise UnknownNameError(f"task in the bundle '{opened.name}'", task, known)
    asked = list(as_examples([protein]))
    if len(asked) != 1 or asked[0].partner is not None:
        raise UsageError("An answer is explained for one protein.", remedy="Give one, and ask again for the next.")
    return explanation.explain(opened.network.eval(), known[task], asked[0], residue=residue)

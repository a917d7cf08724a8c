"""Weigh what relatives say of conservation against what the network says, and write the weights beside the task.

    python benchmarks/relatives.py [--proteins 150] [--check]

Fitted on proteins of the validation split, which no head has learnt, with relatives from the training part of the
pre-training corpus. Five folds of proteins tell what it is worth. About ten minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

import anfinsen
from anfinsen.bench.relatives import PROTEINS, asked_about, corpus
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.models.fast import quicken
from anfinsen.targets.metrics import Estimate, measure
from anfinsen.tasks.ask import ask
from anfinsen.tasks.conservation import FAMILY_WEIGHTS, TASK, family_terms

PATH = Path(anfinsen.__file__).parent / "tasks" / FAMILY_WEIGHTS
FOLDS = 5
STRENGTH = 0.3
"""How freely the weights may grow, as scikit-learn's C."""
Rows = list[NDArray[numpy.floating]]


def main() -> int:
    """Search, fit, tell what it is worth, write or compare."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--proteins", type=int, default=PROTEINS)
    flags.add_argument("--check", action="store_true")
    asked = flags.parse_args()
    bundle, collection = Bundle.load(default_bundle()), corpus()
    examples = asked_about(TASK, "valid", asked.proteins)
    outputs = [output[TASK.name] for output in ask(quicken(bundle.network.eval()), [TASK], examples)]
    families = [collection.family(example.protein.sequence) for example in examples]
    terms = [family_terms(output, family) for output, family in zip(outputs, families, strict=True)]
    print(f"alone: {_worth(examples, outputs)}")
    said: Rows = [numpy.empty(0)] * len(examples)
    for fold in range(FOLDS):
        kept = [place for place in range(len(examples)) if place % FOLDS != fold]
        model = _fit([terms[place] for place in kept], [examples[place] for place in kept])
        for place in range(fold, len(examples), FOLDS):
            said[place] = terms[place] @ model.coef_.T + model.intercept_
    print(f"with relatives, {FOLDS} folds: {_worth(examples, said)}")
    model = _fit(terms, examples)
    weights = numpy.vstack([model.coef_.T, model.intercept_]).round(4).tolist()
    about = {"model": bundle.name, "relatives": collection.name, "n": len(examples)}
    text = json.dumps({"about": about, "weights": weights}) + "\n"
    is_same = PATH.is_file() and PATH.read_text(encoding="utf-8") == text
    if not asked.check:
        PATH.write_text(text, encoding="utf-8")
    return int(asked.check and not is_same)


def _fit(terms: Rows, examples: list[Example]) -> LogisticRegression:
    """Multinomial regression on every residue whose grade is known."""
    grades = [numpy.array(list(str(example.value))) for example in examples]
    known = [numpy.isin(row, list(TASK.target.labels)) for row in grades]
    rows = numpy.concatenate([row[here] for row, here in zip(terms, known, strict=True)])
    truth = numpy.concatenate([row[here] for row, here in zip(grades, known, strict=True)])
    return LogisticRegression(C=STRENGTH, max_iter=300).fit(rows, truth)


def _worth(examples: list[Example], outputs: Rows) -> str:
    answers = [TASK.target.answer(output, {}) for output in outputs]
    found: list[Estimate] = [measure(metric, examples, answers) for metric in TASK.metrics]
    pairs = zip(TASK.metrics, found, strict=True)
    told = [f"{metric} {one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for metric, one in pairs]
    return f"{', '.join(told)}, n = {found[0].n}"


if __name__ == "__main__":
    sys.exit(main())

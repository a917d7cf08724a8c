"""`anfinsen.train`: two Python lists in, a judged model out, with the manners of scikit-learn.

model = anfinsen.train(sequences, labels)
model.predict(["MKT..."])        an array: classes, or numbers
model.predict_proba(["MKT..."])  chances of the classes, in the order of model.classes_
print(model)                     the card: score, interval, rivals, verdict
model.save("my-model")           a bundle, for `anfinsen predict --bundle my-model`
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.prediction import Prediction
from anfinsen.inference.predictor import Predictor, Question
from anfinsen.tables.offered import SEQUENCE, SEQUENCE_PAIR, from_lists
from anfinsen.tables.rows import Whole
from anfinsen.targets.labels import CALLED
from anfinsen.training.recipe import Recipe
from anfinsen.workshop.fitting import Fitted, fit
from anfinsen.workshop.plan import make_plan
from anfinsen.workshop.words import card_lines, plan_lines, sentences


class Answering:
    """A bundle that was just made and answers at once."""

    def __init__(self, bundle: Bundle, tasks: Sequence[str]) -> None:
        self.bundle = bundle
        """What is saved: network, calibration, scores, provenance."""
        self._predictor = Predictor(bundle, tasks)

    def answers(self, sequences: Sequence[Question]) -> list[Prediction]:
        """Whole predictions: sets or intervals, confidence, and how near each protein is to the training."""
        return list(self._predictor.predict(sequences))

    def save(self, folder: str | Path) -> Path:
        """Write the bundle."""
        self.bundle.save(Path(folder))
        return Path(folder)


class Model(Answering):
    """A trained and judged model of one's own; `scores` are the rows of its card, ours first."""

    rows: Whole
    """What it learnt from; a bundle does not keep it, and a student needs it again."""

    def __init__(self, fitted: Fitted, rows: Whole) -> None:
        self._fitted, self.rows = fitted, rows
        self._task = fitted.plan.name
        super().__init__(fitted.bundle, (self._task,))

    @property
    def scores(self) -> tuple[Score, ...]:
        """Our scores and the rivals', each with its interval, count and split."""
        return self._fitted.scores

    @property
    def classes_(self) -> tuple[str, ...]:
        """The classes or letters, in the order of the outputs; none for numbers."""
        return self._fitted.plan.custom.labels

    @property
    def plan(self) -> str:
        """What was found in the data before the training."""
        return sentences(list(plan_lines(self._fitted.plan)))

    def predict(self, sequences: Sequence[Question]) -> NDArray[Any]:
        """A class, a number, a tuple of labels or a string of letters for each protein: (N,)."""
        answers = [prediction.answers[self._task] for prediction in self.answers(sequences)]
        kind = self._fitted.plan.custom.kind
        if kind == "number":
            return numpy.array([answer["value"] for answer in answers], dtype=numpy.float64)
        if kind in ("label", "tokens"):
            return numpy.array([answer["label" if kind == "label" else "tokens"] for answer in answers])
        found = numpy.empty(len(answers), dtype=object)
        for place, answer in enumerate(answers):
            if kind == "labels":
                found[place] = tuple(one["label"] for one in answer["labels"] if one["probability"] >= CALLED)
            else:
                found[place] = numpy.array(answer["values"])
        return found

    def predict_proba(self, sequences: Sequence[Question]) -> NDArray[numpy.float64]:
        """The chance of each class for each protein, in the order of `classes_`: (N, K)."""
        if self._fitted.plan.custom.kind != "label":
            raise UsageError("Only a model of classes has chances of classes.", remedy="Use answers() or predict().")
        answers = [prediction.answers[self._task]["probabilities"] for prediction in self.answers(sequences)]
        return numpy.array([[shares[name] for name in self.classes_] for shares in answers])

    def __str__(self) -> str:
        return sentences(list(card_lines(self._fitted)))


def train(
    sequences: Sequence[str] | Sequence[tuple[str, str]],
    labels: Sequence[object],
    *,
    out: str | Path | None = None,
    ids: Sequence[str] | None = None,
    split: Sequence[str] | None = None,
    conditions: Mapping[str, Sequence[float | None]] | None = None,
    kind: str = "",
    start: str | Path | None = None,
    **settings: Any,
) -> Model:
    """Train on `sequences` and their `labels` (numbers, classes, lists of labels, or a letter a residue), and judge.

    A list of tuples of two sequences is a table of pairs, of which it makes no difference which comes first.
    `conditions` are numbers that the answer depends on, by name; `split` says train, valid or test for each sequence,
    without it families of relatives stay together. `settings` are a recipe's keys, dots written as '__':
    mode="lora", train__steps=500, table__rare="drop". A run with `out` can be stopped and goes on.
    """
    more: dict[str, Sequence[object]] = {name: list(column) for name, column in (conditions or {}).items()}
    if ids is not None:
        more["id"] = ids
    if split is not None:
        more["split"] = split
    first, second = SEQUENCE_PAIR if any(isinstance(one, tuple) for one in sequences) else (SEQUENCE, "")
    own = {"column": first, "partner": second, "label": ("label",), "kind": kind, "conditions": tuple(conditions or ())}
    own |= {"split": "split"} if split is not None else {}
    recipe = Recipe.build(nested(settings, {"table": own}), source="the call")
    rows = from_lists(sequences, list(labels), more)
    plan = make_plan(rows, recipe, start=start)
    if out is not None:
        return Model(fit(plan, Path(out)), rows)
    folder = Path(tempfile.mkdtemp(prefix="anfinsen-"))
    try:
        return Model(fit(plan, folder), rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def nested(settings: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's keys put into `values`, each where its name says.

    >>> nested({"mode": "lora", "train__steps": 500}, {})
    {'mode': 'lora', 'train': {'steps': 500}}
    """
    for key, value in settings.items():
        *tables, name = key.split("__")
        place = values
        for table in tables:
            place = place.setdefault(table, {})
        place[name] = value
    return values

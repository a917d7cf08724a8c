"""Simple answers that a model must beat: the same questions, the same scores, no deep learning.

    label    majority, composition, nearest neighbour
    number   mean, composition, composition + conditions, nearest neighbour
    labels   frequencies, composition, nearest neighbour
    tokens   majority,    residue type, window, nearest neighbour (see `residues`)
    values   mean,        residue type, window, nearest neighbour
    tracks   frequencies, residue type, window, nearest neighbour; of structures also exposure, surroundings
    tree, terms    frequency, composition, homology transfer by words and with all aligned (see `function`)
    masked   unigram, 3-gram

Each is a function (train, test, task) -> answers in the JSON form of the task's target. They are fitted on the
training split only, are the same on every run, and take less than a minute on one core. None of them knows a model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anfinsen.bench import exposure, function, residues
from anfinsen.bench.ngrams import CORPUS_SAMPLE, masked_trigram, masked_unigram
from anfinsen.data.composition import composition
from anfinsen.data.example import Example
from anfinsen.kinship.neighbours import most_alike
from anfinsen.targets.annotation import ALL_ALIGNED, BY_WORDS
from anfinsen.targets.base import Answer, Number
from anfinsen.tasks.base import Task

Floats = NDArray[numpy.floating[Any]]
Places = NDArray[numpy.int64]
Error = Callable[[Places, Places], float]
"""How wrong it is to answer some training proteins by others, both given by their places."""
Fit = Callable[[Sequence[Example], Sequence[Example], Task], list[Answer]]

WORD_LENGTHS = (4, 3, 2, 5)
"""Lengths of the words by which neighbours are compared; the best within training is taken, the first among equals."""
HELD_OUT = 500
"""Training proteins on which that is decided."""
_SEED = 1
_FLOOR = 1e-9


@dataclass(frozen=True)
class Baseline:
    """A named simple answerer; `needs_conditions` and `needs_structures` keep it to tasks that have some."""

    name: str
    answer: Fit
    needs_conditions: bool = False
    needs_structures: bool = False


def baselines_for(task: Task) -> list[Baseline]:
    """The baselines of a task, by its target; none where the kind of answer has none yet."""
    kind = "masked" if task.target.head == "masked" else task.target.kind
    return [
        one
        for one in BASELINES.get(kind, ())
        if (task.conditions or not one.needs_conditions) and (task.of_structures or not one.needs_structures)
    ]


# Features -----------------------------------------------------------------------------------------------------------


def _with_conditions(examples: Sequence[Example], task: Task) -> Floats:
    """Composition, then each condition's value and whether it is known."""
    conditions = task.condition_rows([example.conditions for example in examples]).numpy()
    return numpy.hstack([composition(examples), numpy.nan_to_num(conditions), numpy.isnan(conditions)])


# One label a protein ------------------------------------------------------------------------------------------------


def _labelled(train: Sequence[Example], task: Task) -> tuple[list[Example], NDArray[numpy.int64]]:
    known = [example for example in train if example.value is not None]
    return known, numpy.array([int(task.target.encode(example)) for example in known])


def _label_answers(shares: Floats, task: Task) -> list[Answer]:
    return [task.target.answer(numpy.log(numpy.maximum(row, _FLOOR)), {}) for row in shares]


def label_majority(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """The most frequent label of the training split, for every protein."""
    _, labels = _labelled(train, task)
    shares = numpy.bincount(labels, minlength=task.target.size) / len(labels)
    return _label_answers(numpy.tile(shares, (len(test), 1)), task)


def label_composition(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """Multinomial logistic regression on residue shares and length."""
    known, labels = _labelled(train, task)
    if len(numpy.unique(labels)) < 2:
        return label_majority(train, test, task)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(composition(known), labels)
    shares = numpy.zeros((len(test), task.target.size))
    shares[:, model.classes_] = model.predict_proba(composition(test))
    return _label_answers(shares, task)


def label_neighbour(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """The label of the most alike training protein."""
    known, labels = _labelled(train, task)
    nearest = _neighbours(known, test, lambda places, true: float((labels[places] != labels[true]).mean()))
    return _label_answers(numpy.eye(task.target.size)[labels[nearest]], task)


def _neighbours(train: Sequence[Example], test: Sequence[Example], error: Error) -> Places:
    """The place of each protein's neighbour; the length of the words is the one that errs least within training."""
    sequences, asked = ([example.protein.sequence for example in part] for part in (train, test))
    order = numpy.random.default_rng(_SEED).permutation(len(train))
    held, rest = numpy.split(order, [min(HELD_OUT, len(train) // 5)])
    errors = {}
    for length in WORD_LENGTHS if len(held) else ():
        found = most_alike([sequences[i] for i in rest], [sequences[i] for i in held], length=length).place
        errors[length] = error(rest[found], held)
    best = min(errors, key=lambda length: errors[length], default=WORD_LENGTHS[0])
    return most_alike(sequences, asked, length=best).place


# Several labels a protein ---------------------------------------------------------------------------------------------


def _several(train: Sequence[Example], task: Task) -> tuple[list[Example], Floats]:
    known = [example for example in train if example.value is not None]
    return known, numpy.stack([task.target.encode(example) for example in known]).astype(numpy.float64)


def _shares_answers(shares: Floats, task: Task) -> list[Answer]:
    clipped = shares.clip(1e-6, 1 - 1e-6)
    return [task.target.answer(numpy.log(row / (1 - row)), {}) for row in clipped]


def labels_frequency(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """How often each label holds in the training split, for every protein."""
    _, truth = _several(train, task)
    return _shares_answers(numpy.tile(_frequencies(truth), (len(test), 1)), task)


def labels_composition(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """For each label a logistic regression on residue shares and length."""
    known, truth = _several(train, task)
    rows, asked = composition(known), composition(test)
    shares = numpy.tile(_frequencies(truth), (len(test), 1))
    for label, column in enumerate(truth.T):
        is_known = ~numpy.isnan(column)
        if len(numpy.unique(column[is_known])) == 2:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
            shares[:, label] = model.fit(rows[is_known], column[is_known]).predict_proba(asked)[:, 1]
    return _shares_answers(shares, task)


def labels_neighbour(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """The labels of the most alike training protein."""
    known, truth = _several(train, task)
    filled = numpy.where(numpy.isnan(truth), _frequencies(truth), truth)
    nearest = _neighbours(known, test, lambda places, true: float(((filled[places] - filled[true]) ** 2).mean()))
    return _shares_answers(filled[nearest], task)


def _frequencies(truth: Floats) -> Floats:
    known = ~numpy.isnan(truth)
    shares: Floats = numpy.nansum(truth, axis=0) / numpy.maximum(1, known.sum(0))
    return shares


# One number a protein -----------------------------------------------------------------------------------------------


def _numbered(train: Sequence[Example]) -> tuple[list[Example], Floats]:
    known = [example for example in train if isinstance(example.value, int | float) and math.isfinite(example.value)]
    return known, numpy.array([example.value for example in known], dtype=numpy.float64)


def _number_answers(values: Floats, spread: float, task: Task) -> list[Answer]:
    """The values with an interval of 1.645 standard deviations of the error on either side."""
    target = task.target
    if not isinstance(target, Number):
        raise TypeError("a baseline for numbers was asked about something else")
    width = math.log(max(spread, _FLOOR) / target.spread)
    return [target.answer(numpy.array([(value - target.center) / target.spread, width]), {}) for value in values]


def number_mean(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """The mean of the training split, for every protein."""
    _, values = _numbered(train)
    return _number_answers(numpy.full(len(test), values.mean()), float(values.std()), task)


def number_composition(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """Ridge regression on residue shares and length."""
    return _ridge(train, test, task, lambda examples: composition(examples))


def number_conditions(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """Ridge regression on residue shares, length and conditions."""
    return _ridge(train, test, task, lambda examples: _with_conditions(examples, task))


def _ridge(
    train: Sequence[Example], test: Sequence[Example], task: Task, features: Callable[[Sequence[Example]], Floats]
) -> list[Answer]:
    known, values = _numbered(train)
    rows = features(known)
    model = make_pipeline(StandardScaler(), RidgeCV(numpy.logspace(-2, 4, 13))).fit(rows, values)
    return _number_answers(model.predict(features(test)), float((values - model.predict(rows)).std()), task)


def number_neighbour(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """The number of the most alike training protein; its interval is that of a random one."""
    known, values = _numbered(train)
    nearest = _neighbours(known, test, lambda places, true: float(((values[places] - values[true]) ** 2).mean()))
    return _number_answers(values[nearest], float(values.std()), task)


_RESIDUES = (
    Baseline("residue type", residues.by(residues.residue)),
    Baseline("window", residues.by(residues.window)),
    Baseline("nearest neighbour", residues.by(residues.neighbour)),
)
_FUNCTION = (
    Baseline("frequency", function.frequency),
    Baseline("composition", function.by_features(composition)),
    Baseline(BY_WORDS, function.homology),
    Baseline(ALL_ALIGNED, function.all_aligned),
)
BASELINES: dict[str, tuple[Baseline, ...]] = {
    "tree": _FUNCTION,
    "terms": _FUNCTION,
    "label": (
        Baseline("majority", label_majority),
        Baseline("composition", label_composition),
        Baseline("nearest neighbour", label_neighbour),
    ),
    "labels": (
        Baseline("frequencies", labels_frequency),
        Baseline("composition", labels_composition),
        Baseline("nearest neighbour", labels_neighbour),
    ),
    "number": (
        Baseline("mean", number_mean),
        Baseline("composition", number_composition),
        Baseline("composition + conditions", number_conditions, needs_conditions=True),
        Baseline("nearest neighbour", number_neighbour),
    ),
    "tokens": (Baseline("majority", residues.by(residues.prior)), *_RESIDUES),
    "values": (Baseline("mean", residues.by(residues.prior)), *_RESIDUES),
    "tracks": (
        Baseline("frequencies", residues.by(residues.prior)),
        *_RESIDUES,
        Baseline("exposure", residues.by(exposure.exposure), needs_structures=True),
        Baseline("surroundings", residues.by(exposure.surroundings), needs_structures=True),
    ),
    "masked": (
        Baseline(f"unigram (of {CORPUS_SAMPLE:,} proteins)", masked_unigram),
        Baseline(f"3-gram (of {CORPUS_SAMPLE:,} proteins)", masked_trigram),
    ),
}
BASELINES["cut"] = BASELINES["label"]
"""The baselines of each kind of answer; of a cut they say whether, and leave open where."""

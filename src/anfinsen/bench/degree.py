"""The simple rules of pairs: what can be said without looking at how two proteins fit together.

    degree only      how often each partner occurs in training, and nothing else
    one side only    what is usual for one partner alone; of a new one, what is usual for the protein most like it
    composition      both compositions, in any order

Negatives are often drawn at random and positives crowd around few proteins, so a model of pairs can score well and
know nothing of binding (Park & Marcotte 2012; Bernett et al. 2024, Briefings in Bioinformatics 25:bbae076). Whatever
does not beat these has learned no more than they know.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial

import numpy
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anfinsen.bench.baselines import Baseline, baselines_for, label_majority, number_mean
from anfinsen.data.composition import composition
from anfinsen.data.example import Example
from anfinsen.kinship.neighbours import most_alike
from anfinsen.models.heads import joined
from anfinsen.targets.base import Answer, Label, Number
from anfinsen.tasks.base import Task

Floats = NDArray[numpy.float64]
DEGREE = "degree only"
SIDES = ("first partner only", "second partner only")
_WORD = 4
_PRIOR = 1.0
"""How many pairs the usual answer counts for when that of a partner is taken."""
_FLOOR = 1e-9


def rules_for(task: Task) -> list[Baseline]:
    """The simple rules of a task: those of pairs where it asks about pairs, else the usual ones."""
    if not task.of_pairs:
        return baselines_for(task)
    usual = Baseline("majority", label_majority) if isinstance(task.target, Label) else Baseline("mean", number_mean)
    sides = [Baseline(name, partial(one_side, side=side)) for side, name in enumerate(SIDES)]
    return [usual, Baseline("composition", both_compositions), Baseline(DEGREE, degree_only), *sides]


def degree_only(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """A straight line through how often each partner occurs in training."""
    counts = Counter(chain.sequence for example in train for chain in example.chains)

    def rows(examples: Sequence[Example], own: int) -> Floats:
        # a training pair does not count itself, or the new would look rarer than anything that was learned from
        seen = [sorted(counts[chain.sequence] - own for chain in example.chains) for example in examples]
        return numpy.log1p(numpy.maximum(0, numpy.array(seen, dtype=numpy.float64)))

    return _straight(rows(train, 1), rows(test, 0), train, task)


def both_compositions(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """A straight line through the compositions of both proteins."""

    def rows(examples: Sequence[Example]) -> Floats:
        each = composition([Example(chain) for example in examples for chain in example.chains])
        return joined(torch.from_numpy(each)).numpy()

    return _straight(rows(train), rows(test), train, task)


def one_side(train: Sequence[Example], test: Sequence[Example], task: Task, *, side: int) -> list[Answer]:
    """The usual answer of one partner in its training pairs, drawn a little to that of all."""
    truth = _truths(train, task)
    usual = truth.mean(0)
    sums: dict[str, Floats] = defaultdict(lambda: _PRIOR * usual)
    counts: Counter[str] = Counter()
    for example, value in zip(train, truth, strict=True):
        for chain in {chain.sequence for chain in example.chains}:
            sums[chain] = sums[chain] + value
            counts[chain] += 1
    known = list(sums)
    asked = [example.chains[side].sequence for example in test]
    new = list(dict.fromkeys(chain for chain in asked if chain not in counts))
    alike = dict(zip(new, most_alike(known, new, length=_WORD).place.tolist(), strict=True)) if new else {}
    nearest = [chain if chain in counts else known[alike[chain]] for chain in asked]
    said = numpy.array([sums[chain] / (_PRIOR + counts[chain]) for chain in nearest])
    return _answers(said, float(truth.std()), task)


def _truths(examples: Sequence[Example], task: Task) -> Floats:
    """The answers as rows: one-hot classes (n, K), or numbers (n, 1) in their own unit."""
    if isinstance(task.target, Label):
        found: Floats = numpy.eye(task.target.size)[[int(task.target.encode(example)) for example in examples]]
        return found
    return numpy.array([[float(example.value)] for example in examples])  # type: ignore[arg-type]


def _straight(rows: Floats, asked: Floats, train: Sequence[Example], task: Task) -> list[Answer]:
    """Logistic or ridge regression."""
    truth = _truths(train, task)
    if isinstance(task.target, Label):
        labels = truth.argmax(1)
        if len(set(labels.tolist())) < 2:
            return label_majority(train, [train[0]] * len(asked), task)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(rows, labels)
        shares = numpy.zeros((len(asked), task.target.size))
        shares[:, model.classes_] = model.predict_proba(asked)
        return _answers(shares, 0.0, task)
    line = make_pipeline(StandardScaler(), RidgeCV(numpy.logspace(-2, 4, 13))).fit(rows, truth[:, 0])
    spread = float((truth[:, 0] - line.predict(rows)).std())
    return _answers(line.predict(asked)[:, None], spread, task)


def _answers(said: Floats, spread: float, task: Task) -> list[Answer]:
    """Shares of classes or numbers, with the interval of a spread, as answers."""
    target = task.target
    if isinstance(target, Number):
        width = float(numpy.log(max(spread, _FLOOR) / target.spread))
        outputs = [numpy.array([(value - target.center) / target.spread, width]) for (value,) in said.tolist()]
    else:
        outputs = list(numpy.log(numpy.maximum(said, _FLOOR)))
    return [target.answer(output, {}) for output in outputs]

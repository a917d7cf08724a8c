"""Simple answers about the residues of a structure: straight lines on what anybody can count in it.

    exposure       how many others lie near, on the side of the side chain and on the other, and which residue stands
                   at each of seven places along the chain
    surroundings   everything that a network on graphs is told about a residue, without the network and its messages

Both are logistic regressions, one for each track. Where an example has no structure, what cannot be counted is zero.
They know no model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anfinsen.bench.residues import Shares
from anfinsen.data.example import Example
from anfinsen.data.nets import kinds_of, nodes_of
from anfinsen.structure.surroundings import part
from anfinsen.tasks.base import Task

Floats = NDArray[numpy.floating[Any]]

WINDOW = 7
"""Residues along the chain whose kinds `exposure` sees, the asked one in the middle."""
_STRENGTH = 0.1


def exposure(train: Sequence[Example], task: Task) -> Shares:
    """A logistic regression on neighbour counts, half-sphere exposure and the kinds in a window."""
    return _line(train, task, _exposed)


def surroundings(train: Sequence[Example], task: Task) -> Shares:
    """A logistic regression on everything that surrounds a residue (`structure.surroundings`)."""
    return _line(train, task, lambda example: nodes_of(example.protein))


def _exposed(example: Example) -> Floats:
    """What `exposure` reads of one protein, (L, 4 + 6 + 7 * 20)."""
    kinds = kinds_of(example.protein.sequence)
    beside = numpy.pad(kinds, ((WINDOW // 2, WINDOW // 2), (0, 0)))
    window = [beside[at : at + len(kinds)] for at in range(WINDOW)]
    rows: Floats = numpy.hstack([part(nodes_of(example.protein), "crowd", "exposure"), *window])
    return rows


def _line(train: Sequence[Example], task: Task, features: Callable[[Example], Floats]) -> Shares:
    """For each track the shares that a logistic regression gives; a track of one kind of answer keeps it."""
    rows = numpy.concatenate([features(example) for example in train])
    truth = numpy.concatenate([task.target.encode(example).reshape(len(example.protein), -1) for example in train])
    answers = [_fitted(rows, column) for column in truth.T]

    def shares(example: Example) -> Floats:
        asked = features(example)
        found: Floats = numpy.stack([answer(asked) for answer in answers], axis=1)
        return found

    return lambda asked: [shares(example) for example in asked]


def _fitted(rows: Floats, truth: Floats) -> Callable[[Floats], Floats]:
    known = ~numpy.isnan(truth)
    if len(numpy.unique(truth[known])) < 2:
        mean = float(truth[known].mean()) if known.any() else 0.0
        return lambda asked: numpy.full(len(asked), mean)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, C=_STRENGTH))
    model.fit(rows[known], truth[known].astype(numpy.int64))

    def answer(asked: Floats) -> Floats:
        found: Floats = model.predict_proba(asked)[:, 1]
        return found

    return answer

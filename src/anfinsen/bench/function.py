"""Simple answers about what a protein does, for tasks whose answer is names in a hierarchy (enzyme numbers, GO terms).

    frequency            how often each name holds among the training proteins, for every protein (CAFA's 'naive')
    composition          the mean over the training proteins that are most alike in residue shares and length
    homology transfer    relatives vote for their names by the score of their alignment (DiamondScore of DeepGOPlus);
                         they are looked for by shared words, as quick searches do
    all aligned          the same with every training protein aligned, none passed over

Each is a function (train, test, task) -> answers, fitted on the training split only. The last one is the very voice
that our own answers listen to (see `tasks.recall`), so what is gained over it is the network's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anfinsen.data.example import Example
from anfinsen.kinship.homology import Library
from anfinsen.targets.base import Answer
from anfinsen.targets.terms import Terms
from anfinsen.targets.tree import Tree
from anfinsen.tasks.base import Task
from anfinsen.tasks.recall import RecallingTask

Floats = NDArray[numpy.floating[Any]]

NEIGHBOURS = 20
"""Training proteins that composition takes the mean over."""


def frequency(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """How often each name holds where it is known, for every protein."""
    truth = _truth(train, task)
    shares = numpy.nansum(truth, axis=0) / numpy.maximum(1, (~numpy.isnan(truth)).sum(0))
    return [_answer(shares, task)] * len(test)


def by_features(features: Callable[[Sequence[Example]], Floats]) -> Callable[..., list[Answer]]:
    """The baseline that answers by the nearest training proteins in some features."""

    def answer(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
        model = make_pipeline(StandardScaler(), KNeighborsRegressor(min(NEIGHBOURS, len(train))))
        model.fit(features(train), numpy.nan_to_num(_truth(train, task)))
        return [_answer(shares, task) for shares in model.predict(features(test))]

    return answer


def homology(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """The names of the relatives that share words with a protein; none where no relative is found."""
    recalling, library = _library(train, task)
    return [_answer(recalling.votes(library, library.search(example.protein.sequence)), task) for example in test]


def all_aligned(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """The names of a protein's relatives among all training proteins."""
    recalling, library = _library(train, task)
    return [_answer(recalling.votes(library, library.kin(example.protein.sequence)), task) for example in test]


def _library(train: Sequence[Example], task: Task) -> tuple[RecallingTask, Library]:
    recalling = cast(RecallingTask, task)
    return recalling, Library.of([one.protein for one in train], [recalling.places(one) for one in train])


def _truth(train: Sequence[Example], task: Task) -> Floats:
    truth: Floats = numpy.stack([task.target.encode(example) for example in train])
    return truth


def _answer(shares: Floats, task: Task) -> Answer:
    return cast(Tree | Terms, task.target).form(numpy.asarray(shares, dtype=numpy.float64))

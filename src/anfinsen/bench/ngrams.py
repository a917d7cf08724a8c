"""Baselines for hidden residues: how surprising they are to one who only knows which residues follow which.

Counts of one, two and three residues from a sample of the training proteins, each context smoothed by the
shorter one (MacKay & Peto 1995, Natural Language Engineering 1:289). Only what stands before a hidden residue is
used, and only where it is shown. Answers are {"surprise": summed -log p, "count": hidden residues}.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.data.draw import draw_places
from anfinsen.data.example import Example
from anfinsen.targets.base import Answer
from anfinsen.tasks.base import Task

Floats = NDArray[numpy.floating[Any]]
Codes = NDArray[numpy.int64]

CORPUS_SAMPLE = 20_000
"""Training proteins that are counted."""
LETTERS = 27
"""A to Z, and one place for whatever else, such as a hidden residue."""
HIDDEN = 26
_WEIGHT = 50.0
"""So many observations does the shorter context count for."""


def masked_unigram(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """Each hidden residue guessed from how frequent residues are."""
    return _guessed(train, test, task, order=1)


def masked_trigram(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
    """Each hidden residue guessed from the two before it, backing off where these are hidden or rare."""
    return _guessed(train, test, task, order=3)


def letters_of(sequence: str) -> Codes:
    """Letters as numbers 0 to 25; anything else, such as a hidden residue, is `HIDDEN`."""
    codes = numpy.frombuffer(sequence.encode("ascii", "replace"), dtype=numpy.uint8).astype(numpy.int64) - ord("A")
    return numpy.where((codes >= 0) & (codes < HIDDEN), codes, HIDDEN)


def _guessed(train: Sequence[Example], test: Sequence[Example], task: Task, *, order: int) -> list[Answer]:
    chosen = draw_places(len(train), CORPUS_SAMPLE, in_order=False)
    model = _count([letters_of(train[index].protein.sequence) for index in chosen], order)
    trust = trust_in_shown([task.pose(train[index], index) for index in chosen[:1000]])
    return surprises(test, (_before(model, letters_of(example.protein.sequence)) for example in test), trust)


def surprises(test: Sequence[Example], shares: Iterable[Floats], trust: float) -> list[Answer]:
    """The answers of one who expects each letter at each place of each protein so often, (L, LETTERS).

    Some of the asked residues are shown, rightly or swapped: a network learns how far to `trust` them, so may we.
    """
    answers: list[Answer] = []
    for example, expected in zip(test, shares, strict=True):
        shown, truth, asked = _posed(example)
        guessed = expected[asked, truth]
        hinted = trust * (shown[asked] == truth) + (1 - trust) * guessed
        guessed = numpy.where(shown[asked] == HIDDEN, guessed, hinted)
        answers.append({"surprise": float(-numpy.log(guessed).sum()), "count": len(asked)})
    return answers


def _posed(example: Example) -> tuple[Codes, Codes, NDArray[numpy.intp]]:
    """The letters shown (L,), the true letters at the asked places (M,), and these places (M,)."""
    asked = numpy.flatnonzero(numpy.frombuffer((example.mask or "").encode(), dtype=numpy.uint8) == ord("1"))
    return letters_of(example.protein.sequence), letters_of(str(example.value))[asked], asked


def trust_in_shown(posed: Sequence[Example]) -> float:
    """How often an asked residue that is shown is the true one."""
    right = seen = 0
    for example in posed:
        shown, truth, asked = _posed(example)
        visible = shown[asked] != HIDDEN
        right, seen = right + int((shown[asked] == truth)[visible].sum()), seen + int(visible.sum())
    return right / (seen + 1)


def _count(sequences: Sequence[Codes], order: int) -> list[Floats]:
    """Shares of each letter after 0, 1, ... letters; the k-th array has k + 1 axes, the last the letter's own."""
    shares: Floats = numpy.full(LETTERS, 1 / LETTERS)
    model: list[Floats] = []
    for context in range(order):
        powers = LETTERS ** numpy.arange(context, -1, -1)
        numbers = [
            numpy.lib.stride_tricks.sliding_window_view(letters, context + 1) @ powers
            for letters in sequences
            if len(letters) > context
        ]
        counts = numpy.bincount(numpy.concatenate(numbers), minlength=LETTERS ** (context + 1))
        table = counts.reshape((LETTERS,) * (context + 1)) + _WEIGHT * shares
        shares = table / table.sum(-1, keepdims=True)
        model.append(shares)
    return model


def _before(model: Sequence[Floats], shown: Codes) -> Floats:
    """The share of every letter at every place, from the letters shown before it: (L, LETTERS)."""
    shares = numpy.tile(model[0], (len(shown), 1))
    usable = numpy.ones(len(shown), dtype=bool)
    for context in range(1, len(model)):
        earlier = [numpy.pad(shown, (back, 0), constant_values=HIDDEN)[: len(shown)] for back in range(context, 0, -1)]
        usable &= earlier[0] != HIDDEN
        shares[usable] = model[context][tuple(part[usable] for part in earlier)]
    return shares

"""Simple answers about every residue: letters, numbers, or yes and no, by the same few rules.

    prior       the same for every residue: how frequent each answer is in training
    residue     the same for every alanine, every cysteine, ...: what a residue's own letter tells
    window      a small network, of numbers a straight line, on which residue stands at each of `WINDOW` places
    neighbour   what an alignment carries over from the most alike training protein

The answers of one target are encoded as shares a residue (R, K): of each letter, of yes in each track, or the number
itself (K = 1). Sites are rare, so the threshold of a baseline is chosen on training proteins that it was not fitted on.
None of them knows a model, or the values of the proteins it is asked about.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy
from biotite.sequence.align import SubstitutionMatrix, align_banded
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier

from anfinsen.bench.ngrams import HIDDEN, LETTERS, letters_of
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.kinship.blosum import GAPS, as_biotite
from anfinsen.kinship.neighbours import most_alike, words
from anfinsen.targets.base import UNKNOWN, Answer, Calibration
from anfinsen.targets.tracks import FLOOR
from anfinsen.tasks.base import Task

Floats = NDArray[numpy.floating[Any]]
Shares = Callable[[Sequence[Example]], list[Floats]]
"""Some proteins -> for each its residues' shares or numbers, (L, K)."""
Rule = Callable[[Sequence[Example], Task], Shares]
"""Training proteins and a task -> what answers."""

WINDOW = 15
"""Residues that the window baseline sees, the asked one in the middle."""
WINDOW_RESIDUES = 200_000
"""Training residues that the window baseline is fitted on."""
COUNTED = 2000
"""Training proteins, drawn at random, in which answers are counted."""
HELD_OUT = 100
"""Training proteins on which thresholds are chosen, and nothing else."""
_WORD = 4
_BAND = 24
_SEED = 1
_FLOOR = 1e-6


def by(rule: Rule) -> Callable[[Sequence[Example], Sequence[Example], Task], list[Answer]]:
    """The answers of a rule in the form of the task's own model."""

    def answer(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[Answer]:
        held: Sequence[Example] = ()
        if task.target.kind == "tracks":
            order = numpy.random.default_rng(_SEED).permutation(len(train))
            parts = numpy.split(order, [min(HELD_OUT, len(train) // 5)])
            held, train = ([train[at] for at in part.tolist()] for part in parts)
        asked = rule(train, task)
        calibration: Calibration = {}
        if held:
            fitted = task.target.calibrate([_outputs(one, task) for one in asked(held)], held)
            # what is not ruled out is a promise that a model gives; a baseline only says yes or no
            calibration = {name: value for name, value in fitted.items() if not name.startswith(FLOOR)}
        blind = [replace(example, value=None, mask=None) for example in test]
        return task.answers([_outputs(one, task) for one in asked(blind)], test, calibration)

    return answer


def _outputs(shares: Floats, task: Task) -> Floats:
    """Shares or numbers as the task's head would give them, (L, size)."""
    if task.target.kind == "values":
        return numpy.concatenate([shares, numpy.zeros_like(shares)], axis=1)
    clipped = shares.clip(_FLOOR, 1 - _FLOOR)
    logits: Floats = numpy.log(clipped) if task.target.kind == "tokens" else numpy.log(clipped / (1 - clipped))
    return logits


def _truth(example: Example, task: Task) -> Floats:
    """The known answers of one protein as shares or numbers, (L, K), NaN where unknown."""
    encoded = task.target.encode(example)
    if task.target.kind != "tokens":
        return encoded.reshape(len(encoded), -1).astype(numpy.float64)
    rows = numpy.eye(task.target.size)[numpy.where(encoded == UNKNOWN, 0, encoded)]
    rows[encoded == UNKNOWN] = numpy.nan
    return rows


# The rules ----------------------------------------------------------------------------------------------------------


def prior(train: Sequence[Example], task: Task) -> Shares:
    """How frequent each answer is among the training residues, or their mean; the same for every residue."""
    mean = numpy.nanmean(numpy.concatenate([_truth(example, task) for example in _some(train)]), axis=0)
    return lambda asked: [numpy.tile(mean, (len(example.protein), 1)) for example in asked]


def _some(train: Sequence[Example]) -> list[Example]:
    return draw(train, COUNTED, in_order=False)


def residue(train: Sequence[Example], task: Task) -> Shares:
    """The same for each kind of residue, which counts as ten residues of no kind where it is rare."""
    table = _by_residue(train, task)
    return lambda asked: [table[letters_of(example.protein.sequence)] for example in asked]


def _by_residue(train: Sequence[Example], task: Task) -> Floats:
    """The mean answer of each of the `LETTERS` kinds of residues, (27, K)."""
    counted = _some(train)
    truth = numpy.concatenate([_truth(example, task) for example in counted])
    letters = numpy.concatenate([letters_of(example.protein.sequence) for example in counted])
    known = ~numpy.isnan(truth).any(1)
    truth, letters = truth[known], letters[known]
    sums = numpy.stack([numpy.bincount(letters, weights=column, minlength=LETTERS) for column in truth.T], axis=1)
    counts = numpy.bincount(letters, minlength=LETTERS)[:, None]
    means: Floats = (sums + 10 * truth.mean(0)) / (counts + 10)
    return means


def window(train: Sequence[Example], task: Task) -> Shares:
    """A small network, or for numbers a straight line, on the residues around the asked one."""
    rows, truth = _window_rows(train, task)
    if task.target.kind == "values":
        line = Ridge(10.0, solver="lsqr").fit(rows, truth[:, 0])
        return lambda asked: [line.predict(_one_hot(_windows(one.protein.sequence)))[:, None] for one in asked]
    classes = truth.argmax(1) if task.target.kind == "tokens" else truth.astype(numpy.int64)
    if len(numpy.unique(classes)) < 2:
        return prior(train, task)
    batch = min(512, len(truth))
    model = MLPClassifier((64,), alpha=1e-4, batch_size=batch, learning_rate_init=1e-3, max_iter=8, random_state=_SEED)
    with warnings.catch_warnings():
        # a fixed, small number of passes is the point: the baseline must stay cheap
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, classes.ravel() if classes.shape[-1:] == (1,) else classes)

    def shares(example: Example) -> Floats:
        said: Floats = model.predict_proba(_one_hot(_windows(example.protein.sequence)))
        if task.target.kind == "tokens":
            every = numpy.zeros((len(said), task.target.size))
            every[:, model.classes_] = said
            return every
        return said if task.target.size > 1 else said[:, 1:]

    return lambda asked: [shares(example) for example in asked]


def neighbour(train: Sequence[Example], task: Task) -> Shares:
    """The answers of the most alike training protein where the two align, trusted as far as they are identical.

    The rest is what the residue's own kind tells. `most_alike` finds the protein by its words, an alignment around
    the diagonal with the most shared words (BLOSUM62, gap penalties 11 and 1) says which residues belong together.
    """
    table = _by_residue(train, task)
    sequences = [example.protein.sequence for example in train]

    def shares(asked: Sequence[Example]) -> list[Floats]:
        found = most_alike(sequences, [example.protein.sequence for example in asked], length=_WORD)
        answers = []
        for example, place, cosine in zip(asked, found.place.tolist(), found.cosine.tolist(), strict=True):
            row = table[letters_of(example.protein.sequence)].copy()
            if cosine > 0:
                pairs, identity = _aligned(example.protein.sequence, sequences[place])
                carried = _truth(train[place], task)[pairs[:, 1]]
                known = ~numpy.isnan(carried).any(1)
                mine = pairs[known, 0]
                row[mine] = identity * carried[known] + (1 - identity) * row[mine]
            answers.append(row)
        return answers

    return shares


def _aligned(one: str, other: str) -> tuple[NDArray[numpy.int64], float]:
    """Places of residues that belong together, (n, 2), and the share of identical ones among them."""
    nothing = numpy.zeros((0, 2), dtype=numpy.int64), 0.0
    ours, theirs = words(one, _WORD), words(other, _WORD)
    here, there = numpy.nonzero(ours[:, None] == theirs[None])
    if not len(here):
        return nothing
    shifts, counts = numpy.unique(there - here, return_counts=True)
    middle = int(shifts[counts.argmax()])
    band = (max(middle - _BAND, 1 - len(one)), min(middle + _BAND, len(other) - 1))
    codes = [as_biotite(chain) for chain in (one, other)]
    matrix = SubstitutionMatrix.std_protein_matrix()
    best = align_banded(codes[0], codes[1], matrix, band, gap_penalty=GAPS, local=True, max_number=1)
    trace = best[0].trace[(best[0].trace >= 0).all(1)] if best else nothing[0]
    if not len(trace):
        return nothing
    same = [one[a] == other[b] for a, b in trace.tolist()]
    return trace, sum(same) / len(same)


# Windows of residues ------------------------------------------------------------------------------------------------


def _window_rows(train: Sequence[Example], task: Task) -> tuple[csr_matrix, Floats]:
    """Windows and known answers of about `WINDOW_RESIDUES` residues of training proteins drawn at random."""
    rows, truths, taken = [], [], 0
    for index in numpy.random.default_rng(_SEED).permutation(len(train)):
        truth = _truth(train[index], task)
        known = numpy.flatnonzero(~numpy.isnan(truth).any(1))
        rows.append(_windows(train[index].protein.sequence)[known])
        truths.append(truth[known])
        taken += len(known)
        if taken >= WINDOW_RESIDUES:
            break
    return _one_hot(numpy.concatenate(rows)), numpy.concatenate(truths)


def _windows(sequence: str) -> NDArray[numpy.int64]:
    """The letters around each residue, (L, WINDOW); beyond the ends stands the place of the unknown."""
    padded = numpy.pad(letters_of(sequence), WINDOW // 2, constant_values=HIDDEN)
    return numpy.lib.stride_tricks.sliding_window_view(padded, WINDOW)


def _one_hot(windows: NDArray[numpy.int64]) -> csr_matrix:
    columns = windows + LETTERS * numpy.arange(WINDOW)
    ends = numpy.arange(0, columns.size + 1, WINDOW)
    ones = numpy.ones(columns.size, dtype=numpy.float32)
    return csr_matrix((ones, columns.ravel(), ends), shape=(len(windows), LETTERS * WINDOW))

"""Shelves of known things: how alike a new one is to each of them, and where it lies among them.

    a new thing's vectors  ->  likeness to the K known ones, one a kind (m, K)  ->  coordinates among them (m, C)

The coordinates are the main directions of the likenesses (kernel PCA: Schölkopf et al. 1998, Neural Computation
10:1299), found from the known ones alone. Drugs are compared by their fragments, proteins by their words and by the
states that the language model makes of them. Arrays in, arrays out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh

Floats = NDArray[numpy.floating[Any]]

_MANY = 50
"""So many times more things than directions, and it is quicker to look for these alone (Lanczos) than for all."""
_SEED = 1


@dataclass(frozen=True)
class Axes:
    """The main directions of one kind of likeness among K known things."""

    middle: Floats
    """(K,) the mean likeness to each known thing."""
    turn: Floats
    """(K, C)"""

    @classmethod
    def fit(cls, alike: Floats, count: int) -> Self:
        """The `count` main directions of likenesses (K, K)."""
        middle = alike.mean(0)
        centred = alike - middle - (middle - middle.mean())[:, None]
        spread, turn = _largest(centred.astype(numpy.float64), min(count, len(centred) - 1))
        scaled = turn[:, ::-1] / numpy.sqrt(numpy.maximum(spread[::-1], 1e-6))
        # the sign of a direction is free: the largest part is made positive, so that it is the same everywhere
        scaled *= numpy.sign(scaled[numpy.abs(scaled).argmax(0), numpy.arange(scaled.shape[1])])
        return cls(middle.astype(numpy.float32), scaled.astype(numpy.float32))

    def place(self, alike: Floats) -> Floats:
        """Coordinates (m, C) of things from their likeness to the known ones (m, K)."""
        centred = alike - self.middle
        placed: Floats = (centred - centred.mean(1, keepdims=True)) @ self.turn
        return placed


def _largest(matrix: Floats, count: int) -> tuple[Floats, Floats]:
    """The `count` largest eigenvalues of a symmetric matrix (K, K), rising, and their vectors (K, count)."""
    if len(matrix) < _MANY * count:
        found: tuple[Floats, Floats] = eigh(matrix, subset_by_index=(len(matrix) - count, len(matrix) - 1))
        return found
    start = numpy.random.default_rng(_SEED).normal(size=len(matrix))
    values, vectors = eigsh(matrix, count, which="LA", v0=start)
    order = numpy.argsort(values)
    return values[order], vectors[:, order]


def cosine(one: Floats, known: Floats) -> Floats:
    """Cosines of vectors (m, N) of length 1 with known ones (K, N), not below zero: (m, K)."""
    alike: Floats = numpy.maximum(one @ known.T, 0)
    return alike


def nearness(one: Floats, known: Floats, scale: float) -> Floats:
    """exp(-distance² / scale) of vectors (m, N) and known ones (K, N): (m, K)."""
    squares = (one**2).sum(1)[:, None] + (known**2).sum(1) - 2 * one @ known.T
    near: Floats = numpy.exp(-numpy.maximum(squares, 0) / numpy.float32(scale)).astype(numpy.float32)
    return near


def usual_scale(known: Floats) -> float:
    """The median squared distance between known vectors."""
    squares = (known**2).sum(1)[:, None] + (known**2).sum(1) - 2 * known @ known.T
    return float(numpy.median(squares[~numpy.eye(len(known), dtype=bool)])) or 1.0

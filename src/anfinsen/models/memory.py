"""What is known of like pairs: measured affinities, and likenesses that lead from a new pair to them.

    values (D, T) with gaps, likeness of drugs (m, D) and proteins (n, T)  ->  one row of clues for each asked pair

The clues: what the drug does on the whole, what the protein does, what the same drug does to like proteins, like drugs
to the same protein, like drugs to like proteins (each at several sharpnesses), what a ridge over all products of
likenesses says (KronRLS: Pahikkala et al. 2015, Briefings in Bioinformatics 16:325), and how near the nearest ones are.
A clue that does not exist is NaN: of a drug that was never measured nobody knows what it does on the whole.
After SimBoost (He et al. 2017, J. Cheminf. 9:24). Arrays in, arrays out; it knows neither chemistry nor proteins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, issparse

Floats = NDArray[numpy.floating[Any]]
Places = NDArray[numpy.int64]
Table = Any
"""An array, or a scipy table that stores what is known alone; scipy has no types of its own."""

SHARP = (2, 6, 20)
"""Powers of a likeness: the higher, the more the nearest ones count alone."""
RIDGE = 0.1
"""How strongly the ridge is held back, in units of a likeness."""
STEPS = 60
"""Steps of the ridge's solver at most."""
SHARPNESS = (1, 2)
"""Powers of the drugs' likeness, of which each has a ridge of its own: many like drugs want the higher one."""
RIDGE_CLUES = (2, 3)
"""Which of the clues are the ridges'."""
_DENSE = 30
"""A whole product of matrices is quicker than single sums from one known pair in so many on."""
_BLOCK = 512
_FEW = 1.0
"""A mean is drawn towards the whole mean as if so many more values had been average."""


@dataclass(frozen=True)
class Likeness:
    """How alike m asked things are to the K known ones: several likenesses, and which known one each of them is."""

    kinds: tuple[Floats, ...]
    """Each (m, K) from 0 to 1; the first one is the ridge's."""
    own: Places
    """(m,) the place of the same thing among the known ones, -1 where it is none of them."""

    def only(self, rows: Places) -> Likeness:
        """Of some of the asked things alone."""
        return Likeness(tuple(kind[rows] for kind in self.kinds), self.own[rows])

    def others(self, kind: int, power: int) -> Floats:
        """A likeness as weights, without the thing itself: (m, K)."""
        weights = numpy.maximum(self.kinds[kind], 0) ** power
        rows = numpy.flatnonzero(self.own >= 0)
        weights[rows, self.own[rows]] = 0
        return weights


@dataclass(frozen=True)
class Memory:
    """Known affinities (D, T) less their mean, 0 where unknown; which are known; and the ridges' weights (S, D, T)."""

    values: Floats
    known: Floats
    mean: float
    ridge: Floats

    @classmethod
    def fit(cls, drug: Places, protein: Places, value: NDArray[Any], drugs: Floats, proteins: Floats) -> Self:
        """Known pairs, with the likenesses (D, D) and (T, T) for the ridges."""
        shape = (len(drugs), len(proteins))
        mean = float(value.mean())
        values, known = (numpy.zeros(shape, dtype=numpy.float32) for _ in range(2))
        values[drug, protein], known[drug, protein] = value - mean, 1
        ridges = [kron_ridge(values, known, drugs**power, proteins) for power in SHARPNESS]
        return cls(values, known, mean, numpy.stack(ridges))

    @cached_property
    def sums(self) -> tuple[Table, Table]:
        """The known values, and which are known, without their gaps: what a weighted mean is summed from."""
        return _compact(self.values * self.known), _compact(self.known)

    @cached_property
    def _ridge_tables(self) -> list[Table]:
        return [_compact(weights) for weights in self.ridge]

    def ridge_of(self, drugs: Likeness, proteins: Likeness, pairs: Places, which: int = 0) -> Floats:
        """What one of the ridges says of pairs (P, 2): (P,)."""
        half = drugs.kinds[0] ** SHARPNESS[which] @ self._ridge_tables[which]  # (m, T)
        return paired(half, proteins.kinds[0], pairs) + numpy.float32(self.mean)

    def clues(self, drugs: Likeness, proteins: Likeness, pairs: Places) -> Floats:
        """One row for each of the pairs (P, 2), places among the asked drugs and proteins: (P, number of clues)."""
        asked = [numpy.unique(side, return_inverse=True) for side in pairs.T]
        drugs, proteins = drugs.only(asked[0][0]), proteins.only(asked[1][0])
        row, column = (place.ravel() for _, place in asked)
        pairs = numpy.stack((row, column), 1)
        has_drug, has_protein = self.is_measured(drugs.own, 1), self.is_measured(proteins.own, 0)
        found = [
            numpy.where(has_drug, self._means(1)[drugs.own], numpy.nan)[row],
            numpy.where(has_protein, self._means(0)[proteins.own], numpy.nan)[column],
            *(self.ridge_of(drugs, proteins, pairs, which) - self.mean for which in range(len(SHARPNESS))),
        ]
        same = [diags(has_drug.astype(numpy.float32)) @ part[drugs.own] for part in self.sums]  # (m, T)
        like = [part[:, proteins.own] @ diags(has_protein.astype(numpy.float32)) for part in self.sums]  # (D, n)
        for kind in range(len(proteins.kinds)):
            for power in SHARP:
                weights = proteins.others(kind, power).T
                found.append(_ratio(same[0] @ weights, same[1] @ weights)[row, column])
        for kind in range(len(drugs.kinds)):
            for power in SHARP:
                weights = drugs.others(kind, power)
                found.append(_ratio(weights @ like[0], weights @ like[1])[row, column])
                both = proteins.others(0, power)
                found.append(_ratio(*(paired(weights @ part, both, pairs) for part in self.sums)))
        found += [self._profiles(drugs.own, proteins.own, axis)[row, column] for axis in (0, 1)]
        found.append((drugs.others(0, 1) * self.known.any(1)).max(1)[row])
        found.append((proteins.others(0, 1) * self.known.any(0)).max(1)[column])
        return numpy.stack(found, 1).astype(numpy.float32)

    def is_measured(self, own: Places, axis: int) -> NDArray[numpy.bool_]:
        """Whether each asked thing is a known one with a measured pair; `axis` is 1 for drugs, 0 for proteins."""
        measured: NDArray[numpy.bool_] = numpy.asarray(self.known.any(axis))
        there: NDArray[numpy.bool_] = (own >= 0) & measured[own]
        return there

    def _means(self, axis: int) -> Floats:
        means: Floats = self.values.sum(axis) / (self.known.sum(axis) + _FEW)
        return means

    def _profiles(self, drugs: Places, proteins: Places, axis: int) -> Floats:
        """What drugs (or proteins) that behave alike elsewhere do here: (m, n), NaN unless both were measured."""
        there = self.is_measured(drugs, 1)[:, None] & self.is_measured(proteins, 0)
        if not there.any():
            return numpy.full(there.shape, numpy.nan, dtype=numpy.float32)
        values, known = self.sums if axis == 0 else (part.T for part in self.sums)
        means = numpy.asarray(values.sum(1)).ravel() / (numpy.asarray(known.sum(1)).ravel() + _FEW)
        left = values - diags(means.astype(numpy.float32)) @ known
        squares = left.multiply(left) if issparse(left) else left * left
        shared, products = (one.toarray() if issparse(one) else one for one in (squares @ known.T, left @ left.T))
        length = numpy.sqrt(shared) + 1e-6
        alike = numpy.maximum(products / (length * length.T), 0) ** 2
        numpy.fill_diagonal(alike, 0)
        whole = _ratio(alike @ values, alike @ known)
        said: Floats = (whole if axis == 0 else whole.T)[numpy.ix_(drugs, proteins)]
        return numpy.where(there, said, numpy.float32(numpy.nan))


def kron_ridge(
    values: Floats, known: Floats, drugs: Floats, proteins: Floats, hold: float = RIDGE, steps: int = STEPS
) -> Floats:
    """Weights W (D, T) of the ridge whose answers are `drugs @ W @ proteins.T`; unknown pairs have no weight.

    Where every pair is known this is solved at once by the eigenvectors of both likenesses, else by conjugate gradients
    over the known pairs. A step never makes the table of all pairs where few are known (the vec trick: Airola &
    Pahikkala 2018, IEEE Trans. Neural Netw. Learn. Syst. 29:3374). Both likenesses are symmetric.
    """
    if known.all():
        (spread_d, turn_d), (spread_t, turn_t) = (numpy.linalg.eigh(one) for one in (drugs, proteins))
        inner = (turn_d.T @ values @ turn_t) / (numpy.multiply.outer(spread_d, spread_t) + hold)
        closed: Floats = (turn_d @ inner @ turn_t.T).astype(numpy.float32)
        return closed
    pairs = numpy.argwhere(known)
    is_sparse = len(pairs) * _DENSE < known.size
    table = numpy.zeros(known.shape, dtype=numpy.float32)

    def spread(way: Floats) -> Floats:
        if is_sparse:  # the larger likeness goes through the table: each pair is then a sum over the smaller one alone
            sparse = csr_matrix((way, pairs.T), shape=known.shape)
            if len(drugs) < len(proteins):
                return paired(drugs, (sparse @ proteins).T, pairs)
            return paired((sparse.T @ drugs).T, proteins, pairs)
        table[pairs[:, 0], pairs[:, 1]] = way
        whole: Floats = drugs @ (table @ proteins)
        return whole[pairs[:, 0], pairs[:, 1]]

    rest = values[pairs[:, 0], pairs[:, 1]].astype(numpy.float32)
    weights, way = numpy.zeros_like(rest), rest.copy()
    start = size = float(rest @ rest)
    for _ in range(steps):
        if size <= 1e-8 * start:
            break
        moved = spread(way) + numpy.float32(hold) * way
        step = numpy.float32(size / float(way @ moved))
        weights += step * way
        rest -= step * moved
        before, size = size, float(rest @ rest)
        way = rest + numpy.float32(size / before) * way
    table[pairs[:, 0], pairs[:, 1]] = weights
    return table


def _compact(table: Floats) -> Table:
    """A table as it is, or without its gaps where it has so many that this is quicker."""
    return csr_matrix(table) if numpy.count_nonzero(table) * _DENSE < table.size else table


def paired(one: Floats, other: Floats, pairs: Places) -> Floats:
    """For each of the pairs (P, 2) the sum over products of a row of (m, K) and a row of (n, K): (P,)."""
    found = numpy.empty(len(pairs), dtype=numpy.float32)
    one, other = numpy.ascontiguousarray(one), numpy.ascontiguousarray(other)
    for start in range(0, len(pairs), _BLOCK):
        row, column = pairs[start : start + _BLOCK].T
        found[start : start + _BLOCK] = numpy.einsum("pk,pk->p", one[row], other[column])
    return found


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """A weighted mean; NaN where nothing has weight."""
    return numpy.divide(top, bottom, out=numpy.full_like(top, numpy.nan), where=bottom > 1e-6)

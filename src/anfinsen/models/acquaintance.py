"""Who is known to meet whom: what known pairs say of a new one before anything is read in its chains.

    pairs known to meet or not  ->  circles (connected by meeting), quarrels between circles  ->  clues of a pair
    likeness to known proteins  ->  what like pairs do (interologs), what is usual for each side
    rooms of the cell           ->  whether both work in one, what pairs of such rooms do, what is usual there

A friend's friend belongs to one's circle; whoever does not meet somebody of a circle hardly belongs to it. In tables
whose negative pairs were chosen by rule, such clues alone tell most answers, with no chain read at all: they are kept
apart so that a benchmark can show them beside the model. Interologs: Matthews et al. 2001, Genome Research 11:2120.
Arrays in, arrays out; it knows no sequence and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

Floats = NDArray[numpy.floating[Any]]
Places = NDArray[numpy.int64]
Flags = NDArray[numpy.bool_]

LIKENESS = ("like pairs", "evidence of like pairs", "usual for both", "usual for the one less sociable")
"""Clues that every pair has."""
PLACES = ("same place", "pairs of such places", "usual for both places")
"""Clues of where in the cell both work; they say nothing where nobody's place is told."""
CIRCLES = (
    "same circle",
    "smaller circle",
    "larger circle",
    "quarrels more than chance",
    "quarrels by chance",
    "quarrels of the smaller with the other circle",
    "quarrels of the larger with the other circle",
    "common quarrels",
    "alike quarrels",
    "fewer meetings",
    "more meetings",
    "fewer quarrels",
    "more quarrels",
)
"""Clues of a pair of which both are known."""
_FEW = 0.02
"""So much likeness counts as having seen nothing."""
_HALF = 0.5


@dataclass(frozen=True)
class Asked:
    """Some proteins that are asked about, among K known ones."""

    own: Places
    """(m,) the place of the same protein among the known ones, -1 where it is none of them."""
    likeness: Floats
    """(m, K) how alike each is to each known one, 0 to 1; 1 to itself."""
    places: Floats
    """(m, C) the chance that each works in each room of the cell; C is 0 where that is not told."""

    def part(self, rows: Places | slice) -> Asked:
        """Some of them."""
        return Asked(self.own[rows], self.likeness[rows], self.places[rows])


class Acquaintances:
    """Pairs (P, 2) of K known proteins, whether each meets (P,), and in which rooms of the cell they work (K, C).

    `doubles` (K,) are chains that go by several names: they would join circles that have nothing to do with each
    other, so each of them is a circle by itself.
    """

    def __init__(self, pairs: Places, meets: Flags, places: Floats, doubles: Flags | None = None) -> None:
        count = len(places)
        self.friends, self.foes = (_symmetric(pairs[chosen], count) for chosen in (meets, ~meets))
        joining = meets if doubles is None else meets & ~doubles[pairs].any(1)
        of_each = connected_components(_symmetric(pairs[joining], count), directed=False)[1]
        self.circle: Places = of_each.astype(numpy.int64)
        self.size = numpy.bincount(self.circle, minlength=1)
        member = csr_matrix((numpy.ones(count, numpy.float32), (numpy.arange(count), self.circle)))
        self._foes_in = numpy.asarray((self.foes @ member).todense(), dtype=numpy.float32)  # (K, circles)
        self.quarrels = numpy.asarray(member.T @ self._foes_in, dtype=numpy.float32)  # (circles, circles)
        self.friend_count = numpy.asarray(self.friends.sum(1)).ravel()
        self.foe_count = numpy.asarray(self.foes.sum(1)).ravel()
        self._between = tuple(places.T @ (part @ places) for part in (self.friends, self.foes))  # (C, C) each

    @cached_property
    def is_met(self) -> Flags:
        """Which known proteins are in at least one known pair."""
        met: Flags = self.friend_count + self.foe_count > 0
        return met

    @cached_property
    def _common(self) -> tuple[Floats, Floats]:
        """How many circles two circles both quarrel with, and the cosine of their quarrels."""
        some = (self.quarrels > 0).astype(numpy.float32)
        length = numpy.maximum(numpy.linalg.norm(self.quarrels, axis=1), 1e-6)
        unit = self.quarrels / length[:, None]
        return some @ some.T, unit @ unit.T

    def knows(self, asked: Asked) -> Flags:
        """Which of the asked proteins are in a known pair: (m,)."""
        known: Flags = (asked.own >= 0) & self.is_met[asked.own]
        return known

    def usual(self, asked: Asked) -> Floats:
        """The log-odds that a pair of each asked protein meets; of a new one, those of proteins like it: (m,)."""
        totals = numpy.stack((self.friend_count, self.foe_count), 1).astype(numpy.float32)
        known = self.knows(asked)
        found = numpy.where(known[:, None], totals[asked.own], asked.likeness @ totals)
        return _log_odds(found[:, 0], found[:, 1])

    def likeness_clues(self, one: Asked, other: Asked, *, is_grid: bool = False) -> Floats:
        """The clues of `LIKENESS`: of the pairs in the same row (P, 4), or of everyone with everyone (m, n, 4)."""
        usual = self.usual(one), self.usual(other)
        if is_grid:
            usual = usual[0][:, None], usual[1][None]
        met, not_met = (
            near @ other.likeness.T if is_grid else (near * other.likeness).sum(1)
            for near in (one.likeness @ self.friends, one.likeness @ self.foes)
        )
        like = numpy.log((met + _FEW) / (not_met + _FEW))
        found = (like, numpy.log(met + not_met + _FEW), usual[0] + usual[1], numpy.minimum(*usual))
        return numpy.stack(found, -1).astype(numpy.float32)

    def place_clues(self, one: Asked, other: Asked, *, is_grid: bool = False) -> Floats:
        """The clues of `PLACES`: of the pairs in the same row (P, 3), or of everyone with everyone (m, n, 3)."""

        def across(left: Floats, right: Floats) -> Floats:
            found: Floats = left @ right.T if is_grid else (left * right).sum(1)
            return found

        same = across(numpy.sqrt(one.places), numpy.sqrt(other.places))  # Bhattacharyya's coefficient
        met, not_met = (across(one.places @ part, other.places) for part in self._between)
        such = numpy.log((met + _FEW) / (not_met + _FEW))
        first, second = (_log_odds(*(side.places @ part.sum(1) for part in self._between)) for side in (one, other))
        usual = first[:, None] + second[None] if is_grid else first + second
        return numpy.stack((same, such, usual), -1).astype(numpy.float32)

    def circle_clues(self, one: Places, other: Places) -> Floats:
        """The clues of `CIRCLES` for pairs of known proteins at these places, which may be broadcast: (..., 13)."""
        rows, columns = numpy.broadcast_arrays(one, other)
        # which is called smaller depends on the circles alone, so that no order of asking matters
        swap = _is_after(self, rows, columns)
        a, b = numpy.where(swap, columns, rows), numpy.where(swap, rows, columns)
        ca, cb = self.circle[a], self.circle[b]
        total = self.quarrels.sum(1)
        chance = total[ca] * total[cb] / max(float(total.sum()), 1.0)
        seen, (common, alike) = self.quarrels[ca, cb], self._common
        found = (
            ca == cb,
            numpy.log(self.size[ca]),
            numpy.log(self.size[cb]),
            numpy.log((seen + _HALF) / (chance + _HALF)),
            numpy.log1p(chance),
            self._foes_in[a, cb] / numpy.maximum(self.foe_count[a], 1),
            self._foes_in[b, ca] / numpy.maximum(self.foe_count[b], 1),
            numpy.log1p(common[ca, cb]),
            alike[ca, cb],
            *(fold(part[a], part[b]) for part in self._counts for fold in (numpy.minimum, numpy.maximum)),
        )
        return numpy.stack(found, -1).astype(numpy.float32)

    @cached_property
    def _counts(self) -> tuple[Floats, Floats]:
        return numpy.log1p(self.friend_count), numpy.log1p(self.foe_count)


def _log_odds(met: Floats, not_met: Floats) -> Floats:
    """How much likelier meeting is, by so many pairs that do and that do not."""
    ratio: Floats = numpy.log((met + _HALF) / (not_met + _HALF))
    return ratio


def _symmetric(pairs: Places, count: int) -> csr_matrix:
    """Pairs as a matrix (K, K) of ones, both ways; a pair that is told twice counts once."""
    rows, columns = numpy.concatenate((pairs, pairs[:, ::-1])).T
    found = csr_matrix((numpy.ones(len(rows), numpy.float32), (rows, columns)), shape=(count, count))
    found.data[:] = 1
    return found


def _is_after(known: Acquaintances, rows: Places, columns: Places) -> Flags:
    """Whether the first of two is the larger: by its circle, then by its quarrels, meetings and place."""
    keys: Sequence[NDArray[Any]] = (known.size[known.circle], known.foe_count, known.friend_count)
    after = rows > columns
    for key in reversed(keys):
        after = numpy.where(key[rows] == key[columns], after, key[rows] > key[columns])
    return numpy.asarray(after, dtype=numpy.bool_)

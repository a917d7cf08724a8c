"""The affinity model: a memory of measured pairs, clues drawn from it, and trees that weigh the clues.

    drug -> fragments -> likeness to known drugs    \\
                                                      > clues, coordinates -> trees -> place and doubt of each pair
    protein -> words, states -> likeness to known   /

There are four judges, for there are four questions: both sides were measured before, the drug is new, the protein is
new, both are new. Each was trained on pairs posed in its own way, and each has its own conformal quantile, so an
answer about something new has a wider interval. Where both sides are known a graph network is heard too (see
`affinity_network`); what it says of all such pairs stands in a table. Arrays in, arrays out; it reads no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy
from numpy.typing import NDArray

from anfinsen.models.likeness import Axes, cosine, nearness
from anfinsen.models.memory import RIDGE_CLUES, Likeness, Memory, Places
from anfinsen.models.trees import Trees

Floats = NDArray[numpy.floating[Any]]
Regime = Literal["both known", "new drug", "new protein", "both new"]
REGIMES: tuple[Regime, ...] = ("both known", "new drug", "new protein", "both new")
"""The four questions, the easiest first."""
NARROWEST = 0.05
"""Doubt below which no pair falls, in units of the affinity."""


@dataclass(frozen=True)
class Drugs:
    """The known drugs: fragments (K, bits), and their main directions."""

    fragments: Floats
    axes: Axes

    def alike(self, fragments: Floats) -> Floats:
        """Tanimoto similarity, the mean over the two kinds of fragments: (m, K)."""
        total = numpy.zeros((len(fragments), len(self.fragments)), dtype=numpy.float32)
        for one, known in zip(numpy.split(fragments, 2, 1), numpy.split(self.fragments, 2, 1), strict=True):
            a, b = (one > 0).astype(numpy.float32), (known > 0).astype(numpy.float32)
            shared = a @ b.T
            total += shared / numpy.maximum(a.sum(1)[:, None] + b.sum(1) - shared, 1)
        return total / 2


@dataclass(frozen=True)
class Proteins:
    """The known proteins: profiles of words (K, N), mean states (K, C), and the main directions of both likenesses."""

    profiles: Floats
    states: Floats
    scale: float
    axes: tuple[Axes, Axes]

    def alike(self, profiles: Floats, states: Floats) -> tuple[Floats, Floats]:
        """Likeness by words and by states, each (m, K)."""
        return cosine(profiles, self.profiles), nearness(states, self.states, self.scale)


@dataclass(frozen=True)
class Judge:
    """The trees of one regime, those that say how wrong they are, and the quantile that makes nine in ten hold.

    `share` is how much the trees count; the rest has one of the ridges, by its number. `network` is how much the graph
    network counts beside both of them.
    """

    place: Trees
    doubt: Trees
    quantile: float
    share: float
    ridge: int
    network: float = 0.0

    def judge(self, rows: Floats, heard: Floats) -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
        """Affinities less the mean, and half the widths of their intervals, each (P,).

        `heard` is what the network says, NaN where it knows nothing of a pair and so is not asked.
        """
        value = self.share * self.place.predict(rows) + (1 - self.share) * rows[:, RIDGE_CLUES[self.ridge]]
        value += numpy.nan_to_num(self.network * (heard - value))
        return value, self.quantile * numpy.maximum(self.doubt.predict(rows), NARROWEST)


@dataclass(frozen=True)
class Answers:
    """For each pair the affinity, half the width of its interval, and which judge answered."""

    value: NDArray[numpy.float64]
    reach: NDArray[numpy.float64]
    regime: NDArray[numpy.int64]
    drug_alike: Floats
    """(m,) likeness of each asked drug to the nearest known one."""
    protein_alike: Floats
    """(n,) likeness of each asked protein to the nearest known one, by words."""


@dataclass(frozen=True)
class BindingModel:
    """Everything that answers which drug holds which protein how tightly."""

    drugs: Drugs
    proteins: Proteins
    memory: Memory
    judges: Mapping[Regime, Judge]
    network: Floats | None = None
    """What the graph network says of every known drug with every known protein, less the mean (D, T)."""

    def likeness(
        self, fragments: Floats, profiles: Floats, states: Floats, own_drug: Places, own_protein: Places
    ) -> tuple[Likeness, Likeness]:
        """How alike asked drugs and proteins are to the known ones, and which known one each is (-1: none)."""
        drugs = Likeness((self.drugs.alike(fragments),), own_drug)
        return drugs, Likeness(self.proteins.alike(profiles, states), own_protein)

    def rows(self, drugs: Likeness, proteins: Likeness, pairs: Places) -> Floats:
        """What the trees read of each pair: clues from the memory, then coordinates of drug and protein."""
        return rows_of(self.memory, self.drugs, self.proteins, drugs, proteins, pairs)

    def predict(self, drugs: Likeness, proteins: Likeness, pairs: Places, *, regime: Regime | None = None) -> Answers:
        """The answers to pairs (P, 2); each is judged by what is known of its two sides, or all by one judge."""
        rows = self.rows(drugs, proteins, pairs)
        measured = self.memory.is_measured(drugs.own, 1)
        met = self.memory.is_measured(proteins.own, 0)
        number = (~measured)[pairs[:, 0]] + 2 * (~met)[pairs[:, 1]]
        value, reach = numpy.zeros(len(pairs)), numpy.zeros(len(pairs))
        heard = self.heard(drugs.own[pairs[:, 0]], proteins.own[pairs[:, 1]])
        for at, name in enumerate(REGIMES):
            chosen = numpy.flatnonzero(number == at)
            if len(chosen):
                value[chosen], reach[chosen] = self.judges[regime or name].judge(rows[chosen], heard[chosen])
        alike = (drugs.kinds[0].max(1), proteins.kinds[0].max(1))
        return Answers(value + self.memory.mean, reach, number.astype(numpy.int64), *alike)

    def heard(self, drug: Places, protein: Places) -> Floats:
        """What the network says of pairs of known ones by their places, NaN where a side is none of them: (P,)."""
        if self.network is None:
            return numpy.full(len(drug), numpy.nan)
        return numpy.where((drug >= 0) & (protein >= 0), self.network[drug, protein], numpy.float32(numpy.nan))


def rows_of(memory: Memory, drugs: Drugs, proteins: Proteins, one: Likeness, other: Likeness, pairs: Places) -> Floats:
    """The rows of pairs from a memory that may hold less than the shelves do: (P, F)."""
    placed = [drugs.axes.place(one.kinds[0])[pairs[:, 0]]]
    placed += [axes.place(kind)[pairs[:, 1]] for axes, kind in zip(proteins.axes, other.kinds, strict=True)]
    return numpy.concatenate([memory.clues(one, other, pairs), *placed], 1)

"""The family of a protein: its relatives laid residue by residue beside it, and counted.

    relatives, the residue that each has beside every residue -> weighed by how alike they are -> how often each of the
    twenty stands at each place (L, 20) -> what is to be expected there, what is rare, how freely the place changes
                                        -> evidence (L, 23), for those parts of a network that listen to relatives

Evolution has tried most mutations already: what no relative bears, this protein will hardly bear. And relatives fold
alike: what changes at a place, and how, shows where it lies. Weights are those of the site-independent model (Hopf et
al. 2017, Nature Biotechnology 35:128); what is not seen is filled in by what the residues that are seen tend to become
(Altschul et al. 1997, Nucleic Acids Research 25:3389). Where relatives come from: `kin`. It knows no task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.substitutions import BLOSUM62, places_of
from anfinsen.wording import counted

Floats = NDArray[numpy.floating[Any]]
Places = NDArray[numpy.int64]

ALIKE = 0.8
"""Relatives of at least this identity count as one together."""
FEW = 5
"""Different relatives below which a family says little."""
PRIOR = 10.0
"""How many relatives what is expected without them counts for."""
EVIDENCE = len(RESIDUES) + 3
"""Numbers that a family tells of each residue."""
_MEAN_VARIETY = 2.5
_LAMBDA = 0.3176
"""What a half-bit score of BLOSUM62 is worth without gaps."""
USUAL = numpy.array(
    [7.8, 1.9, 5.4, 6.3, 3.9, 7.4, 2.2, 5.1, 5.7, 9.0, 2.2, 4.5, 5.2, 4.3, 5.1, 7.1, 5.8, 6.4, 1.3, 3.2]
)
USUAL = USUAL / USUAL.sum()
"""How common the residues are, as shares (Robinson & Robinson 1991, PNAS 88:8880), in the order of `RESIDUES`."""


@dataclass(frozen=True)
class Family:
    """What stands at each of L places among the relatives of a protein.

    `counts` (L, 20) in the order of `RESIDUES` counts relatives, each weighed by one over the number of those that are
    much alike; the protein is one of them. `relatives` counts them as they were found.
    """

    sequence: str
    counts: Floats
    relatives: int
    told: str = ""
    """Where they were found and how many there are, in words."""
    own: float = 1.0
    """What the protein itself counts for."""

    @classmethod
    def of(cls, sequence: str, relatives: Sequence[Places]) -> Self:
        """From what each relative has beside each residue, as numbers among `RESIDUES`, -1 for none: (L,) each."""
        rows = numpy.stack([places_of(sequence), *relatives])
        weights = weights_of(rows)
        return cls(sequence, counts_of(rows, weights), len(relatives), own=float(weights[0]))

    def named(self, where: str) -> Self:
        """The same family, with words for what was found and where ('among the 12 sequences of mine.fasta')."""
        if not self.relatives:
            return replace(self, told=f"No relative {where} can be told from chance.")
        different = float(numpy.median(self.depth))
        told = (
            f"{counted(self.relatives, 'relative')} {where}, as good as {different:,.0f} different ones at most places"
        )
        return replace(self, told=f"{told}. So few say little." if different < FEW else f"{told}.")

    @property
    def apart(self) -> Family:
        """The relatives without the protein, as they are to be heard where its own residue is hidden."""
        places = places_of(self.sequence)
        known = numpy.flatnonzero(places >= 0)
        counts = self.counts.copy()
        counts[known, places[known]] -= self.own
        return replace(self, counts=counts.clip(0))  # what rounding leaves is nothing

    @property
    def evidence(self) -> NDArray[numpy.float32]:
        """What a network hears of the family, (L, 23), each number of the size of one.

        How much commoner each residue is than among all proteins, as logarithms; how steady the place is beside the
        others of this protein, and by itself; and the logarithm of how many speak.
        """
        variety = self.variety
        steady = (variety.mean() - variety) / max(float(variety.std()), 1e-6)
        parts = (numpy.log(self.shares / USUAL), steady, variety - _MEAN_VARIETY, numpy.log1p(self.depth) / 3)
        return numpy.column_stack(parts).astype(numpy.float32)

    @property
    def variety(self) -> Floats:
        """How freely each place changes, (L,): the entropy of the shares in natural units, 0 to 3."""
        shares = self.shares
        found: Floats = -(shares * numpy.log(shares)).sum(1)
        return found

    @property
    def depth(self) -> Floats:
        """How many different relatives speak at each place, (L,)."""
        found: Floats = self.counts.sum(1)
        return found

    @property
    def shares(self) -> Floats:
        """How often each residue is to be expected at each place, (L, 20); rows sum to 1.

        >>> alone = Family.of("W", [])
        >>> RESIDUES[alone.shares[0].argsort()[-2]]
        'Y'
        """
        depth = self.depth[:, None]
        seen = numpy.divide(self.counts, depth, out=numpy.zeros_like(self.counts), where=depth > 0)
        expected = numpy.where(depth > 0, seen @ _becomes(), USUAL)
        found: Floats = (self.counts + PRIOR * expected) / (depth + PRIOR)
        return found

    @property
    def log_odds(self) -> Floats:
        """How much rarer each residue is than the protein's own, (L, 20); NaN rows where that is none of the twenty."""
        logs, wild = numpy.log(self.shares), places_of(self.sequence)
        found: Floats = logs - numpy.take_along_axis(logs, wild.clip(0)[:, None], axis=1)
        found[wild < 0] = numpy.nan
        return found


def weights_of(rows: Places) -> Floats:
    """What each of N aligned chains (N, L) counts for: one over the number of those that are much alike, (N,)."""
    found: Floats = 1.0 / _alike(rows).sum(1)
    return found


def counts_of(rows: Places, weights: Floats) -> Floats:
    """How often each residue stands at each of L places of N aligned chains (N, L), -1 for none of the twenty: (L, 20).

    Each chain counts for its weight (N,).
    """
    return numpy.stack([weights @ (rows == number) for number in range(len(RESIDUES))], axis=1)


def _alike(rows: Places) -> NDArray[numpy.bool_]:
    """Which relatives are much alike where both are known, (N, N); each is like itself."""
    known = (rows >= 0).astype(numpy.float32)
    same = numpy.eye(len(rows), dtype=numpy.float32)
    for number in range(len(RESIDUES)):
        spelt = (rows == number).astype(numpy.float32)
        same += spelt @ spelt.T
    found: NDArray[numpy.bool_] = same >= ALIKE * numpy.maximum(known @ known.T, 1)
    return found


def _becomes() -> Floats:
    """How often relatives have each residue (column) where one has another (row), by BLOSUM62: (20, 20)."""
    chances = USUAL * numpy.exp(_LAMBDA * BLOSUM62)
    found: Floats = chances / chances.sum(1, keepdims=True)
    return found

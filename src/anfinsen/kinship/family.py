"""The family of a protein: its relatives laid residue by residue beside it, and counted.

    relatives, each with its place beside every residue -> weighed by how alike they are -> how often each of the
    twenty stands at each place (L, 20) -> what is to be expected there, what is rare, how freely the place changes
                                        -> a few that differ most -> the same network reads them too -> one answer

Evolution has tried most mutations already: what no relative bears, this protein will hardly bear. And relatives fold
alike: what a network says of each of them it says of the protein as well. Weights are those of the site-independent
model (Hopf et al. 2017, Nature Biotechnology 35:128); what is not seen is filled in by what the residues that are seen
tend to become (Altschul et al. 1997, Nucleic Acids Research 25:3389). Where relatives come from: `collection`. It knows
no task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.substitutions import BLOSUM62, places_of

Floats = NDArray[numpy.floating[Any]]
Places = NDArray[numpy.int64]

ALIKE = 0.8
"""Relatives of at least this identity count as one together."""
FEW = 5
"""Different relatives below which a family says little."""
PRIOR = 10.0
"""How many relatives what is expected without them counts for."""
READ = 24
"""Relatives that a network reads as well."""
WEIGHT = 0.3
"""What a relative's answer counts for beside the protein's own; chosen on secondary structure (docs/LOG.md)."""
_LAMBDA = 0.3176
"""What a half-bit score of BLOSUM62 is worth without gaps."""
_USUAL = numpy.array(
    [7.8, 1.9, 5.4, 6.3, 3.9, 7.4, 2.2, 5.1, 5.7, 9.0, 2.2, 4.5, 5.2, 4.3, 5.1, 7.1, 5.8, 6.4, 1.3, 3.2]
)
"""How common the residues are, in percent (Robinson & Robinson 1991, PNAS 88:8880), in the order of `RESIDUES`."""


class Relative(NamedTuple):
    """A relative of a protein of L residues: its sequence, and its place beside each residue (L,), -1 where none is."""

    sequence: str
    places: Places

    @property
    def letters(self) -> Places:
        """What it has beside each residue, as numbers among `RESIDUES`, -1 for none of the twenty: (L,)."""
        found = numpy.append(places_of(self.sequence), -1)
        return found[self.places]


@dataclass(frozen=True)
class Family:
    """What stands at each of L places among the relatives of a protein.

    `counts` (L, 20) in the order of `RESIDUES` counts relatives, each weighed by one over the number of those that are
    much alike; the protein is one of them. `relatives` counts them as they were found; `different` are a few that are
    much alike neither to each other nor to the protein, the surest first.
    """

    sequence: str
    counts: Floats
    relatives: int
    different: tuple[Relative, ...] = ()

    @classmethod
    def of(cls, sequence: str, relatives: Sequence[Relative]) -> Self:
        """From relatives, the surest first."""
        rows = numpy.stack([places_of(sequence), *(relative.letters for relative in relatives)])
        alike = _alike(rows)
        weights = 1.0 / alike.sum(1)
        counts = numpy.stack([weights @ (rows == number) for number in range(len(RESIDUES))], axis=1)
        chosen = [0]
        for place in range(1, len(rows)):
            if len(chosen) <= READ and not alike[place, chosen].any():
                chosen.append(place)
        return cls(sequence, counts, len(relatives), tuple(relatives[place - 1] for place in chosen[1:]))

    def agreed(self, own: Floats, said: Sequence[Floats]) -> Floats:
        """One output for the protein (L, K): the weighted mean of its own and of `different`'s, each (residues, K)."""
        total, weight = own.astype(numpy.float64), numpy.ones(len(own))
        for relative, output in zip(self.different, said, strict=True):
            here = relative.places >= 0
            total[here] += WEIGHT * output[relative.places[here]]
            weight[here] += WEIGHT
        found: Floats = total / weight[:, None]
        return found

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
        usual = _USUAL / _USUAL.sum()
        expected = numpy.where(depth > 0, seen @ _becomes(), usual)
        found: Floats = (self.counts + PRIOR * expected) / (depth + PRIOR)
        return found

    @property
    def log_odds(self) -> Floats:
        """How much rarer each residue is than the protein's own, (L, 20); NaN rows where that is none of the twenty."""
        logs, wild = numpy.log(self.shares), places_of(self.sequence)
        found: Floats = logs - numpy.take_along_axis(logs, wild.clip(0)[:, None], axis=1)
        found[wild < 0] = numpy.nan
        return found


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
    chances = _USUAL * numpy.exp(_LAMBDA * BLOSUM62)
    found: Floats = chances / chances.sum(1, keepdims=True)
    return found

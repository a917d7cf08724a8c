"""What a network believes of a fold before there is one: how far residues are apart, and how the chain turns.

    probabilities (L, L, B)   of each pair of residues, that their CB atoms (placed, for glycine) lie in each of B bins
    edges (B - 1,)            the inner edges of the bins in ångström: bin 0 ends at the first, the last is open
    torsions (L, 2)           phi and psi of each residue in radians, between -pi and pi
    sureness (L, 2)           the concentration kappa of a von Mises distribution around each (0: nothing is known)
    confidence (L,)           the lDDT that each residue is expected to have, 0 to 1

A distogram says how sure it is of every pair, which a list of coordinates cannot (Senior et al. 2020, Nature
577:706). It knows no network and no file; coordinates are made from it elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.structure.geometry import CONTACT

Floats = NDArray[numpy.floating[Any]]

FIRST, LAST, STEP = 4.0, 20.0, 1.0
"""The edges run from `FIRST` to `LAST` in steps of `STEP`, all in ångström; one of them is the contact cutoff."""
EDGES: Floats = numpy.arange(FIRST, LAST + STEP / 2, STEP)
"""The inner edges of the bins of our own distograms, (17,): 18 bins, the first below 4 and the last above 20 Å."""


def centres(edges: Floats) -> Floats:
    """One distance that stands for each bin, (B,): its middle; half a bin outside the first and last edge.

    >>> centres(numpy.array([4.0, 5.0, 6.0])).tolist()
    [3.5, 4.5, 5.5, 6.5]
    """
    half = numpy.diff(edges) / 2
    middles: Floats = numpy.concatenate(([edges[0] - half[0]], edges[:-1] + half, [edges[-1] + half[-1]]))
    return middles


@dataclass(frozen=True, eq=False)
class Distogram:
    """What is believed of the L residues of one chain."""

    probabilities: Floats
    """Of each pair and bin, (L, L, B), symmetric, the bins of a pair summing to one."""
    edges: Floats
    """Inner edges of the bins in ångström, (B - 1,), rising."""
    torsions: Floats
    """Phi and psi in radians, (L, 2); phi of the first residue and psi of the last mean nothing."""
    sureness: Floats
    """How concentrated each of the two is, (L, 2): kappa of a von Mises distribution, at least 0."""
    confidence: Floats | None = None
    """Expected lDDT of each residue, (L,), 0 to 1."""

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def contacts(self) -> Floats:
        """The probability that two CB atoms are closer than 8 Å, (L, L)."""
        return self.within(CONTACT)

    def within(self, cutoff: float) -> Floats:
        """The same for any `cutoff` in ångström; a bin that holds it counts by its share."""
        ends = numpy.concatenate(([0.0], self.edges, [numpy.inf]))
        shares = numpy.clip((cutoff - ends[:-1]) / (ends[1:] - ends[:-1]), 0.0, 1.0)
        inside: Floats = self.probabilities @ shares.astype(self.probabilities.dtype)
        return inside

    @property
    def distances(self) -> Floats:
        """The expected distance in ångström, (L, L); far pairs all count as just beyond the last edge."""
        expected: Floats = self.probabilities @ centres(self.edges).astype(self.probabilities.dtype)
        return expected

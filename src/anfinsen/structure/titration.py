"""Charge against pH: each acid and base of a chain by itself, after Henderson and Hasselbalch.

    charge(pH) = sum over bases of 1 / (1 + 10^(pH - pKa))  -  sum over acids of 1 / (1 + 10^(pKa - pH))

The pKa values are those of Bjellqvist et al. (1993, Electrophoresis 14:1023, and 1994, 15:529), made for unfolded
chains in gels; ExPASy and Biopython use the same. In a folded protein neighbours shift them: the spread of measured
values in folded proteins is that of Grimsley, Scholtz & Pace (2009, Protein Sci. 18:247). Every cysteine counts
as free, though one in a disulfide bond has no charge; bound metals and modified residues are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

SOURCE = "pKa of Bjellqvist et al. 1993/1994, as ExPASy; spread in folded proteins of Grimsley, Scholtz & Pace 2009"
NINETY = 1.6448536269514722
LOWEST, HIGHEST = 0.0, 14.0
_FIRST, _LAST = "N-terminus", "C-terminus"
_STARTS = {"A": 7.59, "M": 7.00, "S": 6.93, "P": 8.36, "T": 6.82, "V": 7.44, "E": 7.70}
"""pKa of the chain's start where its residue changes it."""
_ENDS = {"D": 4.55, "E": 4.75}


@dataclass(frozen=True)
class Group:
    """One kind of acid or base: its sign when charged, its pKa, and how far folded proteins shift it (one sigma)."""

    sign: int
    pka: float
    spread: float


GROUPS = {
    "K": Group(+1, 10.0, 1.1),
    "R": Group(+1, 12.0, 0.5),
    "H": Group(+1, 5.98, 1.0),
    _FIRST: Group(+1, 7.5, 0.5),
    "D": Group(-1, 4.05, 1.2),
    "E": Group(-1, 4.45, 0.9),
    "C": Group(-1, 9.0, 2.7),
    "Y": Group(-1, 10.0, 1.2),
    _LAST: Group(-1, 3.55, 0.8),
}
"""Every kind of group. Arginine has never been seen to lose its charge in a protein; its spread is a guess."""
_NODES, _WEIGHTS = numpy.polynomial.hermite_e.hermegauss(24)

Curve = NDArray[numpy.float64]


def charge(sequence: str, ph: float | Curve) -> Curve:
    """Net charge at each pH.

    >>> float(charge("GKG", 7.0).round(2)), float(charge("GDG", 7.0).round(2))
    (0.76, -1.24)
    """
    total = numpy.zeros_like(numpy.asarray(ph, dtype=numpy.float64))
    for group, count in _groups(sequence):
        total = total + count * _charge(group, numpy.asarray(ph), 0.0)
    return total


def charge_band(sequence: str, ph: Curve) -> tuple[Curve, Curve]:
    """The range that holds the charge nine times in ten where each group's pKa may be shifted by the fold."""
    variance = numpy.zeros_like(ph, dtype=numpy.float64)
    weights = _WEIGHTS / _WEIGHTS.sum()
    for group, count in _groups(sequence):
        shifted = _charge(group, ph[..., None], group.spread * _NODES)
        mean = (shifted * weights).sum(-1)
        variance += count * ((shifted - mean[..., None]) ** 2 * weights).sum(-1)
    middle, reach = charge(sequence, ph), NINETY * numpy.sqrt(variance)
    return middle - reach, middle + reach


def isoelectric_point(sequence: str) -> float:
    """The pH at which the net charge is zero; charge falls with pH, so there is one.

    >>> round(isoelectric_point("GKG"), 1), round(isoelectric_point("GDG"), 1)
    (8.8, 3.8)
    """
    from scipy.optimize import brentq

    return float(brentq(lambda ph: float(charge(sequence, ph)), LOWEST, HIGHEST, xtol=1e-10))


def _groups(sequence: str) -> list[tuple[Group, int]]:
    """Every kind of group of a chain and how many it has; the two ends with the pKa of their residues."""
    found = [(GROUPS[letter], sequence.count(letter)) for letter in GROUPS if len(letter) == 1]
    first, last = GROUPS[_FIRST], GROUPS[_LAST]
    found.append((Group(first.sign, _STARTS.get(sequence[:1], first.pka), first.spread), 1))
    found.append((Group(last.sign, _ENDS.get(sequence[-1:], last.pka), last.spread), 1))
    return [(group, count) for group, count in found if count]


def _charge(group: Group, ph: Curve, shift: float | Curve) -> Curve:
    """The mean charge of one group: full at one end of the scale, none at the other."""
    apart = group.sign * (ph - group.pka - shift)
    charge: Curve = group.sign / (1 + 10.0**apart)
    return charge

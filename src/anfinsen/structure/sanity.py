"""What is suspicious about a computed structure: clashes, breaks, bent bonds, left-handed helices, and confidence that
its geometry does not bear out.

A structure that looks like one is easily believed. Every check here counts something on the coordinates alone and says
it in a sentence; none of them proves that a fold is right. Shapes: L residues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray
from scipy.spatial import KDTree

from anfinsen.structure.backbone import Backbone
from anfinsen.structure.geometry import PEPTIDE_BOND
from anfinsen.structure.protein import Message

Floats = NDArray[numpy.floating[Any]]

CLASH = 3.0
"""Ångström between CA atoms that are no neighbours, below which they are in each other's way."""
BOND, SLACK = 1.33, 0.1
"""Length of a peptide bond in ångström, and how far it may differ."""
LOW = 50.0
"""pLDDT at and below which a residue says next to nothing."""
SPREAD, POWER = 2.2, 0.38
"""Radius of gyration of a folded chain: 2.2 Å times L to the power of 0.38 (Skolnick et al. 1997)."""
_LOOSE, _DENSE = 1.6, 0.75
_TURN = (math.radians(20), math.radians(80))


@dataclass(frozen=True)
class Sanity:
    """What was counted on one chain."""

    clashes: int
    """Pairs of CA atoms that are too near."""
    breaks: int
    """Places where the chain is torn."""
    strained: int
    """Peptide bonds that are too short or too long, without being torn."""
    right_handed: int
    """Helical turns of the right hand, as proteins have them."""
    left_handed: int
    """Helical turns of the left hand: more than a few mean a mirror image."""
    width: float
    """Radius of gyration over that of folded chains of this length."""
    low_share: float
    """Share of the residues with a very low pLDDT, 0 where none is told."""
    confidence: float | None
    """Mean pLDDT."""

    @property
    def is_mirrored(self) -> bool:
        """Whether its helices turn as those of a mirror image do; of a chain without helices nobody can tell."""
        return self.left_handed > max(2, self.right_handed)

    def messages(self) -> tuple[Message, ...]:
        """A sentence for everything that should make a reader doubt."""
        told = []
        if self.clashes:
            told.append(f"{_count(self.clashes, 'pair')} of residues overlap: that part of the model is impossible.")
        if self.breaks:
            told.append(f"The chain is torn in {_count(self.breaks, 'place')}.")
        if self.strained:
            told.append(f"{_count(self.strained, 'peptide bond')} could not be made ideal.")
        if self.is_mirrored:
            told.append("Its helices turn left: the model is probably a mirror image.")
        if self.confidence is not None and self.confidence > 70 and not _DENSE <= self.width <= _LOOSE:
            how = "loose" if self.width > 1 else "dense"
            told.append(f"It is too {how} for a folded chain of its length, whatever its confidence says.")
        if self.low_share > 0.5:
            told.append(f"{self.low_share:.0%} of it have a very low confidence: do not read a fold from it.")
        return tuple(Message("warning", text) for text in told)


def check(backbone: Backbone) -> Sanity:
    """Count what is suspicious about one chain whose N, CA and C are known."""
    from biotite.structure import dihedral

    alphas = backbone.alphas.astype(numpy.float64)
    pairs = KDTree(alphas).query_pairs(CLASH, output_type="ndarray")
    bonds = numpy.linalg.norm(backbone.atom("N")[1:] - backbone.atom("C")[:-1], axis=-1)
    joined = ~backbone.breaks
    turns = dihedral(alphas[:-3], alphas[1:-2], alphas[2:-1], alphas[3:])
    steps = numpy.linalg.norm(alphas[3:] - alphas[:-3], axis=-1)
    helical = (steps < 6.2) & (numpy.abs(turns) > _TURN[0]) & (numpy.abs(turns) < _TURN[1])
    sure = backbone.confidence
    return Sanity(
        clashes=int((numpy.abs(pairs[:, 1] - pairs[:, 0]) > 2).sum()),
        breaks=int((bonds[joined] > PEPTIDE_BOND).sum()),
        strained=int(((numpy.abs(bonds[joined] - BOND) > SLACK) & (bonds[joined] <= PEPTIDE_BOND)).sum()),
        right_handed=int((helical & (turns > 0)).sum()),
        left_handed=int((helical & (turns < 0)).sum()),
        width=float(_gyration(alphas) / (SPREAD * len(alphas) ** POWER)),
        low_share=0.0 if sure is None else float((sure <= LOW).mean()),
        confidence=None if sure is None else float(sure.mean()),
    )


def _gyration(places: Floats) -> float:
    return float(numpy.sqrt(((places - places.mean(0)) ** 2).sum(-1).mean()))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

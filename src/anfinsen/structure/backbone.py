"""The backbone of a chain in space: five atoms a residue, where the chain is broken, and who says so.

    points (L, 5, 3)    N, CA, C, O, CB of each residue, ångström, NaN where a file does not tell
    breaks (L - 1,)     True between two neighbours in the sequence that are no neighbours in the chain
    origin              measured, computed, or nobody says
    confidence (L,)     the pLDDT of a computed one, 0 to 100

It knows no file and no sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy
from numpy.typing import NDArray

from anfinsen.structure.geometry import CALPHA_STEP, PEPTIDE_BOND, Points, beta_carbons

ATOMS = ("N", "CA", "C", "O", "CB")
"""The atoms of a residue, in the order of `Backbone.points`."""
Origin = Literal["experimental", "predicted", "unknown"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)


@dataclass(frozen=True, eq=False)
class Backbone:
    """Where the L residues of one chain are."""

    points: NDArray[numpy.float32]
    """Coordinates, (L, 5, 3), in ångström, NaN where missing."""
    breaks: NDArray[numpy.bool_]
    """Whether the chain is interrupted between residue i and i + 1, (L - 1,)."""
    origin: Origin = "unknown"
    """Whether the coordinates were measured or computed, as far as the file tells."""
    confidence: NDArray[numpy.float32] | None = None
    """pLDDT of each residue of a computed structure, (L,), 0 to 100: how well its surroundings are trusted."""

    def __len__(self) -> int:
        return len(self.points)

    def atom(self, name: str) -> NDArray[numpy.float32]:
        """The coordinates of one atom of each residue, (L, 3)."""
        return self.points[:, ATOMS.index(name)]

    @property
    def alphas(self) -> NDArray[numpy.float32]:
        """CA of each residue, (L, 3)."""
        return self.atom("CA")

    @property
    def betas(self) -> NDArray[numpy.float32]:
        """CB of each residue, (L, 3), placed where it was not seen; CA where only that is known."""
        placed = beta_carbons(self.atom("N"), self.alphas, self.atom("C"), self.atom("CB"))
        found: NDArray[numpy.float32] = numpy.where(numpy.isnan(placed), self.alphas, placed).astype(numpy.float32)
        return found

    @cached_property
    def trace(self) -> Backbone:
        """The same with the CA atoms alone; made once, so that what is remembered of it lasts as long."""
        return from_alphas(self.alphas, self.origin)

    @property
    def pieces(self) -> NDArray[numpy.int64]:
        """The number of the unbroken piece that each residue belongs to, (L,), from 0."""
        return numpy.concatenate(([0], self.breaks.cumsum())).astype(numpy.int64)[: len(self)]

    def cut(self, start: int, end: int) -> Backbone:
        """Residues `start` to `end` (not included), from 0."""
        confidence = None if self.confidence is None else self.confidence[start:end]
        return Backbone(self.points[start:end], self.breaks[start : max(start, end - 1)], self.origin, confidence)


def find_breaks(points: NDArray[numpy.float32]) -> NDArray[numpy.bool_]:
    """Where a chain is interrupted, (L - 1,), by the bond C-N, or by the step CA-CA where an atom is missing.

    Where neither is known the chain counts as broken. `points` is (L, 5, 3).
    """
    nitrogen, alpha, carbon = points[:, 0], points[:, 1], points[:, 2]
    bond = numpy.linalg.norm(nitrogen[1:] - carbon[:-1], axis=-1)
    step = numpy.linalg.norm(alpha[1:] - alpha[:-1], axis=-1)
    is_joined: NDArray[numpy.bool_] = numpy.where(numpy.isnan(bond), step <= CALPHA_STEP, bond <= PEPTIDE_BOND)
    return ~is_joined


def from_alphas(alphas: Points, origin: Origin = "unknown") -> Backbone:
    """A backbone of which only the CA atoms are known, (L, 3)."""
    points = numpy.full((len(alphas), len(ATOMS), 3), numpy.nan, dtype=numpy.float32)
    points[:, ATOMS.index("CA")] = alphas
    return Backbone(points, find_breaks(points), origin)

"""Points in space: where a missing atom must be, how far residues are from each other, which of them touch.

    N, CA, C of a residue -> its CB (measured, else placed) -> distances (L, L) -> contacts, closer than 8 Å

Coordinates are in ångström, float, NaN where an atom is missing; nothing is made up for a residue whose backbone is
missing. Two residues touch where their CB atoms do: the rule of the CASP contact assessments. It knows no file.
"""

from __future__ import annotations

import math
from typing import Any

import numpy
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Points = NDArray[numpy.floating[Any]]
"""Coordinates in ångström, (L, 3), NaN where missing."""
Distances = NDArray[numpy.floating[Any]]
"""Distances in ångström, (L, L), NaN where one of the two is missing."""

CONTACT = 8.0
"""Ångström between two CB atoms below which residues are in contact."""
PEPTIDE_BOND = 2.5
"""Ångström between C and the next N above which a chain is broken (a bond has 1.33)."""
CALPHA_STEP = 5.0
"""Ångström between neighbouring CA atoms above which a chain is broken (a step has 3.8)."""
CA_CB = 1.522
"""Length of the bond CA-CB in ångström."""
N_CA_CB = 1.927
"""Angle N-CA-CB in radians (110.4°)."""
C_N_CA_CB = -2.143
"""Dihedral C-N-CA-CB in radians (-122.8°); its sign makes the residue an L-amino acid."""


def place_atom(first: Points, second: Points, third: Points, length: float, angle: float, dihedral: float) -> Points:
    """The fourth atom of a chain of four: `length` from `third`, at `angle` to `second`, at `dihedral` to `first`.

    Shapes (..., 3). Angles are in radians. NaN where the three lie on one line. Source: the natural extension
    reference frame, Parsons et al. 2005, J. Comput. Chem. 26:1063.
    """
    forward = _unit(third - second)
    normal = _unit(numpy.cross(second - first, forward))
    inward = numpy.cross(normal, forward)
    bent = length * math.sin(angle)
    back = length * math.cos(angle) * forward
    placed: Points = third - back + bent * math.cos(dihedral) * inward + bent * math.sin(dihedral) * normal
    return placed


def place_beta(nitrogen: Points, alpha: Points, carbon: Points) -> Points:
    """Where CB is, or would be in glycine, from the backbone: (L, 3).

    Source: ideal bond, angle and dihedral of trRosetta (Yang et al. 2020, PNAS 117:1496), which the ESM models'
    contact evaluation also uses.
    """
    return place_atom(carbon, nitrogen, alpha, CA_CB, N_CA_CB, C_N_CA_CB)


def beta_carbons(nitrogen: Points, alpha: Points, carbon: Points, beta: Points | None = None) -> Points:
    """CB of each residue, (L, 3): as measured in `beta`, placed where it is missing there."""
    placed = place_beta(nitrogen, alpha, carbon)
    return placed if beta is None else numpy.where(numpy.isnan(beta).any(-1, keepdims=True), placed, beta)


def distances(points: Points) -> Distances:
    """The distance of every two points, (L, L).

    >>> distances(numpy.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]])).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    apart: Distances = cdist(points, points)
    return apart


def contacts(apart: Distances, cutoff: float = CONTACT) -> NDArray[numpy.bool_]:
    """Which residues are closer than `cutoff`, (L, L); what is unknown counts as apart."""
    return apart < cutoff


def _unit(vectors: Points) -> Points:
    with numpy.errstate(invalid="ignore"):
        directions: Points = vectors / numpy.linalg.norm(vectors, axis=-1, keepdims=True)
    return directions

"""Chains with coordinates as examples to learn a fold from: what of each chain may be learnt, and what may not.

    bb5   N, CA, C, O, CB     distances of CB and torsions
    bb3   N, CA, C            the same; CB is placed from the three
    ca    CA alone            distances only, of a CB placed from three neighbouring CA atoms (see `betas_from_alphas`)
    rebuilt                   left out: its CA atoms come from distances, so it may be its own mirror image, and where
                              CB lies depends on which of the two it is

Splits are those of the tables, in which no cluster crosses; the CAMEO targets lie in 'test'. It knows no network.
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from anfinsen.data.example import Example
from anfinsen.sets.coordinates import STEP, Chain, load_chains
from anfinsen.structure.backbone import ATOMS, Backbone
from anfinsen.structure.geometry import Points
from anfinsen.structure.protein import Protein

OUTWARD, SIDEWAYS = 1.137, -0.933
"""How far CB lies from CA in ångström along the outward bisector of the two steps to the neighbouring CA atoms, and
along their normal: least squares over the 1,952 training chains of kind bb5. On the 238 validation chains the placed CB
is 0.43 Å (root mean square) from the true one."""
SHORTEST = 30
"""Residues that a chain needs to have a fold worth learning."""


def fold_examples(split: str) -> list[Example]:
    """The chains of one split, 'train', 'valid' or 'test', that may be learnt from, each with its backbone.

    Of 'valid' and 'test' only one chain a cluster, and only those whose backbone was seen.
    """
    if split == "train":
        chains = [chain for chain in load_chains(split) if not chain.is_rebuilt]
    else:
        chains = load_chains(split, kinds=("bb5", "bb3"), representatives=True)
    return [example_of(chain) for chain in chains if len(chain) >= SHORTEST]


def example_of(chain: Chain) -> Example:
    """A chain as a protein with its backbone, CB placed where only CA is known."""
    backbone = chain.backbone
    if chain.kind == "ca":
        points = backbone.points.copy()
        points[:, ATOMS.index("CB")] = betas_from_alphas(chain.atoms["CA"])
        backbone = Backbone(points, backbone.breaks, backbone.origin)
    return Example(Protein(chain.id, chain.sequence, source=chain.source, backbone=backbone))


def betas_from_alphas(alphas: Points) -> NDArray[numpy.float32]:
    """Where CB is to be expected, (L, 3), from CA alone; NaN at the ends and beside a break.

    The chain must not be a mirror image: the part along the normal would lie on the wrong side.
    """
    placed = numpy.full_like(alphas, numpy.nan, dtype=numpy.float32)
    steps = numpy.diff(alphas.astype(numpy.float64), axis=0)
    sizes = numpy.linalg.norm(steps, axis=-1)
    before, after = steps[:-1], steps[1:]
    outward, normal = before - after, numpy.cross(before, after)
    with numpy.errstate(invalid="ignore"):
        is_joined = (sizes[:-1] <= STEP) & (sizes[1:] <= STEP)
        moved = OUTWARD * _unit(outward) + SIDEWAYS * _unit(normal)
    placed[1:-1] = numpy.where(is_joined[:, None], alphas[1:-1] + moved, numpy.nan)
    return placed


def _unit(vectors: Points) -> Points:
    directions: Points = vectors / numpy.linalg.norm(vectors, axis=-1, keepdims=True)
    return directions

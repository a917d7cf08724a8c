"""Pockets: where on a structure something small could sit, found by geometry and ranked by what residues are like.

    backbone -> spheres -> free points near the surface -> how enclosed each is -> score
             -> points that touch each other -> pockets -> ranked with the evidence of their residues -> `Pocket`

A point is enclosed as far as rays from it meet protein within 9 Å (Hendlich et al. 1997, LIGSITE); points are scored
and gathered to pockets as P2Rank does (Krivák & Hoksza 2018, J Cheminformatics 10:39). What residues are like decides
which pocket comes first and never where one ends: with points that were chosen by residues too, fewer ligands were
found. Side chains are spheres of their mean size and distance from CA, so that a backbone and a bare trace of CA atoms
are read alike. The chain is laid along its own axes first, so that no answer depends on how a file turned it. It knows
no learning: `evidence` is any number a residue between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from anfinsen.structure.backbone import ATOMS, Backbone
from anfinsen.structure.surroundings import directions

Floats = NDArray[numpy.floating[Any]]
Indices = NDArray[numpy.int64]

SPACING = 1.2
"""Ångström between neighbouring points."""
SIDE_CHAINS = {
    "A": (1.51, 0.00), "C": (2.04, 0.91), "D": (2.45, 1.17), "E": (2.76, 1.45), "F": (3.36, 1.65), "G": (0.00, 0.00),
    "H": (3.12, 1.45), "I": (2.08, 1.39), "K": (3.20, 1.82), "L": (2.56, 1.28), "M": (2.58, 1.60), "N": (2.45, 1.19),
    "P": (1.86, 1.07), "Q": (2.70, 1.46), "R": (3.88, 2.14), "S": (1.88, 0.71), "T": (1.92, 1.07), "V": (1.93, 1.11),
    "W": (3.71, 2.02), "Y": (3.70, 1.87),
}  # fmt: skip
"""Middle of each side chain from CA and its spread, in ångström: medians over 567 chains of `ligand_sites`."""
_OTHER = (2.4, 1.3)
_ATOM, _TRACE = 1.75, 1.9
"""Radii of an atom, and of a CA that stands for the whole backbone of its residue, ångström."""
_CLEAR, _REACH = 1.2, 4.0
"""Ångström beyond a radius at which a point is free, and up to which it is near the surface."""
_RAYS, _SIGHT = 40, 9.0
"""Rays from a point, and how far they look, ångström."""
ENCLOSED = 0.5
"""Share of rays that meet protein from which on a point can belong to a pocket."""
_LINE = (-6.43, -1.67, 7.38)
"""Constant and weights of enclosure and depth, a logistic line: fitted to which points lie within 2.5 Å of a ligand, on
the 67 validation chains of `ligand_sites`."""
_LEAST = 0.05
"""Score from which on a point belongs to a pocket: of four, that which found most ligands of those chains."""
_TOUCH = 1.8 * SPACING
"""Ångström within which points of one pocket touch."""
_CONTACT = 5.0
"""Ångström from a point of a pocket to the spheres of its residues, radii included."""
_FACED = 3.5
"""Ångström from an enclosed point to the spheres of the residues that face it, radii not included."""
_FEWEST = 8
"""Points of the smallest pocket: about the volume of a water molecule's shell."""


@dataclass(frozen=True, eq=False)
class Pocket:
    """A place for something small."""

    centre: tuple[float, float, float]
    """In ångström, in the frame of the file."""
    volume: float
    """Free space in cubic ångström."""
    residues: tuple[int, ...]
    """Indices of the residues around it, from 0, rising."""
    score: float
    """What it is ranked by: the sum of its residues' evidence; where there is none, of its points' scores."""
    enclosure: float
    """Mean share of rays from its points that meet protein."""
    points: Floats
    """Its points, (P, 3), in the frame of the file."""


@dataclass(frozen=True, eq=False)
class Cavities:
    """The enclosed points around one chain of L residues, before anything is said about residues."""

    points: Floats
    """In ångström, in the frame of the file, (P, 3)."""
    enclosure: Floats
    """Share of rays that meet protein, (P,)."""
    depth: Floats
    """Mean enclosure of the points within 3 Å, (P,)."""
    spheres: Floats
    """The chain as spheres: centre and radius, (S, 4), in the frame of the file."""
    owners: Indices
    """The residue of each sphere, (S,)."""


def find_pockets(sequence: str, backbone: Backbone, evidence: Floats | None = None, *, most: int = 20) -> list[Pocket]:
    """The pockets of one chain, the best first; without `evidence` (L,), ranked by their shape alone.

    Empty where fewer than four residues have a place, or nothing is enclosed.
    """
    found = find_cavities(sequence, backbone)
    return gather(found, evidence, most=most) if found is not None else []


def gather(found: Cavities, evidence: Floats | None = None, *, most: int = 20) -> list[Pocket]:
    """Enclosed points as ranked pockets."""
    constant, enclosed, deep = _LINE
    scores = 1 / (1 + numpy.exp(-(constant + enclosed * found.enclosure + deep * found.depth)))
    chosen = numpy.flatnonzero(scores >= _LEAST)
    if not len(chosen):
        return []
    pairs = KDTree(found.points[chosen]).query_pairs(_TOUCH, output_type="ndarray")
    joined = coo_matrix((numpy.ones(len(pairs)), pairs.T), shape=(len(chosen), len(chosen)))
    count, group = connected_components(joined, directed=False)
    tree = KDTree(found.spheres[:, :3])
    pockets = [
        _pocket(found, chosen[group == one], scores, tree) for one in range(count) if (group == one).sum() >= _FEWEST
    ]
    if evidence is not None:
        shares = numpy.nan_to_num(evidence)
        pockets = [replace(one, score=float(shares[[*one.residues]].sum())) for one in pockets]
    return sorted(pockets, key=lambda pocket: -pocket.score)[:most]


def faced(found: Cavities, length: int) -> Indices:
    """How many enclosed points each of `length` residues faces, (L,)."""
    near = KDTree(found.points).query_ball_point(found.spheres[:, :3], found.spheres[:, 3] + _FACED)
    counts = numpy.array([len(one) for one in near], dtype=numpy.int64)
    points = numpy.fromiter((place for one in near for place in one), numpy.int64, counts.sum())
    pairs = numpy.unique(numpy.repeat(found.owners, counts) * len(found.points) + points)
    return numpy.bincount(pairs // max(1, len(found.points)), minlength=length)


def _pocket(found: Cavities, chosen: Indices, scores: Floats, tree: KDTree) -> Pocket:
    points, weights = found.points[chosen], scores[chosen]
    centre = (points * weights[:, None]).sum(0) / weights.sum()
    near = tree.query_ball_point(points, _CONTACT + 2.0)
    pairs = numpy.concatenate([numpy.stack([numpy.full(len(one), at), one]) for at, one in enumerate(near)], axis=1)
    apart = numpy.linalg.norm(points[pairs[0].astype(int)] - found.spheres[pairs[1].astype(int), :3], axis=1)
    touching = pairs[1].astype(int)[apart <= found.spheres[pairs[1].astype(int), 3] + _CONTACT - _ATOM]
    return Pocket(
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        volume=float(len(chosen) * SPACING**3),
        residues=tuple(numpy.unique(found.owners[touching]).tolist()),
        score=float(weights.sum()),
        enclosure=float(found.enclosure[chosen].mean()),
        points=points,
    )


# Space ---------------------------------------------------------------------------------------------------------------


def find_cavities(sequence: str, backbone: Backbone) -> Cavities | None:
    """The enclosed points around a chain; None where fewer than four residues have a place."""
    known = ~numpy.isnan(backbone.alphas).any(-1)
    if known.sum() < 4:
        return None
    middle, axes = own_frame(backbone.alphas[known].astype(numpy.float64))
    spheres, owners = chain_spheres(sequence, backbone)
    laid = spheres.copy()
    laid[:, :3] = (spheres[:, :3] - middle) @ axes
    points, enclosure = _enclosed(laid)
    if not len(points):
        return None
    return Cavities(points @ axes.T + middle, enclosure, _smoothed(points, enclosure), spheres, owners)


def own_frame(points: Floats) -> tuple[Floats, Floats]:
    """The middle of some points and their own axes (3, 3): the long one first, each towards its longer tail."""
    middle = points.mean(0)
    around = points - middle
    _, axes = numpy.linalg.eigh(around.T @ around)
    first, second = (axis * (numpy.sign(((around @ axis) ** 3).sum()) or 1.0) for axis in (axes[:, 2], axes[:, 1]))
    return middle, numpy.stack([first, second, numpy.cross(first, second)], axis=1)


def chain_spheres(sequence: str, backbone: Backbone) -> tuple[Floats, Indices]:
    """A chain as spheres, centre and radius (S, 4), and the residue of each (S,)."""
    is_trace = bool(numpy.isnan(backbone.atom("N")).all())
    alphas, places = backbone.alphas.astype(numpy.float64), numpy.arange(len(sequence))
    sides = directions(backbone)[:, 2].astype(numpy.float64)
    sizes = numpy.array([SIDE_CHAINS.get(letter, _OTHER) for letter in sequence])
    parts = [(alphas + sizes[:, :1] * sides, places, 1.7 + 0.6 * sizes[:, 1])]
    if is_trace:
        between = (alphas[1:] + alphas[:-1]) / 2
        between[backbone.breaks] = numpy.nan
        for points, owner, radius in (
            (alphas, places, _TRACE),
            (between, places[:-1], _TRACE),
            (alphas + 1.5 * sides, places, _ATOM),
        ):
            parts.append((points, owner, numpy.full(len(points), radius)))
    else:
        parts += [(backbone.atom(name).astype(numpy.float64), places, numpy.full(len(places), _ATOM)) for name in ATOMS]
    points, owners, radii = (numpy.concatenate(column) for column in zip(*parts, strict=True))
    known = ~numpy.isnan(points).any(-1) & ~numpy.isnan(alphas[owners]).any(-1)
    spheres: Floats = numpy.concatenate([points, radii[:, None]], axis=1)[known]
    return spheres, owners[known]


def _enclosed(spheres: Floats) -> tuple[Floats, Floats]:
    """Free points near the surface that are enclosed, and how much: (P, 3) and (P,)."""
    margin = spheres[:, 3].max() + _REACH + _SIGHT + 2 * SPACING
    low = numpy.floor(spheres[:, :3].min(0) / SPACING) * SPACING - margin
    shape = tuple(int(n) for n in numpy.ceil((spheres[:, :3].max(0) + margin - low) / SPACING) + 1)
    solid, taken, near = (_filled(spheres, low, shape, more) for more in (0.4, _CLEAR, _REACH))
    cells = numpy.flatnonzero(near & ~taken)
    steps = numpy.arange(2 * SPACING, _SIGHT, SPACING)
    hits = numpy.zeros(len(cells))
    for ray in _rays(_RAYS):
        met = numpy.zeros(len(cells), dtype=bool)
        for step in steps:
            moved = numpy.rint(ray * step / SPACING).astype(numpy.int64)
            met |= solid[cells + (moved[0] * shape[1] + moved[1]) * shape[2] + moved[2]]
        hits += met
    share = hits / _RAYS
    kept = share >= ENCLOSED
    points = numpy.stack(numpy.unravel_index(cells[kept], shape), axis=1) * SPACING + low
    return points, share[kept]


def _filled(spheres: Floats, low: Floats, shape: Sequence[int], more: float) -> NDArray[numpy.bool_]:
    """Which cells, flat, have their middle within the radius and `more` of a sphere."""
    grid = numpy.zeros(int(numpy.prod(shape)), dtype=bool)
    widest = spheres[:, 3].max() + more
    reach = numpy.arange(-int(numpy.ceil(widest / SPACING)), int(numpy.ceil(widest / SPACING)) + 1)
    around = numpy.stack(numpy.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    around = around[numpy.linalg.norm(around, axis=1) * SPACING <= widest + SPACING]
    base = numpy.rint((spheres[:, :3] - low) / SPACING).astype(numpy.int64)
    away = base * SPACING + low - spheres[:, :3]
    within = (spheres[:, 3] + more) ** 2
    flat = (base[:, 0] * shape[1] + base[:, 1]) * shape[2] + base[:, 2]
    for offset in around:
        inside = ((away + offset * SPACING) ** 2).sum(1) <= within
        grid[flat[inside] + (offset[0] * shape[1] + offset[1]) * shape[2] + offset[2]] = True
    return grid


def _rays(count: int) -> Floats:
    """Directions spread evenly over a sphere, (count, 3) (Fibonacci's lattice)."""
    place = numpy.arange(count) + 0.5
    height, turn = numpy.arccos(1 - 2 * place / count), numpy.pi * (1 + 5**0.5) * place
    rays: Floats = numpy.stack(
        [numpy.cos(turn) * numpy.sin(height), numpy.sin(turn) * numpy.sin(height), numpy.cos(height)], axis=1
    )
    return rays


def _smoothed(points: Floats, values: Floats, reach: float = 3.0) -> Floats:
    """The mean of the values within `reach` ångström of each point, its own included."""
    pairs = KDTree(points).query_pairs(reach, output_type="ndarray")
    first, second = numpy.concatenate([pairs, pairs[:, ::-1]]).T
    count = len(points)
    total = values + numpy.bincount(first, weights=values[second], minlength=count)
    mean: Floats = total / (1 + numpy.bincount(first, minlength=count))
    return mean

"""What surrounds each residue of a protein, as numbers: how buried it is, which way it looks, and who is beside it.

    kinds (L, 20) and a backbone -> surroundings -> (L, NODES)

    kind       which of the twenty it is, and how frequent each of them is in the whole chain
    chain      how far from either end, and how long the chain is
    trace      distances from its CA to those two to five before and behind it: helix, strand or turn
    crowd      how many side chains lie within 8, 12, 16 and 20 Å
    exposure   how many CA atoms lie on the side that its side chain points to, and on the other (half-sphere
               exposure, Hamelryck 2005, Proteins 59:38; for a bare trace of CA atoms that is his HSE-alpha)
    bulge      how far it stands out of the middle of its surroundings and of the whole chain, and whether it looks out
    patch      which kinds lie beside it, how many of them look the same way, and which kinds those on the surface are
    around     the mean of all that is about places over what lies near, and over a wider surrounding

A side chain is a point `SIDE` from CA in the direction of CB; where only CA atoms are known, away from the two
neighbours in the chain. No number changes when the protein is turned, moved or (of CA atoms alone) mirrored; where no
place is known those about places are zero. The numbers are scaled to about one. It knows no learning.
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from anfinsen.structure.backbone import Backbone

Floats = NDArray[numpy.float32]
Indices = NDArray[numpy.int64]

KINDS_OF_RESIDUES = 20
DIRECTIONS = 3
"""Unit vectors of a residue: to the next CA, to the one before, to the side chain."""
SIDE = 2.4
"""Ångström from CA to the middle of a side chain, about the mean of the twenty."""
CROWDS = (8.0, 12.0, 16.0, 20.0)
"""Ångström within which side chains are counted."""
HALF_SPHERES = (12.0, 16.0, 20.0)
"""Ångström within which CA atoms are counted on either side."""
BULGES = (10.0, 14.0, 20.0)
"""Ångström within which the middle of the surroundings is taken."""
STEPS = (2, 3, 4, 5)
"""Residues along the chain to which distances are told."""
PATCHES = (8.0, 10.0, 12.0)
"""Ångström over which the weight of a neighbour falls: of all, of exposed ones, of exposed ones that look alike."""
WIDTHS = (5.0, 10.0)
"""Ångström over which the weight of a residue falls in the two means over surroundings."""
SIZES = {
    "kind": 2 * KINDS_OF_RESIDUES,
    "chain": 4,
    "known": 1,
    "trace": 2 * len(STEPS),
    "crowd": len(CROWDS),
    "exposure": 2 * len(HALF_SPHERES),
    "bulge": 2 * len(BULGES) + 3,
    "patch": len(PATCHES) * KINDS_OF_RESIDUES + 1,
}
PLACES = ("trace", "crowd", "exposure", "bulge", "patch")
"""The parts that are about places."""
SIZES["around"] = len(WIDTHS) * sum(SIZES[name] for name in PLACES)
"""Numbers of each part, in their order; new parts come last, so that networks read those that they have learnt from."""
NODES = sum(SIZES.values())
"""Numbers of a residue."""
_BEGINS = dict(zip(SIZES, numpy.cumsum([0, *SIZES.values()]).tolist(), strict=False))
_FARTHEST = CROWDS[-1] + 2 * SIDE
_NEAR_ENDS = 20
_HALF_BURIED, _BURYING = 12.0, 4.0
"""CA atoms in the upper half-sphere of 16 Å at which a residue counts as half exposed, and how fast that falls."""


def surroundings(kinds: Floats, backbone: Backbone | None) -> Floats:
    """The numbers of every residue, (L, NODES); `kinds` (L, 20) says which of the twenty each is, zero for others."""
    found = numpy.zeros((len(kinds), NODES), dtype=numpy.float32)
    found[:, _place("kind")] = numpy.hstack([kinds, numpy.tile(10 * kinds.mean(0), (len(kinds), 1))])
    found[:, _place("chain")] = _ends(len(kinds))
    if backbone is None:
        return found
    found[:, _place("trace")] = _trace(backbone)
    known = numpy.flatnonzero(~numpy.isnan(backbone.alphas).any(-1))
    if len(known):
        alphas = backbone.alphas[known]
        pairs = KDTree(alphas).query_pairs(_FARTHEST, output_type="ndarray").astype(numpy.int64)
        first, second = numpy.concatenate([pairs, pairs[:, ::-1]]).T
        for name, rows in _in_space(kinds[known], alphas, directions(backbone)[known, 2], first, second).items():
            found[known, _place(name)] = rows
        found[known, _place("around")] = _around(part(found[known], *PLACES), alphas, first, second)
    return found


def part(found: Floats, *names: str) -> Floats:
    """Some parts of the numbers of `surroundings`, side by side."""
    return numpy.hstack([found[:, _place(name)] for name in names])


def _place(name: str) -> slice:
    return slice(_BEGINS[name], _BEGINS[name] + SIZES[name])


def directions(backbone: Backbone) -> Floats:
    """Unit vectors of each residue, (L, 3, 3): to the next CA, to the one before, to CB or where it must be."""
    alphas = backbone.alphas
    forward = numpy.zeros_like(alphas)
    step = units(alphas[1:] - alphas[:-1]) * ~backbone.breaks[:, None]
    forward[:-1] = step
    backward = numpy.zeros_like(alphas)
    backward[1:] = -step
    is_trace = numpy.isnan(backbone.atom("N")).any(-1, keepdims=True)
    side = numpy.where(is_trace, units(-(forward + backward)), units(backbone.betas - alphas))
    stacked: Floats = numpy.stack([forward, backward, side], axis=1)
    return stacked


def units(vectors: Floats) -> Floats:
    """Vectors of length one; zero where unknown or without length."""
    lengths = numpy.linalg.norm(vectors, axis=-1, keepdims=True)
    known = numpy.nan_to_num(lengths) > 1e-6
    found: Floats = numpy.where(known, vectors / numpy.where(known, lengths, 1.0), 0.0).astype(numpy.float32)
    return found


# Along the chain -----------------------------------------------------------------------------------------------------


def _ends(length: int) -> Floats:
    """Where in the chain, residues to either end up to 20, and the length of the chain: (L, 4)."""
    place = numpy.arange(length)
    ends = [numpy.minimum(one, _NEAR_ENDS) / _NEAR_ENDS for one in (place, place[::-1])]
    rows: Floats = numpy.stack([place / max(1, length), *ends, numpy.full(length, numpy.log(length) - 5.5)], axis=1)
    return rows


def _trace(backbone: Backbone) -> Floats:
    """Distances to the CA atoms `STEPS` before and behind, less that of a chain between helix and strand: (L, 8).

    Zero across a break, beyond the ends, and where a place is unknown.
    """
    alphas, pieces = backbone.alphas, backbone.pieces
    rows = numpy.zeros((len(alphas), 2 * len(STEPS)), dtype=numpy.float32)
    for column, apart in enumerate(STEPS):
        if apart >= len(alphas):
            break
        far = numpy.linalg.norm(alphas[apart:] - alphas[:-apart], axis=-1) / (1.7 * apart + 2.5) - 1
        told = numpy.where(pieces[apart:] == pieces[:-apart], numpy.nan_to_num(far), 0.0)
        rows[:-apart, 2 * column] = 3 * told
        rows[apart:, 2 * column + 1] = 3 * told
    return rows


# In space ------------------------------------------------------------------------------------------------------------


def _in_space(kinds: Floats, alphas: Floats, sides: Floats, first: Indices, second: Indices) -> dict[str, Floats]:
    """The parts about places, of K residues whose CA atoms and directions of side chains are known.

    `first` and `second` are the ends of all pairs that are not far apart, both ways.
    """
    middles = alphas + SIDE * sides
    across = alphas[second] - alphas[first]
    apart = numpy.linalg.norm(across, axis=-1)
    between = numpy.linalg.norm(middles[second] - middles[first], axis=-1)
    is_above = (across * sides[first]).sum(-1) > 0
    count = len(alphas)

    def counted(chosen: NDArray[numpy.bool_]) -> NDArray[numpy.float64]:
        return numpy.bincount(first[chosen], minlength=count).astype(numpy.float64)

    crowd = [numpy.log1p(counted(between < reach)) for reach in CROWDS]
    halves = [counted((apart < reach) & (is_above == above)) for reach in HALF_SPHERES for above in (True, False)]
    typical = numpy.array([2.2, 3.2, 3.8, 4.3])
    upper = halves[2 * HALF_SPHERES.index(16.0)]
    shown = 1 / (1 + numpy.exp((upper - _HALF_BURIED) / _BURYING))
    return {
        "known": numpy.ones((count, 1), dtype=numpy.float32),
        "crowd": (2 * (numpy.stack(crowd, axis=1) - typical)).astype(numpy.float32),
        "exposure": (numpy.log1p(numpy.stack(halves, axis=1)) - 3.0).astype(numpy.float32),
        "bulge": _bulges(alphas, sides, first, second, apart),
        "patch": _patches(kinds, sides, shown, first, second, between),
    }


def _bulges(alphas: Floats, sides: Floats, first: Indices, second: Indices, apart: Floats) -> Floats:
    """How far each stands out of the middle of its surroundings, and how much of that along its side chain: (K, 9)."""
    count = len(alphas)
    columns = []
    for reach in BULGES:
        near = apart < reach
        sums = csr_matrix((numpy.ones(near.sum()), (first[near], second[near])), (count, count)) @ alphas
        middle = (sums + alphas) / (numpy.bincount(first[near], minlength=count) + 1)[:, None]
        away = alphas - middle
        columns += [4 * numpy.linalg.norm(away, axis=-1) / reach - 1, 4 * (away * sides).sum(-1) / reach]
    away = alphas - alphas.mean(0)
    size = max(1.0, float(numpy.sqrt((away**2).sum(-1).mean())))
    globular = 2.2 * count**0.38  # radius of gyration of a globule of so many residues, Å
    columns += [
        2 * numpy.linalg.norm(away, axis=-1) / size - 2,
        (units(away) * sides).sum(-1),
        numpy.full(count, size / globular - 1),
    ]
    return numpy.stack(columns, axis=1).astype(numpy.float32)


def _patches(
    kinds: Floats, sides: Floats, shown: NDArray[numpy.float64], first: Indices, second: Indices, between: Floats
) -> Floats:
    """Shares of kinds beside each: of all, of those on the surface, of those there that look the same way; (K, 61)."""
    looks_alike = (sides[first] * sides[second]).sum(-1) > 0
    count = len(kinds)
    ours = numpy.arange(count)
    columns = []
    for weight, reach in zip((numpy.ones(count), shown, shown), PATCHES, strict=True):
        told = weight[second] * numpy.exp(-((between / reach) ** 2))
        if reach == PATCHES[-1]:
            told = told * looks_alike
        rows, others = numpy.concatenate([first, ours]), numpy.concatenate([second, ours])
        heard = csr_matrix((numpy.concatenate([told, weight]), (rows, others)), (count, count))
        total = numpy.asarray(heard.sum(1)).reshape(-1, 1)
        columns.append(10 * (heard @ kinds) / (total + 1e-6))
    columns.append(total / 5 - 1)
    return numpy.hstack(columns).astype(numpy.float32)


def _around(rows: Floats, alphas: Floats, first: Indices, second: Indices) -> Floats:
    """The mean of `rows` (K, M) over the surroundings of each residue, near ones weighing more: (K, 2 M)."""
    apart = numpy.linalg.norm(alphas[second] - alphas[first], axis=-1)
    count, means = len(alphas), []
    for width in WIDTHS:
        weight = numpy.exp(-0.5 * (apart / width) ** 2)
        total = 1 + numpy.bincount(first, weight, minlength=count)
        heard = csr_matrix((weight, (first, second)), (count, count)) @ rows
        means.append((rows + heard) / total[:, None])
    return numpy.hstack(means).astype(numpy.float32)

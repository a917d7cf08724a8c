"""A protein as a graph: its residues are the nodes, and edges join what is near along the chain or in space.

    backbone           -> build_graph   ->  edges of four kinds, each with numbers that no rotation changes
    contacts (L, L)    -> from_contacts ->  the same from predicted contacts, where no structure is known
    length             -> along_chain   ->  neighbours along the chain, where nothing else is known

    sequence   neighbours in the chain up to `REACH` apart; never across a break
    nearest    the `neighbours` residues that are nearest in space
    radius     everything nearer than `radius`
    contact    pairs that a contact map holds for likely

An edge carries the kind, the distance, the separation along the chain and the angles between the residues' own three
directions (forward, backward, side chain): see `FEATURES`. They stay the same when the protein is turned, moved or
mirrored; what must know left from right uses `directions`, which turn with it. Knows no learning. After Ingraham et
al. 2019 (NeurIPS, graph-based protein design) and Jing et al. 2021 (ICLR, geometric vector perceptrons).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy
from numpy.typing import NDArray
from scipy.spatial import KDTree

from anfinsen.structure.backbone import Backbone
from anfinsen.structure.geometry import Distances
from anfinsen.structure.surroundings import DIRECTIONS, Floats, Indices, directions, units

Ground = Literal["structure", "fold", "contacts", "sequence"]
"""What a graph stands on: measured coordinates, computed ones, contacts that were predicted, or the chain alone."""
GROUNDS: Mapping[Ground, str] = {
    "structure": "its structure",
    "fold": "a predicted fold",
    "contacts": "predicted contacts",
    "sequence": "the sequence alone",
}
"""Each ground in words, as in 'judged from predicted contacts'."""

KINDS = ("sequence", "nearest", "radius", "contact")
REACH = 3
"""How many residues along the chain a sequence edge spans."""
NEIGHBOURS = 12
RADIUS = 8.0
"""Ångström between CA atoms within which residues are joined."""
LIKELY = 0.3
"""Probability from which a predicted contact is an edge."""
WIDEST = 20.0
"""Ångström that the distance features span."""
STEPS = 16
_SEPARATIONS = numpy.array([1, 2, 3, 4, 8, 16, 32, 64])
FEATURES = len(KINDS) + STEPS + len(_SEPARATIONS) + 2 + 15
"""Numbers of an edge: kinds, distance, separation, direction and order along the chain, angles."""


@dataclass(frozen=True, eq=False)
class Graph:
    """N residues and E directed edges between them; each edge also stands the other way round."""

    edges: Indices
    """From and to, (2, E)."""
    features: Floats
    """Numbers of each edge, (E, FEATURES)."""
    positions: Floats
    """CA atoms in ångström, (N, 3), NaN where unknown."""
    directions: Floats
    """Unit vectors of each residue, (N, 3, 3): forward, backward, side chain; zero where unknown."""
    lengths: tuple[int, ...]
    """Residues of each protein in the graph."""
    grounds: tuple[Ground, ...]
    """What the edges of each protein stand on."""

    def __len__(self) -> int:
        return len(self.positions)

    def kind(self, name: str) -> NDArray[numpy.bool_]:
        """Which edges are of one kind, (E,); an edge can be of several."""
        return self.features[:, KINDS.index(name)] > 0.5


def build_graph(
    backbone: Backbone,
    *,
    neighbours: int = NEIGHBOURS,
    radius: float = RADIUS,
    contacts: Distances | None = None,
) -> Graph:
    """The graph of one chain; residues without a CA atom keep their sequence edges only.

    `contacts` are predicted probabilities (L, L), which add edges to those of the structure.
    """
    positions = numpy.ascontiguousarray(backbone.alphas, dtype=numpy.float32)
    found = {"sequence": _along(backbone.pieces)} | _in_space(positions, neighbours, radius)
    found["contact"] = _likely(contacts) if contacts is not None else _none()
    return _graph(found, positions, directions(backbone), backbone.pieces, ground_of(backbone))


def ground_of(backbone: Backbone | None, contacts: Distances | None = None) -> Ground:
    """What a graph of these would stand on; whose origin nobody tells counts as measured."""
    if backbone is not None:
        return "fold" if backbone.origin == "predicted" else "structure"
    return "sequence" if contacts is None else "contacts"


def from_contacts(contacts: Distances, *, likely: float = LIKELY) -> Graph:
    """The graph of one chain without a structure: sequence edges, and contacts of at least the probability `likely`."""
    return _without_places(len(contacts), _likely(contacts, likely), "contacts")


def rumours(backbone: Backbone, generator: numpy.random.Generator) -> Distances:
    """What a poor folder might say of a chain's contacts, (L, L): up to half of the true ones, and as many wrong ones.

    A wrong one is a true one with both ends moved by up to six residues; 1 where it is said, else 0.
    """
    length, betas = len(backbone), backbone.betas
    known = numpy.flatnonzero(~numpy.isnan(betas).any(-1))
    pairs = known[KDTree(betas[known]).query_pairs(RADIUS, output_type="ndarray").reshape(-1, 2)]
    pairs = pairs[pairs[:, 1] - pairs[:, 0] > REACH]
    told, wrong = (pairs[generator.random(len(pairs)) < generator.random() / 2] for _ in range(2))
    moved = (wrong + generator.integers(-6, 7, size=wrong.shape)).clip(0, length - 1)
    said = numpy.zeros((length, length), dtype=numpy.float32)
    first, second = numpy.concatenate([told, moved]).T
    said[first, second] = said[second, first] = 1.0
    return said


def along_chain(length: int) -> Graph:
    """The graph of a chain of which nothing is known but its length: sequence edges alone."""
    return _without_places(length, _none(), "sequence")


def _without_places(length: int, contacts: Indices, ground: Ground) -> Graph:
    pieces = numpy.zeros(length, dtype=numpy.int64)
    nowhere = numpy.full((length, 3), numpy.nan, dtype=numpy.float32)
    found = {"sequence": _along(pieces), "nearest": _none(), "radius": _none(), "contact": contacts}
    return _graph(found, nowhere, numpy.zeros((length, DIRECTIONS, 3), numpy.float32), pieces, ground)


def join(graphs: Sequence[Graph]) -> Graph:
    """Several graphs as one, without an edge between them."""
    begins = numpy.cumsum([0, *(len(graph) for graph in graphs)])
    return Graph(
        edges=numpy.concatenate([graph.edges + begin for graph, begin in zip(graphs, begins, strict=False)], axis=1),
        features=numpy.concatenate([graph.features for graph in graphs]),
        positions=numpy.concatenate([graph.positions for graph in graphs]),
        directions=numpy.concatenate([graph.directions for graph in graphs]),
        lengths=tuple(length for graph in graphs for length in graph.lengths),
        grounds=tuple(ground for graph in graphs for ground in graph.grounds),
    )


# Edges ---------------------------------------------------------------------------------------------------------------


def _none() -> Indices:
    return numpy.empty((2, 0), dtype=numpy.int64)


def _along(pieces: Indices) -> Indices:
    """Pairs up to `REACH` apart in one unbroken piece, both ways."""
    length = len(pieces)
    pairs = [_none()]
    for apart in range(1, min(REACH, length - 1) + 1):
        first = numpy.arange(length - apart)
        joined = first[pieces[first] == pieces[first + apart]]
        pairs.append(numpy.stack([joined, joined + apart]))
    return _both_ways(numpy.concatenate(pairs, axis=1))


def _in_space(positions: Floats, neighbours: int, radius: float) -> dict[str, Indices]:
    known = numpy.flatnonzero(~numpy.isnan(positions).any(-1))
    if len(known) < 2:
        return {"nearest": _none(), "radius": _none()}
    tree = KDTree(positions[known])
    asked = min(neighbours + 1, len(known))
    _, near = tree.query(positions[known], k=asked)
    near = near.reshape(len(known), asked)
    first = numpy.repeat(numpy.arange(len(known)), asked)
    nearest = numpy.stack([near.reshape(-1), first])
    nearest = nearest[:, nearest[0] != nearest[1]]
    within = tree.query_pairs(radius, output_type="ndarray").T.astype(numpy.int64)
    return {"nearest": _both_ways(known[nearest]), "radius": _both_ways(known[within])}


def _likely(contacts: Distances, likely: float = LIKELY) -> Indices:
    """Pairs of a contact map that are further apart than the sequence edges reach."""
    first, second = (numpy.nan_to_num(contacts) >= likely).nonzero()
    far = second - first > REACH
    return _both_ways(numpy.stack([first[far], second[far]]))


def _both_ways(pairs: Indices) -> Indices:
    return numpy.concatenate([pairs, pairs[::-1]], axis=1).astype(numpy.int64)


# Features ------------------------------------------------------------------------------------------------------------


def _graph(found: dict[str, Indices], positions: Floats, seen: Floats, pieces: Indices, ground: Ground) -> Graph:
    length = max(1, len(positions))
    named = numpy.concatenate([found[kind][0] * length + found[kind][1] for kind in KINDS])
    kind = numpy.repeat(numpy.arange(len(KINDS)), [found[one].shape[1] for one in KINDS])
    order = numpy.argsort(named)
    is_new = numpy.diff(named[order], prepend=-1) > 0
    every = named[order][is_new]
    edges = numpy.stack([every // length, every % length])
    kinds = numpy.zeros((len(every), len(KINDS)), dtype=bool)
    kinds[is_new.cumsum() - 1, kind[order]] = True
    features = numpy.concatenate(
        [kinds, _distances(edges, positions), _separations(edges, pieces), _angles(edges, positions, seen)],
        axis=1,
    )
    return Graph(edges, features.astype(numpy.float32), positions, seen, (length,), (ground,))


def _distances(edges: Indices, positions: Floats) -> Floats:
    """Distances as bumps, (E, STEPS): each answers to distances near its own; all zero where unknown."""
    apart = numpy.linalg.norm(positions[edges[1]] - positions[edges[0]], axis=-1)
    centres = numpy.linspace(2.0, WIDEST, STEPS)
    bumps: Floats = numpy.exp(-(((apart[:, None] - centres) / (centres[1] - centres[0])) ** 2))
    return numpy.nan_to_num(bumps)


def _separations(edges: Indices, pieces: Indices) -> Floats:
    """How far apart along the chain, (E, 8 + 2): steps that were passed; which comes first; the same piece or not."""
    apart = edges[1] - edges[0]
    passed = numpy.abs(apart)[:, None] >= _SEPARATIONS
    same = pieces[edges[0]] == pieces[edges[1]]
    told: Floats = numpy.concatenate([passed, numpy.sign(apart)[:, None], same[:, None]], axis=1).astype(numpy.float32)
    return told


def _angles(edges: Indices, positions: Floats, seen: Floats) -> Floats:
    """Cosines, (E, 15): the edge against the three directions of either end (6), and those against each other (9)."""
    along = units(positions[edges[1]] - positions[edges[0]])
    one, two = seen[edges[0]], seen[edges[1]]
    at_one = numpy.einsum("ekc,ec->ek", one, along)
    at_two = numpy.einsum("ekc,ec->ek", two, along)
    between = numpy.einsum("eac,ebc->eab", one, two).reshape(len(along), DIRECTIONS**2)
    cosines: Floats = numpy.concatenate([at_one, at_two, between], axis=1)
    return cosines

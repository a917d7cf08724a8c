"""Residue graphs as tensors: what a network on graphs is given beside the states, for a whole batch at once.

    proteins -> a graph each: of its backbone, its contacts or its chain -> one graph -> Net
             -> what surrounds each of their residues                    ->

What surrounds a residue is found once and remembered for as long as the backbone is, so that epochs after the first
read it back. It knows no network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy
import torch
from torch import Tensor

from anfinsen.data.alphabet import RESIDUES, encode
from anfinsen.structure.backbone import Backbone
from anfinsen.structure.graph import Graph, Ground, along_chain, build_graph, from_contacts, join
from anfinsen.structure.protein import Protein
from anfinsen.structure.surroundings import Floats, surroundings

_CODES = encode(RESIDUES)
_REMEMBERED: WeakKeyDictionary[Backbone, tuple[str, Floats]] = WeakKeyDictionary()
"""For each backbone the sequence that was read on it and what surrounds its residues."""


@dataclass(frozen=True, eq=False)
class Net:
    """The graphs of a batch as one, over all N residues in their order in the packed row."""

    edges: Tensor
    """From and to, (2, E)."""
    features: Tensor
    """Numbers of each edge, (E, FEATURES)."""
    positions: Tensor
    """CA atoms in ångström, (N, 3), NaN where unknown."""
    directions: Tensor
    """Unit vectors of each residue, (N, 3, 3)."""
    nodes: Tensor
    """Numbers of each residue, (N, NODES)."""
    grounds: tuple[Ground, ...]
    """What the graph of each protein stands on."""

    def to(self, device: torch.device) -> Net:
        """The same on another device."""
        return Net(
            self.edges.to(device),
            self.features.to(device),
            self.positions.to(device),
            self.directions.to(device),
            self.nodes.to(device),
            self.grounds,
        )


def graph_of(protein: Protein) -> Graph:
    """The graph of one protein: of its backbone, else of its predicted contacts, else of the chain alone."""
    if protein.backbone is not None:
        return build_graph(protein.backbone)
    return along_chain(len(protein)) if protein.contacts is None else from_contacts(protein.contacts)


def nodes_of(protein: Protein) -> Floats:
    """What surrounds each residue of one protein, (L, NODES)."""
    backbone = protein.backbone
    sequence, found = _REMEMBERED.get(backbone, ("", None)) if backbone is not None else ("", None)
    if found is None or sequence != protein.sequence:
        found = surroundings(kinds_of(protein.sequence), backbone)
        if backbone is not None:
            _REMEMBERED[backbone] = protein.sequence, found
    return found


def kinds_of(sequence: str) -> Floats:
    """Which of the twenty standard residues each is, (L, 20); zero for others.

    >>> kinds_of("AXC").argmax(1).tolist(), kinds_of("AXC").sum(1).tolist()
    ([0, 0, 1], [1.0, 0.0, 1.0])
    """
    found: Floats = (encode(sequence)[:, None] == _CODES).astype(numpy.float32)
    return found


def make_net(proteins: Iterable[Protein]) -> Net:
    """The graphs of these proteins as tensors."""
    given = list(proteins)
    graph = join([graph_of(protein) for protein in given])
    return Net(
        torch.from_numpy(graph.edges),
        torch.from_numpy(graph.features),
        torch.from_numpy(graph.positions),
        torch.from_numpy(graph.directions),
        torch.from_numpy(numpy.concatenate([nodes_of(protein) for protein in given])),
        graph.grounds,
    )

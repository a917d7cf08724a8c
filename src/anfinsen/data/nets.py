"""Residue graphs as tensors: what a network on graphs is given beside the states, for a whole batch at once.

    proteins -> a graph each, of their backbone or of the chain alone -> one graph -> Net

It knows no network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from anfinsen.structure.graph import Graph, Ground, along_chain, build_graph, join
from anfinsen.structure.protein import Protein


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
    grounds: tuple[Ground, ...]
    """What the graph of each protein stands on."""

    def to(self, device: torch.device) -> Net:
        """The same on another device."""
        return Net(
            self.edges.to(device),
            self.features.to(device),
            self.positions.to(device),
            self.directions.to(device),
            self.grounds,
        )


def graph_of(protein: Protein) -> Graph:
    """The graph of one protein: of its backbone where there is one, else of the chain alone."""
    return along_chain(len(protein)) if protein.backbone is None else build_graph(protein.backbone)


def make_net(proteins: Iterable[Protein]) -> Net:
    """The graphs of these proteins as tensors."""
    graph = join([graph_of(protein) for protein in proteins])
    return Net(
        torch.from_numpy(graph.edges),
        torch.from_numpy(graph.features),
        torch.from_numpy(graph.positions),
        torch.from_numpy(graph.directions),
        graph.grounds,
    )

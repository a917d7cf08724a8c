"""A network on molecular graphs and protein states: how tightly each of some drugs holds each of some proteins.

    atoms, bonds -> rounds of messages (GINE) -> mean, sum, largest --\\
                                                                       > drug (D, C) ---\\
    fragments -> two layers -------------------------------------------/                 > pair (P,)
    mean state, the protein's own vector -> protein (T, C) -----------------------------/ /
    stretches of the chain (T, S, dim) -> attention, in which the drug asks -------------/

Drugs and proteins of a table of affinities meet again and again, so pairs are not read one by one: every drug of a
block passes through its graph once, every protein once, and all known pairs of the block are scored from these. What a
pair is scored as does not depend on who else stands in the block.

GINE: Hu et al. 2020 (ICLR), in PyTorch Geometric. The own vector of each protein is learnt with the rest, as in the
factorisation of a table, so the network answers about known proteins alone. It knows no file and no table.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from anfinsen.drug.graph import ATOM_KINDS, BOND_KINDS, MoleculeGraph, join

with warnings.catch_warnings():
    # on import it compiles a class of its pooling by torch.jit, which PyTorch has begun to retire
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.nn import GINEConv, global_add_pool, global_max_pool, global_mean_pool


_PAIR = 256
"""Numbers of a pair."""
_USUAL = 30
"""Atoms of a usual drug; divided by it sums come out like means."""


@dataclass(frozen=True, eq=False)
class Block:
    """D molecules as one graph, with their fragments (D, F)."""

    atoms: Tensor
    edges: Tensor
    bonds: Tensor
    owner: Tensor
    fragments: Tensor

    @classmethod
    def of(cls, graphs: Sequence[MoleculeGraph], fragments: Tensor) -> Block:
        """Molecules side by side."""
        joined = join(graphs)
        parts = [torch.from_numpy(part) for part in (joined.atoms, joined.edges, joined.bonds, joined.owner)]
        return cls(parts[0], parts[1], parts[2], parts[3], fragments)


@dataclass(frozen=True, eq=False)
class Chains:
    """T proteins: what each is called by number (T,), its mean state (T, dim) and its stretches (T, S, dim)."""

    numbers: Tensor
    means: Tensor
    stretches: Tensor


class Round(nn.Module):
    """One round of messages between bound atoms: (A, width) -> (A, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.bond = nn.Embedding(BOND_KINDS, width)
        mix = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.hear = GINEConv(mix, train_eps=True)

    def forward(self, atoms: Tensor, edges: Tensor, bonds: Tensor) -> Tensor:
        return atoms + cast(Tensor, self.hear(self.norm(atoms), edges, self.bond(bonds)))


class MoleculeNetwork(nn.Module):
    """Graphs and fragments of D molecules -> (D, size)."""

    def __init__(self, fragments: int, size: int, *, width: int, rounds: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.kinds = nn.ModuleList(nn.Embedding(count, width) for count in ATOM_KINDS)
        self.rounds = nn.ModuleList(Round(width) for _ in range(rounds))
        self.read = nn.Sequential(nn.LayerNorm(3 * width), nn.Linear(3 * width, size))
        self.fragments = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(fragments, width), nn.GELU(), nn.Dropout(2 * dropout), nn.Linear(width, size)
        )
        self.leave = nn.Sequential(nn.LayerNorm(size), nn.Dropout(dropout))

    def forward(self, block: Block) -> Tensor:
        atoms = self.describe(block)
        count = len(block.fragments)
        pools = [pool(atoms, block.owner, count) for pool in (global_mean_pool, global_add_pool, global_max_pool)]
        pools[1] = pools[1] / _USUAL
        return cast(Tensor, self.leave(self.read(torch.cat(pools, -1)) + self.fragments(block.fragments)))

    def describe(self, block: Block) -> Tensor:
        """What each atom is, among its neighbours: (A, width)."""
        atoms = torch.stack([kind(column) for kind, column in zip(self.kinds, block.atoms.T, strict=True)]).sum(0)
        for one in self.rounds:
            atoms = one(atoms, block.edges, block.bonds)
        return atoms


class AffinityNetwork(nn.Module):
    """Molecules and proteins once each, then as many of their pairs as are asked."""

    def __init__(
        self, molecules: nn.Module, dim: int, proteins: int, stretches: int, *, size: int, heads: int = 4,
        dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.heads, self.depth = heads, size // (2 * heads)
        inner = heads * self.depth
        self.molecules = molecules
        self.own = nn.Embedding(proteins, size)
        nn.init.normal_(self.own.weight, std=0.3)
        self.mean = nn.Linear(dim, size)
        self.leave = nn.Sequential(nn.LayerNorm(size), nn.Dropout(dropout))
        self.keys, self.values = nn.Linear(dim, inner), nn.Linear(dim, inner)
        self.places = nn.Parameter(0.1 * torch.randn(2, stretches, inner))
        self.ask = nn.Linear(size, inner, bias=False)
        self.drug, self.protein = nn.Linear(size, _PAIR), nn.Linear(size, _PAIR, bias=False)
        self.both, self.seen = nn.Linear(size, _PAIR, bias=False), nn.Linear(inner, _PAIR, bias=False)
        self.judge = nn.Sequential(
            nn.GELU(), nn.Dropout(dropout), nn.Linear(_PAIR, _PAIR // 2), nn.GELU(), nn.Linear(_PAIR // 2, 1)
        )

    def forward(self, block: Block, chains: Chains, pairs: Tensor) -> Tensor:
        """Pairs (P, 2) of a place among the molecules and one among the proteins -> (P,)."""
        drugs = self.molecules(block)
        proteins = self.leave(self.mean(chains.means) + self.own(chains.numbers))
        row, column = pairs.T
        told = self.drug(drugs).index_select(0, row) + self.protein(proteins).index_select(0, column)
        told = told + self.both(drugs.index_select(0, row) * proteins.index_select(0, column))
        seen = self.look(drugs, chains).flatten(0, 1).index_select(0, row * len(proteins) + column)
        return cast(Tensor, self.judge(told + self.seen(seen))[:, 0])

    def look(self, drugs: Tensor, chains: Chains) -> Tensor:
        """What each drug sees of each protein's stretches: (D, T, heads * depth)."""
        values = self._split(self.values(chains.stretches) + self.places[1])  # (heads, T, S, depth)
        seen: Tensor = self.weights(drugs, chains).permute(0, 1, 3, 2) @ values
        return seen.permute(2, 1, 0, 3).flatten(2)

    def weights(self, drugs: Tensor, chains: Chains) -> Tensor:
        """How much each drug looks at each stretch, which sums to one over a protein: (heads, T, S, D)."""
        keys = self._split(self.keys(chains.stretches) + self.places[0])
        asked = self.ask(drugs).unflatten(-1, (self.heads, self.depth)).permute(1, 2, 0)  # (heads, depth, D)
        scores = keys.flatten(1, 2) @ asked / self.depth**0.5
        return functional.softmax(scores.unflatten(1, keys.shape[1:3]), dim=2)

    def _split(self, states: Tensor) -> Tensor:
        """(T, S, heads * depth) -> (heads, T, S, depth)."""
        return cast(Tensor, states.unflatten(-1, (self.heads, self.depth))).permute(2, 0, 1, 3)

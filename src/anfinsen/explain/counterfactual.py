"""Which single substitutions would change an answer most: found by its gradients, weighed by asking the network.

The gradient at the embedding of each residue says, to first order, what any other residue in its place would do. The
most promising of the 19 L substitutions, up and down, are then really made and asked, so every number that is told
is the network's own answer to a real sequence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from anfinsen.data.alphabet import RESIDUES
from anfinsen.explain.lens import Lens

TRIED = 120
"""Substitutions that are asked: half of them should raise the number, half should lower it."""


@dataclass(frozen=True)
class Substitution:
    """One residue replaced by another, the number that the network gives then, and by how much it has changed."""

    position: int
    wild_type: str
    mutant: str
    value: float
    change: float

    def __str__(self) -> str:
        return f"{self.wild_type}{self.position}{self.mutant}"


def substitutions(lens: Lens, *, tried: int = TRIED) -> list[Substitution]:
    """The substitutions that were asked, from the one that raises the number most to the one that lowers it most."""
    sequence = lens.example.protein.sequence
    looks = lens.embedding_of(RESIDUES)  # (20, C)
    embedded = lens.embedded.clone().requires_grad_()
    (slope,) = torch.autograd.grad(lens(embedded).sum(), embedded)
    promised = torch.einsum("lc,lac->la", slope[0], looks[None] - lens.embedded[0][:, None])  # (L, 20)
    same = torch.tensor([[residue == other for other in RESIDUES] for residue in sequence])
    order = promised.flatten()[~same.flatten()].argsort()
    places = (~same).flatten().nonzero()[:, 0][order]
    half = tried // 2
    chosen = places if len(places) <= tried else torch.cat((places[:half], places[-half:]))
    chains = lens.embedded.repeat(len(chosen), 1, 1)
    rows, letters = chosen // len(RESIDUES), chosen % len(RESIDUES)
    chains[torch.arange(len(chosen)), rows] = looks[letters]
    before, after = float(lens.of(lens.embedded)[0]), lens.of(chains)
    found = [
        Substitution(row + 1, sequence[row], RESIDUES[letter], value, value - before)
        for row, letter, value in zip(rows.tolist(), letters.tolist(), after.tolist(), strict=True)
    ]
    return sorted(found, key=lambda one: -one.change)

"""Listening: what a head says of a chain's residues, heard again together with what the chain's family tells.

    outputs (R, K) of a head that read the sequence alone
    evidence (R, E) of a family, see `kinship.family`      -> two convolutions along the chain -> outputs (R, K)
                                                           -> of hidden residues, place by place -> logits (R, K)

The head saw one sequence, the family was counted from many: where a helix lies, profiles of relatives tell better than
any one of them (Rost & Sander 1993, J. Mol. Biol. 232:584; Jones 1999, J. Mol. Biol. 292:195). What comes out is the
head's own outputs, scaled, and a correction that begins as nothing. Of hidden residues the family tells at their very
places; neighbours, which the language model has read already, only distract. It knows neither task nor family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from anfinsen.models.heads import ChainConvolution, HeadKind


class Listener(nn.Module):
    """A head's outputs corrected by evidence: (R, size) and (R, evidence) -> (R, size)."""

    def __init__(self, size: int, evidence: int, inner_dim: int = 48, width: int = 9) -> None:
        super().__init__()
        self.near = ChainConvolution(size + evidence, inner_dim, width)
        self.far = ChainConvolution(inner_dim, inner_dim, width)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(inner_dim, size)
        self.trust = nn.Parameter(torch.ones(size))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, outputs: Tensor, evidence: Tensor, lengths: Sequence[int]) -> Tensor:
        """Chains stand one after the other, `lengths` residues each."""
        near = functional.gelu(self.near(torch.cat((outputs, evidence), dim=1), lengths))
        far = near + functional.gelu(self.far(self.dropout(near), lengths))
        corrected: Tensor = self.trust * outputs + self.out(self.dropout(far))
        return corrected


class PlaceListener(nn.Module):
    """As `Listener`, but each residue is judged by itself, and the family is also heard without a detour."""

    def __init__(self, size: int, evidence: int, inner_dim: int = 128) -> None:
        super().__init__()
        self.near = nn.Linear(size + evidence, inner_dim)
        self.far = nn.Linear(inner_dim, inner_dim)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(inner_dim, size)
        self.direct = nn.Linear(evidence, size, bias=False)
        self.trust = nn.Parameter(torch.ones(size))
        for begins_as_nothing in (self.out.weight, self.out.bias, self.direct.weight):
            nn.init.zeros_(begins_as_nothing)

    def forward(self, outputs: Tensor, evidence: Tensor, lengths: Sequence[int]) -> Tensor:
        """Which residues are of one chain does not matter here."""
        near = functional.gelu(self.near(torch.cat((outputs, evidence), dim=1)))
        far = near + functional.gelu(self.far(self.dropout(near)))
        corrected: Tensor = self.trust * outputs + self.direct(evidence) + self.out(self.dropout(far))
        return corrected


def new_listener(head: HeadKind, size: int, evidence: int) -> Listener | PlaceListener:
    """One that has learnt nothing, for a head of this kind."""
    return (PlaceListener if head == "masked" else Listener)(size, evidence)


def listeners_from(weights: Mapping[str, Tensor]) -> nn.ModuleDict:
    """The listeners whose weights these are, each weight named after its task, a dot, and its place.

    They rest while a body or a head learns: they are taught apart.
    """
    made = nn.ModuleDict()
    for name in dict.fromkeys(key.partition(".")[0] for key in weights):
        size = len(weights[f"{name}.trust"])
        if f"{name}.direct.weight" in weights:
            made[name] = PlaceListener(size, weights[f"{name}.direct.weight"].shape[1])
        else:
            made[name] = Listener(size, weights[f"{name}.near.convolve.weight"].shape[1] - size)
    made.load_state_dict(dict(weights))
    return made.requires_grad_(False)

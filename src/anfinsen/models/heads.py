"""Heads: small networks that turn residue states into one answer a protein or one a residue.

All of them read a packed row of residue states (R, C) with the residues' lengths, and the conditions
of each protein (B, K). None of them knows what the answer means.

- `MaskedHead`: the language model's own head, residue states -> logits over the vocabulary.
- `ResidueHead`: two convolutions along the chain, then one vector a residue.
- `PooledHead`: attention over the chain (Stark et al. 2021, Light Attention, Bioinformatics Advances 1:vbab035),
  which shows where it looked, then a small network on the pooled vector, the maximum and the conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

HeadKind = Literal["masked", "residue", "pooled"]


def make_head(kind: HeadKind, dim: int, size: int, conditions: int = 0) -> nn.Module:
    """The head of one task: `size` outputs from states of width `dim` and `conditions` numbers."""
    if kind == "masked":
        return MaskedHead(dim, size)
    if kind == "residue":
        return ResidueHead(dim, size)
    return PooledHead(dim, size, conditions)


class ChainConvolution(nn.Module):
    """A convolution along each chain of a packed row, as one product: gaps of zeros keep chains apart.

    Shapes: (R, C) -> (R, D).
    """

    def __init__(self, dim: int, out_dim: int, width: int, *, bias: bool = True) -> None:
        super().__init__()
        self.reach = width // 2
        self.convolve = nn.Conv1d(dim, out_dim, width, padding=self.reach, bias=bias)

    def forward(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        counts = torch.tensor(lengths, device=states.device)
        shift = torch.arange(len(lengths), device=states.device).repeat_interleave(counts) * self.reach
        places = torch.arange(states.shape[0], device=states.device) + shift
        row = states.new_zeros(states.shape[0] + self.reach * len(lengths), states.shape[1])
        row = row.index_copy(0, places, states)
        convolved: Tensor = self.convolve(row.T[None])
        return convolved[0].T[places].contiguous()


class MaskedHead(nn.Module):
    """Logits over the vocabulary, as in ESM-2; its last product is the embedding itself where tied."""

    def __init__(self, dim: int, vocabulary: int, norm_eps: float = 1e-5) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.decode = nn.Linear(dim, vocabulary)
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.normal_(self.decode.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)
        nn.init.zeros_(self.decode.bias)

    def forward(self, states: Tensor, lengths: Sequence[int], conditions: Tensor) -> Tensor:
        """(R, C) -> (R, vocabulary); also takes any subset of residues as states."""
        logits: Tensor = self.decode(self.norm(functional.gelu(self.dense(states))))
        return logits


class ResidueHead(nn.Module):
    """One vector a residue from its neighbourhood along the chain: (R, C) -> (R, size)."""

    def __init__(self, dim: int, size: int, inner_dim: int = 128, width: int = 11) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.near = ChainConvolution(dim, inner_dim, width)
        self.far = ChainConvolution(inner_dim, inner_dim, width)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(inner_dim, size)

    def forward(self, states: Tensor, lengths: Sequence[int], conditions: Tensor) -> Tensor:
        near = functional.gelu(self.near(self.dropout(self.norm(states)), lengths))
        far = near + functional.gelu(self.far(self.dropout(near), lengths))
        out: Tensor = self.out(self.dropout(far))
        return out


class PooledHead(nn.Module):
    """One vector a protein by attention along the chain: (R, C), (B, K) -> (B, size)."""

    def __init__(self, dim: int, size: int, conditions: int = 0, inner_dim: int = 128, width: int = 9) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.value = ChainConvolution(dim, inner_dim, width)
        # no bias: the softmax along the chain would take it out again
        self.weigh = ChainConvolution(dim, inner_dim, width, bias=False)
        self.dropout = nn.Dropout(0.25)
        # each condition enters twice: its value and whether it is known
        self.judge = nn.Sequential(
            nn.Linear(2 * inner_dim + dim + 2 * conditions, inner_dim),
            nn.GELU(),
            nn.Dropout(0.25),
            nn.Linear(inner_dim, size),
        )
        # what is linear in the mean state and the conditions needs no detour (Cheng et al. 2016, arXiv 1606.07792)
        self.direct = nn.Linear(dim + 2 * conditions, size)
        nn.init.zeros_(self.direct.weight)
        nn.init.zeros_(self.direct.bias)

    def forward(self, states: Tensor, lengths: Sequence[int], conditions: Tensor) -> Tensor:
        states = self.norm(states)
        weights = self.attention(states, lengths)
        values = self.value(self.dropout(states), lengths)
        pooled = segment_sum(values * weights, lengths)
        peaks = segment_max(values, lengths)
        means = segment_sum(states, lengths) / torch.tensor(lengths, device=states.device)[:, None]
        known = ~conditions.isnan()
        plain = torch.cat((means, conditions.nan_to_num(0.0), known.to(states.dtype)), dim=-1)
        judged: Tensor = self.judge(torch.cat((pooled, peaks, plain), dim=-1)) + self.direct(plain)
        return judged

    def attention(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        """How much each residue counts, (R, inner_dim); sums to one along each chain."""
        scores = self.weigh(states, lengths)
        top = segment_max(scores, lengths).detach()
        raised = (scores - _spread(top, lengths)).exp()
        shares: Tensor = raised / _spread(segment_sum(raised, lengths), lengths)
        return shares


def segment_sum(rows: Tensor, lengths: Sequence[int]) -> Tensor:
    """Sum over each chain: (R, C) -> (B, C)."""
    total = rows.new_zeros(len(lengths), rows.shape[1])
    return total.index_add(0, _owner(lengths, rows.device), rows)


def segment_max(rows: Tensor, lengths: Sequence[int]) -> Tensor:
    """Maximum over each chain: (R, C) -> (B, C)."""
    return torch.stack([part.amax(0) for part in rows.split(list(lengths))])


def _spread(per_chain: Tensor, lengths: Sequence[int]) -> Tensor:
    return per_chain[_owner(lengths, per_chain.device)]


def _owner(lengths: Sequence[int], device: torch.device) -> Tensor:
    """The chain's number for each residue, (R,)."""
    return torch.arange(len(lengths), device=device).repeat_interleave(torch.tensor(lengths, device=device))

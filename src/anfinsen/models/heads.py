"""Heads: small networks that turn residue states into one answer a protein or one a residue.

All of them read a packed row of residue states (R, C) with the residues' lengths, and the conditions
of each protein (B, K). None of them knows what the answer means.

- `MaskedHead`: the language model's own head, residue states -> logits over the vocabulary.
- `ResidueHead`: two convolutions along the chain, then one vector a residue.
- `PooledHead`: attention over the chain (Stark et al. 2021, Light Attention, Bioinformatics Advances 1:vbab035),
  which shows where it looked, then a small network on the pooled vector, the maximum and the conditions.
- `PairHead`: the same for two chains at a time, and symmetric: whichever comes first, the answer is the same.
- `CentreHead`: reads as `PooledHead` does, but gives each protein a place on a sphere on which each class has its
  centre: what is near a centre is of that class (CLEAN, Yu et al. 2023, Science 379:1358; learnt centres after
  Movshovitz-Attias et al. 2017, arXiv 1703.07464). It also has a memory for the proteins that it has learnt from.
- `GraphHead` (in `graph`): hears what is near in the fold, and along the chain where the fold is unknown.
- `FoldingHead` (in `folding`): one vector for every two residues of a chain.
- `PairingHead` (in `pairing`): lays two chains side by side and maps which stretch of one speaks to which of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from anfinsen.models.recall import Recall

PLAIN = "plain"
"""The name under which a head for whole chains remembers a plain rule beside it (see `recall`)."""
HeadKind = Literal["masked", "residue", "pooled", "pair", "centres", "graph", "residue-pairs", "pairing"]


def make_head(kind: HeadKind, dim: int, size: int, conditions: int = 0) -> nn.Module:
    """The head of one task: `size` outputs from states of width `dim` and `conditions` numbers."""
    if kind == "masked":
        return MaskedHead(dim, size)
    if kind == "residue":
        return ResidueHead(dim, size)
    if kind == "pair":
        return PairHead(dim, size, conditions)
    if kind == "centres":
        return CentreHead(dim, size, conditions)
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


class ChainReader(nn.Module):
    """What heads for whole chains share: one vector a chain by attention along it, and two ways to judge vectors."""

    views = 1
    """Vectors of what was read that are judged together."""

    def __init__(self, dim: int, size: int, conditions: int = 0, inner_dim: int = 128, width: int = 9) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.value = ChainConvolution(dim, inner_dim, width)
        # no bias: the softmax along the chain would take it out again
        self.weigh = ChainConvolution(dim, inner_dim, width, bias=False)
        self.dropout = nn.Dropout(0.25)
        # each condition enters twice: its value and whether it is known
        self.judge = nn.Sequential(
            nn.Linear(self.views * (2 * inner_dim + dim) + 2 * conditions, inner_dim),
            nn.GELU(),
            nn.Dropout(0.25),
            nn.Linear(inner_dim, size),
        )
        # what is linear in the mean state and the conditions needs no detour (Cheng et al. 2016, arXiv 1606.07792)
        self.direct = nn.Linear(self.views * dim + 2 * conditions, size)
        nn.init.zeros_(self.direct.weight)
        nn.init.zeros_(self.direct.bias)
        self.memory = Recall((PLAIN,))

    def read(self, states: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """What attention and maximum see in each chain, (N, 2 inner_dim), and its mean normed state, (N, C)."""
        states = self.norm(states)
        weights = self.attention(states, lengths)
        values = self.value(self.dropout(states), lengths)
        pooled = segment_sum(values * weights, lengths)
        peaks = segment_max(values, lengths)
        means = segment_sum(states, lengths) / torch.tensor(lengths, device=states.device)[:, None]
        return torch.cat((pooled, peaks), dim=-1), means

    def decide(self, seen: Tensor, means: Tensor, conditions: Tensor) -> Tensor:
        """The outputs of both ways together, (B, size)."""
        known = ~conditions.isnan()
        plain = torch.cat((means, conditions.nan_to_num(0.0), known.to(means.dtype)), dim=-1)
        judged: Tensor = self.judge(torch.cat((seen, plain), dim=-1)) + self.direct(plain)
        return judged

    def attention(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        """How much each residue counts, (R, inner_dim); sums to one along each chain."""
        scores = self.weigh(states, lengths)
        top = segment_max(scores, lengths).detach()
        raised = (scores - _spread(top, lengths)).exp()
        shares: Tensor = raised / _spread(segment_sum(raised, lengths), lengths)
        return shares


class PooledHead(ChainReader):
    """One vector a protein by attention along the chain: (R, C), (B, K) -> (B, size)."""

    def forward(self, states: Tensor, lengths: Sequence[int], conditions: Tensor) -> Tensor:
        seen, means = self.read(states, lengths)
        return self.decide(seen, means, conditions)


class PairHead(ChainReader):
    """One vector a pair from two chains that stand side by side: (R, C) of 2B chains, (B, K) -> (B, size)."""

    views = 3

    def forward(self, states: Tensor, lengths: Sequence[int], conditions: Tensor) -> Tensor:
        seen, means = self.read(states, lengths)
        return self.decide(joined(seen), joined(means), conditions)


class CentreHead(nn.Module):
    """How near each protein lies to the centre of each class on a sphere: (R, C), (B, K) -> (B, size).

    The output is the cosine of protein and centre, times a learnt scale, plus how common the class is. Classes that
    nobody has seen twice still have a centre, which those of a common parent share parts of through the loss.
    """

    recalled = ("letters", "lengths", "labels", "label_counts", "ids")
    """The arrays that it remembers."""

    def __init__(self, dim: int, size: int, conditions: int = 0, space: int = 128) -> None:
        super().__init__()
        self.place = PooledHead(dim, space, conditions)
        nn.init.normal_(self.place.direct.weight, std=dim**-0.5)
        self.centres = nn.Parameter(torch.randn(size, space) * space**-0.5)
        self.log_scale = nn.Parameter(torch.tensor([1.5]))
        # most classes do not hold for most proteins
        self.bias = nn.Parameter(torch.full((size,), -4.0))
        self.memory = Recall(self.recalled)

    def forward(self, states: Tensor, lengths: Sequence[int], conditions: Tensor) -> Tensor:
        places = functional.normalize(self.place(states, lengths, conditions).float(), dim=-1)
        cosines = places @ functional.normalize(self.centres.float(), dim=-1).T
        nearness: Tensor = cosines * self.log_scale.float().clamp(max=3.5).exp() + self.bias.float()
        return nearness


def joined(chains: Tensor) -> Tensor:
    """Vectors of the two chains of each pair as one that does not know their order: (2B, C) -> (B, 3C).

    Their middle, how far they lie apart, and where they agree.

    >>> one, other = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[3.0, 4.0], [1.0, 2.0]])
    >>> joined(one).tolist(), torch.equal(joined(one), joined(other))
    ([[2.0, 3.0, 2.0, 2.0, 3.0, 8.0]], True)
    """
    first, second = chains[0::2], chains[1::2]
    return torch.cat(((first + second) / 2, (first - second).abs(), first * second), dim=-1)


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

"""Two chains side by side: a low-rank map of which stretch of one speaks to which stretch of the other.

    states -> windows of 32 residues -> projected (W, r)  ->  card of a protein: factors (W, r) and a code (D,)   once
    two cards -> map (Wa, Wb) = factors x signs x factors -> its peaks + both codes -> the outputs of the pair   cheap
    windows -> chance of each room of the cell (places)   once, for the memory to compare

The idea of a map between two chains whose peaks decide is D-SCRIPT's (Sledzieski et al. 2021, Cell Systems 12:969).
The map is a product with a learnt sign for each direction, so that unlike things (a positive and a negative patch) may
attract each other, and it is the same for both orders; so is everything after it. It is no map of true contacts: what
it was taught is whether two proteins meet. A small reader of the same windows says in which room of the cell each of
the two works; it is taught by itself, from proteins whose place is known. The head also has a memory, which only a
task knows how to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from anfinsen.models.heads import PooledHead
from anfinsen.models.recall import Recall

WINDOW, STRIDE = 32, 16
"""Residues of a window, and from the start of one to that of the next: the same as those of stored states."""
REMEMBERED = ("hashes", "doubles", "profiles", "places", "pairs", "meets", "judges")
"""The arrays of the memory."""
PEAKS = 3
"""Numbers that a map is summed up by."""
PLACES = 10
"""Rooms of the cell that are told apart."""
_LOUD = 3.0
"""By so much a place is raised to the size of the other numbers of a code."""


class Cards(NamedTuple):
    """What is computed once of each of N proteins."""

    codes: Tensor
    """(N, D)"""
    factors: Tensor
    """(sum of W, r)"""
    places: Tensor
    """(N, PLACES) the chance that it works in each room of the cell."""
    windows: list[int]
    """W of each."""


class PairingHead(nn.Module):
    """Residue states (R, C) of 2B chains, each pair side by side -> (B, size + 2 PLACES).

    The first `size` are the same whichever chain comes first; after them stand the places of both.
    """

    def __init__(self, dim: int, size: int, conditions: int = 0, rank: int = 24, code: int = 64) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, rank)
        self.weigh = nn.Linear(dim, rank, bias=False)
        self.signs = nn.Parameter(torch.randn(rank))
        self.sum_up = nn.Linear(2 * rank + dim + PLACES, code)
        self.dropout = nn.Dropout(0.2)
        self.judge = nn.Sequential(nn.Linear(3 * code + PEAKS, code), nn.GELU(), nn.Dropout(0.2), nn.Linear(code, size))
        self.place = PooledHead(dim, PLACES, inner_dim=64, width=3)
        self.memory = Recall(REMEMBERED)

    def forward(self, states: Tensor, lengths: Sequence[int], conditions: Tensor) -> Tensor:
        cards = self.read(*windows(states, lengths))
        parts = cards.factors.split(cards.windows)
        peaks = torch.stack([self.peaks(one, other) for one, other in zip(parts[::2], parts[1::2], strict=True)])
        judged = self.decide(cards.codes[::2], cards.codes[1::2], peaks)
        return torch.cat((judged, cards.places[::2], cards.places[1::2]), -1)

    def read(self, states: Tensor, counts: Sequence[int]) -> Cards:
        """The cards of N proteins from the states of their windows (sum of W, C)."""
        return self.cards(states, counts, self.places(states, counts))

    def places(self, states: Tensor, counts: Sequence[int]) -> Tensor:
        """The chance that each of N proteins works in each room of the cell, from the same: (N, PLACES)."""
        said: Tensor = self.place(states, counts, states.new_zeros(len(counts), 0))
        return said.softmax(-1).detach()

    def cards(self, states: Tensor, counts: Sequence[int], places: Tensor) -> Cards:
        """The cards of N proteins whose places are known already."""
        states = self.norm(states)
        factors = functional.gelu(self.project(self.dropout(states)))
        scores = self.weigh(states)
        codes = []
        parts = (one.split(list(counts)) for one in (states, factors, scores))
        for part, near, score, where in zip(*parts, places, strict=True):
            seen = (near * score.softmax(0)).sum(0)
            codes.append(torch.cat((seen, near.amax(0), part.mean(0), _LOUD * where.sqrt())))
        return Cards(functional.gelu(self.sum_up(torch.stack(codes))), factors, places, list(counts))

    def map(self, one: Tensor, other: Tensor) -> Tensor:
        """How much each place of one speaks to each of the other: factors (n, r), (m, r) -> (n, m)."""
        found: Tensor = (one * self.signs) @ other.T / one.shape[-1] ** 0.5
        return found

    def peaks(self, one: Tensor, other: Tensor) -> Tensor:
        """The map of a pair in three numbers: its peak, the mean of the peaks of all places, the mean of all: (3,)."""
        found = self.map(one, other)
        either = (found.amax(0).mean() + found.amax(1).mean()) / 2
        return torch.stack((found.amax(), either, found.mean()))

    def decide(self, one: Tensor, other: Tensor, peaks: Tensor) -> Tensor:
        """The outputs of pairs from codes (..., D) and peaks (..., 3): (..., size)."""
        both = torch.cat((one + other, (one - other).abs(), one * other, peaks), -1)
        judged: Tensor = self.judge(self.dropout(both))
        return judged

    def grid(self, one: Cards, other: Cards) -> Tensor:
        """The outputs of everyone with everyone: (N, M, size)."""
        found = self.map(one.factors, other.factors)
        across = _maxima(found, other.windows)  # (sum W, M): the peak of each place of one in each other
        along = _maxima(found.T, one.windows)  # (sum V, N)
        total = _sums(_sums(found, other.windows).T, one.windows).T  # (N, M)
        n, m = (torch.tensor(cards.windows, dtype=found.dtype) for cards in (one, other))
        either = (_sums(across.T, one.windows).T / n[:, None] + _sums(along.T, other.windows) / m) / 2
        top = _maxima(across.T, one.windows).T
        peaks = torch.stack((top, either, total / (n[:, None] * m)), -1)
        shape = (len(one.windows), len(other.windows), one.codes.shape[-1])
        return self.decide(one.codes[:, None].expand(shape), other.codes[None].expand(shape), peaks)

    def spoken(self, one: Tensor, other: Tensor) -> Tensor:
        """The map between residues, from their own states (L, C), (M, C): (L, M)."""
        sides = [functional.gelu(self.project(self.norm(states))) for states in (one, other)]
        return self.map(*sides)


def windows(states: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int]]:
    """Means over windows of each chain: (R, C) -> (sum of W, C), and W of each.

    >>> windows(torch.arange(40.0)[:, None], [40])[0][:, 0].tolist()
    [15.5, 23.5]
    """
    found = [_windows(part) for part in states.split(list(lengths))]
    return torch.cat(found), [len(one) for one in found]


def _windows(states: Tensor) -> Tensor:
    if len(states) <= WINDOW:
        return states.mean(0, keepdim=True)
    # means by differences of running sums, so that no window is copied
    ends = functional.pad(states.double().cumsum(0), (0, 0, 1, 0))
    starts = list(range(0, len(states) - WINDOW + 1, STRIDE))
    if starts[-1] + WINDOW < len(states):
        starts.append(len(states) - WINDOW)
    at = torch.tensor(starts, device=states.device)
    return ((ends[at + WINDOW] - ends[at]) / WINDOW).to(states.dtype)


def _maxima(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """The largest of each group of columns: (n, sum of W) -> (n, N)."""
    return torch.segment_reduce(rows, "max", lengths=_repeated(counts, len(rows)), axis=1)


def _sums(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """The sum of each group of columns: (n, sum of W) -> (n, N)."""
    owner = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return rows.new_zeros(len(rows), len(counts)).index_add(1, owner, rows)


def _repeated(counts: Sequence[int], times: int) -> Tensor:
    return torch.tensor(counts).expand(times, len(counts)).contiguous()

"""The folding head: from residue states to how far every two residues are apart and how the chain turns.

    states (R, C) -> what each pair is (outer sum, outer product, attention maps, separation) -> pair trunk
                  -> one row of numbers for each pair (i, j) of each chain: (L1^2 + L2^2 + ..., B)

Row (i, j) with i != j holds the logits of the B bins of the distance, the same for (j, i). Row (i, i) speaks of the
residue itself: `PHI`, `PSI` are the two numbers each of a von Mises distribution (kappa cos, kappa sin), `SURE` the
logit of the lDDT that is expected of it; its other places are zero.

A chain is worked on by itself, those of one length together, so that a batch may hold any lengths. Source of the pair
features: Rao et al. 2021 (attention maps), Lin et al. 2023, Science 379:1123 (outer sum and product).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional

from anfinsen.errors import UsageError
from anfinsen.models.contacts import correct, symmetrise
from anfinsen.models.pair_trunk import ChannelNorm, TrunkConfig, make_trunk, told_config

PHI, PSI, SURE = slice(0, 2), slice(2, 4), 4
"""Where the row of a residue with itself holds its torsions and its confidence."""
RESIDUE_NUMBERS = 5
EXACT, FAR = 16, 128
"""Separations up to `EXACT` are told one by one, up to `FAR` in steps that grow by a fifth, and all beyond as one: a
crop in training hardly tells of farther pairs."""
PAIRS_AT_ONCE = 65_536
"""Pairs of chains of one length that are worked on together."""


def separation_steps(length: int) -> Tensor:
    """The number of the step that each signed separation j - i falls into, (L, L), counted from 0.

    >>> (separation_steps(3) - steps() // 2).tolist()
    [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]]
    """
    place = torch.arange(length)
    apart = place[None] - place[:, None]
    size = apart.abs().clamp(max=FAR)
    grown = EXACT + (4 * (size.clamp(min=1) / EXACT).log2()).floor().long().clamp(min=0)
    step = torch.where(size <= EXACT, size, grown + 1)
    return apart.sign() * step + steps() // 2


def steps() -> int:
    """How many steps of separation there are, both ways and zero."""
    return 2 * (EXACT + 4 * (FAR // EXACT).bit_length()) + 1


class FoldingHead(nn.Module):
    """Residue states (R, C) and attention maps of the body -> rows for every pair, (sum of L^2, size)."""

    def __init__(self, dim: int, size: int, config: TrunkConfig | None = None, maps: int = 0) -> None:
        super().__init__()
        given = config or TrunkConfig()
        self.size, self.patch = size, given.patch
        self.maps = maps if given.maps else 0
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(given.dropout)
        self.pair = nn.Linear(dim, 4 * given.fine)
        self.separation = nn.Embedding(steps(), given.fine)
        self.seen = nn.Linear(self.maps, given.fine) if self.maps else None
        self.join = nn.Linear(given.fine * given.patch**2, given.dim)
        self.trunk = make_trunk(given)
        self.config = told_config(given, self.trunk)
        self.last_norm = ChannelNorm(given.dim)
        self.bins = nn.Linear(given.dim, size * given.patch**2)
        self.near_bins = nn.Linear(given.fine, size)
        self.residue = nn.Sequential(nn.Linear(dim + 2 * given.dim, 64), nn.GELU(), nn.Linear(64, RESIDUE_NUMBERS))
        nn.init.zeros_(self.bins.bias)

    def forward(
        self, states: Tensor, lengths: Sequence[int], conditions: Tensor, maps: Sequence[Tensor] | None = None
    ) -> Tensor:
        """`maps` are the body's attention maps of each chain, (K, L, L)."""
        normed = self.norm(states)
        rows, first = [], 0
        for length, run in groupby(range(len(lengths)), key=lambda index: lengths[index]):
            chains = list(run)
            together = max(1, PAIRS_AT_ONCE // length**2)
            for start in range(0, len(chains), together):
                part = chains[start : start + together]
                here = normed[first : first + len(part) * length].unflatten(0, (len(part), length))
                seen = torch.stack([maps[index] for index in part]) if maps is not None and self.maps else None
                rows.append(self._chains(here, seen).flatten(0, 2))
                first += len(part) * length
        return torch.cat(rows)

    def _chains(self, states: Tensor, maps: Tensor | None) -> Tensor:
        """Chains of one length: (B, L, C) and (B, K, L, L) -> (B, L, L, size)."""
        length = states.shape[1]
        fine = self._fine(states, maps)
        joined = self.trunk(self._joined(fine))
        normed = self.last_norm(joined)
        coarse = functional.pixel_shuffle(self.bins(normed.movedim(1, -1)).movedim(-1, 1), self.patch)
        logits = coarse.movedim(1, -1)[:, :length, :length] + self.near_bins(fine)
        logits = (logits + logits.transpose(1, 2)) / 2
        along = [normed.mean(axis).mT.repeat_interleave(self.patch, 1)[:, :length] for axis in (2, 3)]
        itself = functional.pad(self.residue(torch.cat((states, *along), dim=-1)), (0, self.size - RESIDUE_NUMBERS))
        is_itself = torch.eye(length, dtype=torch.bool, device=states.device)[None, :, :, None]
        return torch.where(is_itself, itself[:, :, None], logits)

    def _fine(self, states: Tensor, maps: Tensor | None) -> Tensor:
        """What each pair is before any other pair is heard: (B, L, L, F)."""
        one, other, left, right = self.pair(self.dropout(states)).chunk(4, dim=-1)
        steps_apart = separation_steps(states.shape[1]).to(states.device)
        fine = one[:, :, None] + other[:, None] + left[:, :, None] * right[:, None] + self.separation(steps_apart)
        if self.seen is not None:
            if maps is None:
                raise UsageError(
                    "A head for contacts reads the attention maps of its body, which are not at hand here.",
                    remedy="Leave 'contacts' out, or train it with task.contacts.trunk.maps=false.",
                )
            fine = fine + self.seen(evened(maps).movedim(1, -1))
        return functional.gelu(fine)

    def _joined(self, fine: Tensor) -> Tensor:
        """Squares of patch x patch pairs as one point each: (B, L, L, F) -> (B, D, l, l)."""
        over = -fine.shape[1] % self.patch
        channels = functional.pad(fine.movedim(-1, 1), (0, over, 0, over))
        points = functional.pixel_unshuffle(channels, self.patch).movedim(1, -1)
        joined: Tensor = self.join(points).movedim(-1, 1)
        return joined


def evened(maps: Tensor) -> Tensor:
    """Attention maps made symmetric, freed of what rows and columns alone explain, each brought to a spread of one."""
    freed = correct(symmetrise(maps))
    return freed / freed.square().mean((-2, -1), keepdim=True).add(1e-12).sqrt()

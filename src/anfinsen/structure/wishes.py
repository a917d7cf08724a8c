"""What a distogram wishes of a structure: a smooth reward for every pair, largest where the pair probably is.

    reward of a pair at distance d = sum over bins of P(bin) * 1 / (1 + ((d - middle of the bin) / width)^2)

It is the share of probability that lies near d, softened: the structure with the largest sum is the one that expects
the best lDDT, however uncertain the distogram. A likelihood would instead let the one pair that is surely wrong
outweigh a hundred that are nearly right. A large `width` pulls from far away, a small one decides at the end.
"""

from __future__ import annotations

from typing import Any

import numpy
import torch
from torch import Tensor

from anfinsen.structure.distogram import Distogram, centres

FIRST_PAIR = 2
"""Least separation along the chain of a pair that has a wish; nearer ones are held by bonds and torsions."""
FAR_COUNTS = 0.3
"""What the wish to be far apart counts beside the wish to be near: there are many more of it."""
_STEP, _END = 0.5, 26.0
_COEFFICIENTS = 4


class Wishes:
    """The P pairs of a chain of L residues, each with its reward as a smooth curve over the distance."""

    def __init__(self, distogram: Distogram) -> None:
        self.length = len(distogram)
        first, second = numpy.triu_indices(self.length, FIRST_PAIR)
        self._places = torch.from_numpy(first * self.length + second)
        self._shares = torch.from_numpy(distogram.probabilities[first, second].astype(numpy.float32))
        self._middles = torch.from_numpy(centres(distogram.edges).astype(numpy.float32))
        self._far = float(distogram.edges[-1])
        self._nodes = torch.arange(0.0, _END + _STEP / 2, _STEP)
        self._curves = torch.empty(0, _COEFFICIENTS)

    def narrow(self, width: float) -> None:
        """Tabulate the rewards of all pairs for one `width` in ångström, as cubic pieces (P * G, 4)."""
        apart = self._nodes - self._middles[:, None]  # (B, G)
        apart[-1] = (self._nodes - self._far - width / 2).clamp_max(0.0)  # the last bin is open
        near = 1 / (1 + (apart / width) ** 2)
        slope = -2 * apart / width**2 * near**2 * _STEP
        near[-1] *= FAR_COUNTS
        slope[-1] *= FAR_COUNTS
        values, slopes = self._shares @ near, self._shares @ slope
        rise, (leaving, coming) = values.diff(dim=1), (slopes[:, :-1], slopes[:, 1:])
        pieces = [values[:, :-1], leaving, 3 * rise - 2 * leaving - coming, leaving + coming - 2 * rise]
        self._curves = torch.stack(pieces, -1).flatten(0, 1)

    def reward(self, betas: Tensor) -> Tensor:
        """The summed reward of each structure, (S, L, 3) to (S,)."""
        total: Tensor = _Reward.apply(betas, self)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
        return total

    def read(self, apart: Tensor) -> tuple[Tensor, Tensor]:
        """The reward of each pair at its distance and how it changes with it, (S, P) each."""
        last = len(self._nodes) - 2
        node = (apart / _STEP).clamp(0, last).long()
        along = apart / _STEP - node
        pair = torch.arange(0, apart.shape[1] * (last + 1), last + 1)
        start, leaving, square, cube = self._curves[pair + node].unbind(-1)
        within = along.clamp_max(1.0)  # beyond the table a straight line goes on
        slope = leaving + within * (2 * square + 3 * within * cube)
        value = start + within * (leaving + within * (square + within * cube)) + (along - within) * slope
        return value, slope / _STEP


class _Reward(torch.autograd.Function):
    """The reward with its gradient written out: a weighted Laplacian, one product of matrices instead of P vectors."""

    @staticmethod
    def forward(ctx: Any, betas: Tensor, wishes: Wishes) -> Tensor:
        places, length = wishes._places, wishes.length
        apart = torch.cdist(betas, betas, compute_mode="donot_use_mm_for_euclid_dist").flatten(1)[:, places]
        value, slope = wishes.read(apart)
        pulls = torch.zeros(len(betas), length * length)
        pulls[:, places] = slope / apart.clamp_min(1e-6)
        pulls = pulls.unflatten(1, (length, length))
        ctx.save_for_backward(betas, pulls + pulls.mT)
        return value.sum(-1)

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, None]:
        betas, pulls = ctx.saved_tensors
        moved = pulls.sum(-1, keepdim=True) * betas - pulls @ betas
        return above[0][:, None, None] * moved, None

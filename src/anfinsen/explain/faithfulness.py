"""Whether an attribution can be believed: residues are hidden, and shown, in its order and in random ones.

    deletion    from the whole chain, the most credited residue is hidden first: the number should fall at once
    insertion   from the hidden chain, the most credited residue is shown first: the number should rise at once

The score is the area between the two curves (Petsiuk et al. 2018, arXiv 1806.07421) as a share of the widest span that
any curve reached, less what random orders give on average: 0 is chance, 1 would be all at once, below 0 is worse than
chance. The span is taken, and not the way from the hidden chain to the whole one, because that way may be nought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy
import torch
from numpy.typing import NDArray

from anfinsen.explain.attribution import Credits
from anfinsen.explain.lens import Lens

POINTS = 11
"""Points of a curve, both ends included."""
ORDERS = 20
"""Random orders that an attribution is held against."""
SEED = 8

Curve = NDArray[numpy.float64]


@dataclass(frozen=True)
class Faithfulness:
    """Curves over the share of residues that are hidden or shown, (POINTS,), and the score with its yardstick."""

    shares: Curve
    deletion: Curve
    insertion: Curve
    random_deletion: Curve
    random_insertion: Curve
    score: float
    """How far insertion stands above deletion, less what random orders give on average."""
    low: float
    high: float
    """95 % of random orders score between these."""
    beaten: int
    """Random orders that score less."""
    orders: int

    @property
    def is_faithful(self) -> bool:
        """Better than what 95 % of random orders reach."""
        return self.score > self.high


def judge(lens: Lens, views: Mapping[str, Credits], *, orders: int = ORDERS) -> dict[str, Faithfulness]:
    """Hold the order of each view's credits against the same random orders of the residues."""
    length = lens.embedded.shape[1]
    generator = numpy.random.default_rng(SEED)
    counts = numpy.unique(numpy.linspace(0, length, POINTS).round().astype(int))
    by_chance = numpy.stack([_curves(lens, generator.permutation(length), counts) for _ in range(orders)])
    shares = counts / length
    ours = {name: _curves(lens, numpy.argsort(-credits, kind="stable"), counts) for name, credits in views.items()}
    span = float(numpy.ptp(numpy.concatenate([by_chance, numpy.stack(list(ours.values()))]))) or 1.0
    chance = _areas(by_chance, shares) / span
    mean = float(chance.mean())
    low, high = numpy.quantile(chance, (0.025, 0.975)) - mean
    found = {}
    for name, curves in ours.items():
        area = float(_areas(curves[None], shares)[0]) / span
        found[name] = Faithfulness(
            shares=shares,
            deletion=curves[0],
            insertion=curves[1],
            random_deletion=by_chance[:, 0].mean(0),
            random_insertion=by_chance[:, 1].mean(0),
            score=area - mean,
            low=float(low),
            high=float(high),
            beaten=int((chance < area).sum()),
            orders=orders,
        )
    return found


def _areas(curves: Curve, shares: Curve) -> Curve:
    """How far insertion stands above deletion, on average over the shares: (K, 2, points) -> (K,)."""
    apart = curves[:, 1] - curves[:, 0]
    areas: Curve = ((apart[:, 1:] + apart[:, :-1]) / 2 * numpy.diff(shares)).sum(1)
    return areas


def _curves(lens: Lens, order: NDArray[numpy.int64], counts: NDArray[numpy.int64]) -> Curve:
    """The number with the first 0, 1, ... residues of an order hidden, and with them alone shown: (2, points)."""
    rank = torch.empty(len(order), dtype=torch.int64)
    rank[torch.from_numpy(order)] = torch.arange(len(order))
    first = rank[None] < torch.from_numpy(counts)[:, None]  # (points, L)
    chains = torch.cat([lens.embedded * ~first[..., None], lens.embedded * first[..., None]])
    return lens.of(chains).double().numpy().reshape(2, len(counts))

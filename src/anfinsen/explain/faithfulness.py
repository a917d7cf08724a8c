"""Whether an explanation can be believed: parts are hidden, and shown, in its order and in random ones.

A part is what the explanation credits: a residue, an atom, a stretch of a chain, a pair that attention joins.

    deletion    from the whole, the most credited part is hidden first: the number should fall at once
    insertion   with every part hidden, the most credited is shown first: the number should rise at once

The score is the area between the two curves (Petsiuk et al. 2018, arXiv 1806.07421) as a share of the widest span that
any curve reached, less what random orders give on average: 0 is chance, 1 would be all at once, below 0 is worse than
chance. The span is taken, and not the way from nothing to the whole, because that way may be nought. It knows no model
and no protein: it is given a way to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

POINTS = 11
"""Points of a curve, both ends included."""
ORDERS = 20
"""Random orders that an explanation is held against."""
SEED = 8

Curve = NDArray[numpy.float64]
Order = NDArray[numpy.int64]
"""Numbers of parts, the first to be hidden or shown first."""
Ask = Callable[[NDArray[numpy.bool_]], Curve]
"""Which of n parts are hidden in each of N questions, (N, n) -> the number that is answered, (N,)."""


@dataclass(frozen=True)
class Faithfulness:
    """Curves over the share of parts that are hidden or shown, (POINTS,), and the score with its yardstick."""

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

    @property
    def words(self) -> str:
        """The score beside what chance reaches."""
        return f"{self.score:.2f}, where 95% of random orders lie between {self.low:.2f} and {self.high:.2f}"


def ranked(credits: Curve) -> Order:
    """The most credited part first."""
    return numpy.argsort(-credits, kind="stable")


def shuffled(parts: int, orders: int = ORDERS) -> list[Order]:
    """Random orders of so many parts, always the same ones."""
    generator = numpy.random.default_rng(SEED)
    return [generator.permutation(parts) for _ in range(orders)]


def judge(ask: Ask, parts: int, views: Mapping[str, Order], chance: Sequence[Order]) -> dict[str, Faithfulness]:
    """Hold the order of each view against the same random orders.

    An order may name only the first of the `parts`, where the rest would take too long; all then name as many.
    """
    most = len(chance[0])
    counts = numpy.unique(numpy.linspace(0, most, POINTS).round().astype(int))
    by_chance = numpy.stack([_curves(ask, order, parts, counts) for order in chance])
    shares = counts / most
    ours = {name: _curves(ask, order, parts, counts) for name, order in views.items()}
    span = float(numpy.ptp(numpy.concatenate([by_chance, numpy.stack(list(ours.values()))]))) or 1.0
    areas = _areas(by_chance, shares) / span
    mean = float(areas.mean())
    low, high = numpy.quantile(areas, (0.025, 0.975)) - mean
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
            beaten=int((areas < area).sum()),
            orders=len(chance),
        )
    return found


def _areas(curves: Curve, shares: Curve) -> Curve:
    """How far insertion stands above deletion, on average over the shares: (K, 2, points) -> (K,)."""
    apart = curves[:, 1] - curves[:, 0]
    areas: Curve = ((apart[:, 1:] + apart[:, :-1]) / 2 * numpy.diff(shares)).sum(1)
    return areas


def _curves(ask: Ask, order: Order, parts: int, counts: NDArray[numpy.int64]) -> Curve:
    """The number with the first 0, 1, ... parts of an order hidden, and with them alone shown: (2, points)."""
    rank = numpy.full(parts, parts)
    rank[order] = numpy.arange(len(order))
    first = rank < counts[:, None]  # (points, parts)
    return ask(numpy.concatenate([first, ~first])).reshape(2, len(counts))

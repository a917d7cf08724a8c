"""How familiar a protein looks to the network: its mean state beside those of the training proteins.

    mean states of training proteins (N, C) -> mean, main axes, what is left over -> distance of a new state

A protein without a relative in training may still be of a familiar kind, and one with a relative may not. The
distance is that of Mahalanobis, in units of how the training states spread; spread is known along the main axes and
taken as even beyond them (probabilistic PCA, Tipping & Bishop 1999, J. R. Stat. Soc. B 61:611), so what never varied
in training counts most where it suddenly does. Where familiar ends is not a matter of taste: at the distance that 95 %
of held-out proteins keep. It holds some thousand numbers, knows no network, and gives no protein away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy
from numpy.typing import NDArray

AXES = 32
"""Main axes that are kept."""
KEPT = 0.95
"""Share of held-out proteins that still count as familiar."""
FEWEST = 20
"""Training or held-out proteins below which nothing can be said."""

_LEAST = 1e-12

Floats = NDArray[numpy.floating[Any]]


@dataclass(frozen=True)
class Familiarity:
    """The training states of width C in short: their `mean` (C,), main `axes` (K, C), spreads, the rest."""

    mean: NDArray[numpy.float32]
    axes: NDArray[numpy.float32]
    spreads: NDArray[numpy.float32]
    rest: float
    limit: float

    @classmethod
    def fit(cls, states: Floats, held_out: Floats) -> Self | None:
        """From states of training proteins (N, C) and of held-out ones (M, C); None where they are too few."""
        if min(len(states), len(held_out)) < FEWEST:
            return None
        mean = states.mean(0)
        _, spreads, axes = numpy.linalg.svd(states - mean, full_matrices=False)
        count = min(AXES, len(states) // 4, states.shape[1] - 1)
        variances = numpy.maximum(spreads**2 / (len(states) - 1), _LEAST)
        rest = float(numpy.sqrt(variances[count:].sum() / (states.shape[1] - count))) or 1.0
        found = cls(_single(mean), _single(axes[:count]), _single(numpy.sqrt(variances[:count])), rest, 0.0)
        limit = float(numpy.quantile([found.distance(state) for state in held_out], KEPT))
        return cls(found.mean, found.axes, found.spreads, rest, limit)

    def distance(self, state: Floats) -> float:
        """How far a state (C,) lies from the training states; 1 is the typical training protein."""
        apart = state.astype(numpy.float64) - self.mean
        along = self.axes @ apart
        left = max(0.0, float(apart @ apart - along @ along))
        return float(numpy.sqrt((((along / self.spreads) ** 2).sum() + left / self.rest**2) / len(apart)))

    def is_strange(self, state: Floats) -> bool:
        """Whether a state lies further out than nearly all held-out proteins did."""
        return self.distance(state) > self.limit

    def to_arrays(self) -> dict[str, NDArray[numpy.generic]]:
        """The summary as small arrays."""
        return {
            "states.mean": self.mean,
            "states.axes": self.axes.astype(numpy.float16),
            "states.spreads": self.spreads,
            "states.ends": numpy.array([self.rest, self.limit], dtype=numpy.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[numpy.generic]]) -> Self | None:
        """The summary back from its arrays; None where there are none."""
        if "states.ends" not in arrays:
            return None
        mean, axes, spreads = (_single(arrays[f"states.{name}"]) for name in ("mean", "axes", "spreads"))
        rest, limit = (float(one) for one in arrays["states.ends"].astype(numpy.float64))
        return cls(mean, axes, spreads, rest, limit)


def _single(array: NDArray[numpy.generic]) -> NDArray[numpy.float32]:
    return array.astype(numpy.float32)

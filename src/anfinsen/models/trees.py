"""A sum of decision trees as plain arrays: what gradient boosting has learnt, without the program that learnt it.

    rows (P, F) -> down every tree, a whole block of rows at a time -> sum of the leaves that were reached (P,)

Trees are grown by scikit-learn (histogram gradient boosting, after LightGBM: Ke et al. 2017, NeurIPS) and kept as five
arrays, which a bundle holds as safetensors: nothing is unpickled. A missing value goes the way that training found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy
from numpy.typing import NDArray

_LEAF = -1


@dataclass(frozen=True)
class Trees:
    """N nodes of all trees in a row; `roots` says where each tree begins."""

    roots: NDArray[numpy.int32]
    feature: NDArray[numpy.int16]
    """(N,) which column a node asks, -1 at a leaf."""
    threshold: NDArray[numpy.float32]
    """(N,) up to which value a row goes left."""
    left: NDArray[numpy.int32]
    right: NDArray[numpy.int32]
    missing: NDArray[numpy.int8]
    """(N,) 1 where a missing value goes left."""
    value: NDArray[numpy.float32]
    """(N,) what a leaf adds."""
    start: float

    @classmethod
    def grown(cls, model: Any) -> Self:
        """The trees of a fitted HistGradientBoostingRegressor."""
        parts = [group[0].nodes for group in model._predictors]
        ends = numpy.cumsum([0] + [len(part) for part in parts])
        nodes = numpy.concatenate(parts)
        shift = numpy.repeat(ends[:-1], [len(part) for part in parts])
        is_leaf = nodes["is_leaf"].astype(bool)
        # a threshold is rounded down, so that a row that stood at it still goes left of the next value
        return cls(
            ends[:-1].astype(numpy.int32),
            numpy.where(is_leaf, _LEAF, nodes["feature_idx"]).astype(numpy.int16),
            numpy.where(is_leaf, 0, nodes["num_threshold"]).astype(numpy.float32),
            (nodes["left"] + shift).astype(numpy.int32),
            (nodes["right"] + shift).astype(numpy.int32),
            nodes["missing_go_to_left"].astype(numpy.int8),
            nodes["value"].astype(numpy.float32),
            float(numpy.ravel(model._baseline_prediction)[0]),
        )

    def predict(self, rows: NDArray[Any]) -> NDArray[numpy.float64]:
        """The sum over all trees for each row: (P,)."""
        total = numpy.full(len(rows), self.start)
        everyone = numpy.arange(len(rows))
        for root in self.roots:
            at = numpy.full(len(rows), root, dtype=numpy.int64)
            while (inner := self.feature[at] != _LEAF).any():
                who, node = everyone[inner], at[inner]
                asked = rows[who, self.feature[node]]
                goes_left = numpy.where(numpy.isnan(asked), self.missing[node] == 1, asked <= self.threshold[node])
                at[inner] = numpy.where(goes_left, self.left[node], self.right[node])
            total += self.value[at]
        return total

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of a bundle."""
        arrays = {name: part for name, part in vars(self).items() if name != "start"}
        return {**arrays, "start": numpy.array([self.start])}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """The other way."""
        parts: dict[str, Any] = {**arrays, "start": float(arrays["start"][0])}
        return cls(**parts)

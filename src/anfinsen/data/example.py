"""An example: a protein, the conditions it is asked about, and, where known, the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anfinsen.structure.protein import Protein

Value = float | str | tuple[str, ...] | tuple[float, ...]
"""A number; a label or a string of per-residue tokens; several labels; or one number a residue."""


@dataclass(frozen=True)
class Example:
    """One row of a training table, or one question.

    `value` is the answer in the user's own terms, None where it is asked for; `mask`, for answers
    per residue, is a string of L characters, '1' where the value is known. `conditions` are named
    numbers in the units that the task states ({'growth_temperature': 37.0}); a missing one is unknown.
    """

    protein: Protein
    value: Value | None = None
    mask: str | None = None
    conditions: Mapping[str, float] = field(default_factory=dict)

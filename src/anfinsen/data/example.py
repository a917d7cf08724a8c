"""An example: a protein or a pair of them, the conditions it is asked about, and, where known, the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    `partner` is the second protein of a pair; which of the two comes first means nothing.
    """

    protein: Protein
    value: Value | None = None
    mask: str | None = None
    conditions: Mapping[str, float] = field(default_factory=dict)
    partner: Protein | None = None

    @property
    def chains(self) -> tuple[Protein, ...]:
        """The protein and, in a pair, its partner."""
        return (self.protein,) if self.partner is None else (self.protein, self.partner)

    @property
    def names(self) -> tuple[str, ...]:
        """The value as names: a single one is a tuple of one, and there is none where nothing is known."""
        value = self.value if isinstance(self.value, tuple) else (self.value,)
        return tuple(str(one) for one in value if one is not None)

    @property
    def residues(self) -> int:
        """How many residues are read to answer it."""
        return sum(len(chain) for chain in self.chains)


def proteins_of(examples: Sequence[Example]) -> list[Protein]:
    """The proteins of some examples in order; one that is in many pairs stands there once."""
    if not any(example.partner is not None for example in examples[:1]):
        return [example.protein for example in examples]
    return list({chain.sequence: chain for example in examples for chain in example.chains}.values())

"""What a step's guesses were worth, in figures that need no knowledge of losses.

    a class, or a letter a residue   right: the mean probability given to the true one;  chance: that of a blind guess
    a number                         miss: the mean distance from the truth;  naive: that of one fixed answer

These are read from the outputs of the step itself, so they tell what the network did with that very batch. Other
targets have no figure here; for them the loss must do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from anfinsen.targets.base import UNKNOWN, Label, Number, Target, Tokens

Facts = dict[str, float | str]
_FIGURES = ("right", "miss", "naive")


class Witness:
    """Sees the outputs of each part of a step, and sums up."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.known = 0
        self.fixed: Facts = {}

    def see(self, target: object, outputs: Tensor, truth: Tensor | None) -> None:
        """One part's outputs and true values."""
        if truth is None or not isinstance(target, Target):
            return
        if isinstance(target, Label | Tokens):
            known = truth != UNKNOWN
            shares = outputs.detach()[known].float().softmax(-1).gather(1, truth[known][:, None])
            self._add({"right": float(shares.sum())}, len(shares))
            self.fixed = {"chance": 1 / target.size}
        elif isinstance(target, Number):
            known = ~truth.isnan()
            miss = (outputs.detach()[known, 0].float() - truth[known]).abs().sum() * target.spread
            naive = truth[known].abs().sum() * target.spread
            self._add({"miss": float(miss), "naive": float(naive)}, int(known.sum()))
            self.fixed = {"unit": target.unit, "center": target.center}

    def facts(self) -> Facts:
        """The figures of the whole step; empty where the target has none or nothing was known."""
        means = {name: total / self.known for name, total in self.sums.items()} if self.known else {}
        return {**means, **self.fixed} if means else {}

    def row(self) -> list[float]:
        """The sums as one row of numbers, so that those of several processes can be added."""
        return [float(self.known), *(self.sums.get(name, 0.0) for name in _FIGURES)]

    def take(self, row: Sequence[float]) -> None:
        """The sums of all processes in place of this one's own."""
        self.known = round(row[0])
        self.sums = {name: total for name, total in zip(_FIGURES, row[1:], strict=True) if name in self.sums}

    def _add(self, sums: Mapping[str, float], count: int) -> None:
        self.known += count
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

"""Does 'nine times in ten' hold? Known proteins are dealt again and again: one half calibrates, the other judges.

    outputs + truths -> dealt at random -> calibrate on one half -> answer the other -> is the truth inside?  x draws

A protein's inclusion is 0 or 1 for a set or an interval, and for letters the share of its residues whose true letter
is in its set. Proteins of one pool are exchangeable, so over many draws the mean must come out at 90 %: what is tested
is the procedure, from the head's outputs to the printed answer. It says nothing of proteins unlike the pool's; that is
what the groups are for (classes, bands of identity to training). It knows no network and no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from anfinsen.data.example import Example
from anfinsen.targets.base import Answer, Floats, Target
from anfinsen.targets.metrics import METRICS, Estimate

DRAWS = 20
"""How often the proteins are dealt anew."""
EVERYONE = "all"
"""The group of all proteins."""
FEWEST = 40
"""Proteins of a group below which its coverage is not worth a figure."""


@dataclass(frozen=True)
class Redrawn:
    """What came of D draws of N proteins: `inside` (D, N), NaN where one calibrated; the mean width of answers."""

    inside: NDArray[numpy.float64]
    width: float

    def estimate(self, members: NDArray[numpy.bool_] | None = None) -> Estimate:
        """The mean over the draws, with the range in which 95 % of the single draws lie; `members` (N,) are judged.

        `n` is how many proteins judge in one draw.
        """
        rows = self.inside if members is None else self.inside[:, members]
        counts = (~numpy.isnan(rows)).sum(1)
        shares = numpy.nansum(rows, 1)[counts > 0] / counts[counts > 0]
        low, high = (float(end) for end in numpy.quantile(shares, (0.025, 0.975)))
        return Estimate(float(shares.mean()), low, high, int(numpy.median(counts)))

    def spread(self) -> float:
        """Standard deviation of the coverage between draws."""
        return float(numpy.nanmean(self.inside, 1).std(ddof=1))


def redraw(
    target: Target, outputs: Sequence[Floats], examples: Sequence[Example], *, draws: int = DRAWS, seed: int = 1
) -> Redrawn:
    """Deal the proteins into halves `draws` times, calibrate on one, judge the other; every value must be known."""
    inside = numpy.full((draws, len(examples)), numpy.nan)
    widths = []
    for number in range(draws):
        order = numpy.random.default_rng((seed, number)).permutation(len(examples))
        half, rest = numpy.split(order, [len(order) // 2])
        calibration = target.calibrate([outputs[at] for at in half], [examples[at] for at in half])
        answers = [target.answer(outputs[at], calibration) for at in rest]
        pairs = [(examples[at], answer) for at, answer in zip(rest, answers, strict=True)]
        inside[number, rest] = METRICS["coverage"].rows(pairs)[:, 1]
        widths.append(numpy.mean([width_of(answer) for answer in answers]))
    return Redrawn(inside, float(numpy.mean(widths)))


def width_of(answer: Answer) -> float:
    """How much an answer leaves open: classes in its set, letters a residue, the length of an interval."""
    if "sets" in answer:
        return float(numpy.mean([len(letters) for letters in answer["sets"]]))
    if "set" in answer:
        return float(len(answer["set"]))
    if "values" in answer:
        return float(numpy.mean(numpy.array(answer["high"]) - numpy.array(answer["low"])))
    return float(answer["high"] - answer["low"])


def by_group(redrawn: Redrawn, groups: Mapping[str, NDArray[numpy.bool_]]) -> dict[str, Estimate]:
    """The coverage of everyone and of each group of at least `FEWEST` proteins."""
    named = {name: members for name, members in groups.items() if members.sum() >= FEWEST}
    return {EVERYONE: redrawn.estimate()} | {name: redrawn.estimate(members) for name, members in named.items()}


def groups_of(
    examples: Sequence[Example], labels: Sequence[str], bands: NDArray[numpy.str_]
) -> dict[str, NDArray[numpy.bool_]]:
    """Proteins by their true class and by their band of identity to training, each a mask (N,)."""
    values = numpy.array([str(example.value) for example in examples])
    groups = {f"class {label}": values == label for label in labels}
    return groups | {f"identity {band} %": bands == band for band in dict.fromkeys(bands.tolist())}

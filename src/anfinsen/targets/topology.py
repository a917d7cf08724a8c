"""What is legal in a membrane, and how a topology is scored: by segments and proteins, never by residues alone.

    1 inside   2 outside   H helix that crosses   B strand that crosses   S signal peptide   U unknown, not scored

Sides alternate at every crossing; a helix has 11 to 34 residues in the membrane and a strand 5 to 14, as 99 of 100 do
in TMbed's table (21 and 9 in the mean); no protein crosses with both. Scores after Bernhofer & Rost 2022 (BMC
Bioinformatics 23:326): a segment is found if both its ends are at most five residues off and the two share at least
half of what they cover together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy
from numpy.typing import NDArray

from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.targets.base import Answer
from anfinsen.targets.metrics import METRICS, Metric, Pairs
from anfinsen.targets.segments import Grammar, Stage, fitting, matched

INSIDE, OUTSIDE, HELIX, STRAND, SIGNAL = "1", "2", "H", "B", "S"
CROSSING = HELIX + STRAND
LEAST_SIGNAL = 10


def _helix(name: str, follow: str) -> Stage:
    return Stage(name, HELIX, (follow,), least=11, most=34, mean=21.4, spread=3.7, costly=True)


def _strand(name: str, follow: str) -> Stage:
    return Stage(name, STRAND, (follow,), least=5, most=14, mean=8.9, spread=1.7, costly=True)


GRAMMAR = Grammar(
    (
        Stage("signal", SIGNAL, ("out", "barrel in", "barrel out"), least=LEAST_SIGNAL, begins=True, costly=True),
        Stage("in", INSIDE, ("helix outward",), begins=True),
        Stage("out", OUTSIDE, ("helix inward",), begins=True),
        _helix("helix outward", "out"),
        _helix("helix inward", "in"),
        # barrels keep to themselves: no protein crosses with helices and strands
        Stage("barrel in", INSIDE, ("strand outward",), begins=True),
        Stage("barrel out", OUTSIDE, ("strand inward",), begins=True),
        _strand("strand outward", "barrel out"),
        _strand("strand inward", "barrel in"),
    )
)
"""The legal topologies; a signal peptide can only stand at the beginning, and what follows it lies outside."""

Floats = NDArray[numpy.float64]


def _spelled(truth: Example, answer: Answer) -> tuple[str, str]:
    """The true letters, '?' where unknown, and those that were said."""
    if "tokens" not in answer:
        raise UsageError("This score compares topologies.", remedy="Leave it out for this task.")
    known = {INSIDE, OUTSIDE, HELIX, STRAND, SIGNAL}
    return "".join(letter if letter in known else "?" for letter in str(truth.value)), answer["tokens"]


def _crosses(tokens: str, letters: str = CROSSING) -> bool:
    return any(letter in tokens for letter in letters)


def _right_rows(pairs: Pairs) -> Floats:
    """For each protein that crosses a membrane 1 and whether all its segments are right."""
    spelled = [_spelled(truth, answer) for truth, answer in pairs]
    rows = [(1.0, fitting(true, said, CROSSING)) for true, said in spelled if _crosses(true)]
    return numpy.array(rows, dtype=numpy.float64).reshape(-1, 2)


def _turned_rows(pairs: Pairs) -> Floats:
    """The same, and the sides are right too."""
    spelled = [_spelled(truth, answer) for truth, answer in pairs]
    rows = [(1.0, fitting(true, said, CROSSING) and sides_fit(true, said)) for true, said in spelled if _crosses(true)]
    return numpy.array(rows, dtype=numpy.float64).reshape(-1, 2)


def sides_fit(true: str, said: str) -> bool:
    """Whether most residues of known side are said to lie there: of right segments all do, or none."""
    known = [(one, other) for one, other in zip(true, said, strict=True) if one in (INSIDE, OUTSIDE)]
    return 2 * sum(one == other for one, other in known) > len(known)


def _segment_rows(pairs: Pairs) -> Floats:
    """For each protein the segments found, said and true."""
    rows = [matched(*_spelled(truth, answer), CROSSING) for truth, answer in pairs]
    return numpy.array(rows, dtype=numpy.float64).reshape(-1, 3)


def _called_rows(letter: str, crosses: bool) -> Callable[[Pairs], Floats]:
    """For each protein that crosses (or does not cross) with that letter 1 and whether it is said to cross."""

    def rows(pairs: Pairs) -> Floats:
        spelled = [_spelled(truth, answer) for truth, answer in pairs]
        chosen = [(1.0, letter in said) for true, said in spelled if (letter in true) == crosses]
        return numpy.array(chosen, dtype=numpy.float64).reshape(-1, 2)

    return rows


def _share(sums: Floats) -> Floats:
    value: Floats = numpy.divide(sums[:, 1], sums[:, 0], out=numpy.full(len(sums), numpy.nan), where=sums[:, 0] > 0)
    return value


def _f1(sums: Floats) -> Floats:
    found, said, true = sums.T
    whole = said + true
    value: Floats = numpy.divide(2 * found, whole, out=numpy.full(len(sums), numpy.nan), where=whole > 0)
    return value


_NONE = "no protein of that kind is in the split"
for _metric in (
    Metric("Qok", "share of membrane proteins with every segment right", _right_rows, _share, _NONE, share=True),
    Metric("Qtop", "share of them with every segment and the sides right", _turned_rows, _share, _NONE, share=True),
    Metric("segment F1", "precision and recall of segments together", _segment_rows, _f1, "no segment is said or true"),
    Metric(
        "helical recall",
        "share of proteins with membrane helices that are seen as such",
        _called_rows(HELIX, crosses=True),
        _share,
        _NONE,
        share=True,
    ),
    Metric(
        "helical fpr",
        "share of other proteins that are wrongly given a membrane helix",
        _called_rows(HELIX, crosses=False),
        _share,
        _NONE,
        higher_is_better=False,
        share=True,
    ),
    Metric(
        "barrel recall",
        "share of barrels that are seen as such",
        _called_rows(STRAND, crosses=True),
        _share,
        _NONE,
        share=True,
    ),
    Metric(
        "barrel fpr",
        "share of other proteins that are wrongly given a membrane strand",
        _called_rows(STRAND, crosses=False),
        _share,
        _NONE,
        higher_is_better=False,
        share=True,
    ),
):
    METRICS.add(_metric.name, _metric)

"""Scores of names in a hierarchy: enzyme numbers as CLEAN counts them, ontology terms as CAFA counts them.

    F1                 of whole enzyme numbers; mean over numbers, each as heavy as it is frequent (weighted)
    F1 by protein      the same for each protein, then the mean
    accuracy level 1   ... 4: the likeliest name of that level is true
    Fmax, Fmax MF/CC   mean precision and recall over proteins at the one threshold where they are best
    Smin MF/CC         bits that are missing and bits that are wrong, at the one threshold where both are least
    relative_gain      the headline score over what homology alone reaches on the same proteins, less one; 'level 1' to
                       'level 4' the same for the accuracy at that level, 'over levels' for the mean of all four.
                       Relatives are found by shared words
    gain over all aligned    the same, and relatives are found by aligning every known protein: the harder rival

What homology alone says is the answer of a baseline, which the benchmark puts beside ours.

F1: scikit-learn's averages 'weighted' and 'samples', as in Yu et al. 2023. Fmax: Radivojac et al. 2013 (Nature Methods
10:221); Smin: Clark & Radivojac 2013 (Bioinformatics 29:i53). Roots are left out; a protein is judged in the aspects in
which something is known of it; terms that no training protein holds count as missed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UndefinedScoreError, UsageError
from anfinsen.targets.base import Answer
from anfinsen.targets.hierarchy import Hierarchy, information
from anfinsen.targets.metrics import METRICS, Metric, Pairs

Rows = NDArray[numpy.float64]
Listed = Sequence[tuple[set[str], dict[str, float]]]
"""For each protein the names that hold, and the probability of each name that was answered."""

Numbers = Sequence[tuple[set[str], set[str]]]
"""For each protein the whole enzyme numbers that are true, and those that were said."""

LEVELS = 4
CALLED = 0.5
"""Probability from which a second whole number is said beside the likeliest."""
THRESHOLDS = numpy.linspace(0.01, 0.99, 99)
ASPECTS = ("MF", "CC")


def _ours(pairs: Pairs) -> Listed:
    return [(set(truth.names), _shares(answer)) for truth, answer in pairs]


BY_WORDS, ALL_ALIGNED = "homology transfer", "homology transfer, all aligned"
"""Baselines that know relatives alone, found by shared words or by aligning every known protein."""
GAINS = {"relative_gain": BY_WORDS, "gain over all aligned": ALL_ALIGNED}
"""The baseline that our answers are compared with by each score of gain."""


def _by(rival: str, pairs: Pairs) -> Pairs:
    """The same proteins with what relatives alone say."""
    if any(rival not in answer for _, answer in pairs):
        raise UndefinedScoreError(f"There is no gain: the answers of '{rival}' are not beside these.")
    return [(truth, answer[rival]) for truth, answer in pairs]


def _shares(answer: Answer) -> dict[str, float]:
    if "labels" not in answer:
        raise UsageError("This score compares names.", remedy="Choose a score for this kind of answer.")
    return {str(one["label"]): float(one["probability"]) for one in answer["labels"]}


# Enzyme numbers -----------------------------------------------------------------------------------------------------


def level_of(number: str) -> int:
    """To how many levels a number is given.

    >>> level_of("3.4.-.-"), level_of("3.4.21.4")
    (2, 4)
    """
    return sum(part != "-" for part in number.split("."))


def called(shares: dict[str, float], least: float = 0.0) -> set[str]:
    """The whole numbers that an answer comes down to: the likeliest if it has `least`, and what is likely beside it."""
    whole = {name: share for name, share in shares.items() if level_of(name) == LEVELS}
    best = max(whole, key=lambda name: whole[name], default=None)
    return {name for name, share in whole.items() if (name == best and share >= least) or share >= CALLED}


def weighted_f1(numbers: Numbers) -> float:
    """The F1 of whole numbers, each as heavy as it is frequent."""
    return float(_weighted_f1(_number_rows(numbers).sum(0)[None])[0])


def _numbers(pairs: Pairs) -> Numbers:
    """True and said whole numbers: those that an answer names as such (`whole`), or what its shares come down to."""
    return [
        (
            {name for name in truth.names if level_of(name) == LEVELS},
            set(answer["whole"]) if "whole" in answer else called(_shares(answer)),
        )
        for truth, answer in pairs
    ]


def _number_rows(*parts: Numbers) -> Rows:
    """For each protein, part and number whether it was said rightly, said, and true: (n, parts * 3 * K)."""
    every = sorted({name for part in parts for pair in part for one in pair for name in one})
    place = {name: at for at, name in enumerate(every)}
    rows = numpy.zeros((len(parts[0]), len(parts), 3, len(every)))
    for which, part in enumerate(parts):
        for at, (true, said) in enumerate(part):
            for kind, names in enumerate((true & said, said, true)):
                rows[at, which, kind, [place[name] for name in names]] = 1.0
    return rows.reshape(len(rows), -1)


def _weighted_f1(sums: Rows) -> Rows:
    hit, said, true = numpy.moveaxis(sums.reshape(len(sums), 3, -1), 1, 0)
    f1 = _ratio(2 * hit, said + true)
    value: Rows = _ratio((f1 * true).sum(1), true.sum(1), empty=numpy.nan)
    return value


def _protein_rows(pairs: Pairs) -> Rows:
    numbers = _numbers(pairs)
    scores = [2 * len(true & said) / max(1, len(true) + len(said)) for true, said in numbers]
    return numpy.stack([numpy.ones(len(scores)), numpy.array(scores)], axis=1)


def _level_rows(level: int) -> Callable[[Pairs], Rows]:
    """For each protein 1, and whether the likeliest name of a level is one of the true ones."""

    def rows(pairs: Pairs) -> Rows:
        right = []
        for true, shares in _ours(pairs):
            of_level = {name: share for name, share in shares.items() if level_of(name) == level}
            best = max(of_level, key=lambda name: of_level[name], default="")
            right.append(best in {shortened(name, level) for name in true})
        return numpy.stack([numpy.ones(len(right)), numpy.array(right, dtype=numpy.float64)], axis=1)

    return rows


def shortened(number: str, level: int) -> str:
    """A number to so many levels.

    >>> shortened("3.4.21.4", 2)
    '3.4.-.-'
    """
    parts = number.split(".")
    return ".".join([*parts[:level], *("-" for _ in parts[level:])])


# Ontology terms -----------------------------------------------------------------------------------------------------


@cache
def _ontology() -> tuple[dict[str, tuple[str, float]], set[str]]:
    """The aspect and the information of each term, and the roots."""
    hierarchy = Hierarchy.read("go.txt", "go_rare.txt")
    roots = [at for at, parents in enumerate(hierarchy.parents) if not parents]
    names = {at: ASPECTS["component" in hierarchy.titles[at]] for at in roots}
    aspects: list[str] = []
    for at, parents in enumerate(hierarchy.parents):
        aspects.append(aspects[parents[0]] if parents else names[at])
    told = zip(hierarchy.names, aspects, information(hierarchy).tolist(), strict=True)
    return {name: (aspect, bits) for name, aspect, bits in told}, {hierarchy.names[at] for at in roots}


def aspect_of(term: str) -> str:
    """'MF' or 'CC'.

    >>> aspect_of("GO:0003824"), aspect_of("GO:0005634")
    ('MF', 'CC')
    """
    return _ontology()[0][term][0]


def _judged(listed: Listed, aspects: Sequence[str]) -> Listed:
    """The proteins of which something is known in these aspects, with the terms of the aspects that are known."""
    known, roots = _ontology()
    found = []
    for true, shares in listed:
        holds = {name for name in true if name in known and name not in roots and known[name][0] in aspects}
        seen = {known[name][0] for name in holds}
        if holds:
            said = {name: share for name, share in shares.items() if name not in roots and known[name][0] in seen}
            found.append((holds, said))
    return found


def _threshold_rows(listed: Listed, *, in_bits: bool = False) -> Rows:
    """For each protein and threshold: precision, whether anything was said, recall; 1. In bits: missed, wrong; 1."""
    known, _ = _ontology()
    rows = []
    for true, shares in listed:
        names = list(shares)
        weights = numpy.array([known[name][1] if in_bits else 1.0 for name in names])
        above = numpy.array([shares[name] for name in names]).reshape(-1, 1) >= THRESHOLDS  # (names, thresholds)
        right = weights @ (above & numpy.array([name in true for name in names], dtype=bool).reshape(-1, 1))
        said = weights @ above
        whole = sum(known[name][1] for name in true) if in_bits else len(true)
        if in_bits:
            rows.append(numpy.concatenate([whole - right, said - right, [1.0]]))
        else:
            spoke = said > 0
            rows.append(numpy.concatenate([_ratio(right, said), spoke, right / whole, [1.0]]))
    return numpy.array(rows, dtype=numpy.float64).reshape(len(rows), (2 if in_bits else 3) * len(THRESHOLDS) + 1)


def _fmax(sums: Rows) -> Rows:
    precision, spoke, recall = numpy.split(sums[:, :-1], 3, axis=1)
    precision, recall = _ratio(precision, spoke), recall / sums[:, -1:]
    best: Rows = _ratio(2 * precision * recall, precision + recall).max(1)
    return best


def _smin(sums: Rows) -> Rows:
    missed, wrong = numpy.split(sums[:, :-1] / sums[:, -1:], 2, axis=1)
    least: Rows = numpy.hypot(missed, wrong).min(1)
    return least


# Gain over homology -------------------------------------------------------------------------------------------------


def _gain_rows(rival: str, pairs: Pairs) -> Rows:
    """The sums of the headline score for us and for homology alone, side by side; 1 in front for enzyme numbers."""
    both = (pairs, _by(rival, pairs))
    if "said" in pairs[0][1]:
        rows = _number_rows(*(_numbers(part) for part in both))
    else:
        rows = numpy.hstack([_threshold_rows(_judged(_ours(part), ASPECTS)) for part in both])
    first = numpy.full((len(rows), 1), float("said" in pairs[0][1]))
    return numpy.hstack([first, rows])


def _gain(sums: Rows) -> Rows:
    score = _weighted_f1 if sums[0, 0] > 0 else _fmax
    ours, theirs = (score(half) for half in numpy.split(sums[:, 1:], 2, axis=1))
    gain: Rows = _ratio(ours, theirs, empty=numpy.nan) - 1
    return gain


def _ratio(top: Rows, bottom: Rows, *, empty: float = 0.0) -> Rows:
    quotient: Rows = numpy.divide(top, bottom, out=numpy.full(numpy.shape(top), empty), where=bottom > 0)
    return quotient


def _mean(sums: Rows) -> Rows:
    mean: Rows = sums[:, 1] / sums[:, 0]
    return mean


def _level_gain_rows(rival: str, levels: Sequence[int], pairs: Pairs) -> Rows:
    """For each protein how many of these levels are right, by our answer and by homology alone."""
    both = (pairs, _by(rival, pairs))
    return numpy.stack([sum(_level_rows(level)(part)[:, 1] for level in levels) for part in both], axis=1)


def _level_gain(sums: Rows) -> Rows:
    gain: Rows = _ratio(sums[:, 0], sums[:, 1], empty=numpy.nan) - 1
    return gain


_NONE = "nothing is true"
_F1 = "precision and recall of whole enzyme numbers taken together"
METRICS.add(
    "F1",
    Metric(
        "F1", f"{_F1}, frequent ones counting more", lambda pairs: _number_rows(_numbers(pairs)), _weighted_f1, _NONE
    ),
)
METRICS.add("F1 by protein", Metric("F1 by protein", f"{_F1}, for each protein", _protein_rows, _mean, _NONE))
for _level in range(1, LEVELS + 1):
    _name = f"accuracy level {_level}"
    _meaning = f"share of proteins whose likeliest name of level {_level} is right"
    METRICS.add(_name, Metric(_name, _meaning, _level_rows(_level), _mean, _NONE, share=True))


def _terms_metric(name: str, aspects: Sequence[str], *, in_bits: bool) -> Metric:
    """Fmax or Smin in some aspects."""

    def rows(pairs: Pairs) -> Rows:
        return _threshold_rows(_judged(_ours(pairs), aspects), in_bits=in_bits)

    if in_bits:
        meaning = "bits that are missing and bits that are wrong, at the best threshold"
        return Metric(name, meaning, rows, _smin, _NONE, higher_is_better=False)
    return Metric(name, "best mean precision and recall at one threshold", rows, _fmax, _NONE)


METRICS.add("Fmax", _terms_metric("Fmax", ASPECTS, in_bits=False))
for _aspect in ASPECTS:
    METRICS.add(f"Fmax {_aspect}", _terms_metric(f"Fmax {_aspect}", (_aspect,), in_bits=False))
    METRICS.add(f"Smin {_aspect}", _terms_metric(f"Smin {_aspect}", (_aspect,), in_bits=True))
_EVERY = tuple(range(1, LEVELS + 1))
_PARTS = {"over levels": _EVERY, **{f"level {level}": (level,) for level in _EVERY}}
for _gained, _rival in GAINS.items():
    _over = f"over homology alone, {'found by shared words' if _rival == BY_WORDS else 'everybody aligned'}"
    _meaning = f"gain in the headline score {_over}"
    _undefined = "homology knows nothing"
    METRICS.add(_gained, Metric(_gained, _meaning, partial(_gain_rows, _rival), _gain, _undefined, rival=_rival))
    for _which, _levels in _PARTS.items():
        _name, _of = f"{_gained} {_which}", "levels" if len(_levels) > 1 else f"names of {_which}"
        _meaning = f"gain in right {_of} of enzyme numbers {_over}"
        _rows = partial(_level_gain_rows, _rival, _levels)
        METRICS.add(_name, Metric(_name, _meaning, _rows, _level_gain, _undefined, rival=_rival))

"""Scores of rare sites: how well yes-or-no answers a residue (`tracks`) find them.

    site F1       precision and recall taken together, of any track, mean over proteins (as Littmann et al. 2021)
    site MCC      correlation of what is said and what is true, of any track, over all residues
    site AUROC    chance that a true site is ranked above a false one, over all residues
    site AUPR     precision averaged over all recalls, over all residues

Each exists for a single track too, as in 'metal AUPR'; its F1 is that over all residues. Residues are counted, proteins
are drawn for the interval. It knows no task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.targets.base import Answer
from anfinsen.targets.metrics import INSIDE, METRICS, Metric, Pairs
from anfinsen.targets.tracks import known_sites

Floats = NDArray[numpy.float64]

CUTS = 700
"""Steps of rank, each from the top and over all, in which residues are counted: far finer than any interval."""


@dataclass(frozen=True)
class _Sites:
    """The known residues of one protein: what is true, what is said, and the probability, each (R,)."""

    true: NDArray[numpy.bool_]
    said: NDArray[numpy.bool_]
    share: Floats


def _sites(pairs: Pairs, track: str | None) -> list[_Sites]:
    """The known residues of each protein that has some: of one track, or of any track."""
    if any("thresholds" not in answer for _, answer in pairs):
        raise UsageError("This score needs a yes or no for every residue.", remedy="Leave it out for this task.")
    found = []
    for truth, answer in pairs:
        names = list(answer["probabilities"])
        shares = numpy.array([answer["probabilities"][name] for name in names], dtype=numpy.float64).T
        true = known_sites(truth, len(names))
        said = shares >= numpy.array([answer["thresholds"][name] for name in names])
        chosen = [names.index(track)] if track is not None else list(range(len(names)))
        true, said, shares = true[:, chosen], said[:, chosen], shares[:, chosen]
        known = ~numpy.isnan(true).any(1)
        if known.any():
            any_share = 1 - (1 - shares[known]).prod(1)
            found.append(_Sites(numpy.any(true[known] == 1, axis=1), numpy.any(said[known], axis=1), any_share))
    return found


def _inside(truth: Example, answer: Answer) -> float:
    """The share of a protein's true sites, of all tracks, that are not ruled out; NaN where it has none."""
    if "sets" not in answer:
        raise UsageError("Coverage needs answers with sets.", remedy="Calibrate the model, or leave it out.")
    names, letters = list(answer["probabilities"]), answer["letters"]
    true = known_sites(truth, len(names)) == 1
    found = [letters[names[track]] in answer["sets"][place] for place, track in numpy.argwhere(true).tolist()]
    return sum(found) / len(found) if found else float("nan")


INSIDE["thresholds"] = _inside


def _counts(one: _Sites) -> tuple[int, int, int, int]:
    return int((one.true & one.said).sum()), int(one.said.sum()), int(one.true.sum()), len(one.true)


def _f1_rows(pairs: Pairs) -> Floats:
    """1 and the F1 of each protein, zeros where no site is true or said: (n, 2)."""
    counts = [_counts(one) for one in _sites(pairs, None)]
    rows = [(1.0, 2 * hit / (said + true)) if said + true else (0.0, 0.0) for hit, said, true, _ in counts]
    return numpy.array(rows, dtype=numpy.float64).reshape(-1, 2)


def _mean(sums: Floats) -> Floats:
    return _ratio(sums[:, 1], sums[:, 0])


def _count_rows(track: str | None) -> Callable[[Pairs], Floats]:
    """Hits, said, true and known residues of each protein: (n, 4)."""
    return lambda pairs: numpy.array([_counts(one) for one in _sites(pairs, track)], dtype=float).reshape(-1, 4)


def _f1(sums: Floats) -> Floats:
    hit, said, true, _ = sums.T
    return _ratio(2 * hit, said + true)


def two_state_mcc(sums: Floats) -> Floats:
    """Matthews' correlation from sums of hits, said, true and known residues, (S, 4); 0 where all are said alike."""
    hit, said, true, count = sums.T
    top = hit * count - said * true
    bottom = numpy.sqrt(said * (count - said)) * numpy.sqrt(true * (count - true))
    value = numpy.divide(top, bottom, out=numpy.zeros_like(top), where=bottom > 0)
    return numpy.where((true > 0) & (true < count), value, numpy.nan)


def _rank_rows(track: str | None) -> Callable[[Pairs], Floats]:
    """For each protein how many false and true residues lie in each step of rank, best first: (n, 2 * steps)."""

    def rows(pairs: Pairs) -> Floats:
        sites = _sites(pairs, track)
        if not sites:
            return numpy.zeros((0, 2))
        steps = _steps(numpy.concatenate([one.share for one in sites]))
        made = numpy.zeros((len(sites), 2, len(steps)))
        for row, one in zip(made, sites, strict=True):
            place = len(steps) - numpy.searchsorted(steps, one.share, side="right")
            for is_true in (0, 1):
                row[is_true] = numpy.bincount(place[one.true == is_true], minlength=len(steps))
        return made.reshape(len(sites), -1)

    return rows


def _steps(shares: Floats) -> Floats:
    """Where the steps begin, in rising order: every distinct probability, or of too many a fine choice of ranks."""
    every = numpy.unique(shares)
    if len(every) <= 2 * CUTS:
        return every
    ranked, count = numpy.sort(shares)[::-1], len(shares)
    ranks = numpy.concatenate([numpy.geomspace(1, count, CUTS), numpy.linspace(1, count, CUTS)])
    chosen: Floats = numpy.unique(numpy.append(ranked[ranks.astype(int) - 1], every[0]))
    return chosen


def _auroc(sums: Floats) -> Floats:
    false, true = numpy.moveaxis(sums.reshape(len(sums), 2, -1), 1, 0)
    below = false.sum(1, keepdims=True) - false.cumsum(1) + false / 2
    return _ratio((true * below).sum(1), true.sum(1) * false.sum(1))


def _aupr(sums: Floats) -> Floats:
    false, true = numpy.moveaxis(sums.reshape(len(sums), 2, -1), 1, 0)
    hits, said = true.cumsum(1), (true + false).cumsum(1)
    precision = numpy.divide(hits, said, out=numpy.zeros_like(hits), where=said > 0)
    return _ratio((true * precision).sum(1), true.sum(1))


def _ratio(top: Floats, bottom: Floats) -> Floats:
    value: Floats = numpy.divide(top, bottom, out=numpy.full(len(top), numpy.nan), where=bottom > 0)
    return value


_NONE, _ONE = "no site is true or said", "all residues are sites, or none is"
_MEANINGS = {
    "F1": "precision and recall taken together",
    "MCC": "correlation of said and true sites",
    "AUROC": "chance that a true site ranks above a false one",
    "AUPR": "precision averaged over all recalls",
}


def add_scores(track: str) -> None:
    """Register the four scores of one track, under names such as 'metal AUPR'."""
    _add(track, track)


def _add(noun: str, track: str | None) -> None:
    made = {
        "F1": (_f1_rows, _mean, _NONE) if track is None else (_count_rows(track), _f1, _NONE),
        "MCC": (_count_rows(track), two_state_mcc, _ONE),
        "AUROC": (_rank_rows(track), _auroc, _ONE),
        "AUPR": (_rank_rows(track), _aupr, _ONE),
    }
    for name, (rows, read, undefined) in made.items():
        of = f", {track} alone" if track is not None else ""
        METRICS.add(f"{noun} {name}", Metric(f"{noun} {name}", f"{_MEANINGS[name]}{of}", rows, read, undefined))


_add("site", None)

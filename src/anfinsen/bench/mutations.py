"""How the weights of mutations are chosen, and what they are worth on proteins that the choice never saw.

    ddG tables  -> families of proteins -> ridge on differences of state, groups chosen by folds of families -> test
    scans       -> ridge on what harms, groups chosen by leaving out one scan at a time -> TEM-1 and PABP, untouched

`benchmarks/mutations.py` calls the fits and writes their weights; the benchmark judges what is written. Baselines:
the mean, a ridge on BLOSUM62 (which knows no direction), and volume with hydrophobicity alone. Intervals of ddG draw
families of proteins, because variants of one protein resemble each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy
from numpy.typing import NDArray
from scipy.stats import norm, pearsonr, rankdata, spearmanr

from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import SEQUENCE
from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.substitutions import (
    BLOSUM62,
    Surroundings,
    Terms,
    Weights,
    effect_terms,
    ends_of,
    places_of,
    state_terms,
    summed,
)
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.variants import look_around
from anfinsen.kinship.kin import Kin
from anfinsen.kinship.splits import NAMES, TEST
from anfinsen.models.network import Network
from anfinsen.sets.assays import BGL3, GFP, Change, Measured, deal, read_changes, read_scan
from anfinsen.targets.base import conformal_quantile
from anfinsen.targets.metrics import Estimate
from anfinsen.tasks.stability_change import GAIN, STABILITY_CHANGE, stability_weights

Floats = NDArray[numpy.floating[Any]]
Place = dict[int, int]

STATE_CANDIDATES: tuple[tuple[str, ...], ...] = (
    ("size and water",),
    ("size and water", "conditions"),
    ("size and water", "residues", "conditions"),
    ("size and water", "secondary structure", "conditions"),
    ("size and water", "residues", "secondary structure", "conditions"),
    ("size and water", "residues", "secondary structure", "language model", "conditions"),
)
EFFECT_CANDIDATES: tuple[tuple[str, ...], ...] = (
    ("relatives",),
    ("relatives", "size and water"),
    ("relatives", "size and water", "residues"),
    ("relatives", "size and water", "language model"),
    ("relatives", "size and water", "residues", "language model"),
    ("relatives", "size and water", "language model", "conservation"),
    ("relatives", "size and water", "residues", "language model", "conservation"),
)
FAMILY_CANDIDATES: tuple[tuple[str, ...], ...] = (
    ("family",),
    ("family", "size and water"),
    ("family", "relatives"),
    ("family", "relatives", "size and water"),
    ("family", "size and water", "residues"),
    ("family", "size and water", "residues", "conservation"),
    ("family", "relatives", "size and water", "residues"),
    ("family", "relatives", "size and water", "residues", "conservation"),
    ("family", "size and water", "residues", "language model", "conservation"),
)
"""Where relatives are at hand; the first is the language model that has heard them, by itself."""
STATE_RIDGE, EFFECT_RIDGE = (1.0, 10.0, 100.0), (100.0, 300.0, 1000.0)
FOLDS, SEEDS, MOST, DRAWN = 5, 4, 30, 3000
"""Folds of families, how often they are dealt anew, variants at which a family's weight stops, variants of a scan."""
_CLOSE = 0.0005


@dataclass(frozen=True)
class Fitted:
    """The chosen weights, and for each candidate its validation score; higher is better."""

    weights: Weights
    table: tuple[tuple[str, float], ...]


# Stability ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stability:
    """Every measured change with its terms, its family and its split."""

    changes: list[Change]
    terms: list[Terms]
    family: NDArray[numpy.int64]
    split: NDArray[numpy.str_]

    @property
    def ddg(self) -> Floats:
        """What was measured, (V,)."""
        return numpy.array([change.ddg for change in self.changes])

    def matrix(self, groups: Sequence[str]) -> Floats:
        """(V, K)"""
        return numpy.array([numpy.concatenate([terms[name] for name in groups]) for terms in self.terms])


def read_stability(network: Network, tell: Tell, *, asked: Sequence[str] = NAMES) -> Stability:
    """The tables with what the network says of every place, each variant's residues hidden together.

    Of splits that are not `asked` nothing is looked at, as if the network did not answer.
    """
    changes = read_changes()
    family, split = deal(changes)
    by_protein: dict[str, list[int]] = {}
    for number, change in enumerate(changes):
        by_protein.setdefault(change.sequence, []).append(number)
    terms: list[Terms] = [{} for _ in changes]
    tell(f"stability-change: {len(changes):,} variants of {len(by_protein)} proteins in {family.max() + 1} families.")
    for sequence, numbers in by_protein.items():
        groups = [tuple(one.position for one in changes[number].variant) for number in numbers]
        unique = list(dict.fromkeys(groups))
        is_asked = split[numbers[0]] in asked  # a protein stands in one split
        count = sum(map(len, unique))
        around = look_around(network, sequence, unique) if is_asked else Surroundings.of(count)
        ends = numpy.cumsum([0, *map(len, unique)])
        place = dict(zip(unique, pairwise(ends.tolist()), strict=True))
        for number, group in zip(numbers, groups, strict=True):
            told = changes[number].conditions
            here = around.at(range(*place[group]))
            terms[number] = summed(
                state_terms(*ends_of(changes[number].variant), here, told.get("ph"), told.get("temperature"))
            )
    return Stability(changes, terms, family, split)


def fit_stability(data: Stability, about: Mapping[str, Any]) -> Fitted:
    """Choose groups and strength by folds of families outside the test split, then fit on all of those."""
    known = numpy.flatnonzero(data.split != TEST)
    truth, member = data.ddg[known], data.family[known]
    worth = _balance(member)
    scores: dict[tuple[tuple[str, ...], float], float] = {}
    for groups in STATE_CANDIDATES:
        rows = data.matrix(groups)[known]
        for strength in STATE_RIDGE:
            misses = [_misses(rows, truth, member, worth, strength, seed) for seed in range(SEEDS)]
            scores[groups, strength] = -float(numpy.sqrt(numpy.mean(numpy.square(misses))))
    groups, strength = _simplest(scores)
    rows = data.matrix(groups)[known]
    sizes = numpy.array([len(data.changes[number].variant) for number in known])
    missed = _misses(rows, truth, member, worth, strength, 0)
    errors, gains = abs(missed) / numpy.sqrt(sizes), truth - missed < GAIN
    # what is said to gain is chosen for its height, so its errors are of another kind and get an interval of their own
    honest = {
        "quantile": round(conformal_quantile(errors), 4),
        "quantile_of_gains": round(conformal_quantile(errors[gains]), 4),
        "said_to_gain": int(gains.sum()),
        "share_that_gained": round(float((truth[gains] < 0).mean()), 4),
    }
    fit = _ridge(rows, truth, worth, strength)
    told = {**about, "strength": strength, "families": len(set(member.tolist())), "n": len(known)}
    weights = Weights(_split(fit, groups, data.terms[0]), {**told, **honest})
    return Fitted(weights, tuple((f"{' + '.join(one)}, ridge {at:g}", score) for (one, at), score in scores.items()))


def stability_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """Pearson, Spearman and RMSE on the families kept for the test, with intervals drawn over families."""
    data = read_stability(bundle.network, tell, asked=(TEST,))
    test, known = numpy.flatnonzero(data.split == TEST)[:limit], numpy.flatnonzero(data.split != TEST)
    truth, member, worth = data.ddg, data.family, _balance(data.family[known])
    weights = stability_weights()
    swaps = numpy.array([[sum(_swap(one.wild_type, one.mutant) for one in change.variant)] for change in data.changes])
    swaps = numpy.hstack([swaps, numpy.array([[len(change.variant)] for change in data.changes])])
    both = data.matrix(("size and water",))
    answers = {
        bundle.label: numpy.array([float(weights(terms)) for terms in data.terms]),
        "mean": numpy.full(len(truth), truth[known].mean()),
        "BLOSUM62 ridge": swaps @ _ridge(swaps[known], truth[known], worth, 1.0),
        "volume + hydrophobicity": both @ _ridge(both[known], truth[known], worth, 1.0),
    }
    tell(f"stability-change: {len(test):,} test variants of {len(set(member[test].tolist()))} unseen families.")
    rows = []
    for metric, how in METRICS.items():
        question = Question(SEQUENCE, STABILITY_CHANGE.name, "ddg", "test", metric)
        for name, said in answers.items():
            estimate = over_families(how, truth[test], said[test], member[test])
            if numpy.isfinite(estimate.value):
                rows.append(question.row(name, estimate))
    return rows


def over_families(
    how: Callable[[Floats, Floats], float], truth: Floats, said: Floats, member: NDArray[numpy.int64], draws: int = 1000
) -> Estimate:
    """A score with the 95 % interval that comes of drawing whole families anew; `n` counts variants."""
    generator = numpy.random.default_rng(1)
    parts = [numpy.flatnonzero(member == one) for one in numpy.unique(member)]
    drawn = []
    for _ in range(draws):
        rows = numpy.concatenate([parts[at] for at in generator.integers(0, len(parts), len(parts))])
        drawn.append(how(truth[rows], said[rows]))
    low, high = numpy.nanquantile(drawn, (0.025, 0.975)) if numpy.isfinite(drawn).any() else (numpy.nan, numpy.nan)
    return Estimate(how(truth, said), float(low), float(high), len(truth))


def _pearson(truth: Floats, said: Floats) -> float:
    return float(pearsonr(truth, said)[0]) if numpy.ptp(said) > 0 else numpy.nan


def _spearman(truth: Floats, said: Floats) -> float:
    return float(spearmanr(truth, said)[0]) if numpy.ptp(said) > 0 else numpy.nan


def _rmse(truth: Floats, said: Floats) -> float:
    return float(numpy.sqrt(numpy.mean((truth - said) ** 2)))


METRICS: Mapping[str, Callable[[Floats, Floats], float]] = {"pearson": _pearson, "spearman": _spearman, "rmse": _rmse}


def _swap(wild: str, mutant: str) -> float:
    return float(BLOSUM62[RESIDUES.index(wild), RESIDUES.index(mutant)])


def _misses(
    rows: Floats, truth: Floats, member: NDArray[numpy.int64], worth: Floats, strength: float, seed: int
) -> Floats:
    """Truth less answer of each row, by weights that never saw its family."""
    dealt = numpy.random.default_rng(seed).permutation(int(member.max()) + 1) % FOLDS
    misses = numpy.zeros(len(truth))
    for fold in range(FOLDS):
        out = dealt[member] == fold
        misses[out] = truth[out] - rows[out] @ _ridge(rows[~out], truth[~out], worth[~out], strength)
    return misses


def _balance(member: NDArray[numpy.int64]) -> Floats:
    """So that no family counts for more than `MOST` of its variants."""
    counts = numpy.bincount(member)
    found: Floats = numpy.minimum(1.0, MOST / counts[member])
    return found


def _ridge(rows: Floats, truth: Floats, worth: Floats, strength: float) -> Floats:
    """A weighted ridge without intercept: what is antisymmetric stays so."""
    left = (rows * worth[:, None]).T @ rows + strength * numpy.eye(rows.shape[1])
    found: Floats = numpy.linalg.solve(left, (rows * worth[:, None]).T @ truth)
    return found


def _simplest(scores: Mapping[tuple[tuple[str, ...], float], float]) -> tuple[tuple[str, ...], float]:
    """The first candidate, simplest first, that is as good as the best within a hair that no data could tell apart."""
    best = max(scores.values())
    return next(key for key, score in scores.items() if score >= best - _CLOSE)


def _split(fit: Floats, groups: Sequence[str], terms: Mapping[str, Floats]) -> dict[str, tuple[float, ...]]:
    ends = numpy.cumsum([0, *(terms[name].shape[-1] for name in groups)]).tolist()
    return {
        name: tuple(round(float(weight), 6) for weight in fit[start:end])
        for name, (start, end) in zip(groups, pairwise(ends), strict=True)
    }


# Scans ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """Variants of one protein with their terms (V, k) a group and effects (V,), high = unharmed."""

    name: str
    terms: Terms
    effects: Floats


def read_lessons(network: Network, tell: Tell, kin: Kin | None = None) -> list[Lesson]:
    """GFP and Bgl3, unrelated to the proteins that are judged; ddG asks another question and has weights of its own.

    Their relatives are asked where somebody knows some.
    """
    lessons = []
    for assay in (BGL3, GFP):
        scan = read_scan(assay, DRAWN, most_changes=2)
        tell(f"scans: {len(scan.variants):,} variants of {assay.split}.")
        family = None if kin is None else kin.family(scan.wild_type)
        around = look_around(network, scan.wild_type, family=family)
        lessons.append(Lesson(assay.split, variant_terms(scan, around), scan.effects))
    return lessons


def variant_terms(scan: Measured, around: Surroundings, places: Sequence[int] | None = None) -> Terms:
    """The terms of each variant of a scan, added over its substitutions: (V, k) a group."""
    places = range(1, len(scan.wild_type) + 1) if places is None else places
    table = effect_terms(places_of("".join(scan.wild_type[place - 1] for place in places)), around)
    where = {place: number for number, place in enumerate(places)}
    found = {}
    for name, group in table.items():
        found[name] = numpy.array(
            [
                sum(group[where[one.position], RESIDUES.index(one.mutant)] for one in variant)
                for variant in scan.variants
            ]
        )
    return found


def fit_effects(
    lessons: Sequence[Lesson],
    heads: Sequence[str],
    about: Mapping[str, Any],
    candidates: Sequence[tuple[str, ...]] = EFFECT_CANDIDATES,
) -> Fitted:
    """Choose groups by leaving out one lesson at a time, then fit on all; heads that are not there are not offered."""
    scores: dict[tuple[tuple[str, ...], float], float] = {}
    offered = [one for one in candidates if "conservation" in heads or "conservation" not in one]
    for groups in offered:
        for strength in EFFECT_RIDGE:
            trial = _split(_fit_lessons(lessons, groups, strength), groups, lessons[0].terms)
            if min(trial.get("language model", (0.0,))) < 0:
                continue  # what the network expects must not speak against a residue: that would be chance
            agreed = []
            for left in range(len(lessons)):
                rest = [lesson for at, lesson in enumerate(lessons) if at != left]
                said = _rows_of(lessons[left], groups) @ _fit_lessons(rest, groups, strength)
                agreed.append(_spearman(lessons[left].effects, said))
            scores[groups, strength] = float(numpy.mean(agreed))
    groups, strength = _simplest(scores)
    fit = _fit_lessons(lessons, groups, strength)
    weights = Weights(
        _split(fit, groups, lessons[0].terms),
        {**about, "strength": strength, "lessons": [lesson.name for lesson in lessons]},
    )
    return Fitted(weights, tuple((f"{' + '.join(one)}, ridge {at:g}", score) for (one, at), score in scores.items()))


def _rows_of(lesson: Lesson, groups: Sequence[str]) -> Floats:
    return numpy.concatenate([lesson.terms[name] for name in groups], axis=1)


def _fit_lessons(lessons: Sequence[Lesson], groups: Sequence[str], strength: float) -> Floats:
    """One ridge for all lessons: each counts alike, by its ranks about its own mean."""
    left: Any = strength * numpy.eye(_rows_of(lessons[0], groups).shape[1])
    right: Any = 0.0
    for lesson in lessons:
        rows, effects = _rows_of(lesson, groups), lesson.effects
        rows = rows - rows.mean(0)
        effects = norm.ppf((rankdata(effects) - 0.5) / len(effects))
        left = left + rows.T @ rows / len(rows) * DRAWN / FOLDS
        right = right + rows.T @ effects / len(rows) * DRAWN / FOLDS
    found: Floats = numpy.linalg.solve(left, right)
    return found

"""How tightly a drug holds a protein: the words of the question, and the scores of its answers.

A drug works by holding on to a protein. How tightly is said by pKd, the power of ten of the concentration at which
half of the protein is held: 6 is a micromolar binder, 9 a nanomolar one, a thousand times tighter. Filling gaps in a
table of known drugs and known proteins is easy, and most published figures are about that; a new molecule, a new
protein or both is what a drug project asks, and far harder. So every score names its split, and beside it stand
probes that look at one side only: what they reach is no knowledge of binding.

    CI    of two pairs with different affinities, how often the tighter one is put first (Gönen & Heller 2005)
    MSE   the mean squared error
    rm2   agreement with the line through zero (Roy & Roy 2008), as DeepDTA computes it

    AUROC, AUPR   where pairs are only known to bind or not: how often a binder is put before another pair, and how
                  pure the head of the ranking is

The intervals count drugs and proteins, not pairs: pairs of one drug resemble each other, and so do those of one protein
(two-way clustered variance, Cameron, Gelbach & Miller 2011, of each pair's influence on the score; for AUROC and AUPR
the drugs and the proteins are drawn again, Owen 2007, Annals of Applied Statistics 1:386).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UndefinedScoreError
from anfinsen.targets.base import Answer
from anfinsen.targets.metrics import LEVEL, Estimate
from anfinsen.tasks.base import Published

Floats = NDArray[numpy.float64]
Places = NDArray[numpy.int64]

_REACH = NormalDist().inv_cdf((1 + LEVEL) / 2)
"""Standard deviations on either side that hold a normal score in so many of a hundred cases."""

NAME, UNIT = "affinity", "pKd"
QUESTION = "How tightly does the drug hold the protein?"
PUBLISHED: Mapping[str, tuple[Published, ...]] = {
    "davis": (
        Published("DeepDTA", "CI", 0.878, "official", "Öztürk et al. 2018"),
        Published("DeepDTA", "MSE", 0.261, "official", "Öztürk et al. 2018"),
        Published("GraphDTA", "CI", 0.893, "official", "Nguyen et al. 2021"),
        Published("GraphDTA", "MSE", 0.229, "official", "Nguyen et al. 2021"),
        Published("MSGNN-DTA", "CI", 0.906, "official", "Wang et al. 2023"),
        Published("MSGNN-DTA", "MSE", 0.195, "official", "Wang et al. 2023"),
    ),
    "kiba": (
        Published("DeepDTA", "CI", 0.863, "official", "Öztürk et al. 2018"),
        Published("DeepDTA", "MSE", 0.194, "official", "Öztürk et al. 2018"),
        Published("GraphDTA", "CI", 0.891, "official", "Nguyen et al. 2021"),
        Published("GraphDTA", "MSE", 0.139, "official", "Nguyen et al. 2021"),
        Published("MSGNN-DTA", "CI", 0.908, "official", "Wang et al. 2023"),
        Published("MSGNN-DTA", "MSE", 0.117, "official", "Wang et al. 2023"),
    ),
    "biosnap": (
        Published("MolTrans", "AUROC", 0.895, "random", "Huang et al. 2021"),
        Published("MolTrans", "AUPR", 0.901, "random", "Huang et al. 2021"),
        Published("ConPLex", "AUPR", 0.897, "random", "Singh et al. 2023"),
        Published("ConPLex", "AUPR", 0.874, "unseen-drug", "Singh et al. 2023"),
        Published("MolTrans", "AUROC", 0.770, "unseen-protein", "Huang et al. 2021"),
        Published("MolTrans", "AUPR", 0.795, "unseen-protein", "Huang et al. 2021"),
        Published("ConPLex", "AUPR", 0.842, "unseen-protein", "Singh et al. 2023"),
        Published("DrugBAN with CDAN", "AUROC", 0.684, "cluster", "Bai et al. 2023"),
        Published("DrugBAN with CDAN", "AUPR", 0.713, "cluster", "Bai et al. 2023"),
    ),
}
"""Figures from the literature, by table; of Davis and KIBA all are of random folds, in which both sides are known."""
TERMS: Mapping[str, str] = {
    "pKd": "How tightly a drug holds a protein: 6 is a micromolar binder, 9 a nanomolar one. "
    "5 or less means that hardly any binding was seen.",
    "CI": "Of two pairs, how often the tighter one is put first. 0.5 is guessing, 1 is a perfect order.",
    "MSE": "The mean of the squared errors. Its root is the typical error.",
    "rm2": "How well the answers agree with the truth in order and in size. 0 is not at all, 1 is perfectly.",
    "deletion score": "How much sooner an answer falls when what a picture credits most is taken away first, and comes "
    "back when it is put back first, than in random order. 0 is chance: then do not believe the picture.",
    "QED": "Drug-likeness from 0 to 1: how much a molecule's properties are those of known oral drugs. "
    "It is a habit of drugs and no law.",
    "structural alert": "A fragment that often fools assays (PAINS) or is often unstable or toxic (Brenk). "
    "It is a reason to look closer and not a verdict.",
    "salt": "A drug is often sold together with a small ion that makes it dissolve. "
    "The ion is taken off, since it does not bind the protein.",
}
"""Every word that a bench biologist may not know, in two sentences."""
LIMITS = (
    "Learnt from kinases and kinase inhibitors alone. Of other proteins and other molecules it knows next to nothing, "
    "says so, and should not be believed. It does not rank a series of like molecules: on 62 series that it had never "
    "seen it did no better than chance, and molecular weight alone did."
)


def say(answer: Answer) -> str:
    """One answer as a sentence."""
    value, low, high = answer["value"], answer["low"], answer["high"]
    strength = (
        "hardly or not at all" if value < 5.5 else "weakly" if value < 6.5 else "well" if value < 8 else "very tightly"
    )
    sentence = (
        f"{answer['drug']} should bind {answer['protein']} {strength}: pKd {value:.1f} "
        f"(nine times in ten between {low:.1f} and {high:.1f})."
    )
    if answer.get("measured"):
        return f"{sentence} This very pair was seen in training."
    known = {"both known": "Both were seen in training, though not together.", "new drug": "The drug is new to it."}
    known |= {"new protein": "The protein is new to it.", "both new": "Both are new to it."}
    far = " It is far from training, so treat it as a guess." if answer["reach"]["far"] else ""
    return f"{sentence} {known[answer['regime']]}{far}"


# Scores --------------------------------------------------------------------------------------------------------------


def measure_pairs(metric: str, truth: Floats, said: Floats, drug: Places, protein: Places) -> Estimate:
    """A score over P pairs with its 95 % interval, which counts drugs and proteins and not pairs."""
    value, influence = SCORES[metric](numpy.asarray(truth, numpy.float64), numpy.asarray(said, numpy.float64))
    spread = _two_way(influence, drug, protein) ** 0.5 * _REACH
    return Estimate(value, value - spread, value + spread, len(truth))


def measure_binders(
    metric: str, truth: Floats, said: Floats, drug: Places, protein: Places, *, resamples: int = 200, seed: int = 1
) -> Estimate:
    """AUROC or AUPR over P pairs that bind (1) or not (0); drugs and proteins are drawn again for its 95 % interval."""
    if truth.min() == truth.max():
        raise UndefinedScoreError(f"There is no {metric}: all pairs are of one class.")
    generator = numpy.random.default_rng(seed)
    weights = numpy.ones((resamples + 1, len(truth)))
    for side in (drug, protein):
        names, member = numpy.unique(side, return_inverse=True)
        drawn = generator.multinomial(len(names), numpy.full(len(names), 1 / len(names)), size=resamples)
        weights[1:] *= drawn[:, member]
    values = BINDER_SCORES[metric](truth, said, weights)
    low, high = numpy.nanquantile(values[1:], ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Estimate(float(values[0]), float(low), float(high), len(truth))


def _auroc(truth: Floats, said: Floats, weights: Floats) -> Floats:
    """The weighted share of binders before others, ties counting half, for each row of weights (S, P)."""
    yes, no = _heads(truth, said, weights)
    beaten = numpy.diff(no, axis=1, prepend=0) * (yes - numpy.diff(yes, axis=1, prepend=0) / 2)
    return _share(beaten.sum(1), yes[:, -1] * no[:, -1])


def _aupr(truth: Floats, said: Floats, weights: Floats) -> Floats:
    """The weighted average precision for each row of weights (S, P)."""
    yes, no = _heads(truth, said, weights)
    gained = numpy.diff(yes, axis=1, prepend=0)
    return _share((gained * yes / numpy.maximum(yes + no, 1e-12)).sum(1), yes[:, -1])


def _share(part: Floats, whole: Floats) -> Floats:
    """A share, NaN of nothing: a draw may miss a class."""
    share: Floats = numpy.divide(part, whole, out=numpy.full_like(part, numpy.nan), where=whole > 0)
    return share


def _heads(truth: Floats, said: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Binders and others among the first answers, down to each different one: twice (S, steps)."""
    order = numpy.argsort(-said, kind="stable")
    last = numpy.flatnonzero(numpy.append(numpy.diff(said[order]) != 0, True))
    sums = [(weights[:, order] * kind[order]).cumsum(1)[:, last] for kind in (truth, 1 - truth)]
    return sums[0], sums[1]


def gain(metric: str, truth: Floats, ours: Floats, theirs: Floats, drug: Places, protein: Places) -> Estimate:
    """How much better one answer scores than another on the same pairs: what is hard for both leaves no spread."""
    found = [SCORES[metric](truth, numpy.asarray(said, numpy.float64)) for said in (ours, theirs)]
    sign = -1 if metric == "MSE" else 1
    value = sign * (found[0][0] - found[1][0])
    spread = _two_way(found[0][1] - found[1][1], drug, protein) ** 0.5 * _REACH
    return Estimate(value, value - spread, value + spread, len(truth))


def concordance(truth: Floats, said: Floats) -> float:
    """CI of answers, in O(n log² n).

    >>> concordance(numpy.array([1.0, 2.0, 3.0]), numpy.array([1.0, 3.0, 2.0])).__round__(3)
    0.667
    """
    return _concordance(truth, said)[0]


def _concordance(truth: Floats, said: Floats) -> tuple[float, Floats]:
    """CI, and the influence of each pair: how much more of its comparisons are right than of all."""
    below, equal = _counts(truth, said), _counts(truth, numpy.zeros(len(said)))
    # right comparisons of a pair: those it beats rightly and those it loses rightly, ties of the answers being half
    right = below[0] + below[1] + 0.5 * below[2]
    asked = equal[2]
    if not asked.sum():
        raise UndefinedScoreError("There is no CI: all true affinities are the same.")
    value = float(right.sum() / asked.sum())
    return value, (right - value * asked) / (asked.sum() / 2)


def _counts(truth: Floats, said: Floats) -> tuple[Floats, Floats, Floats]:
    """For each pair: pairs below it in both, pairs above it in both, and pairs of another truth but the same answer."""
    from scipy.stats import rankdata

    t, s = (rankdata(one, "dense").astype(numpy.int64) for one in (truth, said))
    lower = _dominated(t, s)
    upper = _dominated(t.max() - t, s.max() - s)
    same_said = numpy.bincount(s)[s]
    both = numpy.unique(numpy.stack((t, s), 1), axis=0, return_inverse=True, return_counts=True)
    same_both = both[2][both[1].ravel()]
    return lower, upper, (same_said - same_both).astype(numpy.float64)


def _dominated(t: Places, s: Places) -> Floats:
    """For each of n points how many others are smaller in both: by merging blocks of twice the size, level by level."""
    count = len(t)
    order = numpy.lexsort((-s, t))  # among equal truths the larger answer first, so that equals never count
    value = s[order]
    total = numpy.zeros(count)
    width = 1
    # equal truths stand in falling order of the answer, so a later one is never larger than an earlier one of its kind
    place = numpy.arange(count)
    while width < count:
        block = place // (2 * width)
        is_left = (place // width) % 2 == 0
        key = block * (int(value.max()) + 1) + value
        sorted_places = numpy.lexsort((is_left, key))  # right ones first among equals: only smaller ones are counted
        left_before = numpy.cumsum(is_left[sorted_places])
        starts = numpy.searchsorted(block[sorted_places], block[sorted_places], side="left")
        passed = left_before - numpy.where(starts > 0, left_before[starts - 1], 0)
        rights = ~is_left[sorted_places]
        total[sorted_places[rights]] += passed[rights]
        width *= 2
    found = numpy.zeros(count)
    found[order] = total
    return found


def _squares(truth: Floats, said: Floats) -> tuple[float, Floats]:
    errors = (truth - said) ** 2
    value = float(errors.mean())
    return value, (errors - value) / len(errors)


def _rm2(truth: Floats, said: Floats) -> tuple[float, Floats]:
    """rm2 as DeepDTA defines it, and influences by the slope of the score in each of its five sums."""
    sums = numpy.stack((truth, said, truth * truth, said * said, truth * said), 1)
    middle = sums.mean(0)
    # rounding would leave a hair of spread in answers that are all the same
    value = _rm2_of(middle) if numpy.ptp(truth) > 0 and numpy.ptp(said) > 0 else float("nan")
    if not numpy.isfinite(value):
        raise UndefinedScoreError("There is no rm2: all true or all answered affinities are the same.")
    slopes = []
    for at in range(sums.shape[1]):
        step = numpy.zeros(sums.shape[1])
        step[at] = 1e-6 * max(1.0, abs(middle[at]))
        slopes.append((_rm2_of(middle + step) - _rm2_of(middle - step)) / (2 * step[at]))
    return value, (sums - middle) @ numpy.array(slopes) / len(sums)


def _rm2_of(means: Floats) -> float:
    x, y, xx, yy, xy = means
    top, bottom = xy - x * y, (xx - x * x) * (yy - y * y)
    if bottom <= 0:
        return float("nan")
    square = top * top / bottom
    slope = xy / yy
    through_zero = 1 - (xx - 2 * slope * xy + slope * slope * yy) / (xx - x * x)
    return float(square * (1 - numpy.sqrt(abs(square**2 - through_zero**2))))


def _two_way(influence: Floats, drug: Places, protein: Places) -> float:
    """The variance of a sum whose parts resemble each other within a drug and within a protein."""
    sums = [numpy.bincount(numpy.unique(side, return_inverse=True)[1], influence) for side in (drug, protein)]
    single = float((influence**2).sum())
    both = sum(float((part**2).sum()) * len(part) / max(len(part) - 1, 1) for part in sums) - single
    return max(both, single)


SCORES: Mapping[str, Callable[[Any, Any], tuple[float, Floats]]] = {
    "CI": _concordance,
    "MSE": _squares,
    "rm2": _rm2,
}
"""The scores, the headline first."""
BINDER_SCORES: Mapping[str, Callable[[Floats, Floats, Floats], Floats]] = {"AUROC": _auroc, "AUPR": _aupr}
"""The scores of a yes or no, the headline first."""

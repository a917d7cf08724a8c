"""The scores of affinity against a naive count, scikit-learn, and DeepDTA's formulas written out."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from anfinsen.errors import UndefinedScoreError
from anfinsen.tasks.affinity import BINDER_SCORES, SCORES, concordance, gain, measure_binders, measure_pairs

DRAW = numpy.random.default_rng(9)


def naive(truth: numpy.ndarray, said: numpy.ndarray) -> float:
    above = truth[:, None] > truth
    step = said[:, None] - said
    return float((((step > 0) + 0.5 * (step == 0)) * above).sum() / above.sum())


def deep_dta_rm2(truth: numpy.ndarray, said: numpy.ndarray) -> float:
    square = numpy.corrcoef(truth, said)[0, 1] ** 2
    slope = (truth * said).sum() / (said * said).sum()
    zero = 1 - ((truth - slope * said) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    return float(square * (1 - numpy.sqrt(abs(square * square - zero * zero))))


@pytest.mark.parametrize("count", [2, 3, 7, 64, 500])
def test_ci_is_the_naive_count_with_ties_on_both_sides(count: int) -> None:
    draw = numpy.random.default_rng(count)
    for ties in (3, 1000):
        truth = draw.integers(0, ties, count).astype(float)
        truth[:2] = 0, 1
        said = numpy.round(truth + draw.normal(size=count), 0 if ties == 3 else 3)
        assert concordance(truth, said) == pytest.approx(naive(truth, said), abs=1e-12)


def test_ci_of_two_classes_is_the_area_under_the_roc() -> None:
    draw = numpy.random.default_rng(1)
    truth, said = draw.integers(0, 2, 300).astype(float), draw.normal(size=300)
    assert concordance(truth, said) == pytest.approx(roc_auc_score(truth, said), abs=1e-12)


def test_rm2_and_mse_are_those_of_deepdta() -> None:
    draw = numpy.random.default_rng(2)
    truth = draw.normal(6, 1, 200)
    said = truth + draw.normal(0, 0.7, 200)
    assert SCORES["rm2"](truth, said)[0] == pytest.approx(deep_dta_rm2(truth, said), abs=1e-9)
    assert SCORES["MSE"](truth, said)[0] == pytest.approx(((truth - said) ** 2).mean())


@pytest.mark.parametrize("metric", ["CI", "MSE", "rm2"])
def test_an_influence_is_what_a_pair_counted_twice_would_change(metric: str) -> None:
    draw = numpy.random.default_rng(3)
    truth = draw.normal(6, 1, 400)
    said = truth + draw.normal(0, 0.9, 400)
    value, influence = SCORES[metric](truth, said)
    for at in (0, 17, 399):
        twice = numpy.r_[numpy.arange(400), at]
        change = SCORES[metric](truth[twice], said[twice])[0] - value
        assert change == pytest.approx(influence[at], abs=0.02 * numpy.abs(influence).max() + 1e-6)


def test_pairs_of_one_drug_widen_the_interval() -> None:
    draw = numpy.random.default_rng(4)
    drug = numpy.repeat(numpy.arange(10), 40)
    protein = numpy.tile(numpy.arange(40), 10)
    truth = draw.normal(size=400)
    said = truth + draw.normal(size=10)[drug]  # one error a drug
    alone = numpy.arange(400)
    wide, narrow = (measure_pairs("MSE", truth, said, side, alone) for side in (drug, alone))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)  # type: ignore[operator]
    assert measure_pairs("MSE", truth, said, drug, protein).n == 400


def test_equal_truths_have_no_order() -> None:
    with pytest.raises(UndefinedScoreError, match="all true affinities are the same"):
        concordance(numpy.ones(5), numpy.arange(5.0))


@pytest.mark.parametrize(
    ("metric", "theirs"), [("AUROC", roc_auc_score), ("AUPR", average_precision_score)], ids=["AUROC", "AUPR"]
)
def test_scores_of_binders_are_those_of_scikit_learn_weighted_or_not(metric: str, theirs: Any) -> None:
    truth = (DRAW.random(300) < 0.3).astype(numpy.float64)
    said = numpy.round(truth + DRAW.normal(size=300), 1)  # ties
    weights = DRAW.integers(0, 3, (2, 300)).astype(numpy.float64)
    found = BINDER_SCORES[metric](truth, said, weights)
    assert found == pytest.approx([theirs(truth, said, sample_weight=row) for row in weights])
    drug, protein = DRAW.integers(0, 30, 300), DRAW.integers(0, 20, 300)
    estimate = measure_binders(metric, truth, said, drug, protein)
    alone = measure_binders(metric, truth, said, numpy.arange(300), numpy.arange(300))
    assert estimate.value == pytest.approx(theirs(truth, said)) and estimate.low < estimate.value < estimate.high
    assert estimate.n == 300 and estimate.high - estimate.low > 0.02 and alone.value == estimate.value
    few = measure_binders(metric, numpy.array([1.0, 0.0]), numpy.array([0.7, 0.2]), *[numpy.arange(2)] * 2)
    assert (few.value, few.low, few.high) == (1.0, 1.0, 1.0), "draws without a class are left out"
    with pytest.raises(UndefinedScoreError, match="all pairs are of one class"):
        measure_binders(metric, numpy.ones(300), said, drug, protein)


def test_a_gain_is_the_difference_of_two_scores_and_of_the_same_answers_nothing() -> None:
    truth = DRAW.normal(6, 1, 400)
    ours, theirs = truth + DRAW.normal(0, 0.5, 400), truth + DRAW.normal(0, 1.0, 400)
    sides = DRAW.integers(0, 20, 400), DRAW.integers(0, 20, 400)
    for metric, sign in (("CI", 1), ("MSE", -1), ("rm2", 1)):
        found = gain(metric, truth, ours, theirs, *sides)
        apart = [measure_pairs(metric, truth, said, *sides).value for said in (ours, theirs)]
        assert found.value == pytest.approx(sign * (apart[0] - apart[1])) and found.low > 0
        nothing = gain(metric, truth, ours, ours, *sides)
        assert nothing.value == nothing.low == nothing.high == 0

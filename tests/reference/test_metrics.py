"""Scores against scikit-learn and scipy, intervals against the resampling that they stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy
import pytest
from scipy import stats
from sklearn import metrics

from anfinsen.data.example import Example, Value
from anfinsen.errors import UndefinedScoreError, UnknownNameError, UsageError
from anfinsen.structure.protein import Protein
from anfinsen.targets.metrics import BINS, METRICS, measure

GENERATOR = numpy.random.default_rng(3)
LABELS = GENERATOR.choice(["a", "b", "c", "d"], size=200, p=[0.5, 0.3, 0.15, 0.05])
GUESSES = numpy.where(GENERATOR.random(200) < 0.6, LABELS, GENERATOR.choice(["a", "b", "c", "d"], size=200))
NUMBERS = GENERATOR.normal(60, 10, size=200).round()
VALUES = (0.7 * NUMBERS + GENERATOR.normal(18, 5, size=200)).round()


def truths(values: Sequence[Value | None], masks: Sequence[str | None] | None = None) -> list[Example]:
    asked = masks or [None] * len(values)
    return [
        Example(Protein(f"p{n}", "A" * 5), value, mask)
        for n, (value, mask) in enumerate(zip(values, asked, strict=True))
    ]


def labels(guesses: Sequence[str]) -> list[dict[str, Any]]:
    return [{"label": str(guess), "probability": 0.5, "set": [str(guess)]} for guess in guesses]


def numbers(values: Sequence[float]) -> list[dict[str, Any]]:
    return [{"value": float(v), "unit": "K", "low": float(v) - 5, "high": float(v) + 5} for v in values]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("accuracy", metrics.accuracy_score(LABELS, GUESSES)),
        ("mcc", metrics.matthews_corrcoef(LABELS, GUESSES)),
        ("macro_f1", metrics.f1_score(LABELS, GUESSES, average="macro")),
    ],
)
def test_scores_of_labels_are_those_of_scikit_learn(metric: str, expected: float) -> None:
    found = measure(metric, truths([str(label) for label in LABELS]), labels(list(GUESSES)))
    assert found.value == pytest.approx(expected)
    assert found.n == 200
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("rmse", metrics.root_mean_squared_error(NUMBERS, VALUES)),
        ("mae", metrics.mean_absolute_error(NUMBERS, VALUES)),
        ("r2", metrics.r2_score(NUMBERS, VALUES)),
        ("spearman", stats.spearmanr(NUMBERS, VALUES).statistic),
        ("coverage", numpy.mean(numpy.abs(NUMBERS - VALUES) <= 5)),
    ],
)
def test_scores_of_numbers_are_those_of_scikit_learn_and_scipy(metric: str, expected: float) -> None:
    found = measure(metric, truths([float(number) for number in NUMBERS]), numbers(list(VALUES)))
    assert found.value == pytest.approx(expected)
    assert found.n == 200


def test_residues_are_scored_where_they_are_known() -> None:
    asked = truths(["HHHHH", "EEECC", "HHHHH"], ["11110", "11111", "00000"])
    answers = [{"tokens": text} for text in ("HHHEE", "EEEEE", "CCCCC")]
    found = measure("Q3", asked, answers)
    assert found.value == pytest.approx((3 + 3) / (4 + 5))
    assert found.n == 2  # nothing is known of the third protein


def test_a_true_letter_that_no_answer_may_use_is_not_scored() -> None:
    letters = {letter: [0.5] * 5 for letter in "HE"}
    found = measure("Q3", truths(["HH?EE"]), [{"tokens": "HHHEE", "probabilities": letters}])
    assert found.value == 1.0


def test_perplexity_weighs_residues_not_proteins() -> None:
    surprises = [(2.0, 1), (30.0, 10), (0.0, 0)]
    found = measure("perplexity", truths([None] * 3), [{"surprise": s, "count": c} for s, c in surprises])
    assert found.value == pytest.approx(math.exp(32 / 11))
    assert found.n == 2  # nothing was hidden in the third


def test_calibration_error_is_the_gap_in_each_bin_of_confidence() -> None:
    sure = GENERATOR.uniform(0.25, 1, size=200)
    answers = [{"label": str(g), "probability": float(p)} for g, p in zip(GUESSES, sure, strict=True)]
    right, bins = (GUESSES == LABELS).astype(float), numpy.ceil(sure * BINS)
    gaps = [abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins)]
    assert measure("ece", truths([str(label) for label in LABELS]), answers).value == pytest.approx(sum(gaps))


def test_coverage_counts_true_labels_in_the_set() -> None:
    answers = [{"label": "a", "set": ["a", "b"]}, {"label": "c", "set": ["c"]}]
    assert measure("coverage", truths(["b", "a"]), answers).value == 0.5


def test_the_interval_of_a_share_is_the_textbook_one() -> None:
    found = measure("accuracy", truths([str(label) for label in LABELS]), labels(list(GUESSES)), resamples=4000)
    exact = stats.binomtest(round(found.value * 200), 200).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.015)


@pytest.mark.parametrize("metric", ["rmse", "r2", "spearman"])
def test_the_interval_is_that_of_scipys_bootstrap(metric: str) -> None:
    by_hand = {
        "rmse": lambda t, v: metrics.root_mean_squared_error(t, v),
        "r2": lambda t, v: metrics.r2_score(t, v),
        "spearman": lambda t, v: stats.spearmanr(t, v).statistic,
    }[metric]
    data, options = (NUMBERS, VALUES), {"paired": True, "vectorized": False, "method": "percentile"}
    theirs = stats.bootstrap(data, by_hand, n_resamples=999, rng=1, **options).confidence_interval
    found = measure(metric, truths([float(number) for number in NUMBERS]), numbers(list(VALUES)))
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.03)


def test_residues_of_one_protein_count_as_one_draw() -> None:
    """Ten proteins wholly right or wholly wrong: the interval is that of ten draws, however long they are."""
    values = ["H" * 500] * 10
    answers = [{"tokens": ("H" if n < 5 else "E") * 500} for n in range(10)]
    found = measure("Q3", truths(values), answers)
    assert found.low is not None
    assert found.low == pytest.approx(0.2, abs=0.11)


def test_all_right_is_not_certainty() -> None:
    found = measure("accuracy", truths(["a"] * 20), labels(["a"] * 20))
    exact = stats.binomtest(20, 20).proportion_ci(method="exact")
    assert (found.value, found.low, found.high) == (1.0, pytest.approx(exact.low), 1.0)
    none = measure("accuracy", truths(["a"] * 20), labels(["b"] * 20))
    assert (none.value, none.low, none.high) == (0.0, 0.0, pytest.approx(1 - exact.low))


def test_one_protein_gives_no_interval() -> None:
    found = measure("accuracy", truths(["a"]), labels(["a"]))
    assert (found.low, found.high, found.note) == (None, None, "One protein alone gives no interval.")


def test_the_same_seed_gives_the_same_interval() -> None:
    asked, answers = truths([float(number) for number in NUMBERS]), numbers(list(VALUES))
    assert measure("spearman", asked, answers) == measure("spearman", asked, answers)
    assert measure("spearman", asked, answers, seed=2) != measure("spearman", asked, answers)


def test_resamples_without_a_score_are_left_out_and_counted() -> None:
    found = measure("mcc", truths(["a", "a", "b"]), labels(["a", "b", "b"]))
    assert found.note.endswith("of 1000 resamples left out: only one class is true.")
    assert 250 < int(found.note.split()[0]) < 420  # (2/3)^3 + (1/3)^3 = 333 in a thousand


@pytest.mark.parametrize(
    ("metric", "asked", "answers", "sentence"),
    [
        (
            "spearman",
            [1.0, 2.0, 3.0],
            numbers([5, 5, 5]),
            "There is no spearman over these 3 proteins: all true or all answered values are the same.",
        ),
        ("mcc", ["a", "a"], labels(["a", "b"]), "There is no mcc over these 2 proteins: only one class is true."),
        ("r2", [1.0, 1.0], numbers([1, 2]), "There is no r2 over these 2 proteins: all true values are the same."),
        (
            "accuracy",
            [None, None],
            labels(["a", "b"]),
            "There is no accuracy: none of the 2 proteins has a known value.",
        ),
        ("rmse", [math.nan], numbers([1]), "There is no rmse: none of the 1 proteins has a known value."),
    ],
)
def test_a_score_that_does_not_exist_says_why(metric: str, asked: Any, answers: Any, sentence: str) -> None:
    with pytest.raises(UndefinedScoreError) as error:
        measure(metric, truths(asked), answers)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("metric", "asked", "answers", "sentence"),
    [
        ("accuracy", ["a"], [], "There are 1 proteins but 0 answers. Give one answer for each protein."),
        ("accuracy", ["1"], numbers([1]), "This score compares labels. Choose a score for this kind of answer."),
        ("rmse", ["a"], labels(["a"]), "This score compares numbers. Choose a score for this kind of answer."),
        (
            "Q3",
            ["HHHHH"],
            [{"tokens": "HH"}],
            "'p0' has 5 known letters but the answer has 2. Give one letter for each residue.",
        ),
        (
            "coverage",
            ["HHHHH"],
            [{"tokens": "HHHHH"}],
            "Coverage needs answers with a set or an interval. Leave it out for this task.",
        ),
        (
            "perplexity",
            ["a"],
            labels(["a"]),
            "Perplexity needs answers with the summed surprise and the count of hidden residues. "
            'Answer {"surprise": sum of -log p, "count": residues}.',
        ),
    ],
)
def test_a_score_that_does_not_fit_the_answers_is_refused(metric: str, asked: Any, answers: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        measure(metric, truths(asked), answers)
    assert str(error.value) == sentence


def test_an_unknown_score_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"There is no metric called 'acuracy'\. Did you mean 'accuracy'\?"):
        measure("acuracy", [], [])


def test_answers_that_never_differ_correlate_with_nothing() -> None:
    assert measure("mcc", truths(["a", "b", "a"]), labels(["a", "a", "a"])).value == 0.0


def test_every_score_knows_which_way_is_better() -> None:
    # a study may bring scores of its own once it is loaded
    lower = {name for name in METRICS if not METRICS[name].higher_is_better} - {"pLDDT_error"}
    errors = {"Smin MF", "Smin CC", "helical fpr", "barrel fpr"}
    assert lower == {"rmse", "rmse per residue", "mae", "perplexity", "ece", *errors}

"""Scores: how good a list of answers is, with a 95 % interval and the number of proteins behind it.

    truths (examples) + answers (JSON, see `targets`) -> one row of sums a protein -> value, low, high, n

The interval is a percentile bootstrap over PROTEINS: residues of one protein resemble each other, so drawing
residues would make it far too narrow (Efron & Tibshirani 1993). With fewer than about 30 proteins it is still
some percent too narrow, which the printed n should remind the reader of. A score that does not exist (a
correlation with a constant) is an error with its reason, never NaN. It knows no task, no model and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.data.example import Example
from anfinsen.errors import UndefinedScoreError, UsageError
from anfinsen.registry import Registry
from anfinsen.targets.base import Answer

Floats = NDArray[numpy.float64]
Pairs = Sequence[tuple[Example, Answer]]

LEVEL = 0.95
"""Share of resamples inside the printed interval."""
BINS = 15
"""Bins of confidence in the calibration error (Guo et al. 2017, arXiv 1706.04599)."""
_CHUNK = 4_000_000
_LOWER_BY_NAME = ("rmse", "mae", "mse", "perplexity", "ece", "loss", "error", "peak", "seconds", "_ratio")


@dataclass(frozen=True)
class Estimate:
    """A score over `n` proteins with its 95 % interval, None where one protein alone was scored."""

    value: float
    low: float | None
    high: float | None
    n: int
    note: str = ""


@dataclass(frozen=True)
class Metric:
    """One score: a row of numbers for each protein, and how the rows become the score.

    `read` takes summed rows (S, K), or for a `ranked` score the rows themselves (S, n, K), and gives (S,)
    values with NaN where the score does not exist, for the reason `undefined`. A `share` lies between 0 and 1
    and counts independent successes.
    """

    name: str
    meaning: str
    rows: Callable[[Pairs], Floats]
    read: Callable[[Floats], Floats]
    undefined: str
    higher_is_better: bool = True
    share: bool = False
    ranked: bool = False
    rival: str = ""
    """Of a score that compares: the baseline whose answer lies in ours under its name. Nobody else has such a score."""


METRICS: Registry[Metric] = Registry("metric", "anfinsen.metrics")
"""Every score by name."""
INSIDE: dict[str, Callable[[Example, Answer], float]] = {}
"""By the key that tells a kind of answer per residue: the share of a protein's truth inside what it leaves open."""


def lower_is_better(metric: str) -> bool:
    """Whether a small score is a good one; a score that nobody registered is judged by its name."""
    if metric in METRICS:
        return not METRICS[metric].higher_is_better
    return any(word in metric.lower() for word in _LOWER_BY_NAME)


def measure(
    metric: str, truths: Sequence[Example], answers: Sequence[Answer], *, resamples: int = 1000, seed: int = 1
) -> Estimate:
    """The score of `answers` against `truths`; proteins without a known value are left out."""
    how = METRICS[metric]
    if len(truths) != len(answers):
        raise UsageError(
            f"There are {len(truths)} proteins but {len(answers)} answers.", remedy="Give one answer for each protein."
        )
    pairs = [(truth, answer) for truth, answer in zip(truths, answers, strict=True) if _is_known(truth, answer)]
    rows = how.rows(pairs) if pairs else numpy.zeros((0, 1))
    if not len(rows):
        raise UndefinedScoreError(f"There is no {metric}: none of the {len(truths)} proteins has a known value.")
    value = float(how.read(rows[None] if how.ranked else rows.sum(0)[None])[0])
    if not numpy.isfinite(value):
        raise UndefinedScoreError(f"There is no {metric} over these {len(rows)} proteins: {how.undefined}.")
    low, high, note = _interval(how, rows, value, resamples, numpy.random.default_rng(seed))
    return Estimate(value, low, high, len(rows), note)


def difference(
    metric: str,
    truths: Sequence[Example],
    before: Sequence[Answer],
    after: Sequence[Answer],
    *,
    resamples: int = 1000,
    seed: int = 1,
) -> Estimate:
    """How much worse the answers `after` are than those `before`; below zero where they are better.

    Each resample draws the same proteins for both (paired bootstrap), so what is hard for both leaves no spread.
    """
    how = METRICS[metric]
    both = [
        (truth, one, other)
        for truth, one, other in zip(truths, before, after, strict=True)
        if _is_known(truth, one) and _is_known(truth, other)
    ]
    if not both:
        raise UndefinedScoreError(f"There is no {metric}: none of the {len(truths)} proteins has a known value.")
    sign = 1 if how.higher_is_better else -1
    rows = [how.rows([(truth, (one, other)[place]) for truth, one, other in both]) for place in (0, 1)]
    generator, count = numpy.random.default_rng(seed), len(rows[0])
    every = [numpy.arange(count)[None]]
    every += [generator.integers(0, count, size=(1, count)) for _ in range(resamples)] if count > 1 else []
    scores = [
        numpy.concatenate([how.read(part[drawn] if how.ranked else _weights(drawn) @ part) for drawn in every])
        for part in rows
    ]
    values = sign * (scores[0] - scores[1])
    if not numpy.isfinite(values[0]):
        raise UndefinedScoreError(f"There is no {metric} over these {count} proteins: {how.undefined}.")
    drawn_values = values[1:][numpy.isfinite(values[1:])]
    if not len(drawn_values):
        return Estimate(float(values[0]), None, None, count, "One protein alone gives no interval.")
    low, high = (float(end) for end in numpy.quantile(drawn_values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)))
    return Estimate(float(values[0]), low, high, count)


def _interval(
    how: Metric, rows: Floats, value: float, resamples: int, generator: numpy.random.Generator
) -> tuple[float | None, float | None, str]:
    count = len(rows)
    if count < 2:
        return None, None, "One protein alone gives no interval."
    step = max(1, _CHUNK // count)
    values = []
    for start in range(0, resamples, step):
        drawn = generator.integers(0, count, size=(min(step, resamples - start), count))
        values.append(how.read(rows[drawn] if how.ranked else _weights(drawn) @ rows))
    drawn_values = numpy.concatenate(values)
    defined = drawn_values[numpy.isfinite(drawn_values)]
    left_out = resamples - len(defined)
    note = f"{left_out} of {resamples} resamples left out: {how.undefined}." if left_out else ""
    if not len(defined):
        return None, None, note
    low, high = (float(end) for end in numpy.quantile(defined, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)))
    if how.share and low == high and value in (0.0, 1.0):
        # all proteins alike: the bootstrap sees no spread, the exact binomial interval (Clopper-Pearson) does
        reach = ((1 - LEVEL) / 2) ** (1 / count)
        low, high = (reach, 1.0) if value == 1.0 else (0.0, 1 - reach)
    return low, high, note


def _weights(drawn: NDArray[numpy.int64]) -> Floats:
    """How often each protein was drawn in each resample, (S, n)."""
    samples, count = drawn.shape
    flat = drawn + numpy.arange(samples)[:, None] * count
    return numpy.bincount(flat.ravel(), minlength=samples * count).reshape(samples, count).astype(numpy.float64)


def _is_known(truth: Example, answer: Answer) -> bool:
    if truth.value is None:
        return "surprise" in answer and bool(answer["count"])
    if isinstance(truth.value, float) and not numpy.isfinite(truth.value):
        return False
    return "tokens" not in answer or "thresholds" in answer or bool(len(_known_places(truth, answer)))


# Labels and tokens: what was true and what was said, as letters or labels -------------------------------------------


def _known_places(truth: Example, answer: Answer) -> NDArray[numpy.intp]:
    """Residues whose letter is known and among the letters that the answer may use."""
    value, said, mask = str(truth.value), answer["tokens"], truth.mask
    if len(value) != len(said) or (mask is not None and len(mask) != len(value)):
        raise UsageError(
            f"'{truth.protein.id}' has {len(value)} known letters but the answer has {len(said)}.",
            remedy="Give one letter for each residue.",
        )
    known = numpy.ones(len(value), dtype=bool) if mask is None else _letters(mask) == "1"
    if "probabilities" in answer:
        known &= numpy.isin(_letters(value), list(answer["probabilities"]))
    return known.nonzero()[0]


def _letters(text: str) -> NDArray[numpy.str_]:
    return numpy.array(list(text), dtype="U1")


def _said(truth: Example, answer: Answer) -> tuple[NDArray[Any], NDArray[Any]]:
    """True and answered classes of one protein: one pair, or one a known residue."""
    if "tokens" in answer:
        places = _known_places(truth, answer)
        return _letters(str(truth.value))[places], _letters(answer["tokens"])[places]
    if "label" not in answer:
        raise UsageError("This score compares labels.", remedy="Choose a score for this kind of answer.")
    return numpy.array([str(truth.value)]), numpy.array([str(answer["label"])])


def _class_rows(pairs: Pairs) -> Floats:
    """For each protein and class how often it was said rightly, said, and true: (n, 3 * K)."""
    said = [_said(truth, answer) for truth, answer in pairs]
    classes = numpy.unique(numpy.concatenate([part for pair in said for part in pair]))
    rows = numpy.zeros((len(said), 3, len(classes)))
    for row, (true, answered) in zip(rows, said, strict=True):
        for place, part in enumerate((true[true == answered], answered, true)):
            row[place] = numpy.bincount(numpy.searchsorted(classes, part), minlength=len(classes))
    return rows.reshape(len(said), -1)


def _by_class(sums: Floats) -> tuple[Floats, Floats, Floats]:
    hit, said, true = numpy.moveaxis(sums.reshape(len(sums), 3, -1), 1, 0)
    return hit, said, true


def _accuracy(sums: Floats) -> Floats:
    hit, _, true = _by_class(sums)
    return _ratio(hit.sum(-1), true.sum(-1))


def _macro_f1(sums: Floats) -> Floats:
    hit, said, true = _by_class(sums)
    occurs = said + true > 0
    return _ratio(_ratio(2 * hit, said + true, empty=0.0).sum(-1), occurs.sum(-1).astype(numpy.float64))


def _mcc(sums: Floats) -> Floats:
    """Gorodkin's correlation for any number of classes; 0 where the answers never differ."""
    hit, said, true = _by_class(sums)
    total = true.sum(-1)
    of_true, of_said = total**2 - (true**2).sum(-1), total**2 - (said**2).sum(-1)
    top = hit.sum(-1) * total - (said * true).sum(-1)
    value = _ratio(top, numpy.sqrt(of_true * of_said), empty=0.0)
    return numpy.where(of_true > 0, value, numpy.nan)


# Numbers ------------------------------------------------------------------------------------------------------------


def _numbers(pairs: Pairs) -> tuple[Floats, Floats]:
    if any("value" not in answer for _, answer in pairs):
        raise UsageError("This score compares numbers.", remedy="Choose a score for this kind of answer.")
    true = numpy.array([float(truth.value) for truth, _ in pairs])  # type: ignore[arg-type]  # known, see _is_known
    return true, numpy.array([float(answer["value"]) for _, answer in pairs])


def _number_pairs(pairs: Pairs) -> Floats:
    return numpy.stack(_numbers(pairs), axis=1)


def _number_rows(pairs: Pairs) -> Floats:
    """Count, squared error, absolute error, truth and squared truth: (n, 5)."""
    true, said = _numbers(pairs)
    error, centred = said - true, true - true.mean()
    return numpy.stack([numpy.ones_like(true), error**2, numpy.abs(error), centred, centred**2], axis=1)


def _r2(sums: Floats) -> Floats:
    count, squared, _, total, total_squared = sums.T
    return 1 - _ratio(squared, total_squared - total**2 / count)


def _spearman(rows: Floats) -> Floats:
    from scipy.stats import rankdata  # half a second to import, and answers are not ranked

    ranks = rankdata(rows, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    x, y = ranks[..., 0], ranks[..., 1]
    return _ratio((x * y).sum(1), numpy.sqrt((x**2).sum(1) * (y**2).sum(1)))


# Calibration and surprise -------------------------------------------------------------------------------------------


def _coverage_rows(pairs: Pairs) -> Floats:
    """For each protein 1 and whether the truth is inside; of residues, the share of them; left out if none is known."""
    inside: list[float] = []
    for truth, answer in pairs:
        if judge := next((INSIDE[key] for key in INSIDE if key in answer), None):
            inside.append(judge(truth, answer))
        elif "sets" in answer:
            places = _known_places(truth, answer)
            inside.append(sum(str(truth.value)[at] in answer["sets"][at] for at in places) / len(places))
        elif "set" in answer:
            inside.append(str(truth.value) in answer["set"])
        elif "low" in answer:
            inside.append(answer["low"] <= float(truth.value) <= answer["high"])  # type: ignore[arg-type]
        else:
            raise UsageError("Coverage needs answers with a set or an interval.", remedy="Leave it out for this task.")
    known = numpy.array(inside, dtype=numpy.float64)
    known = known[~numpy.isnan(known)]
    return numpy.stack([numpy.ones(len(known)), known], axis=1)


def _ece_rows(pairs: Pairs) -> Floats:
    """For each bin of confidence its sum, the right answers and the count: (n, 3 * BINS)."""
    rows = numpy.zeros((len(pairs), 3, BINS))
    for row, (truth, answer) in zip(rows, pairs, strict=True):
        true, said = _said(truth, answer)
        if "tokens" in answer:
            sure = numpy.array(list(answer["probabilities"].values())).max(0)[_known_places(truth, answer)]
        else:
            sure = numpy.array([answer["probability"]])
        bins = numpy.clip(numpy.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
        for place, part in enumerate((sure, true == said, numpy.ones_like(sure))):
            row[place] = numpy.bincount(bins, weights=part, minlength=BINS)
    return rows.reshape(len(pairs), -1)


def _ece(sums: Floats) -> Floats:
    sure, right, count = _by_class(sums)
    return _ratio(numpy.abs(sure - right).sum(-1), count.sum(-1))


def _surprise_rows(pairs: Pairs) -> Floats:
    if any("surprise" not in answer for _, answer in pairs):
        raise UsageError(
            "Perplexity needs answers with the summed surprise and the count of hidden residues.",
            remedy='Answer {"surprise": sum of -log p, "count": residues}.',
        )
    return numpy.array([(answer["count"], answer["surprise"]) for _, answer in pairs], dtype=numpy.float64)


def _precision_rows(name: str) -> Callable[[Pairs], Floats]:
    """For each protein 1 and the precision that was measured on it, which the answer holds under the score's name."""

    def rows(pairs: Pairs) -> Floats:
        if any(name not in answer for _, answer in pairs):
            raise UsageError(f"{name} is the score of contact maps.", remedy="Leave it out for this task.")
        return numpy.array([(1.0, answer[name]) for _, answer in pairs], dtype=numpy.float64)

    return rows


def _ratio(top: Floats, bottom: Floats, *, empty: float = numpy.nan) -> Floats:
    quotient: Floats = numpy.divide(top, bottom, out=numpy.full(numpy.shape(top), empty), where=bottom > 0)
    return quotient


def _mean(column: int) -> Callable[[Floats], Floats]:
    """The mean over proteins of one column, where the first is the count."""
    return lambda sums: _ratio(sums[:, column], sums[:, 0])


def _rmse(sums: Floats) -> Floats:
    return numpy.sqrt(_mean(1)(sums))


def _perplexity(sums: Floats) -> Floats:
    return numpy.exp(_mean(1)(sums))


_NONE = "nothing was asked"
_SAME = "all true or all answered values are the same"
_ONE = "only one class is true"
_RIGHT = "share of residues that are right"
_TOUCH = "share of the surest long-range pairs that touch"
for _metric in (
    Metric("accuracy", "share of answers that are right", _class_rows, _accuracy, _NONE, share=True),
    Metric("Q3", _RIGHT, _class_rows, _accuracy, _NONE, share=True),
    Metric("Q10", "share of proteins in the right one of ten compartments", _class_rows, _accuracy, _NONE, share=True),
    Metric("accuracy per residue", _RIGHT, _class_rows, _accuracy, _NONE, share=True),
    Metric("mcc", "correlation of answer and truth: 0 guessing, 1 perfect", _class_rows, _mcc, _ONE),
    Metric("macro_f1", "mean over classes of precision and recall taken together", _class_rows, _macro_f1, _NONE),
    Metric("rmse", "typical error, large ones counting more", _number_rows, _rmse, _NONE, higher_is_better=False),
    Metric("mae", "mean size of the error", _number_rows, _mean(2), _NONE, higher_is_better=False),
    Metric("r2", "share of the spread that is explained", _number_rows, _r2, "all true values are the same"),
    Metric("spearman", "agreement in rank: 1 the same order", _number_pairs, _spearman, _SAME, ranked=True),
    Metric("perplexity", "residues it hesitates among", _surprise_rows, _perplexity, _NONE, higher_is_better=False),
    Metric("coverage", "share of truths inside the set or interval", _coverage_rows, _mean(1), _NONE, share=True),
    Metric("P@L", f"{_TOUCH}: as many as residues", _precision_rows("P@L"), _mean(1), _NONE),
    Metric("P@L/5", f"{_TOUCH}: a fifth as many", _precision_rows("P@L/5"), _mean(1), _NONE),
    Metric("ece", "mean gap between confidence and success", _ece_rows, _ece, _NONE, higher_is_better=False),
):
    METRICS.add(_metric.name, _metric)

"""Labels that give themselves away: a column or an id that is the label in other words, a pair known by one partner.

A model that finds such a shortcut scores well and has learned nothing about proteins. Every finding is a sentence
with its numbers. It knows columns and splits, no sequence, no file and no model.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from anfinsen.kinship.leaks import Finding, as_numbers
from anfinsen.kinship.splits import TEST, TRAIN, Split
from anfinsen.reading.raw import printable

_TELLING = 0.95
_MOST_LABELS = 50
_FEWEST = 10

Floats = NDArray[numpy.float64]


def telling_columns(columns: Mapping[str, Sequence[str]], labels: Sequence[str], label: str) -> list[Finding]:
    """Columns that are the label in other words: equal, translated one to one, or a straight line of it."""
    found = []
    for name, cells in columns.items():
        if name == label:
            continue
        known = [(cell.strip(), other.strip()) for cell, other in zip(cells, labels, strict=True) if other.strip()]
        how = _how_it_tells(known)
        if how:
            text = f"The column '{printable(name)}' {how} '{printable(label)}' in all {len(known):,} rows that have one"
            text += ": a model that reads it has read the answer. Leave it out."
            found.append(Finding("warning", "telling column", text))
    return found


def _how_it_tells(known: Sequence[tuple[str, str]]) -> str:
    cells, labels = [cell for cell, _ in known], [label for _, label in known]
    if len(known) < _FEWEST or len(set(labels)) < 2:
        return ""
    if cells == labels:
        return "equals the label"
    x, y = as_numbers(cells), as_numbers(labels)
    if x is not None and y is not None and len(set(cells)) > 2 and abs(float(pearsonr(x, y).statistic)) > 0.999:
        return "is a straight line of the label"
    if len(set(cells)) <= len(known) / 2 and len(set(known)) == len(set(cells)) == len(set(labels)):
        return "translates one to one into the label"
    return ""


def telling_ids(ids: Sequence[str], labels: Sequence[str], column: str = "id") -> list[Finding]:
    """Ids that encode the label, by their letters ('pos_17') or by the order of their numbers."""
    known = [(name.strip(), label.strip()) for name, label in zip(ids, labels, strict=True) if label.strip()]
    values = [label for _, label in known]
    if len(known) < 2 * _FEWEST or len(set(values)) < 2:
        return []
    what = f"The column '{printable(column)}'"
    stems = [re.sub(r"\d+", "#", name) for name, _ in known]
    numbers = as_numbers(values)
    is_few = len(set(values)) <= min(_MOST_LABELS, len(values) // 2)
    if is_few and 1 < len(set(stems)) <= len(stems) / 5:
        right = sum(max(Counter(group).values()) for group in _grouped(stems, values).values()) / len(values)
        usual = max(Counter(values).values()) / len(values)
        if right >= _TELLING and right > usual + (1 - usual) / 2:
            stem = Counter(stems).most_common(1)[0][0]
            text = f"{what} gives the label away: its letters alone (such as '{printable(stem)}', # for digits) "
            text += (
                f"give the right label in {right:.0%} of {len(values):,} rows; the most frequent label in {usual:.0%}."
            )
            return [Finding("warning", "telling id", text)]
    order = as_numbers([re.sub(r"\D+", " ", name).strip().rpartition(" ")[2] for name, _ in known])
    if order is None or numpy.isnan(order).any() or len(set(order.tolist())) < 2:
        return []
    if len(set(values)) == 2:
        area = float(roc_auc_score([value == values[0] for value in values], order))
        strength, words = max(area, 1 - area), "AUROC"
    elif numbers is not None:
        strength, words = abs(float(spearmanr(order, numbers).statistic)), "rank correlation"
    else:
        return []
    if strength < _TELLING:
        return []
    text = f"{what} gives the label away: the number in it is in the order of the labels ({words} {strength:.2f}, "
    text += f"n = {len(values):,}). Rows were probably sorted before they were numbered; do not let a model read it."
    return [Finding("warning", "telling id", text)]


def degree_shortcuts(split: Split, a: Sequence[str], b: Sequence[str], labels: Sequence[str]) -> list[Finding]:
    """How well the label is predicted on the test split by how often each partner occurs in training, and by
    the mean label of each partner alone: AUROC with a 95 % interval (Hanley & McNeil 1982)."""
    truth = _two_classes(labels, split)
    if truth is None:
        return []
    values, meaning = truth
    train, test = (numpy.array([p for p in split.rows(name) if values[p] >= 0]) for name in (TRAIN, TEST))
    if not len(train) or not len(test) or min(len(set(values[train])), len(set(values[test]))) < 2:
        return []
    counts = [Counter(side[place] for place in train.tolist()) for side in (a, b)]
    features = numpy.array([[numpy.log1p(counts[0][x]), numpy.log1p(counts[1][y])] for x, y in zip(a, b, strict=True)])
    model = LogisticRegression().fit(features[train], values[train])
    judged = [("how often each partner occurs", model.decision_function(features[test]))]
    for name, side in (("the mean label of the first partner", a), ("the mean label of the second partner", b)):
        judged.append((name, _mean_labels(side, values, train)[test]))
    found = []
    for what, scores in judged:
        if numpy.ptp(scores) == 0:  # all partners are new: there is nothing to predict from
            continue
        area, low, high = _auroc(values[test], scores)
        is_short = low > 0.6
        text = f"On the {len(test):,} test pairs of this split, {what} in training alone predicts {meaning} with AUROC "
        text += f"{area:.2f} (95 % interval {low:.2f} to {high:.2f}; 0.5 is chance)"
        text += ": a model must beat that to have learned more." if is_short else "."
        found.append(Finding("warning" if is_short else "info", "degree shortcut", text))
    return found


def _two_classes(labels: Sequence[str], split: Split) -> tuple[Floats, str] | None:
    """1, 0 and, where unknown, -1 for each row, and what 1 means; None for labels of more than two classes."""
    known = [label.strip() for label in labels]
    kinds = sorted({label for label in known if label})
    if len(kinds) == 2:
        return numpy.array([kinds.index(label) if label else -1.0 for label in known]), f"'{printable(kinds[1])}'"
    numbers = as_numbers(known)
    if numbers is None:
        return None
    middle = float(numpy.nanmedian(numbers[split.rows(TRAIN)]))
    return numpy.where(numpy.isnan(numbers), -1.0, (numbers > middle).astype(float)), f"a label above {middle:g}"


def _mean_labels(side: Sequence[str], values: Floats, train: NDArray[numpy.int64]) -> Floats:
    mean = float(values[train].mean())
    sums: dict[str, list[float]] = defaultdict(lambda: [mean, 1.0])
    for place in train.tolist():
        sums[side[place]][0] += values[place]
        sums[side[place]][1] += 1
    return numpy.array([sums[one][0] / sums[one][1] if one in sums else mean for one in side])


def _auroc(truth: Floats, scores: Floats) -> tuple[float, float, float]:
    area = float(roc_auc_score(truth, scores))
    one, other = int((truth == 1).sum()), int((truth == 0).sum())
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (one - 1) * (first - area**2) + (other - 1) * (second - area**2)
    error = 1.96 * float(numpy.sqrt(max(0.0, variance) / (one * other)))
    return area, max(0.0, area - error), min(1.0, area + error)


def _grouped(keys: Sequence[str], values: Sequence[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key, value in zip(keys, values, strict=True):
        groups[key].append(value)
    return groups

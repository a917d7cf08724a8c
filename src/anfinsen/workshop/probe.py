"""The frozen linear probe: a straight line through the mean states of the body, and where the network begins.

    body (at rest) -> mean of the normed states (n, C), conditions (n, 2K) -> logistic regression or ridge

It is the strongest of the simple rivals. The pooled head has such a line in itself (its direct path), so the probe's
weights are put there before the training: the network starts as good as the probe and can only be led away from it
by what helps on proteins that it has not seen (Kumar et al. 2022, arXiv 2202.10054).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from torch import nn
from torch.nn import functional

from anfinsen.data.batch import pack_examples
from anfinsen.data.example import Example
from anfinsen.models.heads import ChainReader, joined
from anfinsen.models.network import Network
from anfinsen.targets.base import Answer, Label, Number
from anfinsen.targets.labels import Labels
from anfinsen.tasks.ask import in_groups
from anfinsen.tasks.base import Task

Floats = NDArray[numpy.float64]
_PULLS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the pull to zero (C of logistic regression) that are tried within the training rows."""
_FEW = 6
"""A class of fewer rows is too small to choose the strength by."""


@dataclass(frozen=True)
class Line:
    """Outputs (n, size) = features @ weights.T + bias, in the units of the head."""

    weights: Floats
    bias: Floats

    def outputs(self, features: Floats) -> Floats:
        """What a head with only this line would say."""
        return features @ self.weights.T + self.bias

    def into(self, head: nn.Module) -> None:
        """Make the head of a whole chain, or of a pair, say exactly this, until it is trained."""
        assert isinstance(head, ChainReader)
        last = head.judge[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            head.direct.weight.copy_(torch.from_numpy(self.weights))
            head.direct.bias.copy_(torch.from_numpy(self.bias))
            last.weight.zero_()
            last.bias.zero_()


@torch.inference_mode()
def features(network: Network, task: Task, examples: Sequence[Example]) -> Floats:
    """What the direct path of a head reads: mean normed state (of a pair, both), conditions, which are known."""
    device = next(network.parameters()).device

    def answer(group: Sequence[Example]) -> list[NDArray[Any]]:
        tokens, lengths = pack_examples(group)
        states, counts = network.states(tokens.to(device), lengths)
        normed = functional.layer_norm(states, states.shape[-1:])
        means = torch.stack([part.mean(0).float() for part in normed.split(counts)])
        return list((joined(means) if task.of_pairs else means).cpu().numpy())

    means = numpy.stack(list(in_groups(examples, answer))).astype(numpy.float64)
    conditions = task.condition_rows([example.conditions for example in examples]).numpy().astype(numpy.float64)
    return numpy.hstack([means, numpy.nan_to_num(conditions), ~numpy.isnan(conditions)])


def fit_line(rows: Floats, examples: Sequence[Example], task: Task) -> Line | None:
    """The probe of a task, None for answers a residue."""
    center, spread = rows.mean(0), rows.std(0)
    spread[spread < 1e-6] = 1.0
    scaled = (rows - center) / spread
    target = task.target
    if isinstance(target, Label):
        weights, bias = _classes(scaled, numpy.array([int(target.encode(one)) for one in examples]), target.size)
    elif isinstance(target, Labels):
        weights, bias = _each(scaled, numpy.stack([target.encode(one) for one in examples]))
    elif isinstance(target, Number):
        weights, bias = _number(scaled, numpy.array([float(target.encode(one)) for one in examples]))
    else:
        return None
    weights = weights / spread
    return Line(weights, bias - weights @ center)


def probe_answers(line: Line, rows: Floats, task: Task) -> list[Answer]:
    """The probe's own answers, without calibration."""
    return [task.target.answer(output, {}) for output in line.outputs(rows)]


def _classes(rows: Floats, truth: NDArray[numpy.int64], size: int) -> tuple[Floats, Floats]:
    known, counts = numpy.unique(truth, return_counts=True)
    weights, bias = numpy.zeros((size, rows.shape[1])), numpy.full(size, -5.0)
    if len(known) < 2:
        bias[known] = 0.0
        return weights, bias
    model = _logistic(rows, truth, int(counts.min()))
    if len(known) == 2:  # one line between two classes
        weights[known], bias[known] = model.coef_[0] * [[-0.5], [0.5]], model.intercept_[0] * numpy.array([-0.5, 0.5])
    else:
        weights[known], bias[known] = model.coef_, model.intercept_
    return weights, bias


def _each(rows: Floats, truth: NDArray[numpy.float32]) -> tuple[Floats, Floats]:
    weights, bias = numpy.zeros((truth.shape[1], rows.shape[1])), numpy.zeros(truth.shape[1])
    for label, column in enumerate(truth.T):
        known = ~numpy.isnan(column)
        yes = int(column[known].sum())
        if 0 < yes < known.sum():
            model = _logistic(rows[known], column[known].astype(int), min(yes, int(known.sum()) - yes))
            weights[label], bias[label] = model.coef_[0], model.intercept_[0]
        else:
            bias[label] = 5.0 if yes else -5.0
    return weights, bias


def _logistic(rows: Floats, truth: NDArray[numpy.int64], fewest: int) -> LogisticRegression:
    """Logistic regression whose pull to zero is the best within these rows, or a firm one where they are few."""
    if fewest < _FEW:
        return LogisticRegression(C=1e-2, max_iter=1000).fit(rows, truth)
    parts = StratifiedKFold(3, shuffle=True, random_state=1)
    search = GridSearchCV(LogisticRegression(max_iter=1000), {"C": _PULLS}, scoring="neg_log_loss", cv=parts)
    found: LogisticRegression = search.fit(rows, truth).best_estimator_
    return found


def _number(rows: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """The place by ridge regression, the spread by its errors on rows left out one by one."""
    model = RidgeCV(numpy.logspace(0, 5, 16), store_cv_results=True).fit(rows, truth)
    best = list(model.alphas).index(model.alpha_)
    error = float(numpy.sqrt(model.cv_results_[:, best].mean()))
    weights = numpy.stack([model.coef_, numpy.zeros(rows.shape[1])])
    return weights, numpy.array([float(model.intercept_), float(numpy.log(max(error, 1e-3)))])

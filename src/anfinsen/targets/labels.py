"""Several labels at once: a protein may work in two places, and of some labels nobody has looked.

    Labels   any of K labels for the protein   logits (B, K)  ->  {"labels": [{"label", "probability"}]}

Each label is a question of its own with yes, no or unknown; an unknown one is left out of the loss, of the
calibration and of every score. The calibration is one temperature and one shift a label. Two scores belong to it:

    micro_f1   precision and recall of all single answers above one half, taken together
    fmax       the best mean precision and recall over proteins that any one threshold reaches (CAFA; Radivojac et
               al. 2013, Nature Methods 10:221)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.targets.base import SHIFT, Answer, Calibration, Classes, Floats
from anfinsen.targets.metrics import METRICS, Metric, Pairs

LEAST = 0.01
"""Labels with a smaller probability are left out of an answer."""
CALLED = 0.5
"""Probability from which a label counts as said."""
THRESHOLDS = numpy.linspace(0.01, 0.99, 99)
_HOLD = 5.0


@dataclass(frozen=True)
class Labels(Classes):
    """Any of several labels for the whole protein; `weights` say how much more a yes counts than a no."""

    kind: ClassVar[str] = "labels"

    def encode(self, example: Example) -> NDArray[Any]:
        """1 for a label that holds, 0 for one that does not, NaN where unknown (written '?label'): (K,)."""
        if example.value is None:
            return numpy.full(self.size, numpy.nan, dtype=numpy.float32)
        given, unknown = told(example)
        for name in (*given, *unknown):
            if name not in self.classes:
                raise UsageError(
                    f"'{name}' is not one of the labels {', '.join(self.classes)}.",
                    remedy="Correct the label or leave the row out.",
                )
        row = [numpy.nan if name in unknown else float(name in given) for name in self.classes]
        return numpy.array(row, dtype=numpy.float32)

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """Binary cross-entropy over the known labels."""
        truth = target.view_as(outputs)
        known = ~truth.isnan()
        weights = outputs.new_tensor(self.weights).expand_as(outputs)[known] if self.weights else None
        total = functional.binary_cross_entropy_with_logits(
            outputs.float()[known], truth[known], pos_weight=weights, reduction="sum"
        )
        return total, int(known.sum())

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        shares = _sigmoid(self._scaled(outputs, calibration))
        order = [index for index in numpy.argsort(-shares, kind="stable") if shares[index] > LEAST]
        return {"labels": [{"label": self.classes[index], "probability": float(shares[index])} for index in order]}

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        logits = numpy.stack(outputs).astype(numpy.float64)
        truth = numpy.stack([self.encode(example) for example in examples]).astype(numpy.float64)
        temperature, shifts = fit_each(logits, truth)
        calibration = {"temperature": temperature, "n": float(len(truth))}
        return calibration | {f"{SHIFT}{name}": float(one) for name, one in zip(self.classes, shifts, strict=True)}

    def _scaled(self, logits: Floats, calibration: Calibration) -> Floats:
        shifts = numpy.array([calibration.get(f"{SHIFT}{name}", 0.0) for name in self.classes])
        scaled: Floats = logits / calibration.get("temperature", 1.0) + shifts
        return scaled


def fit_each(logits: Floats, truth: Floats) -> tuple[float, Floats]:
    """One temperature and a shift for each label, over what is known; shifts are held back as by five examples."""
    from scipy.optimize import minimize

    rows, known = torch.from_numpy(logits), torch.from_numpy(~numpy.isnan(truth))
    asked = torch.from_numpy(numpy.nan_to_num(truth))

    def surprise(settings: NDArray[numpy.float64]) -> tuple[float, NDArray[numpy.float64]]:
        moved = torch.tensor(settings, requires_grad=True)
        scaled = rows / moved[0].exp() + moved[1:]
        total = functional.binary_cross_entropy_with_logits(scaled[known], asked[known], reduction="sum")
        total = total + _HOLD * (moved**2).sum()
        total.backward()
        assert moved.grad is not None
        return float(total.detach()), moved.grad.numpy()

    bounds = [(-2.5, 2.5)] + [(-5.0, 5.0)] * logits.shape[1]
    found = minimize(surprise, numpy.zeros(1 + logits.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds)
    return float(numpy.exp(found.x[0])), found.x[1:]


def _sigmoid(logits: Floats) -> Floats:
    shares: Floats = 1.0 / (1.0 + numpy.exp(-numpy.asarray(logits, dtype=numpy.float64).clip(-60, 60)))
    return shares


def told(example: Example) -> tuple[set[str], set[str]]:
    """The labels that hold for an example, and those of which nobody knows (written '?label')."""
    names = example.names
    return {name for name in names if name[:1] != "?"}, {name[1:] for name in names if name[:1] == "?"}


# Scores -------------------------------------------------------------------------------------------------------------


def _said(pairs: Pairs) -> list[tuple[set[str], dict[str, float]]]:
    """For each protein the labels that hold, and the probability of each label that was answered and is known."""
    if any("labels" not in answer for _, answer in pairs):
        raise UsageError("This score compares several labels.", remedy="Choose a score for this kind of answer.")
    found = []
    for truth, answer in pairs:
        given, unknown = told(truth)
        shares = {str(one["label"]): float(one["probability"]) for one in answer["labels"]}
        found.append((given, {name: share for name, share in shares.items() if name not in unknown}))
    return found


def _call_rows(pairs: Pairs) -> NDArray[numpy.float64]:
    """For each protein: labels said rightly, said, and true: (n, 3)."""
    rows = []
    for true, shares in _said(pairs):
        said = {name for name, share in shares.items() if share >= CALLED}
        rows.append((len(true & said), len(said), len(true)))
    return numpy.array(rows, dtype=numpy.float64)


def _micro_f1(sums: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    hit, said, true = sums.T
    whole = said + true
    value: NDArray[numpy.float64] = numpy.divide(2 * hit, whole, out=numpy.full(len(sums), numpy.nan), where=whole > 0)
    return value


def _threshold_rows(pairs: Pairs) -> NDArray[numpy.float64]:
    """For each protein with a label and each threshold: precision, whether anything was said, recall; then one."""
    rows = []
    for true, shares in _said(pairs):
        if not true:
            continue
        names = list(shares)
        above = numpy.array([shares[name] for name in names])[:, None] >= THRESHOLDS  # (labels, thresholds)
        right = numpy.array([name in true for name in names])[:, None] & above
        said, hit = above.sum(0), right.sum(0)
        rows.append(numpy.concatenate([hit / numpy.maximum(said, 1), said > 0, hit / len(true), [1.0]]))
    return numpy.array(rows, dtype=numpy.float64)


def _fmax(sums: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    precision, spoke, recall = numpy.split(sums[:, :-1], 3, axis=1)
    precision = precision / numpy.maximum(spoke, 1)
    recall = recall / sums[:, -1:]
    whole = precision + recall
    every = numpy.divide(2 * precision * recall, whole, out=numpy.zeros_like(whole), where=whole > 0)
    best: NDArray[numpy.float64] = every.max(1)
    return best


for _metric in (
    Metric("micro_f1", "precision and recall of all labels said", _call_rows, _micro_f1, "nothing was said or true"),
    Metric("fmax", "best mean precision and recall at one threshold", _threshold_rows, _fmax, "nothing was true"),
):
    METRICS.add(_metric.name, _metric)

"""Tasks that also hear a plain voice: what the shares of the residues and the length tell, whatever their order.

    remember   after training: a straight line on composition, fitted on the training proteins, goes into the memory
    consult    when asked: its logits are put behind the head's outputs; the calibration has learnt how much each counts

Where a network is hardly better than a simple rule, the two often err on different proteins, and together they are
better than either (stacking, Wolpert 1992). The line is the very baseline that the benchmark prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy
from torch import nn

from anfinsen.data.composition import composition
from anfinsen.data.example import Example
from anfinsen.models.heads import PLAIN
from anfinsen.models.recall import Recall
from anfinsen.targets.base import BESIDE, SHIFT, Answer, Calibration, Floats
from anfinsen.tasks.base import Task

FEWEST = 50
"""Training proteins below which no line is fitted."""
HARDLY = 0.1
"""Weight of the network, beside that of the line, below which the line is said to answer alone."""
BOTH, COMPOSITION = "both", "composition"
"""Who answers, where it is not the network alone."""


@dataclass(frozen=True)
class PlainTask(Task):
    """A task whose answer is one of K labels, about which composition is heard beside the network."""

    def remember(self, head: nn.Module, train: Sequence[Example]) -> None:
        """Put the line on composition into the head's memory: (features + 1, K), the constant last."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        known = [example for example in train if example.value is not None]
        labels = [int(self.target.encode(example)) for example in known]
        if len(known) < FEWEST or len(set(labels)) < self.target.size:
            return
        scaler, line = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(
            composition(known), labels
        )
        slopes = line.coef_ / scaler.scale_  # (K, features), or of two labels (1, features)
        rows = numpy.hstack([slopes, (line.intercept_ - slopes @ scaler.mean_)[:, None]])
        if len(rows) == 1:
            rows = numpy.concatenate([-rows / 2, rows / 2])
        cast(Recall, head.memory).keep({PLAIN: rows.T.astype(numpy.float16)})

    def consult(self, head: nn.Module, examples: Sequence[Example], outputs: Sequence[Floats]) -> list[Floats]:
        """The outputs with the line's logits behind them, (2 K,); as they are without a memory."""
        rows = cast(Recall, head.memory).arrays()[PLAIN].astype(numpy.float64)
        if not len(rows):
            return list(outputs)
        logits = composition(examples) @ rows[:-1] + rows[-1]
        return [numpy.concatenate(pair) for pair in zip(outputs, logits, strict=True)]

    def line(self, head: nn.Module, calibration: Calibration) -> Floats | None:
        """The line on composition as the calibration weighs it, (features + 1, K); None unless it answers alone."""
        rows = cast(Recall, head.memory).arrays()[PLAIN].astype(numpy.float64)
        if not len(rows) or not _is_idle(calibration):
            return None
        line = calibration[BESIDE] * rows
        line[-1] += [calibration.get(f"{SHIFT}{name}", 0.0) for name in self.target.labels]
        return line

    def beside(self, answer: Answer) -> str:
        """Composition, where both were weighed together."""
        if answer.get("source") != BOTH:
            return ""
        return "The mere shares of its residues were weighed beside the network, whose view alone is explained here."

    def answers(self, outputs: Sequence[Floats], examples: Sequence[Example], calibration: Calibration) -> list[Answer]:
        """The answers; where composition was heard, each says whether it counts beside the network or in its place."""
        answers = super().answers(outputs, examples, calibration)
        source = COMPOSITION if _is_idle(calibration) else BOTH
        return [
            {**answer, "source": source} if len(output) > self.target.size else answer
            for answer, output in zip(answers, outputs, strict=True)
        ]


def _is_idle(calibration: Calibration) -> bool:
    """Whether the network hardly counts."""
    return 1 / calibration.get("temperature", 1.0) < HARDLY * calibration.get(BESIDE, 0.0)

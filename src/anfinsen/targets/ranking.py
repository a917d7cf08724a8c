"""How well chances put the right ones first, where there are two classes.

    auroc   how often a random member of the second class gets a higher chance of it than a random other

Ties count half (Mann & Whitney 1947); 0.5 is guessing. It needs answers with `probabilities` of exactly two labels.
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UsageError
from anfinsen.targets.metrics import METRICS, Metric, Pairs

Floats = NDArray[numpy.float64]


def _chance_rows(pairs: Pairs) -> Floats:
    """For each protein whether it is of the class whose chance is told, and that chance: (n, 2)."""
    rows = []
    for truth, answer in pairs:
        chances = answer.get("probabilities", {})
        if "label" not in answer or len(chances) != 2:
            raise UsageError("AUROC compares the chances of two classes.", remedy="Leave it out for this task.")
        name = sorted(chances)[0]
        rows.append((str(truth.value) == name, chances[name]))
    return numpy.array(rows, dtype=numpy.float64)


def area(rows: Floats) -> Floats:
    """The area under the curve for (S, n, 2) truths and chances, NaN where one class is missing."""
    from scipy.stats import rankdata

    ranks = rankdata(rows[..., 1], axis=1)
    yes = rows[..., 0].sum(1)
    no = rows.shape[1] - yes
    above = (ranks * rows[..., 0]).sum(1) - yes * (yes + 1) / 2
    value: Floats = numpy.divide(above, yes * no, out=numpy.full(len(rows), numpy.nan), where=yes * no > 0)
    return value


METRICS.add(
    "auroc",
    Metric(
        "auroc", "how often a true one is ranked above a false one", _chance_rows, area, "one class alone", ranked=True
    ),
)

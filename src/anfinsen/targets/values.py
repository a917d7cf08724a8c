"""One number for every residue: how disordered, how conserved, how buried it is.

    Values   a quantity a residue   (R, 2)  ->  {"values": [...], "low": [...], "high": [...], "unit"}

The head gives each residue a place and a spread. An unknown residue is NaN in the example (or '0' in its mask) and is
left out of the loss and of the scores. Of the residues of a new protein nine in ten lie between `low` and `high`: the
spreads are stretched until that holds on proteins that training never saw, each counting once (see `targets`).

The scores sum over residues and draw proteins for their interval; ranks are taken once over all residues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy
from numpy.typing import NDArray
from torch import Tensor

from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.models.heads import HeadKind
from anfinsen.targets.base import Answer, Calibration, Floats, Target, risk_threshold
from anfinsen.targets.metrics import INSIDE, METRICS, Metric, Pairs

DIGITS = 4
"""Digits after the point that an answer keeps."""
WIDEST = 3.0
"""Largest logarithm of a spread, in units of the target's own."""
BELL = 1.645
"""Spreads on either side that hold nine tenths of a bell curve, where nothing is calibrated."""


@dataclass(frozen=True)
class Values(Target):
    """A quantity for every residue; the head gives it in units of `spread` around `center`."""

    unit: str = ""
    center: float = 0.0
    spread: float = 1.0
    zones: tuple[tuple[float, str], ...] = ()
    """What the numbers mean: the upper end and the name of each zone, from the lowest up."""
    kind: ClassVar[str] = "values"
    per_residue: ClassVar[bool] = True
    head: ClassVar[HeadKind] = "residue"

    @property
    def size(self) -> int:
        return 2

    def encode(self, example: Example) -> NDArray[Any]:
        """One number a residue in the head's units, NaN where unknown: (L,)."""
        length = len(example.protein)
        if example.value is None:
            return numpy.full(length, numpy.nan, dtype=numpy.float32)
        values = known_values(example)
        return ((values - self.center) / self.spread).astype(numpy.float32)

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """Squared error of the place, and the surprise of a bell curve around it that teaches the spread alone.

        So a residue that is hard to place counts as much as any other (Seitzer et al. 2022, arXiv 2203.09168).
        """
        known = ~target.isnan()
        place, log_spread = outputs.float()[known].unbind(-1)
        error, log_spread = (target[known] - place) ** 2, log_spread.clamp(-WIDEST, WIDEST)
        return (error + 0.5 * error.detach() * (-2 * log_spread).exp() + log_spread).sum(), int(known.sum())

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        place, spread = self._read(outputs, calibration)
        reach = calibration.get("quantile", BELL) * spread
        values = {"values": place, "low": place - reach, "high": place + reach}
        return {name: [round(float(one), DIGITS) for one in row] for name, row in values.items()} | {"unit": self.unit}

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        """The straight line that brings places nearest to the truth (least squares), and how far the spreads reach."""
        truths = [self.encode(example).astype(numpy.float64) for example in examples]
        said = numpy.concatenate([output[:, 0] for output in outputs]).astype(numpy.float64)
        truth = numpy.concatenate(truths)
        known = ~numpy.isnan(truth)
        said, truth = said[known], truth[known]
        spread = float(said.var()) if len(said) else 0.0
        scale = float(((said - said.mean()) * (truth - truth.mean())).mean()) / spread if spread > 0 else 1.0
        if scale <= 0:  # a head that has learned nothing is not turned round
            scale = 1.0
        shift = float(truth.mean() - scale * said.mean()) if len(said) else 0.0
        calibration = {"scale": scale, "shift": shift, "n": float(len(examples))}
        errors = []
        for output, true in zip(outputs, truths, strict=True):
            place, width = self._read(output, calibration)
            error = numpy.abs(self.center + self.spread * true - place) / width
            errors.append(error[~numpy.isnan(true)])
        farness = risk_threshold([numpy.exp(-error) for error in errors])
        # too few proteins promise nothing: then the bell curve must do, as it does before any calibration
        return calibration | ({"quantile": float(-numpy.log(farness))} if farness > 0 else {})

    def _read(self, outputs: Floats, calibration: Calibration) -> tuple[Floats, Floats]:
        """Place and spread of each residue in the user's unit, each (L,)."""
        raw = numpy.asarray(outputs, dtype=numpy.float64)
        place = calibration.get("scale", 1.0) * raw[:, 0] + calibration.get("shift", 0.0)
        return self.center + self.spread * place, self.spread * numpy.exp(raw[:, 1].clip(-WIDEST, WIDEST))


def known_values(example: Example) -> NDArray[numpy.float64]:
    """The numbers of an example, one a residue, NaN where unknown; refuses another count than residues."""
    length = len(example.protein)
    values = numpy.array(example.value, dtype=numpy.float64)
    if values.shape != (length,) or (example.mask is not None and len(example.mask) != length):
        raise UsageError(
            f"'{example.protein.id}' has {length} residues but {values.size} numbers.",
            remedy="Give one number for each residue, or leave the row out; nothing is padded.",
        )
    if example.mask is not None:
        values[[letter != "1" for letter in example.mask]] = numpy.nan
    return values


# Scores -------------------------------------------------------------------------------------------------------------


def _residues(pairs: Pairs) -> list[tuple[NDArray[numpy.float64], NDArray[numpy.float64]]]:
    """Truth and answer of the known residues of each protein."""
    if any("values" not in answer for _, answer in pairs):
        raise UsageError("This score compares numbers a residue.", remedy="Choose a score for this kind of answer.")
    found = []
    for truth, answer in pairs:
        true = known_values(truth)
        known = ~numpy.isnan(true)
        found.append((true[known], numpy.array(answer["values"], dtype=numpy.float64)[known]))
    return found


def _inside(truth: Example, answer: Answer) -> float:
    """The share of a protein's known residues that lie between the ends of their ranges; NaN without any."""
    true = known_values(truth)
    known = ~numpy.isnan(true)
    if "low" not in answer:
        raise UsageError("Coverage needs answers with a range.", remedy="Leave it out for this task.")
    low, high = (numpy.array(answer[end], dtype=numpy.float64)[known] for end in ("low", "high"))
    return float(((low <= true[known]) & (true[known] <= high)).mean()) if known.any() else float("nan")


INSIDE["values"] = _inside


def _moments(parts: Sequence[tuple[NDArray[numpy.float64], NDArray[numpy.float64]]]) -> NDArray[numpy.float64]:
    """For each protein count, x, y, xx, yy, xy and squared error: (n, 7); x and y are centred first."""
    middle = [float(numpy.concatenate([part[side] for part in parts]).mean()) for side in (0, 1)]
    rows = []
    for true, said in parts:
        x, y = true - middle[0], said - middle[1]
        error = ((true - said) ** 2).sum()
        rows.append((len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum(), error))
    return numpy.array(rows, dtype=numpy.float64)


def _value_rows(pairs: Pairs) -> NDArray[numpy.float64]:
    parts = [part for part in _residues(pairs) if len(part[0])]
    return _moments(parts) if parts else numpy.zeros((0, 7))


def _rank_rows(pairs: Pairs) -> NDArray[numpy.float64]:
    from scipy.stats import rankdata

    parts = [part for part in _residues(pairs) if len(part[0])]
    if not parts:
        return numpy.zeros((0, 7))
    ends = numpy.cumsum([len(true) for true, _ in parts])[:-1]
    ranked = [numpy.split(rankdata(numpy.concatenate([part[side] for part in parts])), ends) for side in (0, 1)]
    return _moments(list(zip(*ranked, strict=True)))


def _correlation(sums: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    count, x, y, xx, yy, xy, _ = sums.T
    bottom = numpy.sqrt(numpy.maximum(xx - x * x / count, 0) * numpy.maximum(yy - y * y / count, 0))
    value: NDArray[numpy.float64] = numpy.divide(
        xy - x * y / count, bottom, out=numpy.full(len(sums), numpy.nan), where=bottom > 1e-12
    )
    return value


def _rmse(sums: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    return numpy.sqrt(sums[:, 6] / sums[:, 0])


_SAME = "all true or all answered values are the same"
_Read = Callable[[NDArray[numpy.float64]], NDArray[numpy.float64]]
_READ: tuple[tuple[str, str, Callable[[Pairs], NDArray[numpy.float64]], _Read, bool], ...] = (
    ("spearman per residue", "agreement in rank over all residues", _rank_rows, _correlation, True),
    ("pearson per residue", "straight-line agreement over all residues", _value_rows, _correlation, True),
    ("rmse per residue", "typical error of a residue, large ones counting more", _value_rows, _rmse, False),
)
for _name, _meaning, _rows, _read, _higher in _READ:
    METRICS.add(_name, Metric(_name, _meaning, _rows, _read, _SAME, higher_is_better=_higher))

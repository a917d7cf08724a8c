"""Is there an address at the beginning of a chain, and where is it cut off? One question, one set of chances.

    Cut   none, or a cut after residue k   two numbers a residue (L, 2)  ->
          {"label", "probability", "set", "probabilities", "cut", "cuts"}

The head gives each residue a weight for lying before the cut (a) and one for being the last before it (c). A cut after
residue k has the score a_1 + ... + a_k + c_k, no cut has 0, and their softmax is the answer: whether and where cannot
contradict each other, and both are learnt at once (a semi-Markov model of one segment; Sarawagi & Cohen 2004). `cut`
is the likeliest place if there is one, `cuts` are the places among which the true one lies nine times in ten.

An example's value is the class; of one that is cut, its mask has '1' at the residues that are cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.models.heads import HeadKind
from anfinsen.targets.base import UNKNOWN, Answer, Calibration, Classes, Floats, Label, conformal_quantile, softmax
from anfinsen.targets.metrics import METRICS, Metric, Pairs

LONGEST = 100
"""Residues from the beginning among which a cut is looked for."""
SOMEWHERE = -1
"""The place of a cut that nobody knows."""
_NEVER = -1e4


@dataclass(frozen=True)
class Cut(Classes):
    """Two classes, whole and cut, in this order, and the place of the cut."""

    kind: ClassVar[str] = "cut"
    per_residue: ClassVar[bool] = True
    head: ClassVar[HeadKind] = "residue"

    @property
    def _label(self) -> Label:
        return Label(self.classes)

    def encode(self, example: Example) -> NDArray[Any]:
        """The class alone, as of a label."""
        return self._label.encode(example)

    def place(self, example: Example) -> int:
        """0 for none, k for a cut after residue k, -1 for one of unknown place, -100 where nothing is known."""
        known = int(self.encode(example))
        if known <= 0:
            return known
        cut = example.mask.count("1") if example.mask is not None else SOMEWHERE
        if cut > LONGEST:
            raise UsageError(
                f"'{example.protein.id}' is cut after residue {cut}; the limit is {LONGEST}.",
                remedy="Leave the row out.",
            )
        return cut or SOMEWHERE

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """Cannot be known from a packed row alone: see `loss_of_chains`."""
        raise TypeError("the chains of a row must be told apart: use loss_of_chains")

    def loss_of_chains(self, outputs: Tensor, lengths: Sequence[int], target: Tensor) -> tuple[Tensor, int]:
        """The surprise at the true place: (R, 2) of B chains, their residues, (B,) places as `place` gives them."""
        known = target != UNKNOWN
        if not bool(known.any()):
            return outputs.sum() * 0.0, 0
        logs = _place_scores(outputs, lengths).log_softmax(-1)[known]  # (B, 1 + LONGEST)
        truth = target[known]
        at_place = logs.gather(1, truth.clamp(min=0, max=logs.shape[1] - 1)[:, None])[:, 0]
        said = torch.where(truth == SOMEWHERE, logs[:, 1:].logsumexp(-1), at_place)
        return -said.sum(), len(truth)

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        """From (L, 2) of a head; from (2,) scores of the classes, as a baseline gives them, without a place."""
        if outputs.ndim == 1:
            return {**self._label.answer(outputs, calibration), "cut": None, "cuts": []}
        places = place_scores(outputs)
        answer = self._label.answer(_class_scores(places), calibration)
        where = softmax(places[1:])
        is_cut = answer["label"] == self.classes[1]
        best = int(where.argmax())
        inside = where >= calibration.get("place threshold", 1.0)
        inside[best] = True
        return {
            **answer,
            "cut": best + 1 if is_cut else None,
            "cuts": [int(place) + 1 for place in numpy.flatnonzero(inside)] if is_cut else [],
        }

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        places = [place_scores(output) for output in outputs]
        calibration = self._label.calibrate([_class_scores(one) for one in places], examples)
        missed = []
        for one, example in zip(places, examples, strict=True):
            cut = self.place(example)
            if 0 < cut < len(one):
                missed.append(1.0 - float(softmax(one[1:])[cut - 1]))
        if missed:
            calibration["place threshold"] = 1.0 - conformal_quantile(numpy.array(missed))
        return calibration


def place_scores(outputs: Floats) -> Floats:
    """The scores of no cut and of a cut after each of the first residues: (L, 2) -> (1 + K,)."""
    first = outputs[:LONGEST].astype(numpy.float64)
    scores: Floats = numpy.concatenate([[0.0], first[:, 0].cumsum() + first[:, 1]])
    return scores


def _class_scores(places: Floats) -> Floats:
    return numpy.array([places[0], numpy.logaddexp.reduce(places[1:])])


def _place_scores(outputs: Tensor, lengths: Sequence[int]) -> Tensor:
    """The same for every chain of a packed row: (R, 2) -> (B, 1 + LONGEST), hardly possible beyond a chain's end."""
    chains = [part[:LONGEST].float() for part in outputs.split(list(lengths))]
    scores = [part[:, 0].cumsum(0) + part[:, 1] for part in chains]
    padded = pad_sequence(scores, batch_first=True, padding_value=_NEVER)
    missing = LONGEST - padded.shape[1]
    padded = torch.nn.functional.pad(padded, (0, missing), value=_NEVER) if missing > 0 else padded
    return torch.cat((padded.new_zeros(len(padded), 1), padded), dim=1)


# Scores -------------------------------------------------------------------------------------------------------------


def _near_rows(reach: int) -> Callable[[Pairs], NDArray[numpy.float64]]:
    """For each protein of known cut 1 and whether a cut is said at most `reach` residues off."""

    def rows(pairs: Pairs) -> NDArray[numpy.float64]:
        if any("cut" not in answer for _, answer in pairs):
            raise UsageError("This score compares cuts.", remedy="Leave it out for this task.")
        found = []
        for truth, answer in pairs:
            true = truth.mask.count("1") if truth.mask is not None else 0
            if true:
                found.append((1.0, answer["cut"] is not None and abs(answer["cut"] - true) <= reach))
        return numpy.array(found, dtype=numpy.float64).reshape(-1, 2)

    return rows


def _share(sums: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    value: NDArray[numpy.float64] = numpy.divide(
        sums[:, 1], sums[:, 0], out=numpy.full(len(sums), numpy.nan), where=sums[:, 0] > 0
    )
    return value


for _name, _reach, _meaning in (
    ("cut recall", 0, "share of true cuts that are found at the very residue"),
    ("cut recall +-3", 3, "share of true cuts that are found to within three residues"),
):
    METRICS.add(_name, Metric(_name, _meaning, _near_rows(_reach), _share, "no protein is cut", share=True))

"""What an answer can be: a label, a number, or one token a residue.

A target turns a value into a tensor, outputs into a loss, and outputs into the JSON answer that
predictions.jsonl holds. It knows no task; a task is a target with words, data and a place.

    Label   one of K classes for the protein        logits (B, K)  -> {"label", "probability", "set", "probabilities"}
    Number  one quantity with a unit                (B, 2)         -> {"value", "unit", "low", "high"}
    Tokens  one of K letters for every residue      logits (R, K)  -> {"tokens", "probabilities", "sets"}

A calibration is a small dictionary of numbers, fitted on examples that training never saw and kept in
the bundle: a temperature for probabilities (Guo et al. 2017, arXiv 1706.04599), a conformal quantile for
sets and intervals (Angelopoulos & Bates 2021, arXiv 2107.07511). What is promised is promised of PROTEINS: residues
of one protein resemble each other, so the sets of residues are calibrated by proteins too (see `risk_threshold`).
Nine in ten of all proteins may be one in two of a rare class, so a class with rows enough has a promise of its own,
which can only make a set longer (class-conditional conformal sets: Vovk 2012, arXiv 1209.2673).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
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
from anfinsen.models.heads import HeadKind

UNKNOWN = -100
"""A class that is not known; PyTorch's cross-entropy leaves it out."""
SHIFT = "shift "
"""Before the name of a class, the key of its shift in a calibration."""
BESIDE = "beside"
"""The key of how much a plain rule counts that is heard beside the network."""
FOLDS = 5
"""Parts of the calibration proteins of which each is judged by a scaling that was fitted without it."""
COVERAGE = 0.9
"""Share of proteins whose true answer lies in the conformal set or interval."""
CLASS_COVERAGE, CLASS_ROWS = 0.85, 20
"""Share of the proteins of a class whose set holds it, promised from so many calibration rows of that class on."""
FLOOR = "floor "
"""Before the name of a class, the key of the probability above which it always stands in a set."""

Floats = NDArray[numpy.floating[Any]]
Calibration = dict[str, float]
Answer = dict[str, Any]


class Target(ABC):
    """One kind of answer."""

    kind: ClassVar[str]
    per_residue: ClassVar[bool] = False
    per_pair: ClassVar[bool] = False
    """Whether it says something of every two residues of a chain."""
    head: ClassVar[HeadKind]

    @property
    @abstractmethod
    def size(self) -> int:
        """Width of the head's output."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes or letters in the order of the outputs; none for a number."""
        return ()

    @abstractmethod
    def encode(self, example: Example) -> NDArray[Any]:
        """The value as an array: a scalar, or (L,) where one is due for each residue."""

    @abstractmethod
    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """The summed loss and over how many known values it was summed."""

    @abstractmethod
    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        """One protein's outputs, (size,) or (L, size), as its JSON answer."""

    @abstractmethod
    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        """Fit the calibration on outputs for examples whose values are known."""


@dataclass(frozen=True)
class Classes(Target):
    """Names for the whole protein, one output each; `weights` say how much each counts in the loss."""

    classes: tuple[str, ...]
    weights: tuple[float, ...] = ()
    head: ClassVar[HeadKind] = "pooled"

    @property
    def size(self) -> int:
        return len(self.classes)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.classes


@dataclass(frozen=True)
class Label(Classes):
    """One of several classes for the whole protein; `weights` say how much a row of each class counts in the loss."""

    kind: ClassVar[str] = "label"

    def encode(self, example: Example) -> NDArray[Any]:
        if example.value is None:
            return numpy.array(UNKNOWN)
        if example.value not in self.classes:
            raise UsageError(
                f"'{example.value}' is not one of the classes {', '.join(self.classes)}.",
                remedy="Correct the label or leave the row out.",
            )
        return numpy.array(self.classes.index(str(example.value)))

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        return _cross_entropy(outputs, target, self.weights)

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        probabilities = softmax(self._scaled(outputs, calibration))
        best = int(probabilities.argmax())
        usual = calibration.get("threshold", 1.0)
        floors = numpy.array([calibration.get(f"{FLOOR}{name}", usual) for name in self.classes])
        inside = probabilities >= numpy.minimum(usual, floors)
        inside[best] = True
        order = numpy.argsort(-probabilities)
        return {
            "label": self.classes[best],
            "probability": float(probabilities[best]),
            "set": [self.classes[index] for index in order if inside[index]],
            "probabilities": {self.classes[index]: float(probabilities[index]) for index in order},
        }

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        logits = numpy.stack(outputs)
        truth = numpy.array([int(self.encode(example)) for example in examples])
        calibration = self._scaling(logits, truth)
        # a protein that the scaling was fitted on looks a little too familiar: its share is read from a fit without it
        true_share = numpy.zeros(len(truth))
        for fold in range(min(FOLDS, len(truth))):
            out = numpy.arange(len(truth)) % FOLDS == fold
            without = self._scaling(logits[~out], truth[~out]) if (~out).any() else calibration
            true_share[out] = softmax(self._scaled(logits[out], without))[numpy.arange(out.sum()), truth[out]]
        floors = {
            f"{FLOOR}{name}": 1.0 - conformal_quantile(1.0 - true_share[truth == number], CLASS_COVERAGE)
            for number, name in enumerate(self.classes)
            if (truth == number).sum() >= CLASS_ROWS
        }
        return calibration | {"threshold": 1.0 - conformal_quantile(1.0 - true_share), **floors}

    def _scaling(self, logits: Floats, truth: NDArray[Any]) -> Calibration:
        network, plain = logits[:, : self.size], logits[:, self.size :]
        temperature, shifts, weight = fit_scaling(network, truth, plain if plain.shape[1] else None)
        named = {f"{SHIFT}{name}": float(shift) for name, shift in zip(self.classes, shifts, strict=True)}
        heard = {BESIDE: weight} if plain.shape[1] else {}
        return {"temperature": temperature, "n": float(len(truth)), **named, **heard}

    def _scaled(self, logits: Floats, calibration: Calibration) -> Floats:
        """The logits of the network, with those of a plain rule where one was put behind them."""
        shifts = numpy.array([calibration.get(f"{SHIFT}{name}", 0.0) for name in self.classes])
        scaled: Floats = logits[..., : self.size] / calibration.get("temperature", 1.0) + shifts
        if logits.shape[-1] > self.size:
            scaled = scaled + calibration.get(BESIDE, 0.0) * logits[..., self.size :]
        return scaled


@dataclass(frozen=True)
class Tokens(Target):
    """One letter for every residue; `names` says in words what each letter means."""

    letters: tuple[str, ...]
    names: tuple[str, ...] = ()
    head: HeadKind = "residue"  # type: ignore[misc]  # the language model's tokens have a head of their own
    kind: ClassVar[str] = "tokens"
    per_residue: ClassVar[bool] = True

    @property
    def size(self) -> int:
        return len(self.letters)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.letters

    def encode(self, example: Example) -> NDArray[Any]:
        length = len(example.protein)
        if example.value is None:
            return numpy.full(length, UNKNOWN)
        value = str(example.value)
        if len(value) != length or (example.mask is not None and len(example.mask) != length):
            raise UsageError(
                f"'{example.protein.id}' has {length} residues but {len(value)} labels.",
                remedy="Give one label for each residue, or leave the row out; nothing is padded.",
            )
        table = numpy.full(256, UNKNOWN)
        for number, letter in enumerate(self.letters):
            if len(letter) == 1:
                table[ord(letter)] = number
        numbers: NDArray[Any] = table[numpy.frombuffer(value.encode("ascii", "replace"), dtype=numpy.uint8)]
        if example.mask is not None:
            known = numpy.frombuffer(example.mask.encode(), dtype=numpy.uint8) == ord("1")
            numbers = numpy.where(known, numbers, UNKNOWN)
        return numbers

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        return _cross_entropy(outputs, target)

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        probabilities = softmax(outputs / calibration.get("temperature", 1.0))
        best = probabilities.argmax(-1)
        answer: Answer = {
            "tokens": "".join(self.letters[index] for index in best),
            "probabilities": {
                letter: [round(float(share), 4) for share in probabilities[:, number]]
                for number, letter in enumerate(self.letters)
            },
        }
        if "threshold" in calibration:
            inside = probabilities >= calibration["threshold"]
            inside[numpy.arange(len(best)), best] = True
            answer["sets"] = [
                "".join(letter for letter, is_in in zip(self.letters, row, strict=True) if is_in) for row in inside
            ]
        return answer

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        truths = [self.encode(example) for example in examples]
        logits, truth = numpy.concatenate(list(outputs)), numpy.concatenate(truths)
        known = truth != UNKNOWN
        temperature = fit_temperature(logits[known], truth[known])
        shares = [_share_of(output / temperature, one) for output, one in zip(outputs, truths, strict=True)]
        return {"temperature": temperature, "threshold": risk_threshold(shares), "n": float(len(examples))}


@dataclass(frozen=True)
class Number(Target):
    """A quantity; the head gives its place and its spread in units of `spread` around `center`."""

    unit: str
    center: float = 0.0
    spread: float = 1.0
    kind: ClassVar[str] = "number"
    head: ClassVar[HeadKind] = "pooled"

    @property
    def size(self) -> int:
        return 2

    def encode(self, example: Example) -> NDArray[Any]:
        value = numpy.nan if example.value is None else float(example.value)  # type: ignore[arg-type]
        return numpy.array((value - self.center) / self.spread, dtype=numpy.float32)

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """Gaussian log-likelihood, whose spread makes the interval as wide as the protein deserves."""
        known = ~target.isnan()
        place, log_spread = outputs[known].float().unbind(-1)
        log_spread = log_spread.clamp(-3.0, 3.0)
        error = (target[known] - place) ** 2 * (-2 * log_spread).exp()
        return (0.5 * error + log_spread).sum(), int(known.sum())

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        place, spread = self._read(outputs)
        reach = calibration.get("quantile", 1.645) * spread
        return {
            "value": round(float(place), 3),
            "unit": self.unit,
            "low": round(float(place - reach), 3),
            "high": round(float(place + reach), 3),
        }

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        place, spread = self._read(numpy.stack(outputs))
        truth = numpy.array([float(example.value) for example in examples])  # type: ignore[arg-type]
        return {"quantile": conformal_quantile(numpy.abs(truth - place) / spread), "n": float(len(truth))}

    def _read(self, outputs: Floats) -> tuple[Floats, Floats]:
        place = self.center + self.spread * outputs[..., 0]
        return place, self.spread * numpy.exp(outputs[..., 1].clip(-3.0, 3.0))


def softmax(logits: Floats) -> Floats:
    """Probabilities along the last axis."""
    raised = numpy.exp(logits - logits.max(-1, keepdims=True))
    shares: Floats = raised / raised.sum(-1, keepdims=True)
    return shares


def fit_temperature(logits: Floats, truth: NDArray[Any]) -> float:
    """The temperature at which the probabilities are least surprised by the truth."""
    from scipy.optimize import minimize_scalar

    rows = torch.from_numpy(numpy.asarray(logits, dtype=numpy.float32))
    classes = torch.from_numpy(truth.astype(numpy.int64))

    def surprise(log_temperature: float) -> float:
        return float(functional.cross_entropy(rows / float(numpy.exp(log_temperature)), classes))

    return float(numpy.exp(minimize_scalar(surprise, bounds=(-2.5, 2.5), method="bounded").x))


def fit_scaling(
    logits: Floats, truth: NDArray[Any], beside: Floats | None = None, hold: float = 5.0
) -> tuple[float, Floats, float]:
    """A temperature, one shift a class, and the weight of the logits of a second voice, (N, K) as the first.

    Shifts mend class shares that differ between training and use. `hold` pulls them towards zero, as strongly as so
    many examples (vector scaling, Guo et al. 2017).
    """
    from scipy.optimize import minimize

    rows = torch.from_numpy(numpy.asarray(logits, dtype=numpy.float64))
    second = torch.zeros_like(rows) if beside is None else torch.from_numpy(numpy.asarray(beside, dtype=numpy.float64))
    classes = torch.from_numpy(truth.astype(numpy.int64))

    def surprise(settings: NDArray[numpy.float64]) -> tuple[float, NDArray[numpy.float64]]:
        weights = torch.tensor(settings, requires_grad=True)
        shifts = weights[1:-1]
        joined = rows / weights[0].exp() + weights[-1] * second + shifts
        total = functional.cross_entropy(joined, classes, reduction="sum") + hold * (shifts**2).sum()
        total.backward()
        assert weights.grad is not None
        return float(total.detach()), weights.grad.numpy()

    width = logits.shape[1]
    bounds = [(-2.5, 2.5), *[(-5.0, 5.0)] * width, (0.0, 5.0)]
    found = minimize(surprise, numpy.zeros(width + 2), jac=True, method="L-BFGS-B", bounds=bounds)
    return float(numpy.exp(found.x[0])), found.x[1:-1], float(found.x[-1])


def conformal_quantile(scores: Floats, coverage: float = COVERAGE) -> float:
    """The finite-sample quantile that makes `coverage` hold for a new, exchangeable protein."""
    rank = min(len(scores), int(numpy.ceil((len(scores) + 1) * coverage)))
    return float(numpy.sort(scores)[rank - 1])


def risk_threshold(shares: Sequence[Floats], coverage: float = COVERAGE) -> float:
    """The largest threshold at which a new protein's true letters are in their sets for `coverage` of its residues.

    `shares` holds for each protein the probability of each known residue's true letter. Proteins are exchangeable,
    residues of one are not: so every protein counts once, by the share of its residues that are missed, and that risk
    is controlled with the finite-sample term of one more, unseen protein (Angelopoulos et al. 2022, arXiv 2208.02814).
    Below nine proteins nothing can be promised, and the threshold is 0: every letter stays possible.
    """
    known = [part for part in shares if len(part)]
    # a hair of rounding must not decide: sums of many shares are compared with round numbers
    missed_at_most = (1 - coverage) * (len(known) + 1) - 1 + 1e-9
    if missed_at_most < 0:
        return 0.0
    flat = numpy.concatenate(known)
    weights = numpy.concatenate([numpy.full(len(part), 1 / len(part)) for part in known])
    order = numpy.argsort(flat, kind="stable")
    first = int(numpy.searchsorted(weights[order].cumsum(), missed_at_most, side="right"))
    return float(flat[order[min(first, len(flat) - 1)]])


def _share_of(logits: Floats, truth: NDArray[Any]) -> Floats:
    """The probability given to each known residue's true letter."""
    known = numpy.flatnonzero(truth != UNKNOWN)
    shares: Floats = softmax(logits[known])[numpy.arange(len(known)), truth[known]]
    return shares


def _cross_entropy(outputs: Tensor, target: Tensor, weights: Sequence[float] = ()) -> tuple[Tensor, int]:
    each = outputs.new_tensor(weights, dtype=torch.float32) if weights else None
    total = functional.cross_entropy(outputs.float(), target, each, ignore_index=UNKNOWN, reduction="sum")
    return total, int((target != UNKNOWN).sum())

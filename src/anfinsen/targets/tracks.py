"""Several yes-or-no questions about every residue: does it bind a metal, does it bind DNA, does it carry a phosphate?

    Tracks   K questions a residue   logits (R, K)  ->  {"tokens", "probabilities", "letters", "thresholds", "sets"}

Unlike the letters of `Tokens`, the answers do not exclude each other: a residue may bind a metal and a small molecule.
Each question is a track with a name and a letter. Where a track is said to be true its letter stands in `tokens`, of
several the surest one's, and '-' where none is; `probabilities` has a list for each track by its name. The true value
is a string of '1', '0' and, where nobody knows, any other letter; with several tracks a tuple of such strings.

Sites are rare, so one half is no good threshold. The calibration holds for each track a shift that makes its
probabilities honest, the threshold of the best F1 (or MCC), and a lower one, the floor: of the true sites of a new
protein, nine in ten stand in `sets`, which names the tracks that are not ruled out (risk control by proteins, see
`targets`). Where every protein is taken to have sites, each gets a threshold of its own: that of the best F score which
its probabilities lead to expect (Lipton et al. 2014, arXiv 1402.1892). In it recall counts half as much as precision,
since where the network is unsure the best F1 is had by naming twice as many residues as there are sites. The scores
are in `sites`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, ClassVar

import numpy
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.models.heads import HeadKind
from anfinsen.targets.base import SHIFT, Answer, Calibration, Floats, Target, risk_threshold
from anfinsen.targets.labels import fit_each

NONE = "-"
"""The letter of a residue for which no track is said to be true."""
THRESHOLD, FLOOR = "threshold ", "floor "
"""Before the name of a track, the keys in a calibration of what is said and of what is not ruled out."""
DIGITS = 4
_EVEN = 0.5
_RECALL = 0.5
"""How much recall counts beside precision in what is named of a protein: the square of beta in F-beta."""


@dataclass(frozen=True)
class Tracks(Target):
    """Yes or no for every residue, once for each track; `weights` say how much more a yes counts than a no."""

    names: tuple[str, ...]
    letters: tuple[str, ...]
    weights: tuple[float, ...] = ()
    has_sites: bool = False
    """Whether every protein is taken to have sites: each then gets the threshold of the best score to be expected."""
    kind: ClassVar[str] = "tracks"
    per_residue: ClassVar[bool] = True
    head: ClassVar[HeadKind] = "residue"

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.names

    def encode(self, example: Example) -> NDArray[Any]:
        """1 for yes, 0 for no, NaN where unknown: (L, K)."""
        if example.value is None:
            return numpy.full((len(example.protein), self.size), numpy.nan, dtype=numpy.float32)
        return known_sites(example, self.size).astype(numpy.float32)

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """Binary cross-entropy over the known answers."""
        known = ~target.isnan()
        weights = outputs.new_tensor(self.weights).expand_as(outputs)[known] if self.weights else None
        total = functional.binary_cross_entropy_with_logits(
            outputs.float()[known], target[known], pos_weight=weights, reduction="sum"
        )
        return total, int(known.sum())

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        shares = self._shares(outputs, calibration).round(DIGITS)
        thresholds = numpy.array([calibration.get(f"{THRESHOLD}{name}", _EVEN) for name in self.names])
        if self.has_sites:
            thresholds[:] = expected_threshold(shares)
        answer: Answer = {
            "tokens": self._tokens(shares, thresholds),
            "probabilities": {name: [float(p) for p in shares[:, track]] for track, name in enumerate(self.names)},
            "letters": dict(zip(self.names, self.letters, strict=True)),
            "thresholds": {name: float(one) for name, one in zip(self.names, thresholds, strict=True)},
        }
        if f"{FLOOR}{self.names[0]}" in calibration:
            floors = numpy.array([calibration[f"{FLOOR}{name}"] for name in self.names])
            rows = shares >= numpy.minimum(floors, thresholds)
            answer["sets"] = ["".join(compress(self.letters, row)) for row in rows.tolist()]
        return answer

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        truths = [self.encode(example).astype(numpy.float64) for example in examples]
        logits, truth = numpy.concatenate(list(outputs)).astype(numpy.float64), numpy.concatenate(truths)
        temperature, shifts = fit_each(logits, truth)
        calibration = {"temperature": temperature, "n": float(len(examples))}
        calibration |= {f"{SHIFT}{name}": float(one) for name, one in zip(self.names, shifts, strict=True)}
        shares = [self._shares(output, calibration).round(DIGITS) for output in outputs]
        for track, name in enumerate(self.names):
            of_track = [(part[:, track], true[:, track]) for part, true in zip(shares, truths, strict=True)]
            said, true = (numpy.concatenate(side) for side in zip(*of_track, strict=True))
            if not self.has_sites:
                calibration[f"{THRESHOLD}{name}"] = best_threshold(said, true)
            calibration[f"{FLOOR}{name}"] = risk_threshold([part[true == 1] for part, true in of_track])
        return calibration

    def _shares(self, logits: Floats, calibration: Calibration) -> Floats:
        """Probabilities, (L, K)."""
        shifts = numpy.array([calibration.get(f"{SHIFT}{name}", 0.0) for name in self.names])
        scaled = numpy.asarray(logits, dtype=numpy.float64) / calibration.get("temperature", 1.0) + shifts
        shares: Floats = 1.0 / (1.0 + numpy.exp(-scaled.clip(-60, 60)))
        return shares

    def _tokens(self, shares: Floats, thresholds: Floats) -> str:
        """The letter of the track that is furthest above its threshold, or `NONE`."""
        above = (shares - thresholds) / (1.0 - thresholds).clip(1e-9)
        best = above.argmax(1)
        is_said: NDArray[numpy.bool_] = numpy.any(shares >= thresholds, axis=1)
        return "".join(self.letters[one] if said else NONE for one, said in zip(best, is_said, strict=True))


def known_sites(example: Example, tracks: int) -> NDArray[numpy.float64]:
    """What is known of an example, 1, 0 or NaN: (L, K); refuses another count than residues."""
    length = len(example.protein)
    texts = example.names
    if len(texts) != tracks or any(len(one) != length for one in (*texts, example.mask or texts[0])):
        raise UsageError(
            f"'{example.protein.id}' has {length} residues and {tracks} tracks, but its answer has "
            f"{' and '.join(str(len(one)) for one in texts)} letters.",
            remedy="Give for each track one letter a residue, 1, 0 or - where unknown; nothing is padded.",
        )
    table = numpy.full(256, numpy.nan)
    table[ord("0")], table[ord("1")] = 0.0, 1.0
    letters = [numpy.frombuffer(one.encode("ascii", "replace"), dtype=numpy.uint8) for one in texts]
    sites: NDArray[numpy.float64] = table[numpy.stack(letters, axis=1)]
    if example.mask is not None:
        sites[[letter != "1" for letter in example.mask]] = numpy.nan
    return sites


def expected_threshold(shares: Floats) -> float:
    """The probability from which on 'yes' has the best F score that is to be expected, over all K tracks: (L, K).

    >>> expected_threshold(numpy.array([[0.1], [0.8], [0.7], [0.1]]))
    0.7
    """
    surest = shares.max(1)
    order = numpy.argsort(-surest, kind="stable")
    hits = (1 - (1 - shares).prod(1))[order].cumsum()  # expected true sites among the surest
    if not len(hits) or hits[-1] <= 0:
        return _EVEN
    expected = hits / (numpy.arange(1, len(hits) + 1) + _RECALL * hits[-1])  # but for a factor
    return float(surest[order[expected.argmax()]])


def best_threshold(shares: Floats, truth: Floats) -> float:
    """The probability from which on 'yes' gives the best F1 over all known residues; one half where nothing is true."""
    known = ~numpy.isnan(truth)
    shares, truth = shares[known], truth[known]
    if not truth.any():
        return _EVEN
    order = numpy.argsort(-shares, kind="stable")
    ends = numpy.flatnonzero(numpy.diff(shares[order], append=-1.0))  # equal probabilities are said together
    hits = truth[order].cumsum()[ends]
    best = int((2 * hits / (ends + 1 + truth.sum())).argmax())
    return float(shares[order][ends[best]])

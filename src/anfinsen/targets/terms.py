"""Any set of terms that is closed upwards: who works in the nucleolus works in the nucleus. The answer of GO.

    Terms    outputs (B, N) -> yes or no for each term, raised to the likeliest of what stands below it
             {"labels": [{"label", "probability", "name"}], "kin": {"identity", "labels"}}

A term is always at least as likely as what is narrower, so no answer contradicts the ontology. A root ('it has some
molecular function') is never asked for and never scored. Of an aspect in which nobody has looked at a protein nothing
is known: it is left out of the loss and of the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.models.heads import HeadKind
from anfinsen.targets.base import Answer, Calibration, Classes, Floats
from anfinsen.targets.hierarchy import EMPTY, Hierarchy, information, named
from anfinsen.targets.voices import Voices, fit_voices

LEAST = 0.01
"""Terms with a smaller probability are left out of an answer."""
CALLED = 0.5
"""Probability from which a term counts as said."""


@dataclass(frozen=True)
class Terms(Classes):
    """Terms of an ontology, each of whose aspects is a part with a root of its own."""

    hierarchy: Hierarchy = EMPTY
    kind: ClassVar[str] = "terms"
    head: ClassVar[HeadKind] = "centres"

    @cached_property
    def aspect(self) -> NDArray[numpy.int64]:
        """The number of each term's root, from 0 in the order of the roots: (N,)."""
        roots = [at for at, parents in enumerate(self.hierarchy.parents) if not parents]
        of: list[int] = []
        for at, parents in enumerate(self.hierarchy.parents):
            of.append(of[parents[0]] if parents else roots.index(at))
        return numpy.array(of, dtype=numpy.int64)

    @cached_property
    def is_root(self) -> NDArray[numpy.bool_]:
        """Which terms have nothing above them: (N,)."""
        return numpy.array([not parents for parents in self.hierarchy.parents], dtype=bool)

    def encode(self, example: Example) -> NDArray[Any]:
        """1 for a term that holds, 0 for one that does not, NaN in an aspect without any term: (N,)."""
        row = numpy.full(self.size, numpy.nan, dtype=numpy.float32)
        if example.value is None:
            return row
        places = self.hierarchy.place
        known = {places[name] for name in example.names if name in places}
        if not known:
            raise UsageError(
                f"None of the {len(example.names)} terms of '{example.protein.id}' is among those that can be learnt.",
                remedy="Leave the row out, or give terms of the Gene Ontology with all that stand above them.",
            )
        holds = list(self.hierarchy.upwards(known))
        row[numpy.isin(self.aspect, self.aspect[holds])] = 0.0
        row[holds] = 1.0
        return row

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """Binary cross-entropy over the known aspects; the count is of terms that hold, so that rare ones matter."""
        truth = target.view_as(outputs)
        known = ~truth.isnan()
        known[:, torch.from_numpy(self.is_root).to(outputs.device)] = False
        total = functional.binary_cross_entropy_with_logits(outputs.float()[known], truth[known], reduction="sum")
        return total, int(truth[known].sum())

    def shares(self, outputs: Floats) -> NDArray[numpy.float64]:
        """The network's chance of each term, before anything is raised: (..., N)."""
        chances: NDArray[numpy.float64] = 1 / (
            1 + numpy.exp(-numpy.asarray(outputs, dtype=numpy.float64).clip(-60, 60))
        )
        return chances

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        voices = Voices.of(outputs, self.size)
        weighed = voices.weighed(self.shares(voices.network), self.aspect, calibration)
        shares = self.hierarchy.raised(weighed)
        answer = self.form(shares)
        if voices.was_asked:
            answer["kin"] = {"identity": voices.identity or None, "labels": self._entries(voices.votes)}
        return answer

    def form(self, shares: NDArray[numpy.float64]) -> Answer:
        """Shares of the terms (N,) as an answer."""
        return {"labels": self._entries(shares)}

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        """How much the network and the relatives count in each aspect."""
        truth = numpy.stack([self.encode(example) for example in examples])
        voices = [Voices.of(one, self.size) for one in outputs]
        network = self.shares(numpy.stack([one.network for one in voices]))
        known = ~numpy.isnan(truth) & ~self.is_root
        found = fit_voices(network, voices, truth > 0, self.aspect, known)
        return found | {"n": float(len(examples))}

    def _entries(self, shares: NDArray[numpy.float64]) -> list[Answer]:
        """What is likely first, of that what tells the most; then the rest by what may be expected to be told."""
        order = numpy.lexsort((-shares * self._told, -self._told * (shares >= CALLED)))
        return [
            named(self.hierarchy, int(at), float(shares[at]))
            for at in order
            if shares[at] > LEAST and not self.is_root[at]
        ]

    @cached_property
    def _told(self) -> NDArray[numpy.float64]:
        """What each term tells with all that stands above it, in bits: (N,)."""
        bits = information(self.hierarchy)
        return numpy.array([bits[list(self.hierarchy.upwards([at]))].sum() for at in range(self.size)])

"""One path down a tree of names, as far as it is certain: the answer of the enzyme number.

    Tree     outputs (B, N) -> among the children of each parent a softmax -> the chance of every name
             {"labels": [{"label", "probability"}], "said", "whole", "kin": {"identity", "labels"}, "source"}

The first label is the one that is said: the deepest name that is more likely right than wrong. The others follow, the
likeliest first. Where nothing is likely, not even a name of the first level, 'unknown' is said. `whole` is the best
guess at names of the last level, which may be less likely right than wrong; none where it would be idle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.models.heads import HeadKind
from anfinsen.targets.annotation import LEVELS, called, weighted_f1
from anfinsen.targets.base import Answer, Calibration, Classes, Floats
from anfinsen.targets.hierarchy import EMPTY, Hierarchy, named, siblings
from anfinsen.targets.voices import Voices, fit_voices

LEAST = 0.01
"""Names with a smaller probability are left out of an answer."""
SAID = 0.5
"""Probability from which a name counts as said."""
UNKNOWN_NAME = "unknown"
_GUESS = "least of a guess"
_FIRST = "relatives first"
_GUESSES = (0.01, 0.03, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Shares that the likeliest whole number may need to be guessed; the calibration takes the one of the best F1."""


@dataclass(frozen=True)
class Tree(Classes):
    """A path down a hierarchy in which every name has one parent; several paths where a protein has several."""

    hierarchy: Hierarchy = EMPTY
    kind: ClassVar[str] = "tree"
    head: ClassVar[HeadKind] = "centres"

    def encode(self, example: Example) -> NDArray[Any]:
        """How the true paths pass through the names: 1 at each level in all, NaN where nothing is known: (N,)."""
        row = numpy.full(self.size, numpy.nan, dtype=numpy.float32)
        if example.value is None:
            return row
        places = self.hierarchy.place
        for name in example.names:
            if name not in places:
                raise UsageError(
                    f"'{name}' is not one of the {self.size:,} names that can be learnt.",
                    remedy="Shorten it to a level that exists, or leave the row out.",
                )
        row[:] = 0.0
        for name in example.names:
            for at in self.hierarchy.upwards([places[name]]):
                row[at] += 1 / len(example.names)
        return row

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """Cross-entropy among the children of each parent on the true paths; the count is of levels."""
        truth = target.view_as(outputs)
        known = ~truth.isnan().any(-1)
        logs = self.log_shares(outputs[known].float())
        total = -(truth[known] * logs).sum()
        return total, round(float(truth[known].sum()))

    @cached_property
    def _family(self) -> NDArray[numpy.int64]:
        return siblings(self.hierarchy)

    def log_shares(self, outputs: Tensor) -> Tensor:
        """The logarithm of each name's share among its parent's children: (B, N) -> (B, N)."""
        family = torch.from_numpy(self._family).to(outputs.device)
        raised = (outputs - outputs.detach().amax(-1, keepdim=True)).exp()
        sums = outputs.new_zeros(len(outputs), int(self._family.max(initial=0)) + 1).index_add(1, family, raised)
        return raised.clamp(min=1e-30).log() - sums.clamp(min=1e-30).log()[:, family]

    def shares(self, outputs: Floats) -> NDArray[numpy.float64]:
        """The network's chance of each name, that of a child within that of its parent: (..., N)."""
        rows = torch.from_numpy(numpy.atleast_2d(numpy.asarray(outputs, dtype=numpy.float32)))
        logs: NDArray[numpy.float64] = self.log_shares(rows).double().numpy()
        for at, parents in enumerate(self.hierarchy.parents):
            if parents:
                logs[:, at] += logs[:, parents[0]]
        return numpy.exp(logs).reshape(numpy.shape(outputs))

    def answer(self, outputs: Floats, calibration: Calibration) -> Answer:
        voices = Voices.of(outputs, self.size)
        network = self.shares(voices.network)
        shares = self.hierarchy.lowered(voices.weighed(network, self.hierarchy.level, calibration))
        answer = self.form(shares)
        least, first = calibration.get(_GUESS, 0.0), calibration.get(_FIRST, 1.0) > 0
        answer["whole"] = self._whole(answer["labels"], voices, least, first)
        if voices.was_asked:
            answer["kin"] = {"identity": voices.identity or None, "labels": self._listed(voices.votes)}
            answer["source"] = self._source(self.said(shares), network, voices)
        return answer

    def form(self, shares: NDArray[numpy.float64]) -> Answer:
        """Shares of the names (N,) as an answer: what is said first, then the likeliest."""
        said = self.said(shares)
        listed = [int(at) for at in numpy.argsort(-shares, kind="stable") if shares[at] > LEAST]
        labels = self._entries(list(dict.fromkeys([*([] if said is None else [said]), *listed])), shares)
        whole = sorted(called({one["label"]: one["probability"] for one in labels}))
        return {"labels": labels, "said": UNKNOWN_NAME if said is None else self.classes[said], "whole": whole}

    def said(self, shares: NDArray[numpy.float64]) -> int | None:
        """The deepest name that is more likely right than wrong, the likeliest where there are two; None for none."""
        likely = numpy.flatnonzero(shares >= SAID)
        if not len(likely):
            return None
        return int(max(likely, key=lambda at: (self.hierarchy.level[at], shares[at])))

    def calibrate(self, outputs: Sequence[Floats], examples: Sequence[Example]) -> Calibration:
        """How much the network and the relatives count at each level, so that the probabilities are honest."""
        truth = numpy.stack([self.encode(example) for example in examples]) > 0
        voices = [Voices.of(one, self.size) for one in outputs]
        network = self.shares(numpy.stack([one.network for one in voices]))
        calibration = fit_voices(network, voices, truth, self.hierarchy.level) | {"n": float(len(examples))}
        deepest = self.hierarchy.level == LEVELS - 1
        true = [{self.classes[at] for at in numpy.flatnonzero(row & deepest)} for row in truth]
        listed = [self.answer(one, calibration)["labels"] for one in outputs]
        scores = {}
        for least, first in product(_GUESSES, (1.0, 0.0)):
            said = [set(self._whole(*one, least, first > 0)) for one in zip(listed, voices, strict=True)]
            scores[least, first] = weighted_f1(list(zip(true, said, strict=True)))
        least, first = max(scores, key=lambda way: scores[way])
        return calibration | {_GUESS: least, _FIRST: first}

    def _whole(self, labels: Sequence[Answer], voices: Voices, least: float, relatives_first: bool) -> list[str]:
        """The best guess at whole numbers: of the relatives alone where there are some, or of all voices together."""
        if relatives_first and voices.votes.max(initial=0.0) > LEAST:
            return sorted(called(self._shares(voices.votes)))
        return sorted(called({one["label"]: one["probability"] for one in labels}, least))

    def _shares(self, votes: NDArray[numpy.float64]) -> dict[str, float]:
        return {self.classes[at]: float(votes[at]) for at in numpy.flatnonzero(votes > LEAST)}

    def _listed(self, shares: NDArray[numpy.float64]) -> list[Answer]:
        """The names with a share worth telling, the likeliest first."""
        order = numpy.argsort(-shares, kind="stable")
        return self._entries([int(at) for at in order if shares[at] > LEAST], shares)

    def _entries(self, places: Sequence[int], shares: NDArray[numpy.float64]) -> list[Answer]:
        entries = [named(self.hierarchy, at, float(shares[at])) for at in places]
        # 'a hydrolase, which cuts a bond with the help of water' is explained where it is said, not in every list
        return [one | {"name": one["name"].partition(", which")[0]} if "name" in one else one for one in entries]

    def _source(self, said: int | None, network: NDArray[numpy.float64], voices: Voices) -> str:
        """Who stands behind what is said: 'homology', 'network' or 'both'; 'nobody' where nothing is."""
        if said is None:
            return "nobody"
        same_level = self.hierarchy.level == self.hierarchy.level[said]
        by_network = network[said] >= network[same_level].max()
        by_relatives = voices.votes[said] > 0
        return "both" if by_network and by_relatives else "homology" if by_relatives else "network"

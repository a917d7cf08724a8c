"""Two voices about one protein, and how much each counts: the network, and the relatives that it was taught with.

    outputs of the head (N,)  +  votes of relatives (N,), how sure the best for each name is  ->  one probability a name

Where homology is plain it is usually right; where no relative is found only the network can speak; between the two
both know something. How much each counts is learnt by a logistic regression for each group of names (a level of the
enzyme number, an aspect of the Gene Ontology) on proteins that neither has seen: `fit_voices`. Stacking, Wolpert 1992.
It knows no task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from anfinsen.targets.base import Calibration, Floats

Shares = NDArray[numpy.float64]

_FEATURES = ("base", "network", "votes", "sure", "surest", "surest network")
_CLIP = 9.0
_CANDIDATE = 0.003
"""Chance by the network from which a name without a vote is looked at when the weights are learnt."""
_FEWEST = 20


class Voices(NamedTuple):
    """What the network says, outputs (N,), and what the relatives say, votes (N,) between 0 and 1."""

    network: Floats
    votes: Shares
    sureness: Shares
    """How little chance explains the best relative of each name: minus the decimal logarithm of its E-value, over 10;
    between 0 and 1, (N,).
    """
    identity: float
    """Identity of the best relative, 0 to 1; 0 where none is proven."""
    was_asked: bool = True
    """Whether relatives were looked for at all."""

    @classmethod
    def of(cls, outputs: Floats, size: int) -> Voices:
        """The voices out of one row: the head's `size` outputs alone, or with what relatives say behind them."""
        if len(outputs) == size:
            silence = numpy.zeros(size)
            return cls(outputs, silence, silence, 0.0, False)
        network, votes, sureness, (identity,) = numpy.split(outputs, numpy.arange(1, 4) * size)
        return cls(network, votes.astype(float), sureness.astype(float), float(identity))

    def row(self) -> Floats:
        """The same as one row (3 N + 1,)."""
        parts = (self.network, self.votes, self.sureness, numpy.array([self.identity]))
        row: Floats = numpy.concatenate(parts).astype(numpy.float32)
        return row

    def weighed(self, chances: Shares, groups: NDArray[numpy.int64], calibration: Calibration) -> Shares:
        """One probability a name from the network's `chances` and the votes: (N,)."""
        features = _features(chances, self)
        weights = numpy.zeros((int(groups.max(initial=0)) + 1, len(_FEATURES)))
        for group, row in enumerate(weights):
            # without a calibration the network speaks alone, and relatives by how sure they are
            default = {"network": 1.0, "sure": 8.0}
            row[:] = [calibration.get(_key(group, name), default.get(name, 0.0)) for name in _FEATURES]
        scores = (features * weights[groups]).sum(1)
        probabilities: Shares = 1 / (1 + numpy.exp(-scores))
        return probabilities


def fit_voices(
    chances: Shares,
    voices: Sequence[Voices],
    truth: NDArray[numpy.bool_],
    groups: NDArray[numpy.int64],
    known: NDArray[numpy.bool_] | None = None,
) -> Calibration:
    """The weights of both voices in each group of names, from B proteins: chances, truth and what is known, (B, N)."""
    from sklearn.linear_model import LogisticRegression  # to weigh voices takes it, to hear them does not

    rows = numpy.stack([_features(chance, voice) for chance, voice in zip(chances, voices, strict=True)])
    looked_at = (chances >= _CANDIDATE) | (numpy.stack([voice.votes for voice in voices]) > 0)
    if known is not None:
        looked_at &= known
    calibration: Calibration = {}
    for group in range(int(groups.max(initial=0)) + 1):
        chosen = looked_at & (groups == group)
        known, holds = rows[chosen], truth[chosen]
        if min(holds.sum(), (~holds).sum()) < _FEWEST:
            continue
        model = LogisticRegression(C=10.0, fit_intercept=False, max_iter=1000).fit(known, holds)
        calibration |= {
            _key(group, name): float(weight) for name, weight in zip(_FEATURES, model.coef_[0], strict=True)
        }
    return calibration


def _features(chances: Shares, voices: Voices) -> Shares:
    """What the probability of each name is judged by: (N, features)."""
    clipped = numpy.asarray(chances, dtype=numpy.float64).clip(1e-9, 1 - 1e-9)
    logits = numpy.log(clipped / (1 - clipped)).clip(-_CLIP, _CLIP)
    surest = numpy.full(len(logits), voices.sureness.max(initial=0.0))
    # the surer the best relative, the less the network need be heard
    told = [numpy.ones(len(logits)), logits, voices.votes, voices.sureness, surest, logits * surest]
    return numpy.stack(told, axis=1)


def _key(group: int, name: str) -> str:
    return f"{name} {group + 1}"

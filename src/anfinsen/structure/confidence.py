"""How far to trust a built structure: pLDDT of each residue, the expected error of each pair, words and colours.

    distogram + structure -> agreement (L,)      the lDDT that the distogram expects of this very structure
                          -> expected_errors (L, L)  by how much it expects each distance to be wrong
    agreement + the network's own guess -> plddt (L,)  0 to 100, through three numbers that were fitted on other chains

pLDDT is the expected lDDT-CA in percent (Jumper et al. 2021, Nature 596:583); the bands, their words and their colours
are those of the AlphaFold database. The banded palette makes 70.1 look much better than 69.9, so wherever it is used
the number and the word stand beside it. It knows no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray
from scipy.optimize import minimize

from anfinsen.structure.distogram import Distogram, centres
from anfinsen.structure.geometry import Points, distances
from anfinsen.structure.scores import RADIUS, tm_scale

Floats = NDArray[numpy.floating[Any]]
Calibration = Mapping[str, float]

TOLERANCES = (0.5, 1.0, 2.0, 4.0)
"""Ångström by which a distance may be wrong, each a quarter of an lDDT."""
LARGEST_ERROR = 31.75
"""Ångström beyond which an expected error is not told apart, as in AlphaFold's matrices."""
KEYS = ("pLDDT offset", "pLDDT agreement", "pLDDT network", "error scale")
"""Names of the fitted numbers in a bundle's calibration."""
UNFITTED: Calibration = {KEYS[0]: 0.0, KEYS[1]: 1.0, KEYS[2]: 0.0, KEYS[3]: 1.0}
"""What holds where nothing was fitted: the agreement as it is."""
_NEAREST, _BEYOND = 2.0, 8.0


@dataclass(frozen=True)
class Band:
    """A range of pLDDT with AlphaFold's word and colour for it; it holds what is above `above`."""

    above: float
    word: str
    colour: str
    meaning: str


BANDS = (
    Band(90.0, "very high", "#0053D6", "the backbone is expected to be right, mostly with its details"),
    Band(70.0, "confident", "#65CBF3", "the backbone is expected to be right"),
    Band(50.0, "low", "#FFDB13", "treat it with caution"),
    Band(-numpy.inf, "very low", "#FF7D45", "do not interpret it; it may be wrong or disordered"),
)
"""The bands of the AlphaFold database, the best first; an edge belongs to the band below, as in its legend ('> 90')."""


def band(plddt: float) -> Band:
    """The band of one pLDDT, 0 to 100.

    >>> [band(value).word for value in (49.9, 50, 50.1, 69.9, 70, 70.1, 89.9, 90, 90.1)]
    ['very low', 'very low', 'low', 'low', 'low', 'confident', 'confident', 'confident', 'very high']
    """
    return next(one for one in BANDS if plddt > one.above)


def agreement(distogram: Distogram, betas: Points) -> Floats:
    """The lDDT that the distogram expects each residue of a structure to have, (L,), 0 to 1; `betas` is (L, 3)."""
    apart = distances(betas)
    cumulated, ends = _cumulated(distogram)
    right = numpy.zeros(apart.shape)
    for tolerance in TOLERANCES:
        highest, lowest = (numpy.minimum(apart + sign * tolerance, RADIUS) for sign in (1, -1))
        right += (_below(cumulated, ends, highest) - _below(cumulated, ends, lowest)) / len(TOLERANCES)
    near = _below(cumulated, ends, numpy.full(apart.shape, RADIUS))
    numpy.fill_diagonal(right, 0.0)
    numpy.fill_diagonal(near, 0.0)
    expected: Floats = right.sum(1) / numpy.maximum(near.sum(1), 1e-6)
    return numpy.clip(expected, 0.0, 1.0)


def expected_errors(distogram: Distogram, betas: Points) -> Floats:
    """By how many ångström the distogram expects each distance of a structure to be wrong, (L, L)."""
    apart = distances(betas)
    middles = centres(distogram.edges)
    wrong = numpy.abs(apart[..., None] - middles)
    last = float(distogram.edges[-1])
    # who is told only 'beyond the last edge' knows less the farther it is
    wrong[..., -1] = numpy.where(apart < last, last + _BEYOND / 2 - apart, _BEYOND / 2 + 0.25 * (apart - last))
    found: Floats = (distogram.probabilities * wrong).sum(-1)
    numpy.fill_diagonal(found, 0.0)
    return found


def plddt(agreed: Floats, network: Floats | None, calibration: Calibration) -> Floats:
    """pLDDT of each residue, (L,), 0 to 100, rising with the agreement and with the network's own guess."""
    told = {**UNFITTED, **calibration}
    score = told[KEYS[0]] + told[KEYS[1]] * _logit(agreed)
    if network is not None:
        score = score + told[KEYS[2]] * _logit(network)
    sure: Floats = 100 / (1 + numpy.exp(-score))
    return sure


def errors(expected: Floats, calibration: Calibration) -> Floats:
    """The expected error of each pair in ångström, (L, L), 0 to `LARGEST_ERROR`, at the scale that was fitted."""
    scaled: Floats = numpy.clip(({**UNFITTED, **calibration})[KEYS[3]] * expected, 0.0, LARGEST_ERROR)
    return scaled


def predicted_tm(expected: Floats) -> float:
    """The TM-score that the errors (L, L) promise: of the residue from whose place the others look best."""
    likely = 1 / (1 + (expected / tm_scale(len(expected))) ** 2)
    return float(likely.mean(1).max())


def aligned_errors(truth: Points, model: Points) -> Floats:
    """How far residue j of the model is from its true place when N, CA, C of residue i are laid upon the true ones.

    `truth` and `model` hold N, CA, C (and more) of each residue, (L, 3 or more, 3); the answer is (L, L), capped.
    """
    told = [_seen_from_each(points) for points in (truth, model)]
    apart: Floats = numpy.linalg.norm(told[0] - told[1], axis=-1)
    return numpy.minimum(apart, LARGEST_ERROR)


def fit(
    agreed: Sequence[Floats], network: Sequence[Floats] | None, truth: Sequence[Floats], scale: float = 1.0
) -> dict[str, float]:
    """The numbers at which pLDDT is least surprised by the true lDDT (0 to 1) of chains that no training saw.

    Each list holds one (L,) a chain, NaN where no lDDT is known; every chain counts the same. `scale` is of errors.
    """
    known = [~numpy.isnan(one) for one in truth]
    right = numpy.concatenate([one[mask] for one, mask in zip(truth, known, strict=True)])
    rows: list[Floats] = [_logit(numpy.concatenate([one[mask] for one, mask in zip(agreed, known, strict=True)]))]
    if network is not None:
        rows.append(_logit(numpy.concatenate([one[mask] for one, mask in zip(network, known, strict=True)])))
    weight = numpy.concatenate([numpy.full(mask.sum(), 1 / max(1, mask.sum())) for mask in known])
    features = numpy.stack([numpy.ones(len(right)), *rows], 1)

    def surprise(settings: Floats) -> tuple[float, Floats]:
        score = features @ settings
        loss = numpy.logaddexp(0.0, score) - right * score
        slope = 1 / (1 + numpy.exp(-score)) - right
        return float((weight * loss).sum()), features.T @ (weight * slope)

    start = numpy.array([0.0, 1.0, *([0.0] * (len(rows) - 1))])
    bounds = [(-5.0, 5.0), *([(0.0, 5.0)] * len(rows))]  # never falling: more agreement is never less confidence
    found = minimize(surprise, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return dict(zip(KEYS, (*map(float, found), *([0.0] * (2 - len(rows))), scale), strict=True))


def _seen_from_each(points: Points) -> Floats:
    """CA of each residue as each residue sees it, (L, L, 3), in the axes of its own N, CA and C."""
    nitrogen, alpha, carbon = points[:, 0], points[:, 1], points[:, 2]
    first = _unit(carbon - alpha)
    aside = nitrogen - alpha
    second = _unit(aside - (aside * first).sum(-1, keepdims=True) * first)
    axes = numpy.stack([first, second, numpy.cross(first, second)], axis=1)
    seen: Floats = numpy.einsum("iac,ijc->ija", axes, alpha[None] - alpha[:, None])
    return seen


def _unit(vectors: Floats) -> Floats:
    found: Floats = vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return found


def _logit(shares: Floats) -> Floats:
    kept = numpy.clip(shares, 1e-3, 1 - 1e-3)
    found: Floats = numpy.log(kept / (1 - kept))
    return found


def _cumulated(distogram: Distogram) -> tuple[Floats, Floats]:
    """The probability below each end of the bins, (L, L, B + 1), and the ends, (B + 1,), the open ones closed."""
    sums = numpy.cumsum(distogram.probabilities, axis=-1)
    sums = numpy.concatenate([numpy.zeros((*sums.shape[:2], 1), sums.dtype), sums], axis=-1)
    ends = numpy.concatenate(([_NEAREST], distogram.edges, [distogram.edges[-1] + _BEYOND]))
    return sums, ends


def _below(cumulated: Floats, ends: Floats, cutoff: Floats) -> Floats:
    """The probability of each pair to be nearer than its own cutoff, (L, L), even within a bin."""
    left = numpy.clip(numpy.searchsorted(ends, cutoff, side="right") - 1, 0, len(ends) - 2)
    share = numpy.clip((cutoff - ends[left]) / (ends[left + 1] - ends[left]), 0.0, 1.0)
    start = numpy.take_along_axis(cumulated, left[..., None], -1)[..., 0]
    end = numpy.take_along_axis(cumulated, left[..., None] + 1, -1)[..., 0]
    found: Floats = start + share * (end - start)
    return found

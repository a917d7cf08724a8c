"""What known structures lend to a distogram: their distances, as far as the alignment and the network bear them out.

    Distogram + templates -> for each pair: the network's distribution, and one around each template's distance
                          -> Distogram (their mixture) and the share that each template has in it

    log weight of a template      offset + evidence (its E-value) + agreement (what the network says of its distances)
                                  + doubt (how unsure the network is of the pair); the network's own is 0
    log spread of what it lends   offset + identity + surroundings (fit of the alignment at both ends) + distance

The eight numbers are fitted on chains that no training saw. Where no template reaches, nothing changes. It knows no
network and no bank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from anfinsen.structure.distogram import Distogram
from anfinsen.structure.geometry import CONTACT

Floats = NDArray[numpy.floating[Any]]
Places = NDArray[numpy.integer[Any]]

KEYS = (
    "template offset",
    "template evidence",
    "template agreement",
    "template doubt",
    "spread offset",
    "spread identity",
    "spread surroundings",
    "spread distance",
)
"""Names of the fitted numbers in a bundle's calibration."""
START = (-3.0, 4.0, 0.8, 0.5, 0.3, -0.5, -0.3, 0.4)
"""Where the fit begins."""
NEAR, LOCAL = 12.0, 6
"""Ångström within which, and least separation at which, the network is asked what it thinks of a template's pair."""
FIRST_PAIR = 3
"""Least separation of a pair that is fitted on."""
CONTACT_COUNTS = 5.0
"""What the question 'contact or not' counts beside the distance in the fit, as in the training of the network."""
USED = 0.1
"""Share in the pairs it covers from which on a template counts, and is named."""
_NEVER = -1e4
_FEWEST = 20
_DECADES = 10.0


@dataclass(frozen=True, eq=False)
class Template:
    """A known structure laid along a protein of L residues."""

    id: str
    """Whose structure it is."""
    identity: float
    """Of the alignment, gaps counted, 0 to 1."""
    coverage: float
    """Share of the protein's residues that stand beside one of its own."""
    e_value: float
    """How many chains so alike a search would find by chance."""
    alphas: Floats
    """Its CA beside each residue, (L, 3) in ångström, NaN where there is none."""
    betas: Floats
    """The same of CB."""
    fit: Floats
    """How well the alignment fits around each residue, (L,), in half bits a residue."""

    def within(self, first: int, length: int) -> Template:
        """The same laid along a longer chain, in which the protein begins at `first`."""
        after = length - first - len(self.fit)
        coverage = self.coverage * len(self.fit) / length
        alphas, betas = (
            numpy.pad(one, ((first, after), (0, 0)), constant_values=numpy.nan) for one in (self.alphas, self.betas)
        )
        fit = numpy.pad(self.fit, (first, after))
        return replace(self, coverage=coverage, alphas=alphas, betas=betas, fit=fit)


@dataclass(frozen=True, eq=False)
class Lending:
    """P pairs of one protein: what the network and T templates say of each."""

    shares: Tensor
    """The network's, (P, B)."""
    apart: Tensor
    """The templates' distances, (P, T), NaN where one has none."""
    weights: Tensor
    """What speaks for each template, (P, T, 3): evidence, agreement, doubt."""
    spreads: Tensor
    """What speaks for its being exact, (P, T, 3): identity, surroundings, distance."""

    def mixed(self, edges: Tensor, settings: Tensor) -> tuple[Tensor, Tensor]:
        """The mixture, (P, B), and the weights of network and templates, (P, 1 + T)."""
        weights = self.weighted(settings)
        below = self.below(edges, settings)  # (P, T, B - 1)
        ends = torch.zeros_like(below[..., :1])
        lent = torch.cat([ends, below, ends + 1], -1).diff(dim=-1)
        return weights[:, :1] * self.shares + (weights[:, 1:, None] * lent).sum(1), weights

    def weighted(self, settings: Tensor) -> Tensor:
        """The weights of network and templates, (P, 1 + T), summing to one."""
        logs = settings[0] + self.weights @ settings[1:4]
        logs = torch.where(self.apart.isnan(), _NEVER, logs)
        return torch.cat([torch.zeros_like(logs[:, :1]), logs], 1).softmax(1)

    def below(self, edges: Tensor, settings: Tensor) -> Tensor:
        """The chance that a template puts the pair nearer than each edge, (P, T, E): Laplace around its distance."""
        spread = (settings[4] + self.spreads @ settings[5:8]).exp().clamp(0.2, 15.0)
        away = (edges - self.apart.nan_to_num(0.0)[..., None]) / spread[..., None]
        half = (-away.abs()).exp() / 2
        return torch.where(away < 0, half, 1 - half)


def lend(distogram: Distogram, templates: Sequence[Template], first: Places, second: Places) -> Lending:
    """What is known of the pairs `first`, `second`, (P,) each."""
    shares = distogram.probabilities[first, second].astype(numpy.float32)
    unsure = -(shares * numpy.log(shares + 1e-6)).sum(-1)
    apart, weights, spreads = [], [], []
    for one in templates:
        there = numpy.linalg.norm(one.betas[first] - one.betas[second], axis=-1)
        evidence = float(numpy.clip(-numpy.log10(one.e_value + 1e-300), -1.0, 20.0)) / _DECADES
        constant = numpy.ones(len(there))
        weights.append(numpy.stack([evidence * constant, agreement(distogram, one) * constant, unsure - 2.0], 1))
        around = (one.fit[first] + one.fit[second]) / 2
        distance = numpy.log(numpy.nan_to_num(there, nan=10.0).clip(1.0) / 10)
        spreads.append(numpy.stack([one.identity * constant, around, distance], 1))
        apart.append(there)
    told = [numpy.stack(one, 1).astype(numpy.float32) for one in (apart, weights, spreads)]
    return Lending(torch.from_numpy(shares), *map(torch.from_numpy, told))


def agreement(distogram: Distogram, template: Template) -> float:
    """How much likelier the network finds a template's near pairs than other pairs as far apart along the chain.

    The logarithm of it, summed over the pairs and shared among the residues that are covered, -1 to 3.
    """
    first, second = numpy.triu_indices(len(distogram), LOCAL)
    bands = (numpy.log2(second - first) * 6).astype(numpy.int64)
    usual = numpy.zeros((int(bands.max(initial=0)) + 1, len(distogram.edges) + 1))
    numpy.add.at(usual, bands, distogram.probabilities[first, second])
    usual /= numpy.maximum(usual.sum(1, keepdims=True), 1e-6)
    apart = numpy.linalg.norm(template.betas[first] - template.betas[second], axis=-1)
    near = apart < NEAR
    places = numpy.searchsorted(distogram.edges, apart[near], side="right")
    chance = distogram.probabilities[first[near], second[near], places] + 1e-3
    odds = numpy.log(chance / (usual[bands[near], places] + 1e-3)).clip(-3.0, 3.0)
    covered = int((~numpy.isnan(template.betas[:, 0])).sum())
    return float(numpy.clip(odds.sum() / max(1, covered), -1.0, 3.0))


def mixed(
    distogram: Distogram, templates: Sequence[Template], calibration: Mapping[str, float]
) -> tuple[Distogram, tuple[Template, ...]]:
    """The distogram with what the templates lend, and those that counted, the one with most first.

    A template with a smaller share than `USED` is left out altogether: what is not named has changed nothing.
    """
    if not templates:
        return distogram, ()
    first, second = numpy.triu_indices(len(distogram), 1)
    lending = lend(distogram, templates, first, second)
    edges = torch.from_numpy(distogram.edges.astype(numpy.float32))
    found, weights = lending.mixed(edges, torch.tensor([calibration[name] for name in KEYS]))
    covered = ~lending.apart.isnan()
    shares = ((weights[:, 1:] * covered).sum(0) / covered.sum(0).clamp(min=1)).tolist()
    used = [one for one, share in zip(templates, shares, strict=True) if share >= USED]
    if len(used) < len(templates):
        return mixed(distogram, used, calibration)
    probabilities = distogram.probabilities.copy()
    probabilities[first, second] = probabilities[second, first] = found.numpy()
    most = numpy.argsort([-share * one.coverage for share, one in zip(shares, used, strict=True)], kind="stable")
    return replace(distogram, probabilities=probabilities), tuple(used[place] for place in most)


def fit(cases: Sequence[tuple[Lending, Floats]], edges: Floats) -> dict[str, float]:
    """The numbers at which the mixture is least surprised by the true distances of pairs, (P,) each case.

    Every case, one a protein, counts the same.
    """
    settings = torch.tensor(START, requires_grad=True)
    ends = torch.cat([torch.tensor([-1e6]), torch.from_numpy(edges.astype(numpy.float32)), torch.tensor([1e6])])
    kept = [(one, torch.from_numpy(truth.astype(numpy.float32))) for one, truth in cases if len(truth) >= _FEWEST]
    optimiser = torch.optim.LBFGS([settings], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = torch.stack([_surprise(one, truth, ends, settings) for one, truth in kept]).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    return dict(zip(KEYS, settings.tolist(), strict=True))


def _surprise(one: Lending, truth: Tensor, ends: Tensor, settings: Tensor) -> Tensor:
    """The surprise at the true bins and at contact or not, a mean over pairs."""
    weights, places = one.weighted(settings), torch.bucketize(truth, ends[1:-1], right=True)
    asked = torch.stack([ends[places], ends[places + 1], torch.full_like(truth, CONTACT)], 1)[:, None]  # (P, 1, 3)
    spread = one.below(asked, settings)
    lent = (weights[:, 1:] * (spread[..., 1] - spread[..., 0])).sum(1)
    right = weights[:, 0] * one.shares.gather(1, places[:, None])[:, 0] + lent
    inside = int((ends[1:-1] <= CONTACT).sum())
    touch = weights[:, 0] * one.shares[:, :inside].sum(1) + (weights[:, 1:] * spread[..., 2]).sum(1)
    touching = (truth < CONTACT).float()
    contact = torch.nn.functional.binary_cross_entropy(touch.clamp(1e-6, 1 - 1e-6), touching)
    return -right.clamp_min(1e-9).log().mean() + CONTACT_COUNTS * contact

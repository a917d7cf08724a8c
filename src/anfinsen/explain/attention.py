"""Which residues the language model's attention joins, whether the answer rests on that, and what it knows of contacts.

    maps of all heads -> symmetrised, corrected, averaged -> strength of every pair -> the L strongest pairs
      -> they are parted, and nothing but they is joined: does the answer move further than with random pairs as far
         apart along the chain?
      -> where the structure is known: how many of them touch, beside the pairs that lie nearest along the chain?

Pairs fewer than `NEAREST` residues apart are left out: they touch in every protein. The mean over heads is what a model
gives by itself (Rao et al. 2021, ICLR); which heads know contacts would have to be learnt from structures, as the
benchmark does. Attention is where a network looked, not what it made of it, and its pictures please more than they
prove; so both tests stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest

from anfinsen.bench.contacts import SEPARATION, TASK, precision
from anfinsen.data.batch import pack
from anfinsen.explain.faithfulness import ORDERS, SEED, Curve, Faithfulness, Order, judge
from anfinsen.explain.lens import Lens
from anfinsen.hub.record import Score
from anfinsen.models.contacts import evidence
from anfinsen.structure.geometry import contacts, distances
from anfinsen.structure.protein import Protein
from anfinsen.targets.distances import SHORT

NEAREST = SHORT
"""Residues along the chain from which a pair is looked at."""
TESTED = 2
"""Pairs that are parted for each residue."""
NAMED = 5
"""Pairs that a sentence names."""
VIEW = "attention"

Floats = NDArray[numpy.float64]


@dataclass(frozen=True)
class Contacts:
    """How many of the strongest pairs touch in the structure, beside two ways to choose as many without the model."""

    touching: NDArray[numpy.bool_]
    """Whether two residues touch, (L, L)."""
    count: int
    """Pairs that were looked up, those of known place alone."""
    share: float
    low: float
    high: float
    """Wilson's 95 % interval, as if pairs were independent of each other."""
    nearest: float
    """The share among as many pairs that lie nearest along the chain."""
    all_pairs: float
    """The share among all pairs."""

    @property
    def sentence(self) -> str:
        """What attention knows of contacts here."""
        more = "says more" if self.low > self.nearest else "says no more"
        return (
            f"In the structure {self.share:.0%} of the {self.count} strongest pairs touch (95% interval {self.low:.0%} "
            f"to {self.high:.0%}); of as many that lie nearest along the chain {self.nearest:.0%} do, of all pairs "
            f"{self.all_pairs:.1%}. So attention {more} about contacts than the distance along the chain."
        )


@dataclass(frozen=True)
class Attention:
    """The strongest pairs of a chain of L residues, places from 0, first before second, the strongest first."""

    pairs: NDArray[numpy.int64]
    """(L, 2), or fewer where a chain has not so many."""
    strengths: Floats
    """(L,) mean over all heads of the corrected maps; a whole look is 1 and another head's may be below 0."""
    faithfulness: Faithfulness
    """Held against random pairs that lie as far apart; the number is how little the answer has moved."""
    contacts: Contacts | None = None

    def sentences(self, sequence: str) -> list[str]:
        """What is joined, whether the answer rests on it, and what it says of contacts."""
        faith = self.faithfulness
        named = [f"{sequence[i]}{i + 1} with {sequence[j]}{j + 1}" for i, j in self.pairs[:NAMED].tolist()]
        joined = f"Of residues at least {NEAREST} apart, attention joins most strongly {', '.join(named)}."
        told = (
            f"Parted first, or left joined alone, they matter more to it than {faith.beaten} of {faith.orders} random "
            f"choices of pairs as far apart (faithfulness {faith.words})."
        )
        rests = "The answer rests on such pairs." if faith.is_faithful else "Do not read these pairs as reasons."
        found = [joined, f"{rests} {told}"]
        return found if self.contacts is None else [*found, self.contacts.sentence]


def look(lens: Lens, *, orders: int = ORDERS) -> Attention:
    """The pairs that attention joins in one protein, held against random ones."""
    protein = lens.example.protein
    tokens, _ = pack([protein.sequence])
    with torch.inference_mode():
        maps = torch.stack(list(evidence(lens.encoder, tokens)))
    strength = maps.double().mean(0).numpy()
    first, second = numpy.triu_indices(len(protein), NEAREST)
    strengths = strength[first, second]
    order = numpy.argsort(-strengths, kind="stable")
    tested = order[: TESTED * len(protein)]
    chance = _as_far_apart(second - first, tested, orders)

    whole = float(lens.of(lens.embedded)[0])

    def stays(hidden: NDArray[numpy.bool_]) -> Curve:
        """How little the answer moves without some pairs: 0 is not at all."""
        parted = torch.zeros(len(hidden), len(protein), len(protein), dtype=torch.bool)
        parted[:, first, second] = parted[:, second, first] = torch.from_numpy(hidden)
        moved: Curve = -numpy.abs(lens.parting(parted).double().numpy() - whole)
        return moved

    (faith,) = judge(stays, len(first), {VIEW: tested}, chance).values()
    shown = order[: len(protein)]
    pairs = numpy.stack((first[shown], second[shown]), axis=1)
    return Attention(pairs, strengths[shown], faith, _in_space(protein, first, second, strengths))


def measured(scores: Sequence[Score]) -> str:
    """What was measured once of contacts in this language model's attention, from the scores of its bundle."""
    asked = [score for score in scores if score.task == TASK and score.metric == "P@L"]
    ours = next((score for score in asked if score.is_ours), None)
    plain = next((score for score in asked if score.model == SEPARATION), None)
    published = [score for score in asked if score.published][:1]
    if ours is None or plain is None or ours.low is None or ours.high is None:
        return "How much this model's attention knows of contacts was not measured: take it for little."
    others = "".join(f"; {score.model} reaches {score.value:.3f} (published, {score.split})" for score in published)
    return (
        f"This model's attention knows {'little' if plain.value > ours.low else 'something'} of contacts: of as many "
        f"long-range pairs as residues, chosen by heads that were weighed on structures, a share of {ours.value:.3f} "
        f"touch ({ours.low:.3f} to {ours.high:.3f}, {ours.n} proteins, {ours.split}), where the distance along the "
        f"chain alone gives {plain.value:.3f}{others}."
    )


def _as_far_apart(separation: Order, tested: Order, orders: int) -> list[Order]:
    """Random pairs in place of the tested ones, each as far apart along the chain as the one it stands for."""
    generator = numpy.random.default_rng(SEED)
    drawn = numpy.tile(tested, (orders, 1))
    for apart in numpy.unique(separation[tested]):
        alike, where = numpy.flatnonzero(separation == apart), numpy.flatnonzero(separation[tested] == apart)
        for one in drawn:
            one[where] = generator.choice(alike, len(where), replace=False)
    return list(drawn)


def _in_space(protein: Protein, first: Order, second: Order, strengths: Floats) -> Contacts | None:
    """The strongest pairs beside the structure that came with the chain; None where none came."""
    if protein.backbone is None:
        return None
    apart = distances(protein.backbone.betas)
    touching = contacts(apart)
    known = ~numpy.isnan(apart[first, second])
    truth, separation = touching[first, second][known], (second - first)[known]
    count = min(len(protein), len(truth))
    if not count:
        return None
    share, nearest = (precision(scores, truth, count) for scores in (strengths[known], -separation.astype(float)))
    interval = binomtest(round(share * count), count).proportion_ci(method="wilson")
    return Contacts(
        touching, count, share, float(interval.low), float(interval.high), nearest, all_pairs=float(truth.mean())
    )

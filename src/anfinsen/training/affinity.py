"""Training of the affinity model: pairs are posed as they will be asked, and judged by what did not hold them.

    for each regime: deal the pairs into parts that are new in its way -> clues for each part from the others alone
    -> trees on all clues; trees without a part judge that part -> who counts how much, doubt, conformal quantile
    both known: graph network without the first part -> says that part -> how much it counts -> is taught that part too

A pair must not find its own value in the memory, or the trees would learn to copy; so its clues are drawn from a memory
without its part: without its drug where the drug will be new, without its protein, without both, or without a random
fifth where both will be known. How large the trees grow, which ridge is heard beside them and how much each counts is
what errs least on pairs that they did not see. The quantile comes from trees that had fewer pairs, so it is a little
too wide rather than too narrow; drugs and proteins of one table resemble each other, so nine in ten is promised for
pairs like these and not for any drug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.config import Config
from anfinsen.drug.graph import MoleculeGraph
from anfinsen.models.binding import NARROWEST, REGIMES, BindingModel, Drugs, Floats, Judge, Proteins, Regime, rows_of
from anfinsen.models.likeness import Axes, nearness, usual_scale
from anfinsen.models.memory import RIDGE_CLUES, Likeness, Memory, Places
from anfinsen.models.trees import Trees
from anfinsen.targets.base import conformal_quantile
from anfinsen.training.affinity_network import NetworkConfig, Views, teach

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How much the trees may count, a ridge having the rest."""
LOUDNESS = tuple(at / 10 for at in range(11))
"""How much the graph network may count, trees and ridge having the rest."""


class AffinityConfig(Config):
    """How the affinity model is trained."""

    drug_axes: int = 24
    """Main directions among the drugs."""
    protein_axes: int = 32
    """Main directions among the proteins, of each of the two likenesses half as many for the second."""
    parts: int = 5
    """Into how many parts pairs are dealt, each answered from the others."""
    trees: int = 300
    """Trees that say the affinity."""
    doubts: int = 80
    """Trees that say how wrong the others are."""
    leaves: int = 31
    """Leaves of a tree that says the affinity."""
    most_leaves: int = 127
    """Leaves of a larger tree, which is tried where both sides are known."""
    doubt_leaves: int = 8
    """Leaves of a tree that says the doubt."""
    pace: float = 0.06
    """How much of what is left each tree takes."""
    seed: int = 1
    """Seed of the parts and of the trees."""
    network: NetworkConfig = NetworkConfig()
    """How the graph network is trained, where molecules are given as graphs."""

    @property
    def numbers(self) -> dict[str, float]:
        """All settings by name."""
        own = {name: value for name, value in self.model_dump().items() if name != "network"}
        inner = {f"network.{name}": value for name, value in self.network.model_dump().items()}
        return {name: float(value) for name, value in (own | inner).items()}


@dataclass(frozen=True)
class Sides:
    """All drugs and proteins of a table as numbers, and which of them must stay together (see `sets.affinity`)."""

    fragments: Floats
    profiles: Floats
    states: Floats
    drug_groups: Places
    protein_groups: Places
    graphs: tuple[MoleculeGraph, ...] = ()
    """The drugs as graphs; none where no network shall be taught."""
    stretches: Floats = field(default_factory=lambda: numpy.zeros((0, 0, 0), numpy.float32))
    """(T, S, C) mean states of equal parts of each chain, none of them where there are no graphs."""

    def only(self, drugs: Places, proteins: Places) -> Sides:
        """Of some drugs and proteins alone."""
        return Sides(
            self.fragments[drugs],
            self.profiles[proteins],
            self.states[proteins],
            self.drug_groups[drugs],
            self.protein_groups[proteins],
            tuple(self.graphs[at] for at in drugs.tolist() if self.graphs),
            self.stretches[proteins if self.graphs else slice(0)],
        )

    @property
    def views(self) -> Views:
        """What the graph network reads of them."""
        return Views(self.graphs, self.fragments, self.states, self.stretches)


Tell = Callable[[str], None]


def fit(
    sides: Sides,
    drug: Places,
    protein: Places,
    value: NDArray[numpy.float64],
    *,
    config: AffinityConfig | None = None,
    regimes: Sequence[Regime] = REGIMES,
    folder: Path | None = None,
    tell: Tell = lambda sentence: None,
) -> BindingModel:
    """Train on known pairs; what is on no pair's side is not on the shelves either, so a test leaks nothing.

    In `folder` the networks keep what they have learnt so far, and go on from it.
    """
    config = config or AffinityConfig()
    seen_drugs, drug = numpy.unique(drug, return_inverse=True)
    seen_proteins, protein = numpy.unique(protein, return_inverse=True)
    known = sides.only(seen_drugs, seen_proteins)
    drugs, proteins = shelves(known, config)
    one = Likeness((drugs.alike(known.fragments),), numpy.arange(len(seen_drugs)))
    other = Likeness(proteins.alike(known.profiles, known.states), numpy.arange(len(seen_proteins)))
    pairs = numpy.stack((drug, protein), 1)

    def remembered(rows: Places) -> Memory:
        return Memory.fit(drug[rows], protein[rows], value[rows], one.kinds[0], other.kinds[0])

    memory = remembered(numpy.arange(len(value)))
    judges: dict[Regime, Judge] = {}
    network = None
    for regime in regimes:
        posed, clues, halves = [], [], []
        for part, source, held in deal(regime, pairs, known, config):
            posed.append(held)
            clues.append(rows_of(remembered(source), drugs, proteins, one, other, pairs[held]))
            halves.append(numpy.tile([number % 2 for number in part], (len(held), 1)))
        rows = numpy.concatenate(posed)
        judge, trial = _judge(
            numpy.concatenate(clues), value[rows] - memory.mean, numpy.concatenate(halves), regime, config
        )
        if regime == "both known" and known.graphs and config.network.steps:
            apart = value - memory.mean, posed[0], config.network
            heard, network = teach(known.views, pairs, *apart, folder=folder, tell=tell)
            judge = _hear(heard, apart[0][posed[0]], judge, trial.only(numpy.arange(len(posed[0]))))
        judges[regime] = judge
        tell(
            f"{regime}: {len(rows):,} pairs posed, {len(judge.place.value):,} nodes, their share {judge.share:.2f}, "
            f"the rest by ridge {judge.ridge + 1}, the network's share of all {judge.network:.1f}, "
            f"quantile {judge.quantile:.2f}."
        )
    return BindingModel(drugs, proteins, memory, judges, network)


def shelves(known: Sides, config: AffinityConfig) -> tuple[Drugs, Proteins]:
    """The known drugs and proteins with their main directions."""
    blank = Axes(numpy.zeros(0, numpy.float32), numpy.zeros((0, 0), numpy.float32))
    drugs = Drugs(known.fragments, Axes.fit(Drugs(known.fragments, blank).alike(known.fragments), config.drug_axes))
    scale = usual_scale(known.states)
    words = numpy.maximum(known.profiles @ known.profiles.T, 0)
    axes = (
        Axes.fit(words, config.protein_axes),
        Axes.fit(nearness(known.states, known.states, scale), config.protein_axes // 2),
    )
    return drugs, Proteins(known.profiles, known.states, scale, axes)


def deal(
    regime: Regime, pairs: Places, known: Sides, config: AffinityConfig
) -> Iterator[tuple[tuple[int, ...], Places, Places]]:
    """For each part of the pairs (P, 2): its number on each new side, which may be remembered, which are posed."""
    generator = numpy.random.default_rng(config.seed)
    if regime == "both known":
        part = generator.integers(0, config.parts, len(pairs))
        for number in range(config.parts):
            yield (number,), numpy.flatnonzero(part != number), numpy.flatnonzero(part == number)
        return
    dealt = []
    for groups, column in ((known.drug_groups, 0), (known.protein_groups, 1)):
        names, member = numpy.unique(groups, return_inverse=True)
        dealt.append((generator.permutation(len(names)) % config.parts)[member][pairs[:, column]])
    drug, protein = dealt
    for number in range(config.parts):
        if regime == "new drug":
            yield (number,), numpy.flatnonzero(drug != number), numpy.flatnonzero(drug == number)
        elif regime == "new protein":
            yield (number,), numpy.flatnonzero(protein != number), numpy.flatnonzero(protein == number)
        else:
            for other in range(config.parts):
                source = numpy.flatnonzero((drug != number) & (protein != other))
                held = numpy.flatnonzero((drug == number) & (protein == other))
                if len(source) and len(held):
                    yield (number, other), source, held


@dataclass(frozen=True)
class Trial:
    """What trees and ridge say of posed pairs that they had not seen, and how wrong they expect to be, each (P,)."""

    said: NDArray[numpy.float64]
    doubt: NDArray[numpy.float64]

    def only(self, rows: Places) -> Trial:
        """Of some of the pairs alone."""
        return Trial(self.said[rows], self.doubt[rows])

    def quantile(self, wrong: NDArray[numpy.float64]) -> float:
        """By how much the doubt must be stretched so that nine in ten errors lie within it."""
        return conformal_quantile(wrong / numpy.maximum(self.doubt, NARROWEST))


def _judge(
    rows: Floats, truth: NDArray[numpy.float64], halves: Places, regime: Regime, config: AffinityConfig
) -> tuple[Judge, Trial]:
    """Trees on all rows; how they count, their doubt and the quantile from trees that saw other halves (P, sides)."""
    said = {
        leaves: _crossed(rows, truth, halves, partial(_grown, count=config.trees, leaves=leaves, config=config))
        for leaves in sorted({config.leaves, config.most_leaves if regime == "both known" else config.leaves})
    }
    _, leaves, ridge, share = min(
        (float(((share * value + (1 - share) * rows[:, clue] - truth) ** 2).mean()), leaves, ridge, share)
        for leaves, value in said.items()
        for ridge, clue in enumerate(RIDGE_CLUES)
        for share in SHARES
    )
    joined = share * said[leaves] + (1 - share) * rows[:, RIDGE_CLUES[ridge]]
    wrong = numpy.abs(joined - truth)
    doubting = partial(_grown, count=config.doubts, leaves=config.doubt_leaves, config=config, fewest=40)
    trial = Trial(joined, _crossed(rows, wrong, halves, doubting))
    judge = Judge(
        Trees.grown(_grown(rows, truth, count=config.trees, leaves=leaves, config=config)),
        Trees.grown(doubting(rows, wrong)),
        trial.quantile(wrong),
        share,
        ridge,
    )
    return judge, trial


def _hear(said: Floats, truth: NDArray[numpy.float64], judge: Judge, trial: Trial) -> Judge:
    """The judge with a network beside it, which counts as much as is best for pairs that it was not shown (P,)."""
    wrong = {share: numpy.abs(share * said + (1 - share) * trial.said - truth) for share in LOUDNESS}
    share = min(wrong, key=lambda share: float((wrong[share] ** 2).mean()))
    return replace(judge, network=share, quantile=trial.quantile(wrong[share]))


def _crossed(
    rows: Floats, truth: NDArray[numpy.float64], halves: Places, grow: Callable[..., Any]
) -> NDArray[numpy.float64]:
    """What trees say of rows whose drugs, proteins or pairs stand in the other half than all that they were shown."""
    said = numpy.zeros(len(rows))
    for half in numpy.unique(halves, axis=0):
        held, apart = (halves == half).all(1), (halves != half).all(1)
        shown = apart if apart.any() else ~held
        said[held] = grow(rows[shown], truth[shown]).predict(rows[held])
    return said


def _grown(
    rows: Floats, truth: NDArray[numpy.float64], *, count: int, leaves: int, config: AffinityConfig, fewest: int = 10
) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    rows = numpy.where(numpy.isnan(rows).all(0), numpy.float32(0), rows)  # a clue that this regime never has

    return HistGradientBoostingRegressor(
        learning_rate=config.pace,
        max_iter=count,
        max_leaf_nodes=leaves,
        min_samples_leaf=fewest,
        l2_regularization=1.0,
        max_features=0.3,
        early_stopping=False,
        random_state=config.seed,
    ).fit(rows, truth)

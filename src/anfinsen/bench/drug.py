"""Affinity: the whole table of figures, each split beside the probes that look at one side only.

    table -> split -> train and valid teach, test judges -> CI, MSE, rm2 of the model and of five simple rivals

drug only, protein only    the mean affinity of the drug, or of those like it; the same of the protein
nearest neighbour          the value of the most alike known pair
KronRLS                    a ridge over products of likenesses (Pahikkala et al. 2015), on our likenesses; also with
                           the drugs' likeness squared, so that only close ones count
mean                       one number for all

Where both sides are known two more rows say what the graph network answers alone, and what the rest does without it.

In Davis as it is shared, 81 of the 442 targets (mutants, phosphorylated forms) stand under 18 shared sequences. The
model tells them apart by their other measurements, which a network that reads sequences cannot; the row 'by sequence'
is what it says when it is told the sequence alone, and is the one to compare with published figures.

A model that does not beat the one-sided probes has learnt who is popular and not who binds whom. The settings were
argued from the validation pairs of Davis, but Davis's tests were in view meanwhile; KIBA's were not, and the settings
are the same for every table and split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.bench.study import Question, Tell
from anfinsen.errors import UndefinedScoreError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.embedder import Embedder
from anfinsen.kinship.splits import TEST, TRAIN, VALID, Places
from anfinsen.models.binding import REGIMES, BindingModel, Regime
from anfinsen.models.memory import Likeness, Memory
from anfinsen.models.network import Network
from anfinsen.sets.affinity import DAVIS, KIBA, OFFICIAL, SPLITS, AffinityTable, split
from anfinsen.tasks.affinity import NAME, PUBLISHED, SCORES, gain, measure_pairs
from anfinsen.training.affinity import AffinityConfig, fit
from anfinsen.training.affinity_bundle import STRETCHES, Prepared, prepare
from anfinsen.training.affinity_network import NetworkConfig

SUITE = "drug"
POSED: Mapping[str, Regime] = dict(zip(SPLITS, REGIMES, strict=True))
"""What is known of the two sides of a test pair, by split."""
MODEL, BY_SEQUENCE = "model", ", by sequence"
"""How our rows begin and, where it is told only a protein's sequence, end."""
ALONE, WITHOUT = ", graph network alone", ", without the graph network"
"""How our rows end where one voice answers alone, or is not heard."""
QUICK = NetworkConfig(steps=200)
"""The graph network of a quick look."""
_NEAREST = 5
_RIDGES = ("KronRLS", "KronRLS, likeness squared")
_BLOCK = 64

Floats = NDArray[numpy.float64]


def davis_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """The rows of Davis; a quick look (`limit`) takes its official split alone."""
    return _table_rows(DAVIS, bundle.network, bundle.label, limit, tell)


def kiba_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """The rows of KIBA; a quick look (`limit`) takes its official split alone."""
    return _table_rows(KIBA, bundle.network, bundle.label, limit, tell)


def _table_rows(table: AffinityTable, network: Network, model: str, limit: int | None, tell: Tell) -> list[Score]:
    embedder = Embedder(network, name=model, sha256="", per="residue")
    ready = prepare(table.load(), embedder, tell, stretches=STRETCHES)
    config = AffinityConfig(network=QUICK) if limit else AffinityConfig()
    rows: list[Score] = []
    for kind in SPLITS[: 1 if limit else None]:
        rows += split_rows(table, ready, kind, f"{model} affinity", tell, config=config)
    return rows


def split_rows(
    table: AffinityTable, ready: Prepared, kind: str, model: str, tell: Tell, *, config: AffinityConfig,
    folder: Path | None = None,
) -> list[Score]:  # fmt: skip
    """The rows of one split; in `folder` the graph networks keep what they have learnt so far."""
    found, dealt = ready.found, split(ready.found, kind)
    for sentence in dealt.told:
        tell(f"{table.name}, {kind}: {sentence}")
    taught, asked = numpy.flatnonzero(numpy.isin(dealt.names, (TRAIN, VALID))), dealt.rows(TEST)
    tell(f"{table.name}, {kind}: learns from {len(taught):,} pairs, answers {len(asked):,}.")
    said, coverage = answers(ready, taught, asked, POSED[kind], tell, config=config, folder=folder)
    said = named(said, model)
    rows = []
    sides = found.drug[asked], found.protein[asked]
    name = table.name if kind == OFFICIAL else f"{table.name}-{kind}"
    for metric in SCORES:
        question = Question(SUITE, NAME, table.name, name, metric)
        for who, value in said.items():
            try:
                rows.append(question.row(who, measure_pairs(metric, found.value[asked], value, *sides)))
            except UndefinedScoreError as error:
                tell(f"{name}, {who}: {error}")
        for rival in (*_RIDGES, model + WITHOUT):
            if rival not in said:
                continue
            more = gain(metric, found.value[asked], said[model], said[rival], *sides)
            tell(f"{name}, {metric}: {more.value:.3f} ({more.low:.3f} to {more.high:.3f}) better than {rival}, paired.")
        quoted = [one for one in PUBLISHED.get(table.name, ()) if one.split == kind and one.metric == metric]
        rows += [question.published(one.model, one.value) for one in quoted]
    inside = coverage.astype(numpy.float64)
    estimate = measure_pairs("MSE", inside, numpy.zeros(len(inside)), *sides)  # the mean of a yes or no
    return [*rows, Question(SUITE, NAME, table.name, name, "coverage").row(model, estimate)]


def named(said: Mapping[str, Floats], model: str) -> dict[str, Floats]:
    """Answers with the name of our model in the place of the word for it."""
    return {who.replace(MODEL, model, 1) if who.startswith(MODEL) else who: value for who, value in said.items()}


def answers(
    ready: Prepared, taught: Places, asked: Places, regime: Regime, tell: Tell, *, config: AffinityConfig | None = None,
    folder: Path | None = None,
) -> tuple[dict[str, Floats], NDArray[numpy.bool_]]:  # fmt: skip
    """What the model and each rival say of the asked pairs, and whether the model's interval holds the truth."""
    found, sides = ready.found, ready.sides
    known = found.drug[taught], found.protein[taught], found.value[taught]
    model = fit(sides, *known, config=config or AffinityConfig(), regimes=(regime,), folder=folder, tell=tell)
    drugs, drug = numpy.unique(found.drug[asked], return_inverse=True)
    proteins, protein = numpy.unique(found.protein[asked], return_inverse=True)
    owns = _places(drugs, numpy.unique(known[0])), _places(proteins, numpy.unique(known[1]))
    one, other = model.likeness(sides.fragments[drugs], sides.profiles[proteins], sides.states[proteins], *owns)
    pairs = numpy.stack((drug, protein), 1)
    ours = model.predict(one, other, pairs, regime=regime)
    said = {MODEL: ours.value, **probes(model, one, other, pairs)}
    if model.network is not None:
        heard = numpy.nan_to_num(model.heard(owns[0][drug], owns[1][protein]))  # of a stranger it says the mean
        said[f"{MODEL}{ALONE}"] = heard.astype(numpy.float64) + model.memory.mean
        said[f"{MODEL}{WITHOUT}"] = replace(model, network=None).predict(one, other, pairs, regime=regime).value
    places: dict[str, int] = {}
    for place, at in enumerate(numpy.unique(known[1]).tolist()):
        places.setdefault(found.proteins[at].sequence, place)
    by_sequence = numpy.array([places.get(found.proteins[at].sequence, -1) for at in proteins.tolist()])
    if regime == REGIMES[0] and (by_sequence != owns[1]).any():
        told = Likeness(other.kinds, by_sequence)
        said[f"{MODEL}{BY_SEQUENCE}"] = model.predict(one, told, pairs, regime=regime).value
    return said, numpy.abs(ours.value - found.value[asked]) <= ours.reach


def probes(model: BindingModel, drugs: Likeness, proteins: Likeness, pairs: Places) -> dict[str, Floats]:
    """The simple rivals' answers to pairs (P, 2), from the same memory and likenesses as the model's."""
    memory = model.memory
    drug, protein = pairs.T
    alone = []
    for side, values, known, axis in (
        (drugs, memory.values, memory.known, 1),
        (proteins, memory.values.T, memory.known.T, 0),
    ):
        means = values.sum(1) / numpy.maximum(known.sum(1), 1)
        nearest = numpy.argsort(-side.kinds[0], axis=1)[:, :_NEAREST]
        weights = numpy.take_along_axis(side.kinds[0], nearest, 1) + 1e-6
        like = (weights * means[nearest]).sum(1) / weights.sum(1)
        alone.append(numpy.where(memory.is_measured(side.own, axis), means[side.own], like))
    found = {
        "drug only": alone[0][drug],
        "protein only": alone[1][protein],
        "nearest neighbour": _nearest(memory, drugs, proteins, pairs),
        **{name: memory.ridge_of(drugs, proteins, pairs, at) - memory.mean for at, name in enumerate(_RIDGES)},
        "mean": numpy.zeros(len(pairs)),
    }
    return {name: value.astype(numpy.float64) + memory.mean for name, value in found.items()}


def _nearest(memory: Memory, drugs: Likeness, proteins: Likeness, pairs: Places) -> NDArray[Any]:
    """The value of the known pair whose drug and protein are together most like the asked ones."""
    row, column = numpy.nonzero(memory.known)
    best = numpy.empty(len(pairs), dtype=numpy.int64)
    for start in range(0, len(pairs), _BLOCK):
        drug, protein = pairs[start : start + _BLOCK].T
        alike = drugs.kinds[0][drug][:, row] * proteins.kinds[0][protein][:, column]
        best[start : start + _BLOCK] = alike.argmax(1)
    return memory.values[row[best], column[best]]


def _places(asked: Places, known: Places) -> Places:
    """Where each asked number stands among the known ones, -1 for none."""
    at = numpy.searchsorted(known, asked).clip(max=len(known) - 1)
    return numpy.where(known[at] == asked, at, -1)


__all__ = ["OFFICIAL", "POSED", "answers", "davis_rows", "kiba_rows", "named", "probes"]

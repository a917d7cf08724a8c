"""Affinity: the whole table of figures, each split beside the probes that look at one side only.

    table -> split -> train and valid teach, test judges -> CI, MSE, rm2 of the model and of five simple rivals

drug only, protein only    the mean affinity of the drug, or of those like it; the same of the protein
nearest neighbour          the value of the most alike known pair
KronRLS                    a ridge over products of likenesses (Pahikkala et al. 2015), on our likenesses
mean                       one number for all

In Davis as it is shared, 81 of the 442 targets (mutants, phosphorylated forms) stand under 18 shared sequences. The
model tells them apart by their other measurements, which a network that reads sequences cannot; the row 'by sequence'
is what it says when it is told the sequence alone, and is the one to compare with published figures.

A model that does not beat the one-sided probes has learnt who is popular and not who binds whom. The settings of the
model were chosen on the validation pairs of Davis alone, and are the same for every table and split.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy
from numpy.typing import NDArray

from anfinsen.bench.study import Question, Tell
from anfinsen.data.affinity import OFFICIAL, SPLITS, TABLES, Affinities, AffinityTable, split
from anfinsen.data.splits import TEST, TRAIN, VALID, Places
from anfinsen.errors import MissingDataError, UndefinedScoreError
from anfinsen.hub.record import Score
from anfinsen.inference.embedder import Embedder
from anfinsen.models.binding import REGIMES, BindingModel, Regime
from anfinsen.models.memory import Likeness
from anfinsen.models.network import Network
from anfinsen.tasks.affinity import NAME, PUBLISHED, SCORES, measure_pairs
from anfinsen.training.affinity import AffinityConfig, fit
from anfinsen.training.affinity_bundle import Prepared, prepare

SUITE = "drug"
POSED: Mapping[str, Regime] = dict(zip(SPLITS, REGIMES, strict=True))
"""What is known of the two sides of a test pair, by split."""
MODEL, BY_SEQUENCE = "model", ", by sequence"
"""How our rows begin and, where it is told only a protein's sequence, end."""
_NEAREST = 5

Floats = NDArray[numpy.float64]


def affinity_rows(network: Network, model: str, *, limit: int | None, tell: Tell) -> list[Score]:
    """The rows of every table and split; a quick look (`limit`) takes the small table and its official split alone."""
    embedder = Embedder(network, name=model, sha256="", per="protein")
    rows: list[Score] = []
    missing = None
    for table in list(TABLES.values())[: 1 if limit else None]:
        try:
            found = table.load()
        except MissingDataError as error:
            tell(str(error))
            missing = error
            continue
        ready = prepare(found, embedder, tell)
        for kind in SPLITS[: 1 if limit else None]:
            rows += _split_rows(table, found, ready, kind, f"{model} affinity", tell)
    if missing is not None and not rows:
        raise missing
    return rows


def _split_rows(
    table: AffinityTable, found: Affinities, ready: Prepared, kind: str, model: str, tell: Tell
) -> list[Score]:
    dealt = split(found, kind)
    for sentence in dealt.told:
        tell(f"{table.name}, {kind}: {sentence}")
    taught, asked = numpy.flatnonzero(numpy.isin(dealt.names, (TRAIN, VALID))), dealt.rows(TEST)
    tell(f"{table.name}, {kind}: learns from {len(taught):,} pairs, answers {len(asked):,}.")
    said, coverage = answers(found, ready, taught, asked, POSED[kind], tell)
    said = {name.replace(MODEL, model, 1) if name.startswith(MODEL) else name: value for name, value in said.items()}
    rows = []
    sides = found.drug[asked], found.protein[asked]
    for metric in SCORES:
        question = Question(SUITE, NAME, table.name, kind, metric)
        for who, value in said.items():
            try:
                rows.append(question.row(who, measure_pairs(metric, found.value[asked], value, *sides)))
            except UndefinedScoreError as error:
                tell(f"{table.name}, {kind}, {who}: {error}")
        quoted = [one for one in PUBLISHED.get(table.name, ()) if one.split == kind and one.metric == metric]
        rows += [question.published(one.model, one.value) for one in quoted]
    inside = coverage.astype(numpy.float64)
    estimate = measure_pairs("MSE", inside, numpy.zeros(len(inside)), *sides)  # the mean of a yes or no
    return [*rows, Question(SUITE, NAME, table.name, kind, "coverage").row(model, estimate)]


def answers(
    found: Affinities, ready: Prepared, taught: Places, asked: Places, regime: Regime, tell: Tell
) -> tuple[dict[str, Floats], NDArray[numpy.bool_]]:
    """What the model and each rival say of the asked pairs, and whether the model's interval holds the truth."""
    sides = ready.sides
    known = found.drug[taught], found.protein[taught], found.value[taught]
    model = fit(sides, *known, config=AffinityConfig(), regimes=(regime,), tell=tell)
    drugs, drug = numpy.unique(found.drug[asked], return_inverse=True)
    proteins, protein = numpy.unique(found.protein[asked], return_inverse=True)
    owns = _places(drugs, numpy.unique(known[0])), _places(proteins, numpy.unique(known[1]))
    one, other = model.likeness(sides.fragments[drugs], sides.profiles[proteins], sides.states[proteins], *owns)
    pairs = numpy.stack((drug, protein), 1)
    ours = model.predict(one, other, pairs)
    said = {MODEL: ours.value, **probes(model, one, other, pairs)}
    places: dict[str, int] = {}
    for place, at in enumerate(numpy.unique(known[1]).tolist()):
        places.setdefault(found.proteins[at].sequence, place)
    by_sequence = numpy.array([places.get(found.proteins[at].sequence, -1) for at in proteins.tolist()])
    if regime == REGIMES[0] and (by_sequence != owns[1]).any():
        said[f"{MODEL}{BY_SEQUENCE}"] = model.predict(one, Likeness(other.kinds, by_sequence), pairs).value
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
    nearest_value = numpy.empty(len(pairs))
    filled = numpy.where(memory.known > 0, memory.values, numpy.nan)
    for at, (row, column) in enumerate(pairs.tolist()):
        alike = numpy.where(
            numpy.isnan(filled), -1, numpy.multiply.outer(drugs.kinds[0][row], proteins.kinds[0][column])
        )
        nearest_value[at] = filled.flat[int(alike.argmax())]
    found = {
        "drug only": alone[0][drug],
        "protein only": alone[1][protein],
        "nearest neighbour": nearest_value,
        "KronRLS": memory.ridge_of(drugs, proteins)[drug, protein] - memory.mean,
        "mean": numpy.zeros(len(pairs)),
    }
    return {name: value.astype(numpy.float64) + memory.mean for name, value in found.items()}


def _places(asked: Places, known: Places) -> Places:
    """Where each asked number stands among the known ones, -1 for none."""
    at = numpy.searchsorted(known, asked).clip(max=len(known) - 1)
    return numpy.where(known[at] == asked, at, -1)


__all__ = ["OFFICIAL", "POSED", "affinity_rows", "answers", "probes"]

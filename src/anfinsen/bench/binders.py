"""Binder or not: the affinity model on BIOSNAP, beside the same one-sided probes.

    random           both sides are known, as in most published figures
    unseen-drug      no test drug is in training
    unseen-protein   hardly a test protein is in training (3 of 436 are)
    cluster          neither is

The model is the one of affinities, with 1 for a binder and 0 for none; nothing in it was changed for these tables.
Half of the pairs of BIOSNAP that do not bind were made by pairing at random what is known to bind something else, so a
probe that knows how often a drug or a protein stands among the binders is already strong.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy

from anfinsen.bench.drug import SUITE, Floats, answers, named
from anfinsen.bench.study import Question, Tell
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.embedder import Embedder
from anfinsen.kinship.splits import TEST, TRAIN, Places
from anfinsen.models.binding import Regime
from anfinsen.sets.binders import CLUSTER, COLUMNS, biosnap, biosnap_split
from anfinsen.tasks.affinity import BINDER_SCORES, NAME, PUBLISHED, measure_binders
from anfinsen.training.affinity_bundle import prepare

BIOSNAP = "biosnap"
POSED: Mapping[str, Regime] = dict(zip(COLUMNS, ("both known", "new drug", "new protein", "both new"), strict=True))
"""What is known of the two sides of a test pair, by split."""
_CONSTANT = "mean"


def biosnap_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """The rows of every split; a quick look (`limit`) takes the smallest one alone."""
    whole = biosnap()
    ready = prepare(whole, Embedder(bundle.network, name=bundle.label, sha256="", per="protein"), tell)
    rows: list[Score] = []
    for kind in (CLUSTER,) if limit else COLUMNS:
        dealt = biosnap_split(whole, kind)
        for sentence in dealt.told:
            tell(f"{BIOSNAP}, {kind}: {sentence}")
        names = dealt.names[ready.rows]
        taught, asked = numpy.flatnonzero(names == TRAIN), numpy.flatnonzero(names == TEST)
        tell(f"{BIOSNAP}, {kind}: learns from {len(taught):,} pairs, answers {len(asked):,}.")
        said, _ = answers(ready, taught, asked, POSED[kind], tell)
        found = ready.found
        sides = found.drug[asked], found.protein[asked]
        rows += binder_rows(BIOSNAP, kind, found.value[asked], named(said, f"{bundle.label} affinity"), *sides)
    return rows


def binder_rows(
    dataset: str, kind: str, truth: Floats, said: Mapping[str, Floats], drug: Places, protein: Places
) -> list[Score]:
    """The rows of one split: AUROC and AUPR of everyone who answered, and published figures."""
    rows = []
    for metric in BINDER_SCORES:
        question = Question(SUITE, NAME, dataset, f"{dataset}-{kind}", metric)
        rows += [
            question.row(who, measure_binders(metric, truth, value, drug, protein))
            for who, value in said.items()
            if who != _CONSTANT
        ]
        quoted = [one for one in PUBLISHED.get(dataset, ()) if one.split == kind and one.metric == metric]
        rows += [question.published(one.model, one.value) for one in quoted]
    return rows

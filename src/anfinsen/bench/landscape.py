"""GB1: a landscape of fitness. Which of thousands of four-fold mutants of one small protein still bind?

    variants of protein G's domain B1 -> five FLIP splits -> train in three modes -> Spearman on unseen variants

The splits ask harder and easier questions (Dallago et al. 2021, FLIP, NeurIPS Datasets and Benchmarks; data Wu et al.
2016, eLife 5:e16965): learn from single mutants and rank all others (one_vs_rest), from up to two, from up to three,
from the weak ones alone (low_vs_high), or from a random sample. All variants differ at four places only, which the
mean over a protein's states washes out; so the head is also told which residue stands at each of the four places
(as Hsu et al. 2022, Nature Biotechnology 40:1114, do). The baseline, a ridge regression, is told just that, and the
head begins as this ridge: what the language model adds is the difference, and it is kept only where validation says
so. What is drawn and what is cut off is told in a sentence; published figures are over all variants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy
import polars
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from torch import nn

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.example import Example
from anfinsen.models.heads import PooledHead
from anfinsen.sets.catalog import Table
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer, Number
from anfinsen.tasks.base import Condition, Task
from anfinsen.tasks.custom import HeldTable

TABLE = Table(
    "mutations/gb1_flip.parquet",
    {},
    "GB1 variants in the five splits of FLIP (Wu et al. 2016)",
    "github.com/J-SNACKKB/FLIP",
    "AFL-3.0",
)
NAME = "gb1"
METRIC = "spearman"
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "one_vs_rest": {"ridge (FLIP)": 0.28, "CNN (FLIP)": 0.17},
    "two_vs_rest": {"ridge (FLIP)": 0.59, "CNN (FLIP)": 0.32},
    "three_vs_rest": {"ridge (FLIP)": 0.76, "CNN (FLIP)": 0.83},
    "low_vs_high": {"ridge (FLIP)": 0.34, "CNN (FLIP)": 0.51},
    "sampled": {"ridge (FLIP)": 0.82, "CNN (FLIP)": 0.91},
}
"""Spearman over all variants of each split's test (Dallago et al. 2021)."""
RIDGE = "ridge on the mutated residues"
DOMAIN = 56
"""Residues of the domain; what follows is a tail that all variants share."""
DRAWN, JUDGED = 2500, 1000
"""Variants drawn from all, beside every single and double mutant; test variants of a split that are judged at most."""
_SEED = 1
_RARE, _STEP = 1 / len(RESIDUES), 0.2


@dataclass(frozen=True)
class LandscapeTask(Task):
    """A task whose conditions, the mutated residues, are always known."""

    def prepare(self, example: Example, generator: numpy.random.Generator) -> Example:
        """The example as it is."""
        return example


def landscape(split: str, limit: int | None = None) -> LandscapeTask:
    """One FLIP split as a task with train, valid and test variants; a quick look takes `limit` of each."""
    (path,) = TABLE.paths()
    rows = polars.read_parquet(path)
    generator = numpy.random.default_rng(_SEED)
    order = generator.permutation(len(rows))
    is_drawn = numpy.zeros(len(rows), dtype=bool)
    is_drawn[order[:DRAWN]] = True
    is_drawn |= (rows["two_vs_rest"] != "test").to_numpy()
    sequences = [sequence[:DOMAIN] for sequence in rows["sequence"]]
    places = varied(sequences)
    parts, scores = rows[split].to_list(), rows["score"].to_list()
    held: dict[str, list[Example]] = {"train": [], "valid": [], "test": []}
    for at in order[is_drawn[order]].tolist():
        residues = "".join(sequences[at][place] for place in places)
        known = dict(zip(_names(places), _one_hot(residues).tolist(), strict=True))
        example = Example(Protein(f"gb1-{at}-{residues}", sequences[at]), scores[at], None, known)
        held[parts[at]].append(example)
    held = {part: some[: min(JUDGED if part == "test" else DRAWN, limit or DRAWN)] for part, some in held.items()}
    return _task(split, places, held | {"calibrate": held["valid"]})


def _task(split: str, places: Sequence[int], held: Mapping[str, Sequence[Example]]) -> LandscapeTask:
    values = _values(held["train"])
    return LandscapeTask(
        name=NAME,
        title="Fitness of a GB1 variant",
        question="Does the variant still bind?",
        explanation="The network reads the variant and gives its enrichment after selection for binding.",
        target=Number("log enrichment", center=float(values.mean()), spread=float(values.std()) or 1.0),
        table=HeldTable(
            TABLE.files,
            splits={part: (part,) for part in held},
            title=f"{TABLE.title}, {split}",
            source=TABLE.source,
            licence=TABLE.licence,
            held=held,
        ),
        metrics=(METRIC,),
        say=lambda answer: f"Its fitness should be about {answer['value']:.2f}.",
        conditions=tuple(Condition(name, "", "1 if this residue is here", _RARE, _STEP) for name in _names(places)),
    )


def varied(sequences: Sequence[str]) -> list[int]:
    """The places at which sequences of one length differ, from 0."""
    letters = numpy.array([list(sequence) for sequence in sequences])
    return [int(place) for place in numpy.flatnonzero((letters != letters[0]).any(0))]


def ridge(train: Sequence[Example], test: Sequence[Example]) -> list[Answer]:
    """Ridge regression on the mutated residues; its strength is chosen within training, by leaving one out."""
    return [{"value": float(value)} for value in _fitted(train).predict(_rows(test))]


def begin_with_ridge(head: PooledHead, task: LandscapeTask) -> None:
    """Let a new head begin as the ridge that the training variants give: what it learns then comes on top.

    The ridge goes into the part of the head that is linear in the conditions; its doubt is its error on validation.
    """
    model, target = _fitted(task.examples("train")), cast(Number, task.target)
    valid = task.examples("valid")
    misses = model.predict(_rows(valid)) - _values(valid)
    count = len(task.conditions)
    shift = model.intercept_ + model.coef_.sum() * _RARE - target.center
    with torch.no_grad():
        for part in (head.direct, cast(nn.Linear, head.judge[-1])):
            part.weight.zero_()
            part.bias.zero_()
        # what the head is given: mean state, conditions as (x - center) / spread, which of them are known
        start = head.direct.in_features - 2 * count
        head.direct.weight[0, start : start + count] = torch.from_numpy(model.coef_ * _STEP / target.spread)
        head.direct.bias[0] = float(shift / target.spread)
        head.direct.bias[1] = float(numpy.log(max(numpy.sqrt((misses**2).mean()), 1e-3) / target.spread))


def _fitted(examples: Sequence[Example]) -> RidgeCV:
    return RidgeCV(numpy.logspace(-2, 4, 13)).fit(_rows(examples), _values(examples))


def _values(examples: Sequence[Example]) -> NDArray[numpy.float64]:
    return numpy.array([example.value for example in examples], dtype=numpy.float64)


def _rows(examples: Sequence[Example]) -> NDArray[numpy.float64]:
    return numpy.array([list(example.conditions.values()) for example in examples])


def _names(places: Sequence[int]) -> list[str]:
    return [f"{place + 1}{residue}" for place in places for residue in RESIDUES]


def _one_hot(residues: str) -> NDArray[numpy.float64]:
    return numpy.array([float(there == residue) for there in residues for residue in RESIDUES])

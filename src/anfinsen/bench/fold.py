"""Folds judged: how near the models of the folder come to measured structures, and whether it knows how near.

    chains of the test split, one a cluster     -> folded -> lDDT-CA, TM-score, and pLDDT against the true lDDT
    CAMEO targets of August to October 2022     ->

The network reads the whole molecule where a table tells it, and the residues that were seen are judged. Only chains of
at most `LONGEST` residues are folded here, `MOST` of each set, always the same ones: building takes seconds a chain.
Beside it stand

    network alone           the folder without known structures
    nearest structure       the training chain of the best local alignment lends its CA atoms to the residues aligned
                            with its own; between them a straight line, beyond them a straight chain
    secondary structure     the embedded model's helices, strands and turns as an ideal chain: local shape and no fold
    one confidence for all  (pLDDT only) every chain is given the mean of our pLDDT

`pLDDT_error` is the mean over chains of |mean pLDDT - 100 lDDT-CA|. No cluster of a judged chain was trained on. What
the weights of known structures and the confidence are fitted on (see `fold_fitting`) are validation chains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.bench.contact_maps import ALONE, NEAREST, SPLITS, folder_of, judged, training_structures
from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import STRUCTURE
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.errors import UndefinedScoreError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.fold import Builder, Fold
from anfinsen.inference.predictor import Predictor
from anfinsen.sets.coordinates import Chain
from anfinsen.sets.known_structures import KnownStructures
from anfinsen.structure.frames import chain_of
from anfinsen.structure.lending import Template
from anfinsen.structure.protein import Protein
from anfinsen.structure.scores import mean_lddt, tm_score
from anfinsen.targets.metrics import METRICS, Metric, Pairs, measure

Floats = NDArray[numpy.floating[Any]]
Model = Callable[[Chain, str], Floats]
"""A chain and the sequence that is read -> CA of each residue of that sequence, (T, 3)."""

TASK = "fold"
LONGEST, MOST = 250, 30
"""Residues of the longest chain that is folded here, and chains of each set."""
SECONDARY, CONSTANT = "secondary structure", "one confidence for all"
SHAPES = {"H": (-63.0, -42.0), "E": (-120.0, 130.0)}
"""Phi and psi in degrees of a residue in a helix and in a strand."""
COIL = (-70.0, 145.0)
_STEP = 3.8
_MEANINGS = {
    "lDDT-CA": ("share of the distances within 15 Å that are right, CA atoms, mean over chains", True),
    "TM": ("likeness of the fold after the best superposition, above 0.5 the same, mean over chains", True),
    "pLDDT_error": ("points of 100 by which the mean pLDDT of a chain misses its lDDT", False),
}


def _rows_of(name: str) -> Callable[[Pairs], NDArray[numpy.float64]]:
    return lambda pairs: numpy.array([[float(answer[name]), 1.0] for _, answer in pairs])


def _read(sums: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    found: NDArray[numpy.float64] = sums[..., 0] / sums[..., 1]
    return found


for _name, (_meaning, _higher) in _MEANINGS.items():
    METRICS.add(_name, Metric(_name, _meaning, _rows_of(_name), _read, "no chain", higher_is_better=_higher))


def fold_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """lDDT-CA, TM-score and pLDDT error of the bundle if it folds, else of the embedded folder, and the baselines'."""
    known = training_structures()
    builder, local = Builder(folder_of(bundle), known), by_secondary_structure()
    label = builder.folder.bundle.label
    rows: list[Score] = []
    for split in SPLITS:
        chains = short_chains(split, min(MOST, limit or MOST))
        tell(f"{TASK}, {split}: {len(chains)} chains of at most {LONGEST} residues; {label} folds them.")
        answers: dict[str, list[dict[str, float]]] = {}
        for chain in chains:
            for name, answer in answers_of(chain, builder, known, local).items():
                answers.setdefault(name, []).append(answer)
        rows += _scored(split, chains, answers, tell)
    return rows


def answers_of(chain: Chain, builder: Builder, known: KnownStructures, local: Model) -> dict[str, dict[str, float]]:
    """What the folder, the network alone and the baselines make of one chain, each with its scores."""
    sequence, _ = _read_as(chain)
    protein, templates = Protein(chain.id, sequence), known.search(sequence)
    alone = builder.folder.distogram(protein)
    believed, used = builder.leaning(alone, templates)
    answers = {builder.folder.bundle.label: _ours(chain, builder.built(protein, believed, used))}
    if builder.known is not None:
        # what nothing was lent to is built once
        answers[ALONE] = _ours(chain, builder.built(protein, alone)) if used else next(iter(answers.values()))
    for name, alphas in ((NEAREST, by_template(sequence, templates)), (SECONDARY, local(chain, sequence))):
        answers[name] = _answer(chain, alphas)
    return answers


def short_chains(split: str, most: int) -> list[Chain]:
    """At most so many judged chains that are not too long to fold here, always the same ones."""
    return draw([chain for chain in judged(split) if len(chain.whole or chain.sequence) <= LONGEST], most)


def _scored(split: str, chains: Sequence[Chain], answers: dict[str, list[dict[str, float]]], tell: Tell) -> list[Score]:
    examples = [Example(Protein(chain.id, chain.sequence), 1.0) for chain in chains]
    question = Question(STRUCTURE, TASK, f"chains up to {LONGEST} residues", split, "")
    ours = next(iter(answers))
    if chains:
        mean = float(numpy.mean([answer["pLDDT"] for answer in answers[ours]]))
        constant = [{"pLDDT_error": abs(mean - 100 * answer["lDDT-CA"])} for answer in answers[ours]]
        answers = answers | {CONSTANT: constant}
    rows = []
    for name, found in answers.items():
        for metric in _MEANINGS:
            if found and metric in found[0]:
                try:
                    rows.append(replace(question, metric=metric).row(name, measure(metric, examples, found)))
                except UndefinedScoreError as error:
                    tell(f"{TASK}, {split}, {name}: {error}")
    return rows


# Who makes the models -----------------------------------------------------------------------------------------------


def _read_as(chain: Chain) -> tuple[str, NDArray[numpy.int64]]:
    """The sequence that is read, and where in it the residues that were seen stand."""
    if chain.whole is None:
        return chain.sequence, numpy.arange(len(chain))
    return chain.whole, chain.places


def _ours(chain: Chain, fold: Fold) -> dict[str, float]:
    _, places = _read_as(chain)
    sure = float(fold.plddt[places].mean())
    scores = _answer(chain, fold.backbone.alphas)
    return scores | {"pLDDT": sure, "pLDDT_error": abs(sure - 100 * scores["lDDT-CA"])}


def _answer(chain: Chain, alphas: Floats) -> dict[str, float]:
    _, places = _read_as(chain)
    truth = chain.atoms["CA"]
    return {"lDDT-CA": mean_lddt(truth, alphas[places]), "TM": tm_score(truth, alphas[places])}


def by_template(sequence: str, templates: Sequence[Template]) -> Floats:
    """CA atoms of the structure of the best alignment, (T, 3)."""
    return filled(templates[0].alphas if templates else numpy.full((len(sequence), 3), numpy.nan))


def filled(alphas: Floats) -> Floats:
    """A trace without gaps: straight lines between known atoms, straight chains before the first and after the last."""
    known = numpy.flatnonzero(~numpy.isnan(alphas).any(1))
    at = numpy.arange(len(alphas))
    if len(known) < 2:
        return numpy.stack([_STEP * at, 0.0 * at, 0.0 * at], axis=1)
    made = numpy.stack([numpy.interp(at, known, alphas[known, axis]) for axis in range(3)], axis=1)
    for end, inward in ((known[0], known[1]), (known[-1], known[-2])):
        away = alphas[end] - alphas[inward]
        away = away / max(1e-6, float(numpy.linalg.norm(away)))
        outside = at[at < end] if end == known[0] else at[at > end]
        made[outside] = alphas[end] + _STEP * numpy.abs(outside - end)[:, None] * away
    return made


def by_secondary_structure() -> Model:
    """CA atoms of an ideal chain with the embedded model's secondary structure."""
    predictor = Predictor.load(None, ("secondary-structure",))

    def draw(chain: Chain, sequence: str) -> Floats:
        (told,) = predictor.predict([Protein(chain.id, sequence)])
        letters = told.answers["secondary-structure"]["tokens"]
        angles = numpy.radians([SHAPES.get(letter, COIL) for letter in letters]).astype(numpy.float32)
        return chain_of(angles)[:, 1]

    return draw

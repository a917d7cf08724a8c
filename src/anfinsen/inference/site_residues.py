"""What is said of each residue of a structure: a network, its ear for the sequence, and geometry, joined by one line.

    the network on the structure      log-odds of touching a drug-like molecule
    hollows                           how many enclosed points the residue faces
    the first pocket                  how many points of it the residue faces, and how far its CB lies from it
    the sequence alone                what convolutions on states of the language model say, averaged over some 10 Å

Each of them knows what the others do not: the network sees CA atoms and directions, only geometry tells whether there
is room for anything beside a residue, and ligands sit where whole surroundings are of the kind that binds. Joined in
one network they over-fitted (docs/LOG.md); a line of six numbers does not. What is said of a kind is said sparingly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from anfinsen.structure.backbone import Backbone
from anfinsen.structure.pockets import Cavities, Pocket, faced
from anfinsen.targets.base import Answer
from anfinsen.tasks.ligand_sites import DRUG, TASK

IN_SPACE = (DRUG, "PRO")
"""Kinds that the network has learnt from structures; of the others it knows sequences, and is asked by these."""
ALONE, PLACED = "said alone ", "said placed "
"""Before the name of a kind, the keys in a bundle's calibration of the chance from which on a residue is said to hold
it, by the sequence alone and, of the kinds of `IN_SPACE`, on a structure."""
NEVER = 1.0
"""That chance of a kind which is never said: of what would be said too little was right."""
RIGHT = 0.3
"""Share of the residues said that must have been right on validation chains."""
BESIDE, TOUCHING = "drug-by-sequence", "L"
"""The head of a bundle that reads the sequence alone and knows nothing but drug-like molecules, and its letter for a
residue that touches one. Where a bundle has none, the network speaks for the sequence too."""
VOICES = ("network", "hollows", "first pocket", "distance", "sequence")
"""What is heard of each residue, in the order of the columns of `voices`."""
LINE = (1.620, 0.325, 0.290, 0.592, -0.078, 1.617)
"""Constant and weight of each voice: a logistic line through the residues of the 67 validation chains of
`ligand_sites` (`benchmarks/ligand_sites.py --fit`)."""
SAID = 0.36
"""Chance from which on a residue of a structure is said to touch a drug-like molecule: on those chains the highest
whose MCC is within a hundredth of the best, so that no more are said than must be."""
_FARTHEST = 40.0
"""Ångström from the first pocket beyond which distances are not told apart."""
_AROUND = 10.0
"""Ångström over which the weight of a neighbour falls."""

Floats = NDArray[numpy.floating[Any]]


def evidence(answer: Answer) -> Floats:
    """The chance of each residue to touch a drug-like molecule, (L,)."""
    return numpy.array(answer["probabilities"][DRUG], dtype=numpy.float64)


def by_sequence(answers: Mapping[str, Answer]) -> Floats:
    """That chance by the answers to the sequence alone, (L,)."""
    if BESIDE in answers:
        return numpy.array(answers[BESIDE]["probabilities"][TOUCHING], dtype=numpy.float64)
    return evidence(answers[TASK.name])


def voices(placed: Floats, alone: Floats, backbone: Backbone, hollows: Cavities, first: Pocket | None) -> Floats:
    """What is heard of each of L residues, (L, 5): `placed` and `alone` are the network's chances, (L,) each.

    `first` is the best pocket of the hollows, None where they have none.
    """
    length, sides = len(placed), backbone.betas.astype(numpy.float64)
    facing = numpy.zeros(length, dtype=numpy.int64)
    away: Floats = numpy.full(length, _FARTHEST)
    if first is not None:
        facing = faced(replace(hollows, points=first.points), length)
        away = numpy.fmin(numpy.linalg.norm(sides - first.centre, axis=1), _FARTHEST)
    heard = averaged(log_odds(alone), sides)
    columns = (log_odds(placed), numpy.log1p(faced(hollows, length)), numpy.log1p(facing), away, heard)
    return numpy.stack(columns, axis=1)


def joined(answer: Answer, heard: Floats) -> Answer:
    """The answer with what all voices (L, 5) together say of a drug-like molecule."""
    odds = LINE[0] + heard @ numpy.array(LINE[1:])
    drug = (1 / (1 + numpy.exp(-odds))).round(4).tolist()
    return {
        **answer,
        "probabilities": {**answer["probabilities"], DRUG: drug},
        "thresholds": {**answer["thresholds"], DRUG: SAID},
    }


def blended(in_space: Answer, alone: Answer) -> Answer:
    """What the structure says of the kinds of `IN_SPACE`, and the sequence alone of the others.

    Chains of the other kinds were learnt from almost without structures, and what is unknown moves nothing: shown a
    structure, the network calls far too many of their residues.
    """
    shares = {
        kind: (in_space if kind in IN_SPACE else alone)["probabilities"][kind] for kind in in_space["probabilities"]
    }
    return {**in_space, "probabilities": shares}


def sparing(answer: Answer, calibration: Mapping[str, float]) -> Answer:
    """The answer with residues said only where that was right often enough, by what each kind was asked by.

    A sequence hardly tells where calcium or a peptide sits: the threshold of the best F1 would say half of the chain.
    """
    is_placed = answer["ground"] in ("structure", "fold")
    keys = {kind: f"{PLACED if is_placed and kind in IN_SPACE else ALONE}{kind}" for kind in answer["thresholds"]}
    raised = {kind: calibration[key] for kind, key in keys.items() if key in calibration}
    kept = {name: part for name, part in answer.items() if name not in ("tokens", "sets")}
    return {**kept, "thresholds": {**answer["thresholds"], **raised}}


def averaged(values: Floats, points: Floats) -> Floats:
    """The mean of `values` (L,) over the surroundings of each point (L, 3), near ones weighing more, itself left out.

    A residue that has no place, or nobody beside it, keeps its own value.
    """
    known = numpy.flatnonzero(~numpy.isnan(points).any(-1))
    pairs = KDTree(points[known]).query_pairs(2 * _AROUND, output_type="ndarray")
    apart = numpy.linalg.norm(points[known][pairs[:, 0]] - points[known][pairs[:, 1]], axis=1)
    weight = csr_matrix((numpy.exp(-((apart / _AROUND) ** 2)), known[pairs].T), shape=(len(values), len(values)))
    weight = weight + weight.T
    total = numpy.asarray(weight.sum(1)).ravel()
    mean: Floats = numpy.where(total > 0, weight @ values / numpy.where(total > 0, total, 1.0), values)
    return mean


def log_odds(shares: Floats) -> Floats:
    """Chances as log-odds, none surer than 1 in 10,000."""
    clipped = numpy.clip(shares, 1e-4, 1 - 1e-4)
    odds: Floats = numpy.log(clipped / (1 - clipped))
    return odds

"""What a folder says of known structures and of itself, fitted on validation chains that no training saw.

    validation chains -> network's distograms + templates -> the eight numbers that mix them       fit_templates
                      -> folded with these               -> pLDDT, and the scale of expected errors fit_confidence

The first comes before the second: the confidence is that of models which lean on known structures where there are any.
Both are kept in the record of 'contacts' in a bundle, where `anfinsen fold` reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.bench.contact_maps import LONGEST, SHORTEST, training_structures
from anfinsen.bench.study import Tell
from anfinsen.data.draw import draw, draw_places
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.distances import TASK, Folder
from anfinsen.inference.fold import Builder
from anfinsen.sets.coordinates import load_chains
from anfinsen.sets.folds import fold_examples
from anfinsen.structure import confidence, lending
from anfinsen.structure.distogram import EDGES, Distogram
from anfinsen.structure.geometry import distances
from anfinsen.structure.lending import Lending, Template
from anfinsen.structure.protein import Protein
from anfinsen.structure.scores import lddt
from anfinsen.targets.distances import betas_of

Floats = NDArray[numpy.floating[Any]]

FITTED_ON, LONGEST_BUILT = 40, 250
"""Validation chains that the confidence is fitted on, and residues of the longest of them."""
PAIRS = 2_500
"""Pairs of each chain that the weights of known structures are fitted on."""


def fit_templates(bundle: Path, *, most: int | None = None, tell: Tell = lambda sentence: None) -> dict[str, float]:
    """Fit how much known structures count on at most so many chains, and keep it in the bundle's record."""
    folder, known = Folder.load(bundle), training_structures()
    proteins = [example.protein for example in fold_examples("valid")]
    proteins = draw([one for one in proteins if SHORTEST <= len(one) <= LONGEST], most)
    cases = []
    for number, protein in enumerate(proteins, 1):
        if templates := known.search(protein.sequence):
            cases.append(case_of(protein, folder.distogram(protein), templates))
        tell(f"{number} of {len(proteins)} validation chains: {protein.id}, {len(templates)} templates.")
    found = lending.fit(cases, EDGES)
    _keep(bundle, lending.KEYS, found)
    return found


def case_of(protein: Protein, believed: Distogram, templates: list[Template]) -> tuple[Lending, Floats]:
    """Pairs that a template covers and whose true distance is known, at most `PAIRS` at random, and that distance."""
    assert protein.backbone is not None  # every validation chain has one
    apart = distances(betas_of(protein.backbone))
    first, second = numpy.triu_indices(len(protein), lending.FIRST_PAIR)
    seen = numpy.array([~numpy.isnan(one.betas[:, 0]) for one in templates])  # (T, L)
    covered = (seen[:, first] & seen[:, second]).any(0)
    at = numpy.flatnonzero(covered & ~numpy.isnan(apart[first, second]))
    at = at[draw_places(len(at), PAIRS, in_order=False)]
    return lending.lend(believed, templates, first[at], second[at]), apart[first[at], second[at]]


def fit_confidence(bundle: Path, *, most: int = FITTED_ON, tell: Tell = lambda sentence: None) -> dict[str, float]:
    """Fit pLDDT and the scale of expected errors on models of validation chains, and keep them too."""
    builder = Builder(Folder.load(bundle), training_structures())
    chains = load_chains("valid", kinds=("bb5",), representatives=True)
    chains = draw([one for one in chains if SHORTEST <= len(one) <= LONGEST_BUILT], most)
    agreed, network, truth, scales = [], [], [], []
    for number, chain in enumerate(chains, 1):
        protein = Protein(chain.id, chain.sequence)
        believed, templates = builder.believed(protein)
        made = builder.built(protein, believed, templates).backbone
        agreed.append(confidence.agreement(believed, made.betas))
        assert believed.confidence is not None  # our own distogram always has it
        network.append(believed.confidence)
        truth.append(lddt(chain.atoms["CA"], made.alphas))
        points = chain.backbone.points
        seen = ~numpy.isnan(points[:, :3]).any((1, 2))
        wrong = confidence.aligned_errors(points[seen], made.points[seen])
        expected = confidence.expected_errors(believed, made.betas)[numpy.ix_(seen, seen)]
        scales.append(wrong.mean() / max(1e-6, expected.mean()))
        tell(f"{number} of {len(chains)} validation chains: {chain.id}, lDDT {numpy.nanmean(truth[-1]):.2f}.")
    found = confidence.fit(agreed, network, truth, float(numpy.median(scales)))
    _keep(bundle, confidence.KEYS, found)
    return found


def _keep(bundle: Path, names: tuple[str, ...], found: dict[str, float]) -> None:
    """Put fitted numbers in the place of older ones of these names."""
    opened = Bundle.load(bundle)
    record = opened.records[TASK]
    others = {name: value for name, value in record.calibration.items() if name not in names}
    opened.records[TASK] = record.replaced(calibration=others | found)
    opened.save(bundle)

"""The affinity predictor: proteins and molecules in, one answer a pair out.

    proteins -> the language model's mean states and words ---\\
                                                                > likeness to known ones -> judge -> answers
    molecules -> fragments ------------------------------------/

Where the pocket of a protein is known (`affinity_pocket`), the states of its residues may count for more than the
others; why an answer is what it is says `explain.binding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy

from anfinsen.data.example import Example
from anfinsen.drug.features import fingerprints
from anfinsen.drug.molecule import Molecule
from anfinsen.errors import BundleError
from anfinsen.hub.affinity import AffinityBundle, hashed, shelved
from anfinsen.hub.body import body_hash
from anfinsen.inference.affinity_pocket import Places, mean_state
from anfinsen.inference.embedder import Embedder
from anfinsen.kinship.profile import profiles
from anfinsen.models.binding import REGIMES, Floats
from anfinsen.sets.known_binders import find_binders
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer

FAR_DRUG, FAR_PROTEIN = 0.35, 0.15
"""Likeness to the nearest known drug or protein below which an answer counts as far from training."""
BLOCK = 256
"""Molecules that are answered at once."""


def say_known(protein: Protein, molecules: Sequence[Molecule]) -> str | None:
    """What is known to bind a protein or its relatives, and which molecule is most like it; None where nothing is."""
    binders = find_binders(protein.sequence)
    if not len(binders):
        return None
    near = binders.nearest(molecules)
    best = max(range(len(near)), key=lambda at: near[at].score)
    closest = f"{molecules[best].id} comes closest, by a likeness of {near[best].likeness:.2f} to {near[best].name}"
    return f"There are {binders.say(protein.id)}; {closest}."


class AffinityPredictor:
    """One affinity model with the language model whose states it reads."""

    def __init__(self, bundle: AffinityBundle, embedder: Embedder) -> None:
        if body_hash(embedder.network.body) != bundle.record.backbone_sha256:
            raise BundleError(
                f"'{bundle.name}' learnt from the states of another language model than '{embedder.about.model}'.",
                remedy="Fit it again: anfinsen affinity-fit davis --out FOLDER, then --bundle FOLDER.",
            )
        self.bundle = bundle
        self._embedder = embedder
        self._drugs, self._drug_names = shelved(bundle.record.drugs)
        self._proteins, self._protein_names = shelved(bundle.record.proteins)

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Open a folder, the embedded model if none is given."""
        return cls(AffinityBundle.load(folder), Embedder.load(per="residue"))

    def states(self, proteins: Sequence[Protein]) -> list[Floats]:
        """The residue states (L, C) of some proteins, centred as in training."""
        embedded = self._embedder.embed(Example(protein) for protein in proteins)
        return [(one - self.bundle.state_mean) / self.bundle.state_spread for one in embedded]

    def predict(
        self, proteins: Sequence[Protein], molecules: Iterable[Molecule], *, pockets: Mapping[str, Places] | None = None
    ) -> Iterator[Answer]:
        """One answer for each molecule with each protein, molecule by molecule, as they come."""
        found = zip(proteins, self.states(proteins), strict=True)
        states = numpy.stack([mean_state(one, (pockets or {}).get(protein.id)) for protein, one in found])
        words = profiles([protein.sequence for protein in proteins], self.bundle.word_weights)
        block: list[Molecule] = []
        for molecule in molecules:
            block.append(molecule)
            if len(block) == BLOCK:
                yield from self._answer(proteins, block, words, states)
                block = []
        if block:
            yield from self._answer(proteins, block, words, states)

    def _answer(
        self, proteins: Sequence[Protein], molecules: Sequence[Molecule], words: Floats, states: Floats
    ) -> Iterator[Answer]:
        model = self.bundle.model
        own_drug = numpy.array([self._drugs.get(hashed(one.smiles), -1) for one in molecules], dtype=numpy.int64)
        own_protein = numpy.array([self._proteins.get(hashed(one.sequence), -1) for one in proteins], dtype=numpy.int64)
        drugs, others = model.likeness(fingerprints(molecules), words, states, own_drug, own_protein)
        grid = numpy.stack(numpy.meshgrid(range(len(molecules)), range(len(proteins)), indexing="ij"), -1)
        found = model.predict(drugs, others, grid.reshape(-1, 2))
        near = drugs.kinds[0].argmax(1), others.kinds[0].argmax(1)
        for at, (drug, protein) in enumerate(grid.reshape(-1, 2).tolist()):
            alike = float(found.drug_alike[drug]), float(found.protein_alike[protein])
            is_far = alike[0] < FAR_DRUG or alike[1] < FAR_PROTEIN or molecules[drug].is_unusual
            value, reach = float(found.value[at]), float(found.reach[at])
            is_known = own_drug[drug] >= 0 and own_protein[protein] >= 0
            yield {
                "protein": proteins[protein].id,
                "drug": molecules[drug].id,
                "value": round(value, 3),
                "unit": self.bundle.record.unit,
                "low": round(value - reach, 3),
                "high": round(value + reach, 3),
                "regime": REGIMES[int(found.regime[at])],
                "measured": bool(is_known and model.memory.known[own_drug[drug], own_protein[protein]] > 0),
                "reach": {
                    "far": bool(is_far),
                    "nearest_drug": self._drug_names[int(near[0][drug])],
                    "drug_likeness": round(alike[0], 3),
                    "nearest_protein": self._protein_names[int(near[1][protein])],
                    "protein_likeness": round(alike[1], 3),
                },
            }

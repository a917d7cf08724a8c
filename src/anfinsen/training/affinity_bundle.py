"""From a table of measured affinities to numbers, and from numbers to an affinity model in a folder.

    formulas -> child process -> fragments         \\
                                                     > `Sides` -> `training.affinity.fit` -> `AffinityBundle`
    sequences -> language model -> states; words   /
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.data.example import Example
from anfinsen.drug.features import fingerprints
from anfinsen.drug.molecule import Formula, Molecule, read_formulas
from anfinsen.errors import InputError
from anfinsen.hub.affinity import AffinityBundle, AffinityRecord, hashed
from anfinsen.hub.body import body_hash
from anfinsen.inference.embedder import Embedder
from anfinsen.kinship.profile import profiles, word_weights
from anfinsen.kinship.splits import TEST, Places
from anfinsen.sets.affinity import OFFICIAL, Affinities, AffinityTable, drug_groups, protein_groups, split
from anfinsen.structure.protein import Protein
from anfinsen.training.affinity import AffinityConfig, Sides, fit

Floats = NDArray[numpy.float32]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A table's drugs and proteins as numbers, and what must be kept to make the same numbers of new ones."""

    found: Affinities
    """The table without the drugs that were refused."""
    rows: Places
    """Which of the table's pairs are left."""
    sides: Sides
    molecules: tuple[Molecule, ...]
    word_weights: Floats
    state_mean: Floats
    state_spread: Floats

    def numbers_of(self, proteins: Sequence[Protein], embedder: Embedder) -> tuple[Floats, Floats]:
        """Profiles and centred mean states of other proteins, made as the table's own were."""
        states = (mean_states(proteins, embedder) - self.state_mean) / self.state_spread
        return profiles([protein.sequence for protein in proteins], self.word_weights), states


def prepare(found: Affinities, embedder: Embedder, tell: Tell = lambda sentence: None) -> Prepared:
    """Numbers of all drugs and proteins of a table; `embedder` gives mean states per protein."""
    formulas = [Formula(text, name) for name, text in zip(found.drug_ids, found.smiles, strict=True)]
    molecules = list(read_formulas(formulas))
    kept = tuple(one for one in molecules if isinstance(one, Molecule))
    refused = [one for one in molecules if isinstance(one, InputError)]
    count = len(found.value)
    places = numpy.flatnonzero([isinstance(one, Molecule) for one in molecules])
    found, rows = found.of_drugs(places)
    if refused:
        tell(f"{len(refused):,} drugs ({count - len(rows):,} pairs) are refused; the first: {refused[0]}")
    tell(f"{len(kept):,} drugs are read; {len(found.proteins):,} proteins are embedded.")
    states = mean_states(found.proteins, embedder)
    middle, spread = states.mean(0), states.std(0) + 1e-6
    chains = [protein.sequence for protein in found.proteins]
    weights = word_weights(chains)
    sides = Sides(
        fingerprints(kept),
        profiles(chains, weights),
        (states - middle) / spread,
        drug_groups(found),
        protein_groups(found),
    )
    return Prepared(found, rows, sides, kept, weights, middle, spread)


def mean_states(proteins: Sequence[Protein], embedder: Embedder) -> Floats:
    """The mean state of each protein (T, C); equal sequences are embedded once."""
    unique = {protein.sequence: protein for protein in proteins}
    embedded = embedder.embed(Example(protein) for protein in unique.values())
    means = {
        sequence: (states if states.ndim == 1 else states.mean(0))
        for sequence, states in zip(unique, embedded, strict=True)
    }
    return numpy.stack([means[protein.sequence] for protein in proteins]).astype(numpy.float32)


def make_bundle(
    table: AffinityTable, embedder: Embedder, config: AffinityConfig, tell: Tell = lambda sentence: None
) -> AffinityBundle:
    """Learn from all pairs of a table but its official test, which no one has then seen."""
    ready = prepare(table.load(), embedder, tell)
    found = ready.found
    rows = numpy.flatnonzero(split(found, OFFICIAL).names != TEST)
    model = fit(ready.sides, found.drug[rows], found.protein[rows], found.value[rows], config=config, tell=tell)
    drugs, proteins = (numpy.unique(side[rows]) for side in (found.drug, found.protein))
    known_drugs: dict[str, str] = {}
    known_proteins: dict[str, str] = {}
    for place, at in enumerate(drugs.tolist()):
        known_drugs.setdefault(hashed(ready.molecules[at].smiles), f"{place} {ready.molecules[at].id}")
    for place, at in enumerate(proteins.tolist()):
        known_proteins.setdefault(hashed(found.proteins[at].sequence), f"{place} {found.proteins[at].id}")
    settings: dict[str, Any] = config.model_dump()
    record = AffinityRecord(
        name=f"anfinsen-affinity-{table.name}",
        table=table.title,
        unit=table.unit,
        licence=table.licence,
        backbone_sha256=body_hash(embedder.network.body),
        drugs=known_drugs,
        proteins=known_proteins,
        trained_on=len(rows),
        data_sha256=hashlib.sha256(found.value[rows].tobytes()).hexdigest(),
        settings={key: float(value) for key, value in settings.items()},
    )
    return AffinityBundle(record, model, ready.word_weights, ready.state_mean, ready.state_spread)

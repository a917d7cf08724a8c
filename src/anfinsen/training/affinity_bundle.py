"""From a table of measured affinities to numbers, and from numbers to an affinity model in a folder.

    formulas -> child process -> fragments         \\
                                                     > `Sides` -> `training.affinity.fit` -> `AffinityBundle`
    sequences -> language model -> states; words   /
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.data.affinity import OFFICIAL, Affinities, AffinityTable, drug_groups, protein_groups, split
from anfinsen.data.example import Example
from anfinsen.data.profile import profiles, word_weights
from anfinsen.data.splits import TEST
from anfinsen.drug.features import fingerprints
from anfinsen.drug.molecule import Formula, Molecule, read_formulas
from anfinsen.errors import UsageError
from anfinsen.hub.affinity import AffinityBundle, AffinityRecord, hashed
from anfinsen.hub.body import body_hash
from anfinsen.inference.embedder import Embedder
from anfinsen.training.affinity import AffinityConfig, Sides, fit

Floats = NDArray[numpy.float32]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A table's drugs and proteins as numbers, and what must be kept to make the same numbers of new ones."""

    sides: Sides
    molecules: tuple[Molecule, ...]
    word_weights: Floats
    state_mean: Floats
    state_spread: Floats


def prepare(found: Affinities, embedder: Embedder, tell: Tell = lambda sentence: None) -> Prepared:
    """Numbers of all drugs and proteins of a table; `embedder` gives mean states per protein."""
    formulas = [Formula(text, name) for name, text in zip(found.drug_ids, found.smiles, strict=True)]
    molecules = list(read_formulas(formulas))
    refused = [one for one in molecules if not isinstance(one, Molecule)]
    if refused:
        raise UsageError(f"A drug of the table is refused: {refused[0]}", remedy="Take it out of the table.")
    tell(f"{len(molecules):,} drugs are read; {len(found.proteins):,} proteins are embedded.")
    unique = {protein.sequence: protein for protein in found.proteins}
    embedded = embedder.embed(Example(protein) for protein in unique.values())
    means = {
        sequence: (states if states.ndim == 1 else states.mean(0))
        for sequence, states in zip(unique, embedded, strict=True)
    }
    states = numpy.stack([means[protein.sequence] for protein in found.proteins]).astype(numpy.float32)
    middle, spread = states.mean(0), states.std(0) + 1e-6
    chains = [protein.sequence for protein in found.proteins]
    weights = word_weights(chains)
    kept = tuple(one for one in molecules if isinstance(one, Molecule))
    sides = Sides(
        fingerprints(kept),
        profiles(chains, weights),
        (states - middle) / spread,
        drug_groups(found),
        protein_groups(found),
    )
    return Prepared(sides, kept, weights, middle, spread)


def make_bundle(
    table: AffinityTable, embedder: Embedder, config: AffinityConfig, tell: Tell = lambda sentence: None
) -> AffinityBundle:
    """Learn from all pairs of a table but its official test, which no one has then seen."""
    found = table.load()
    ready = prepare(found, embedder, tell)
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

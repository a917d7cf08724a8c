"""From a table of measured affinities to numbers, and from numbers to an affinity model in a folder.

    formulas -> child process -> fragments, graphs           \\
                                                               > `Sides` -> `training.affinity.fit` -> `AffinityBundle`
    sequences -> language model -> states, stretches; words  /
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy.typing import NDArray

from anfinsen.data.example import Example
from anfinsen.drug.features import fingerprints
from anfinsen.drug.graph import graphs_of
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

STRETCHES = 12
"""Equal parts of each chain, among which a drug of the graph network looks."""


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
        states = (protein_states(proteins, embedder)[0] - self.state_mean) / self.state_spread
        return profiles([protein.sequence for protein in proteins], self.word_weights), states


def prepare(
    found: Affinities, embedder: Embedder, tell: Tell = lambda sentence: None, *, stretches: int = 0
) -> Prepared:
    """Numbers of all drugs and proteins of a table; `embedder` gives mean states per protein.

    With so many `stretches` of each chain also what the graph network reads; `embedder` then gives states per residue.
    """
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
    states, parts = protein_states(found.proteins, embedder, stretches)
    middle, spread = states.mean(0), states.std(0) + 1e-6
    chains = [protein.sequence for protein in found.proteins]
    weights = word_weights(chains)
    sides = Sides(
        fingerprints(kept),
        profiles(chains, weights),
        (states - middle) / spread,
        drug_groups(found),
        protein_groups(found),
        tuple(graphs_of([molecule.smiles for molecule in kept])) if stretches else (),
        (parts - parts.mean((0, 1))) / (parts.std((0, 1)) + 1e-6) if stretches else parts,
    )
    return Prepared(found, rows, sides, kept, weights, middle, spread)


def protein_states(proteins: Sequence[Protein], embedder: Embedder, stretches: int = 0) -> tuple[Floats, Floats]:
    """The mean state of each protein (T, C), and of equal parts of it (T, stretches, C), for which `embedder` must give
    a state a residue; equal sequences are embedded once.
    """  # fmt: skip
    unique = {protein.sequence: protein for protein in proteins}
    means, parts = {}, {}
    for sequence, states in zip(unique, embedder.embed(map(Example, unique.values())), strict=True):
        means[sequence] = states if states.ndim == 1 else states.mean(0)
        parts[sequence] = part_means(states.reshape(-1, states.shape[-1]), stretches)
    found = [numpy.stack([kind[protein.sequence] for protein in proteins]) for kind in (means, parts)]
    return found[0].astype(numpy.float32), found[1].astype(numpy.float32)


def part_means(states: Floats, count: int) -> Floats:
    """The means of `count` equal parts of residue states (L, C); those of a short chain overlap: (count, C).

    >>> part_means(numpy.array([[1.0], [2.0], [6.0], [8.0]]), 2).ravel()
    array([1.5, 7. ])
    """
    begin = numpy.arange(count) * len(states) // max(count, 1)
    end = numpy.maximum(numpy.arange(1, count + 1) * len(states) // max(count, 1), begin + 1)
    means: Floats = numpy.array([states[one:other].mean(0) for one, other in zip(begin, end, strict=True)])
    return means.reshape(count, states.shape[1])


def make_bundle(
    table: AffinityTable,
    embedder: Embedder,
    config: AffinityConfig,
    tell: Tell = lambda sentence: None,
    folder: Path | None = None,
) -> AffinityBundle:
    """Learn from all pairs of a table but its official test, which no one has then seen.

    `embedder` gives one state a residue. In `folder` the networks keep what they have learnt so far.
    """
    ready = prepare(table.load(), embedder, tell, stretches=STRETCHES)
    found = ready.found
    rows = numpy.flatnonzero(split(found, OFFICIAL).names != TEST)
    known = found.drug[rows], found.protein[rows], found.value[rows]
    model = fit(ready.sides, *known, config=config, folder=folder, tell=tell)
    drugs, proteins = (numpy.unique(side[rows]) for side in (found.drug, found.protein))
    known_drugs: dict[str, str] = {}
    known_proteins: dict[str, str] = {}
    for place, at in enumerate(drugs.tolist()):
        known_drugs.setdefault(hashed(ready.molecules[at].smiles), f"{place} {ready.molecules[at].id}")
    for place, at in enumerate(proteins.tolist()):
        known_proteins.setdefault(hashed(found.proteins[at].sequence), f"{place} {found.proteins[at].id}")
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
        settings=config.numbers,
    )
    return AffinityBundle(record, model, ready.word_weights, ready.state_mean, ready.state_spread)

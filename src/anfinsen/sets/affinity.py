"""How tightly drugs hold proteins: measured pairs, with their official folds and splits in which a side is new.

    official      Öztürk et al. 2018 (DeepDTA, Bioinformatics 34:i821): pairs dealt at random, so both sides are known
    cold-drug     no test drug is in training; drugs that differ only in their hand (stereochemistry) stay together
    cold-target   no test protein and no relative of 90 % identity or more is in training: mutants stay together
    both-cold     neither; pairs that join two splits are left out

The random folds ask to fill gaps in a table, and the field's published figures mostly do. A new drug project has a new
molecule, a new protein or both, which the cold splits ask. They are dealt with a fixed seed and so always the same.
Davis: Davis et al. 2011, Nature Biotechnology 29:1046 (pKd; 5 means that no binding was seen at 10 micromolar).
KIBA: Tang et al. 2014, J. Chem. Inf. Model. 54:735 (a score made of Ki, Kd and IC50; here higher is tighter).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy
import polars
from numpy.typing import NDArray

from anfinsen.errors import UnknownNameError
from anfinsen.kinship.profile import near_twins
from anfinsen.kinship.splits import LEFT_OUT, TEST, TRAIN, VALID, Places, Split, cold_pair_split, group_split
from anfinsen.sets.catalog import Table
from anfinsen.structure.protein import Protein

OFFICIAL = "official"
SPLITS = (OFFICIAL, "cold-drug", "cold-target", "both-cold")
"""The splits of every table, in the order in which they are printed."""
SHARES = (0.7, 0.1, 0.2)
"""Shares of drugs, proteins or pairs that train, decide, and are new in the test of a cold split."""
FAMILY = 0.9
"""Identity from which two proteins are never parted by a cold split: a mutant is no new protein."""
_TEST_FOLD, _VALID_FOLD = -1, 0


@dataclass(frozen=True)
class Affinities:
    """P measured pairs of D drugs and T proteins; `drug` and `protein` are places, (P,)."""

    drug_ids: tuple[str, ...]
    smiles: tuple[str, ...]
    flat: tuple[str, ...]
    """The formulas without stereochemistry: the same text for the two hands of a drug."""
    proteins: tuple[Protein, ...]
    drug: Places
    protein: Places
    value: NDArray[numpy.float64]
    fold: Places

    def of_drugs(self, kept: Places) -> tuple[Affinities, Places]:
        """The table with some of its drugs alone, and which of its pairs are left."""
        place = numpy.full(len(self.drug_ids), -1)
        place[kept] = numpy.arange(len(kept))
        rows = numpy.flatnonzero(place[self.drug] >= 0)
        ids, smiles, flat = (tuple(names[at] for at in kept) for names in (self.drug_ids, self.smiles, self.flat))
        fewer = replace(self, drug_ids=ids, smiles=smiles, flat=flat, drug=place[self.drug[rows]])
        return replace(fewer, protein=self.protein[rows], value=self.value[rows], fold=self.fold[rows]), rows


@dataclass(frozen=True)
class AffinityTable:
    """One public set of measured pairs, and the credit it is owed."""

    name: str
    title: str
    unit: str
    source: str = "github.com/hkmztrk/DeepDTA"
    licence: str = "none stated; measurements from the papers, sequences UniProt CC BY 4.0"

    def load(self) -> Affinities:
        """All pairs; says what to get and from where if the table is not on this machine."""
        pairs, drugs, targets = (self._read(part) for part in ("pairs", "drugs", "targets"))
        proteins = [
            Protein(id=str(row["target_id"]), sequence=row["sequence"], source=self.name, row=number)
            for number, row in enumerate(targets.iter_rows(named=True), 1)
        ]
        return Affinities(
            tuple(map(str, drugs["drug_id"])),
            tuple(drugs["smiles_isomeric"]),
            tuple(drugs["smiles_canonical"]),
            tuple(proteins),
            pairs["drug_idx"].to_numpy().astype(numpy.int64),
            pairs["target_idx"].to_numpy().astype(numpy.int64),
            pairs["affinity"].to_numpy().astype(numpy.float64),
            pairs["fold"].to_numpy().astype(numpy.int64),
        )

    def _read(self, part: str) -> polars.DataFrame:
        table = Table(f"dta_{self.name}/{part}.parquet", {}, self.title, self.source, self.licence)
        (path,) = table.paths()
        return polars.read_parquet(path)


DAVIS = AffinityTable("davis", "Davis: 68 inhibitors against 442 kinases", "pKd")
KIBA = AffinityTable("kiba", "KIBA: 2,111 inhibitors against 229 kinases", "KIBA score")
TABLES = {table.name: table for table in (DAVIS, KIBA)}
"""The tables of measured affinities, by name."""


def split(found: Affinities, kind: str, *, seed: int = 1) -> Split:
    """Train, valid and test of the pairs (P,), by the kind's name; pairs of no part are called 'left out'."""
    if kind == OFFICIAL:
        names = numpy.where(found.fold == _TEST_FOLD, TEST, numpy.where(found.fold == _VALID_FOLD, VALID, TRAIN))
        return Split(names, kind, {"folds": "DeepDTA's: -1 is the test, 0 decides, 1 to 4 train"})
    if kind not in SPLITS:
        raise UnknownNameError("split", kind, SPLITS)
    drugs, proteins = drug_groups(found), protein_groups(found)
    if kind == "both-cold":
        dealt = cold_pair_split(
            drugs[found.drug].tolist(), proteins[found.protein].tolist(), shares=SHARES, seed=seed
        )  # fmt: skip
        return Split(dealt.names, kind, dealt.record, dealt.told)
    groups, places = (drugs, found.drug) if kind == "cold-drug" else (proteins, found.protein)
    members: Sequence[int] = groups.tolist()
    dealt = group_split(members, shares=SHARES, seed=seed, kind=kind, noun="group")
    return Split(dealt.names[places], kind, dealt.record, dealt.told)


def drug_groups(found: Affinities) -> Places:
    """A number for each drug (D,), the same for drugs that differ only in their hand."""
    number = {flat: at for at, flat in enumerate(dict.fromkeys(found.flat))}
    return numpy.array([number[flat] for flat in found.flat], dtype=numpy.int64)


def protein_groups(found: Affinities, identity: float = FAMILY) -> Places:
    """A number for each protein (T,), the same for twins at `identity` or more, such as mutants."""
    return near_twins([protein.sequence for protein in found.proteins], identity)


__all__ = [
    "LEFT_OUT",
    "OFFICIAL",
    "SPLITS",
    "TABLES",
    "Affinities",
    "AffinityTable",
    "drug_groups",
    "protein_groups",
    "split",
]

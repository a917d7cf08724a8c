"""Ligand sites: which residues hold a ligand, and of which kind: ions, cofactors, peptides, nucleic acids, drugs.

A protein works by what it holds, and a drug works where it is held. Each kind of ligand has its own taste: zinc sits
between cysteines and histidines, calcium among acids, ATP over a loop of glycines, DNA along a ridge of positive
charges, and a drug in whatever is deep and greasy enough. The residues of one site lie far apart in the chain and side
by side in the fold; so a structure helps, and without one the network reads the sequence alone and says so.

Data: GPSite (Yuan et al. 2024, eLife 13:RP93695), residues of BioLiP for ten kinds of ligand, and 935 structures with
their ligands for the eleventh, anything like a drug. A chain that was studied with one kind says nothing of the others:
they are unknown there, never 'no'. GPSite's own tests of six kinds judge ('official'); those of ATP, HEM, ZN and PEP
are not here, so that a tenth of their training chains judges them ('own'), and structures of families apart judge the
eleventh ('test'). No chain is learnt from that shares more words of residues with a chain of any of these tests than
chance would have it: of relatives with half their residues alike that finds nearly all, of remoter ones some.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy
import polars

from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError
from anfinsen.sets.catalog import Table
from anfinsen.sets.holo import Holo, backbones_of, excluded, load_holo
from anfinsen.structure.graph import GROUNDS, rumours
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer
from anfinsen.targets.sites import add_scores
from anfinsen.targets.tracks import Tracks
from anfinsen.tasks.base import FORGET, Published, Task
from anfinsen.wording import listed

DRUG = "drug"
"""The track of any drug-like ligand."""
LETTERS: Mapping[str, str] = {
    "ATP": "T",
    "HEM": "H",
    "CA": "C",
    "MG": "G",
    "MN": "M",
    "ZN": "Z",
    "PEP": "E",
    "PRO": "P",
    "DNA": "D",
    "RNA": "R",
    DRUG: "L",
}
"""Every kind of ligand with its letter."""
HELD: Mapping[str, str] = {
    "ATP": "ATP",
    "HEM": "haem",
    "CA": "calcium",
    "MG": "magnesium",
    "MN": "manganese",
    "ZN": "zinc",
    "PEP": "a peptide",
    "PRO": "another protein",
    "DNA": "DNA",
    "RNA": "RNA",
    DRUG: "a drug-like molecule",
}
"""What each kind is in words."""
OFFICIAL = ("CA", "MG", "MN", "PRO", "DNA", "RNA")
"""Kinds whose official test is here."""
OWN = ("ATP", "HEM", "ZN", "PEP")
"""Kinds that are judged by families of our own."""
NAMED_BY: Mapping[str, str] = {"HEM": "HEM", "HEC": "HEM", "HEA": "HEM", "HEB": "HEM", "ATP": "ATP"}
"""Components of a structure that are of a kind beside being drug-like."""
_NOBODY_KNOWS = "-"
_TRACE = 0.3
"""Share of structures of which training shows the CA atoms alone, since many files have no others."""
_KEY = 10
_DEALT = "ligand_sites_split.txt"


@dataclass(frozen=True)
class LigandSitesTask(Task):
    """Sites of eleven kinds, each known of its own chains only."""

    longest: int = 0
    """Residues of the longest chain that is learnt from, or stops the training; 0 for all."""
    of_a_kind: int = 0
    """Chains of each of GPSite's kinds that are learnt from, always the same ones, and four times as many as stop the
    training; 0 for all."""

    def examples(self, split: str) -> list[Example]:
        """The chains of one split, with their backbones where a structure of exactly that sequence is known."""
        if split not in self.table.splits:
            raise UnknownNameError(f"split of {self.table.name}", split, self.table.splits)
        if split == "test":
            return [example_of(one) for one in load_holo("test")]
        found = self._sequences(split)
        if split in ("train", "valid"):
            dealt = deal()
            bound = [one for one in load_holo(split) if dealt.get(key_of(one.protein.sequence), split) == split]
            found += [example_of(one) for one in bound]
            found = [example for example in found if not self.longest or len(example.protein) <= self.longest]
        return found

    def prepare(self, example: Example, generator: numpy.random.Generator) -> Example:
        """Structures are forgotten now and then, or all but the CA atoms, or all but some talk of contacts.

        The network must do without them too, with the contacts of a poor folder or with nothing.
        """
        backbone, lot = example.protein.backbone, generator.random()
        if backbone is None or lot >= FORGET / 2 + _TRACE:
            return example
        if lot >= FORGET / 2:
            left = replace(example.protein, backbone=backbone.trace)
        else:
            contacts = rumours(backbone, generator) if lot < FORGET / 4 else None
            left = replace(example.protein, backbone=None, contacts=contacts)
        return replace(example, protein=left)

    def _sequences(self, split: str) -> list[Example]:
        """Chains of GPSite's table, each once, with a track of what is known for each kind."""
        dealt, barred = deal(), excluded()
        labels: dict[str, dict[str, str]] = {}
        names: dict[str, str] = {}
        rows = polars.concat([polars.read_parquet(path) for path in self.table.paths()])
        for kind, part, name, sequence, label in rows.select("ligand", "split", "id", "seq", "label").iter_rows():
            place = dealt.get(key_of(sequence), "train")
            is_asked = part == "test" if split == "official" else part == "train" and place == split
            if not is_asked or (split == "own" and kind not in OWN) or name[:4].upper() in barred:
                continue
            if split in ("train", "valid") and self.longest and len(sequence) > self.longest:
                continue
            labels.setdefault(sequence, {})[kind] = label
            names.setdefault(sequence, name)
        if split in ("train", "valid") and self.of_a_kind:
            labels = _some(labels, self.of_a_kind if split == "train" else -(-self.of_a_kind // 4))
        backbones = backbones_of(labels)
        return [
            Example(Protein(names[sequence], sequence, backbone=backbones.get(sequence)), told(len(sequence), kinds))
            for sequence, kinds in labels.items()
        ]


def _some(labels: Mapping[str, dict[str, str]], count: int) -> dict[str, dict[str, str]]:
    """The first so many chains of each kind in the order of their hashes, which means nothing."""
    order = sorted(labels, key=key_of)
    chosen = {one for kind in LETTERS for one in [chain for chain in order if kind in labels[chain]][:count]}
    return {chain: kinds for chain, kinds in labels.items() if chain in chosen}


def told(length: int, kinds: Mapping[str, str]) -> tuple[str, ...]:
    """One string a track, of kinds that nobody has looked at '-' throughout.

    >>> told(2, {"CA": "01"})[:4]
    ('--', '--', '01', '--')
    """
    return tuple(kinds.get(kind, _NOBODY_KNOWS * length) for kind in LETTERS)


def example_of(holo: Holo) -> Example:
    """A chain with its ligands as an example: what is drug-like, and what of it is haem or ATP."""
    kinds = {DRUG: holo.label}
    for ligand in holo.ligands:
        if kind := NAMED_BY.get(ligand.name):
            before = kinds.get(kind, "0" * len(holo.label))
            kinds[kind] = "".join(
                "1" if touches else one for one, touches in zip(before, holo.touching(ligand).tolist(), strict=True)
            )
    return Example(holo.protein, told(len(holo.label), kinds))


def key_of(sequence: str) -> str:
    """How a chain is recognised in the list of those that are not simply learnt from."""
    return hashlib.sha256(sequence.encode()).hexdigest()[:_KEY]


@cache
def deal() -> Mapping[str, str]:
    """Chains that are not simply learnt from, by `key_of`: 'valid', 'own', or 'out' for relatives of judges."""
    lines = resources.files("anfinsen.tasks").joinpath(_DEALT).read_text(encoding="ascii").splitlines()
    return dict(_pair(line) for line in lines if not line.startswith("#"))


def _pair(line: str) -> tuple[str, str]:
    key, split = line.split("\t")
    return key, split


def counts(answer: Answer) -> dict[str, int]:
    """How many residues of each kind are said, kinds without one left out."""
    found = {
        kind: sum(share >= answer["thresholds"][kind] for share in shares)
        for kind, shares in answer["probabilities"].items()
    }
    return {kind: count for kind, count in found.items() if count}


def _say(answer: Answer) -> str:
    ground = GROUNDS[answer.get("ground", "sequence")]
    found = [f"{count} may hold {HELD[kind]}" for kind, count in counts(answer).items()]
    if not found:
        return f"No residue stands out as holding a ligand, judged from {ground}."
    return f"Of its residues {listed(found)}, judged from {ground}."


for _name in LETTERS:
    add_scores(_name)

_METALS = "Yuan et al. 2022; from memory of the paper, uncertain"

TASK = LigandSitesTask(
    name="ligand-sites",
    title="Ligand sites",
    question="Which residues hold a ligand, and of which kind?",
    explanation=(
        "For every residue and every kind of ligand the network gives the chance that the residue touches it: ten "
        "kinds that biology knows by name, and anything like a drug. Given a structure it also hears what lies beside "
        "the residue in the fold; given a sequence it reads that alone."
    ),
    target=Tracks(
        names=tuple(LETTERS),
        letters=tuple(LETTERS.values()),
        weights=(3.0, 3.0, 4.0, 4.0, 4.0, 4.0, 3.0, 2.0, 3.0, 3.0, 2.0),
    ),
    table=Table(
        "ligand_residues_gpsite/residues.parquet",
        splits={
            "train": ("train",),
            "valid": ("train",),
            "official": ("test",),
            "own": ("train",),
            "test": ("test",),
        },
        title="Ligand residues of GPSite, and chains with bound ligands",
        source="github.com/biomed-AI/GPSite",
        licence="MIT repository; structures PDB CC0",
        sequence="seq",
        value="label",
    ),
    metrics=("drug AUPR", "drug MCC", *(f"{kind} {score}" for score in ("AUPR", "MCC") for kind in (*OFFICIAL, *OWN))),
    tests=("test", "official", "own"),
    say=_say,
    of_structures=True,
    published=(
        Published("LMetalSite", "CA AUPR", 0.487, "official", _METALS),
        Published("LMetalSite", "MG AUPR", 0.367, "official", _METALS),
        Published("LMetalSite", "MN AUPR", 0.663, "official", _METALS),
        Published("LMetalSite (its own test, other set)", "ZN AUPR", 0.760, "own", _METALS),
    ),
    terms={
        "ligand": "What a protein holds: an ion, a cofactor, a peptide, a piece of DNA or RNA, a drug.",
        "cofactor": "A small molecule without which an enzyme does not work, such as haem or ATP.",
        "AUPR of a kind": "How far up the true residues of this kind stand when all are ranked by their chance. "
        "Guessing gives their share, one in fifty for an ion.",
    },
    limits=(
        "A residue counts as holding something only where a structure with it was known: much that is called wrong may "
        "be right and not yet seen. The ten kinds of GPSite were learnt almost from sequences alone: with a structure "
        "too many of their residues are called, and `anfinsen sites` asks them by the sequence. Of side chains the "
        "network knows the kind and the direction, not the atoms."
    ),
)

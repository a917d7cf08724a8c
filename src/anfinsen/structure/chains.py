"""From a parsed structure to its protein chains: which residues, in which order, under which numbers, and where.

The sequence is that of the residues with coordinates in the first model. Modified residues are read as
their parent (MSE as M), breaks of the chain are told and never closed, author numbers are kept with
their insertion codes. Of a residue that was seen in several places the more frequent one is read, whole:
atoms of two places are never mixed. Knows no file format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import gemmi
import numpy
from numpy.typing import NDArray

from anfinsen.structure.backbone import ATOMS, Backbone, Origin, find_breaks
from anfinsen.structure.protein import Message, Protein

_SHOWN = 10
_FIRST = "\0"
"""How gemmi writes that an atom has no alternate location."""
_NUCLEOTIDES = frozenset(["A", "C", "G", "U", "T", "I", "N", "DA", "DC", "DG", "DU", "DT", "DI", "DN"])


@dataclass(frozen=True)
class Found:
    """The proteins of a structure, and everything else that it holds, in words."""

    proteins: tuple[Protein, ...]
    others: str


def find_chains(structure: gemmi.Structure, name: str, file: str, origin: Origin = "unknown") -> Found:
    """The protein chains of the first model, called 'name:CHAIN'; of a predicted one B-factors are pLDDT."""
    structure.setup_entities()
    structure.merge_chain_parts()
    proteins: list[Protein] = []
    nucleic: list[str] = []
    small: Counter[str] = Counter()
    waters = nucleotides = 0
    for chain in structure[0] if len(structure) else ():
        polymer = [residue for residue in chain if residue.entity_type == gemmi.EntityType.Polymer]
        for residue in chain:
            if residue.is_water():
                waters += 1
            elif _is_nucleotide(residue) and residue.entity_type != gemmi.EntityType.Polymer:
                nucleotides += 1
            elif residue.entity_type != gemmi.EntityType.Polymer:
                small[residue.name] += 1
        if _is_protein(polymer):
            proteins.append(_protein(chain, polymer, structure, name, file, origin))
        elif polymer:
            nucleic.append(f"chain {clean(chain.name)} (DNA or RNA)")
    if nucleotides:
        nucleic.append(_count(nucleotides, "nucleotide", "nucleotides"))
    return Found(tuple(proteins), _others(nucleic, small, waters))


def info(structure: gemmi.Structure, key: str) -> str:
    """One entry of the header, '' where it is missing."""
    return structure.info[key] if key in structure.info else ""  # noqa: SIM401 - gemmi's map has no get


def clean(text: str) -> str:
    """Text of a file without what cannot be shown, for ids."""
    return "".join(letter if letter.isprintable() and letter != " " else "_" for letter in text)


def _is_protein(residues: Sequence[gemmi.Residue]) -> bool:
    kinds = [gemmi.find_tabulated_residue(residue.name) for residue in residues]
    amino = sum(kind.is_amino_acid() for kind in kinds)
    return amino > sum(kind.is_nucleic_acid() for kind in kinds)


def _is_nucleotide(residue: gemmi.Residue) -> bool:
    """A building block of DNA or RNA that stands in a protein's chain, as some programs write it."""
    return residue.name in _NUCLEOTIDES


def _is_cap(residue: gemmi.Residue) -> bool:
    """ACE, NH2 and the like: bound to the chain's end, with no C-alpha atom, no amino acid."""
    return not gemmi.find_tabulated_residue(residue.name).is_amino_acid() and residue.find_atom("CA", "*") is None


def _others(nucleic: list[str], small: Counter[str], waters: int) -> str:
    parts = nucleic[:_SHOWN] + ([f"{len(nucleic) - _SHOWN} more chains of DNA or RNA"] if len(nucleic) > _SHOWN else [])
    if small:
        names = ", ".join(clean(name) for name, _ in small.most_common(5)) + (", ..." if len(small) > 5 else "")
        parts.append(f"{_count(small.total(), 'small molecule or ion', 'small molecules or ions')} ({names})")
    if waters:
        parts.append(_count(waters, "water", "waters"))
    return ", ".join(parts)


def _protein(
    chain: gemmi.Chain,
    polymer: Sequence[gemmi.Residue],
    structure: gemmi.Structure,
    name: str,
    file: str,
    origin: Origin,
) -> Protein:
    residues, told = _one_per_place([residue for residue in polymer if not _is_cap(residue)])
    letters, told_letters = _letters(residues)
    backbone, told_places = _backbone(residues, origin)
    told += told_letters + told_places + _gaps(residues, backbone)
    if caps := [clean(residue.name) for residue in polymer if _is_cap(residue)]:
        told += (Message("info", f"Caps at the ends of the chain were left out: {_listed(caps)}."),)
    entity = structure.get_entity_of(chain.get_polymer())
    construct = len(entity.full_sequence) if entity else 0
    missing = construct - len(residues) - len(caps)
    if missing > 0:
        told += (Message("info", f"{missing} of the {construct} residues of the studied protein have no coordinates."),)
    label = f"{clean(name)}:{clean(chain.name)}" if chain.name.strip() else clean(name)
    title = clean(info(structure, "_struct.title")[:200]).replace("_", " ")
    numbering = tuple(_number(residue) for residue in residues)
    return Protein(label, letters, title, file, numbering=numbering, messages=told, backbone=backbone)


def _one_per_place(polymer: Sequence[gemmi.Residue]) -> tuple[list[gemmi.Residue], tuple[Message, ...]]:
    """One residue for each number: where a crystal holds two kinds, the one of higher occupancy."""
    kept: list[gemmi.Residue] = []
    told: list[Message] = []
    for number, group in groupby(polymer, key=_number):
        choices = sorted(group, key=lambda residue: -_occupancy(residue))
        kept.append(choices[0])
        if len(choices) > 1:
            names = " and ".join(clean(residue.name) for residue in choices)
            text = (
                f"Residue {number} is {names} in parts of the crystal; {choices[0].name}, the more frequent, was read."
            )
            told.append(Message("info", text, len(kept)))
    return kept, tuple(told)


def _letters(residues: Sequence[gemmi.Residue]) -> tuple[str, tuple[Message, ...]]:
    letters: list[str] = []
    changed: dict[tuple[str, str], list[str]] = {}
    for residue in residues:
        code = gemmi.find_tabulated_residue(residue.name).one_letter_code.strip()
        letter = code.upper() or "X"
        letters.append(letter)
        if code.islower() or (letter == "X" and residue.name != "UNK"):
            changed.setdefault((residue.name, letter), []).append(_number(residue))
    told = tuple(
        Message("mended", f"{clean(name)}, {_kind(letter)}, was read as {letter} at {_listed(numbers)}.")
        for (name, letter), numbers in changed.items()
    )
    return "".join(letters), told


def _kind(letter: str) -> str:
    return "a residue without a letter" if letter == "X" else "a modified residue"


def _backbone(residues: Sequence[gemmi.Residue], origin: Origin) -> tuple[Backbone, tuple[Message, ...]]:
    """Where the residues are, and which of them were seen in several places or without a CA atom."""
    points = numpy.full((len(residues), len(ATOMS), 3), numpy.nan, dtype=numpy.float32)
    factors = numpy.full(len(residues), numpy.nan, dtype=numpy.float32)
    several: list[str] = []
    for at, residue in enumerate(residues):
        atoms, places = _frequent(residue)
        for column, name in enumerate(ATOMS):
            if (atom := atoms.get(name)) is not None:
                points[at, column] = atom.pos.tolist()
        if (alpha := atoms.get("CA")) is not None:
            factors[at] = alpha.b_iso
        if places > 1:
            several.append(_number(residue))
    told: list[Message] = []
    if several:
        text = f"Seen in more than one place, of which the more frequent was read: {_listed(several)}."
        told.append(Message("info", text))
    missing = [_number(residues[at]) for at in numpy.flatnonzero(numpy.isnan(points[:, 1, 0])).tolist()]
    if missing:
        told.append(Message("info", f"Without a CA atom, and so without a place: {_listed(missing)}."))
    confidence, scaled = (_confidence(factors), _is_share(factors)) if origin == "predicted" else (None, False)
    if scaled:
        told.append(Message("mended", "The confidences were given from 0 to 1 and were multiplied by 100."))
    breaks = find_breaks(points)
    return Backbone(points, breaks & _is_jump(residues, points), origin, confidence), tuple(told)


def _frequent(residue: gemmi.Residue) -> tuple[dict[str, gemmi.Atom], int]:
    """The atoms of the alternate location that most of the crystal shows, by name, and how many there are."""
    shares: dict[str, list[float]] = {}
    for atom in residue:
        if atom.altloc != _FIRST:
            shares.setdefault(atom.altloc, []).append(atom.occ)
    ranked = sorted(shares, key=lambda place: (-sum(shares[place]) / len(shares[place]), place))
    order = [_FIRST, *ranked]
    found: dict[str, gemmi.Atom] = {}
    for atom in sorted(residue, key=lambda atom: order.index(atom.altloc)):
        found.setdefault(atom.name, atom)
    return found, len(ranked)


def _is_share(factors: NDArray[numpy.float32]) -> bool:
    """Whether confidences run from 0 to 1, as some programs write them."""
    return bool(numpy.nanmax(factors, initial=0.0) <= 1.0)


def _confidence(factors: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    return (factors * numpy.float32(100)).round(2) if _is_share(factors) else factors


def _is_jump(residues: Sequence[gemmi.Residue], points: NDArray[numpy.float32]) -> NDArray[numpy.bool_]:
    """False between residues that follow each other by number and of which one has no place: nothing tells a break."""
    is_unseen = numpy.isnan(points[:, 1, 0])
    follows = [
        None not in (one.seqid.num, two.seqid.num) and 0 <= (two.seqid.num or 0) - (one.seqid.num or 0) <= 1
        for one, two in pairwise(residues)
    ]
    return ~(numpy.array(follows, dtype=bool) & (is_unseen[1:] | is_unseen[:-1]))


def _gaps(residues: Sequence[gemmi.Residue], backbone: Backbone) -> tuple[Message, ...]:
    gaps = [
        f"between {_number(residues[at])} and {_number(residues[at + 1])}"
        for at in numpy.flatnonzero(backbone.breaks).tolist()
    ]
    if not gaps:
        return ()
    word = "a gap" if len(gaps) == 1 else f"{len(gaps)} gaps"
    text = f"The sequence is that of the residues with coordinates; the chain has {word}: {_listed(gaps)}."
    return (Message("warning", text),)


def _occupancy(residue: gemmi.Residue) -> float:
    return sum(atom.occ for atom in residue) / max(1, len(residue))


def _number(residue: gemmi.Residue) -> str:
    return str(residue.seqid).strip()


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"

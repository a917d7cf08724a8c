"""From a parsed structure to its protein chains: which residues, in which order, under which numbers.

The sequence is that of the residues with coordinates in the first model. Modified residues are read as
their parent (MSE as M), breaks of the chain are told and never closed, author numbers are kept with
their insertion codes. Knows no file format and no coordinates beyond what tells a break.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import gemmi

from anfinsen.structure.protein import Message, Protein

PEPTIDE_BOND = 2.5
"""Ångström between C and the next N above which the chain is broken (a bond has 1.33)."""
CALPHA_STEP = 5.0
"""Ångström between neighbouring C-alpha atoms above which the chain is broken (a step has 3.8)."""
_SHOWN = 10


@dataclass(frozen=True)
class Found:
    """The proteins of a structure, and everything else that it holds, in words."""

    proteins: tuple[Protein, ...]
    others: str


def find_chains(structure: gemmi.Structure, name: str, file: str) -> Found:
    """The protein chains of the first model, called 'name:CHAIN'."""
    structure.setup_entities()
    structure.merge_chain_parts()
    proteins: list[Protein] = []
    nucleic: list[str] = []
    small: Counter[str] = Counter()
    waters = 0
    for chain in structure[0] if len(structure) else ():
        polymer = [residue for residue in chain if residue.entity_type == gemmi.EntityType.Polymer]
        for residue in chain:
            if residue.is_water():
                waters += 1
            elif residue.entity_type != gemmi.EntityType.Polymer:
                small[residue.name] += 1
        if _is_protein(polymer):
            proteins.append(_protein(chain, polymer, structure, name, file))
        elif polymer:
            nucleic.append(f"chain {clean(chain.name)} (DNA or RNA)")
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
    chain: gemmi.Chain, polymer: Sequence[gemmi.Residue], structure: gemmi.Structure, name: str, file: str
) -> Protein:
    residues, told = _one_per_place([residue for residue in polymer if not _is_cap(residue)])
    letters, told_letters = _letters(residues)
    told += told_letters + _breaks(residues)
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
    return Protein(label, letters, title, file, numbering=numbering, messages=told)


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


def _breaks(residues: Sequence[gemmi.Residue]) -> tuple[Message, ...]:
    gaps = [f"between {_number(one)} and {_number(two)}" for one, two in pairwise(residues) if _is_break(one, two)]
    if not gaps:
        return ()
    word = "a gap" if len(gaps) == 1 else f"{len(gaps)} gaps"
    text = f"The sequence is that of the residues with coordinates; the chain has {word}: {_listed(gaps)}."
    return (Message("warning", text),)


def _is_break(one: gemmi.Residue, two: gemmi.Residue) -> bool:
    carbon, nitrogen = one.find_atom("C", "*"), two.find_atom("N", "*")
    if carbon and nitrogen:
        return carbon.pos.dist(nitrogen.pos) > PEPTIDE_BOND
    before, after = one.find_atom("CA", "*"), two.find_atom("CA", "*")
    if before and after:
        return before.pos.dist(after.pos) > CALPHA_STEP
    numbers = one.seqid.num, two.seqid.num
    return None in numbers or not 0 <= (numbers[1] or 0) - (numbers[0] or 0) <= 1


def _occupancy(residue: gemmi.Residue) -> float:
    return sum(atom.occ for atom in residue) / max(1, len(residue))


def _number(residue: gemmi.Residue) -> str:
    return str(residue.seqid).strip()


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"

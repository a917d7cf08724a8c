"""Variants as people write them: `A123V` puts V where A stands at residue 123; `A123V:K45R` makes both changes.

    text + the protein's own sequence -> substitutions, each checked against the residue that stands there

Positions count from 1 on the given sequence. A table that counts otherwise (from the precursor's first residue, say)
names the number of its `first` residue. Whatever cannot be meant is refused with the nearest thing that can.
It knows no score and no model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from biotite.sequence import ProteinSequence

from anfinsen.data.alphabet import RESIDUES
from anfinsen.errors import InputError

SEPARATOR = ":"
_SUBSTITUTION = re.compile(r"([A-Z])(\d{1,9})([A-Z])", re.ASCII)
_LOOSE = re.compile(r"(?:P\.)?([A-Z]{3}|[A-Z])?[ -]*(\d{1,9})[ -]*(?:>|TO)?[ ]*([A-Z]{3}|[A-Z])", re.ASCII)
_SEPARATORS = re.compile(r"\s*[:,;/+&_|]\s*|\s+(?=[A-Z]{1,3}\d)")
_EXAMPLE = "Write it as A123V, or A123V:K45R for two changes."


@dataclass(frozen=True, order=True)
class Substitution:
    """One residue in the place of another; `position` counts from 1 on the sequence.

    >>> str(Substitution(123, "A", "V"))
    'A123V'
    """

    position: int
    wild_type: str
    mutant: str

    def __str__(self) -> str:
        return f"{self.wild_type}{self.position}{self.mutant}"


Variant = tuple[Substitution, ...]
"""All substitutions of one variant, in the order of their positions."""


def parse_variant(text: str, sequence: str, *, first: int = 1) -> Variant:
    """Read a variant of `sequence`, whose first residue the text calls number `first`.

    Raises InputError, its `position` counted from 1 on the sequence where one is meant.

    >>> parse_variant("K3R:M1A", "MAK")
    (Substitution(position=1, wild_type='M', mutant='A'), Substitution(position=3, wild_type='K', mutant='R'))
    """
    changes = [_substitution(part, text, sequence, first) for part in text.split(SEPARATOR)]
    changes.sort()
    for one, other in pairwise(changes):
        if one.position == other.position:
            number = one.position + first - 1
            raise InputError(
                f"'{_shown(text)}' changes residue {number} twice.",
                remedy="Keep one of the two changes.",
                position=one.position,
            )
    return tuple(changes)


def mutate(sequence: str, variant: Variant) -> str:
    """The sequence with all substitutions made.

    >>> mutate("MAK", parse_variant("M1A:K3R", "MAK"))
    'AAR'
    """
    letters = list(sequence)
    for change in variant:
        letters[change.position - 1] = change.mutant
    return "".join(letters)


def _substitution(part: str, text: str, sequence: str, first: int) -> Substitution:
    match = _SUBSTITUTION.fullmatch(part)
    if match is None:
        raise InputError(f"'{_shown(text)}' is no variant.", remedy=_meant(text, sequence, first))
    wild_type, number, mutant = match[1], int(match[2]), match[3]
    position = number - first + 1
    if not 1 <= position <= len(sequence):
        raise InputError(
            f"'{part}' is outside the sequence, whose residues are numbered {first} to {len(sequence) + first - 1}.",
            remedy="Correct the number; positions count on the given sequence.",
        )
    for letter in (wild_type, mutant):
        if letter not in RESIDUES:
            raise InputError(
                f"'{part}': {letter} is none of the twenty standard residues.",
                remedy=f"Choose one of {RESIDUES}.",
                position=position,
            )
    if sequence[position - 1] != wild_type:
        raise InputError(
            f"'{part}': residue {number} is {sequence[position - 1]}, not {wild_type}.",
            remedy=_elsewhere(wild_type, position, sequence, first),
            position=position,
        )
    return Substitution(position, wild_type, mutant)


def _elsewhere(wild_type: str, position: int, sequence: str, first: int) -> str:
    """Where the expected residue stands nearby: most wrong numbers are off by one, for a lost first residue."""
    near = [place for place in (position - 1, position + 1) if sequence[place - 1 : place] == wild_type]
    hint = f"Residue {' and '.join(str(place + first - 1) for place in near)} is {wild_type}. " if near else ""
    return f"{hint}Check that positions count from {first} on the given sequence."


def _meant(text: str, sequence: str, first: int) -> str:
    """The nearest text that could be read, where there is one."""
    parts = [part for part in _SEPARATORS.split(text.strip().upper()) if part]
    guess = [_mended(part, sequence, first) for part in parts]
    if not guess or not all(map(_SUBSTITUTION.fullmatch, guess)):
        return _EXAMPLE
    try:
        parse_variant(SEPARATOR.join(guess), sequence, first=first)
    except InputError:
        return _EXAMPLE
    return f"Did you mean '{SEPARATOR.join(guess)}'?"


def _mended(part: str, sequence: str, first: int) -> str:
    """One substitution in the one form that is read; nothing where it cannot be guessed."""
    match = _LOOSE.fullmatch(part)
    if match is None:
        return ""
    place = int(match[2]) - first
    there = sequence[place] if 0 <= place < len(sequence) else ""
    return f"{_one_letter(match[1]) if match[1] else there}{match[2]}{_one_letter(match[3])}"


def _one_letter(name: str) -> str:
    if len(name) != 3:
        return name
    try:
        return str(ProteinSequence.convert_letter_3to1(name))
    except KeyError:
        return ""


def _shown(text: str) -> str:
    safe = "".join(letter if letter.isprintable() else "�" for letter in text)
    return safe if len(safe) <= 60 else safe[:59] + "…"

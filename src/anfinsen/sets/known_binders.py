"""What is known to bind a protein or its relatives, made small enough to travel with the package.

    BIOSNAP -> its pairs that bind -> sequences of the proteins, fragments of the binders      (`benchmarks/binders.py`)
    a protein -> phmmer against these proteins -> its relatives, and how identical they are -> their binders
    a molecule -> its Tanimoto likeness (ECFP4) to each, times the root of how identical the protein is that this binds

Relatives of a protein tend to hold the same ligands (Keiser et al. 2007, Nature Biotechnology 25:197), and what is like
a ligand tends to be one. No formula and no name is kept, only hashed fragments: a binder is known by the protein that
it binds, and molecules of the same fragments, as the two hands of one, count as the same. How tightly they bind, or
where, is not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import numpy
from numpy.typing import NDArray

from anfinsen.data.arrays import Arrays
from anfinsen.data.bits import pack_letters, pair_table, unpack_letters
from anfinsen.drug.features import BITS, fingerprints, likeness
from anfinsen.drug.molecule import Molecule
from anfinsen.kinship.phmmer import Searchable, is_installed
from anfinsen.wording import counted

LIBRARY = Path(__file__).parent.parent / "weights" / "known-binders.safetensors"
"""The binders that come with the package."""
MOST = 10
"""Relatives whose binders count, the surest first."""
FEWEST = 6
"""Heavy atoms of the smallest binder: ions, water, gases and solvents are like anything or nothing."""
TRUST = 0.5
"""Power of the identity by which a relative's binder counts; chosen with `MOST` on BIOSNAP's new drugs and on KIBA."""
SAME = 1 - 1e-6
"""Likeness from which a molecule and a binder have the same fragments."""


class Nearest(NamedTuple):
    """The binder that counts most for a molecule: its place among all, its name, likeness and identity, 0 to 1."""

    place: int
    name: str
    likeness: float
    identity: float
    """Of the protein that it binds to the one that is asked about; 1 for a molecule that was given."""
    is_known: bool
    """Whether this or another of them has the molecule's fragments, all of them and no other."""

    @property
    def score(self) -> float:
        """How far this speaks for the molecule: likeness times the root of the identity."""
        return self.likeness * float(self.identity**TRUST)


@dataclass(frozen=True)
class Binders:
    """K molecules that are known to bind a protein or its relatives: first those that were given, then those found."""

    fragments: NDArray[numpy.bool_]
    """(K, BITS) the circles of atoms of each."""
    identity: NDArray[numpy.float32]
    """(K,) of the most identical protein that each binds, over what lies beside the one asked about; 1 where given."""
    names: tuple[str, ...] = ()
    """What those are called that were given."""
    relatives: int = 0
    """How many proteins the others bind."""

    def __len__(self) -> int:
        """How many there are."""
        return len(self.identity)

    @property
    def sha256(self) -> str:
        """Hash of what they are; empty where there is none."""
        told = numpy.packbits(self.fragments).tobytes() + self.identity.tobytes()
        return hashlib.sha256(told).hexdigest() if len(self) else ""

    def beside(self, given: Sequence[Molecule]) -> Binders:
        """These behind molecules that somebody gives, with their names."""
        fragments = numpy.concatenate([fingerprints(given)[:, :BITS] > 0, self.fragments])
        identity = numpy.concatenate([numpy.ones(len(given), dtype=numpy.float32), self.identity])
        return Binders(fragments, identity, tuple(one.id for one in given), self.relatives)

    def nearest(self, molecules: Sequence[Molecule]) -> list[Nearest]:
        """The one with the highest score for each molecule, the first of equals; there must be one."""
        alike = likeness(fingerprints(molecules), self.fragments.astype(numpy.float32))
        near = (alike * self.identity**TRUST).argmax(1).tolist()
        return [
            Nearest(at, self._name(at), float(row[at]), float(self.identity[at]), bool(row.max() >= SAME))
            for row, at in zip(alike, near, strict=True)
        ]

    def _name(self, at: int) -> str:
        """What a binder is called: its own name if it was given, else whose binder it is."""
        return self.names[at] if at < len(self.names) else f"a binder of a protein {self.identity[at]:.0%} identical"

    def say(self, protein: str) -> str:
        """How many there are, and whose.

        >>> Binders(numpy.zeros((3, 8), bool), numpy.array([0.874, 0.4, 0.4]), relatives=2).say("ABL1")
        '3 known binders of 2 proteins like ABL1, the nearest 87% identical'
        """
        own = [counted(len(self.names), "given ligand")] if self.names else []
        if found := len(self) - len(self.names):
            nearest = f"the nearest {self.identity[len(self.names) :].max():.0%} identical"
            relatives = f"{counted(self.relatives, 'protein')} like {protein}, {nearest}"
            own.append(f"{counted(found, 'known binder')} of {relatives}")
        return " and ".join(own) or "no known binder"


NOBODY = Binders(numpy.zeros((0, BITS), dtype=numpy.bool_), numpy.zeros(0, dtype=numpy.float32))
"""No binder at all."""


@dataclass(frozen=True)
class KnownBinders(Arrays):
    """T proteins, D binders and P pairs of them."""

    HOLDS: ClassVar[str] = "known binders"

    letters: NDArray[numpy.uint8]
    """The sequences end to end, packed (`data.bits`)."""
    lengths: NDArray[numpy.uint16]
    """(T,) residues of each protein."""
    fragments: NDArray[numpy.uint16]
    """Numbers of the circles of atoms, one binder after the other."""
    counts: NDArray[numpy.uint16]
    """(D,) how many each binder has."""
    protein: NDArray[numpy.uint16]
    """(P,) one side of each pair."""
    binder: NDArray[numpy.uint16]
    """(P,) the other side."""

    @classmethod
    def of_pairs(
        cls, sequences: Sequence[str], molecules: Sequence[Molecule], pairs: Iterable[tuple[int, int]]
    ) -> Self:
        """Pairs of a place among the sequences and a place among the molecules.

        What has no pair is left out, what has too few atoms too, and molecules of the same fragments become one.
        """
        drugs: dict[bytes, int] = {}
        proteins: dict[str, int] = {}
        circles: list[NDArray[numpy.uint16]] = []
        found: dict[tuple[int, int], None] = {}
        for protein, at in pairs:
            if molecules[at].heavy_atoms < FEWEST:
                continue
            numbers = molecules[at].fragments[:, 0]
            own = numbers[numbers < BITS].astype(numpy.uint16)
            if own.tobytes() not in drugs:
                circles.append(own)
            drug = drugs.setdefault(own.tobytes(), len(drugs))
            found[proteins.setdefault(sequences[protein], len(proteins)), drug] = None
        sides = numpy.array(list(found), dtype=numpy.uint16).reshape(-1, 2)
        return cls(
            letters=pack_letters(numpy.frombuffer("".join(proteins).encode(), dtype=numpy.uint8)),
            lengths=numpy.array([len(one) for one in proteins], dtype=numpy.uint16),
            fragments=numpy.concatenate([numpy.zeros(0, dtype=numpy.uint16), *circles]),
            counts=numpy.array([len(one) for one in circles], dtype=numpy.uint16),
            protein=sides[:, 0].copy(),
            binder=sides[:, 1].copy(),
        )

    def __len__(self) -> int:
        """How many binders there are."""
        return len(self.counts)

    def of(self, sequence: str) -> Binders:
        """What binds the protein or a relative of it; of several relatives that one binds the most identical counts."""
        relatives = self.relatives(sequence)
        whose: dict[int, float] = {}
        for number, alike in relatives.items():
            for binder in self.binder[self.protein == number].tolist():
                whose[binder] = max(alike, whose.get(binder, 0.0))
        identity = numpy.array(list(whose.values()), dtype=numpy.float32)
        return Binders(self.circles[list(whose)], identity, relatives=len(relatives))

    def relatives(self, sequence: str) -> Mapping[int, float]:
        """The surest relatives of a protein, and how identical the stretch is that lies best beside it, 0 to 1."""
        ours = numpy.frombuffer(sequence.encode(), dtype=numpy.uint8)
        best: dict[int, tuple[int, float]] = {}
        for number, places in self._proteins.find(sequence):
            if len(best) == MOST and number not in best:
                break
            here = places >= 0
            theirs = numpy.frombuffer(self._proteins[number].encode(), dtype=numpy.uint8)[places[here]]
            same = int((ours[here] == theirs).sum())
            best[number] = max(best.get(number, (0, 0.0)), (same, same / int(here.sum())))
        return {number: identity for number, (_, identity) in best.items()}

    @cached_property
    def circles(self) -> NDArray[numpy.bool_]:
        """(D, BITS) which circles of atoms each binder has."""
        found = numpy.zeros((len(self), BITS), dtype=numpy.bool_)
        found[numpy.repeat(numpy.arange(len(self)), self.counts), self.fragments] = True
        return found

    @cached_property
    def _proteins(self) -> Searchable:
        """The proteins, as sequences to search."""
        ends = numpy.cumsum(numpy.append(0, self.lengths), dtype=numpy.int64).tolist()
        text = unpack_letters(self.letters, 0, ends[-1], pair_table()).tobytes().decode()
        return Searchable.of(text[start:end] for start, end in pairwise(ends))


@cache
def known_binders() -> KnownBinders:
    """The binders that come with the package, read once."""
    return KnownBinders.open(LIBRARY)


@lru_cache(maxsize=16)
def find_binders(sequence: str) -> Binders:
    """What comes with the package and binds the protein or a relative; nobody where nothing can search relatives."""
    comes_with_it = is_installed() and LIBRARY.is_file()  # which a small package may lack
    return known_binders().of(sequence) if comes_with_it else NOBODY

"""Families of proteins that are known beforehand: what evolution tried, made small enough to travel with the package.

    proteins -> clusters -> aligned, counted -> each column one of 256 kinds, a byte        (`benchmarks/families.py`)
    a protein -> phmmer against what is commonest in each family -> their columns beside its residues -> Family

Not a sequence is kept, only how often each residue stands at each place: 29,000 families of eleven million columns
take as many bytes. The kinds are the means of groups of columns, found by expectation and maximisation; that few kinds
of columns are enough is known since HHblits (Remmert et al. 2012, Nature Methods 9:173). It knows no task.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.arrays import Arrays
from anfinsen.data.substitutions import places_of
from anfinsen.kinship.family import Family
from anfinsen.kinship.phmmer import Searchable
from anfinsen.wording import counted

LIBRARY = Path(__file__).parent.parent / "weights" / "known-families.safetensors"
"""The families that come with the package."""


@dataclass(frozen=True)
class Families(Arrays):
    """F families of N columns in all.

    `kinds` (N,) is what stands in each column, a row of `shares` (256, 20), in the order of `RESIDUES`. Of each family
    there are its columns `lengths` (F,), its `members` (F,), and its `depth` (F,): how many different members speak at
    a column, in the mean.
    """

    HOLDS: ClassVar[str] = "families"

    shares: NDArray[numpy.float32]
    kinds: NDArray[numpy.uint8]
    lengths: NDArray[numpy.uint16]
    members: NDArray[numpy.uint16]
    depth: NDArray[numpy.float32]

    @property
    def name(self) -> str:
        """What they are called where a job says who was asked."""
        return "known families"

    def __len__(self) -> int:
        """How many families there are."""
        return len(self.lengths)

    def family(self, sequence: str) -> Family:
        """What the families that are like a protein know of it; of the protein alone where none is."""
        places = places_of(sequence)
        own = numpy.flatnonzero(places >= 0)
        counts = numpy.zeros((len(sequence), len(RESIDUES)))
        counts[own, places[own]] = 1
        found: set[int] = set()
        for number, beside in self._consensus.find(sequence):
            here = beside >= 0
            columns = self.kinds[self._starts[number] + beside[here]]
            counts[here] += self.depth[number] * self.shares[columns]
            found.add(number)
        family = Family(sequence, counts, int(self.members[list(found)].sum()))
        return family.named(f"in the {counted(len(self), 'family', 'families')} that come with Anfinsen")

    @cached_property
    def _starts(self) -> NDArray[numpy.int64]:
        return numpy.cumsum(numpy.append(0, self.lengths), dtype=numpy.int64)

    @cached_property
    def _consensus(self) -> Searchable:
        """The commonest residue of each column, as sequences to search."""
        commonest = numpy.frombuffer(RESIDUES.encode(), dtype=numpy.uint8)[self.shares.argmax(1)]
        text = commonest[self.kinds].tobytes().decode()
        return Searchable.of(text[start:end] for start, end in pairwise(self._starts.tolist()))


@cache
def known_families() -> Families:
    """The families that come with the package."""
    return Families.open(LIBRARY)

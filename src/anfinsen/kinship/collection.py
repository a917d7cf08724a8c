"""A collection of sequences in which relatives of a protein are found: Swiss-Prot, or what a laboratory has.

    FASTA -> Collection -> phmmer -> relatives beside the protein, those that cover enough of it -> Family

Families that come with the package need none (see `families`). It knows no task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import numpy

from anfinsen.data.elsewhere import fetched
from anfinsen.data.substitutions import places_of
from anfinsen.intake import opened
from anfinsen.kinship.family import Family, Places
from anfinsen.kinship.phmmer import Searchable

COVERED = 0.5
"""The share of the protein beside which a relative must lie."""
MOST = 1000
"""Relatives that are kept, the surest first: more cost time and hardly change the shares."""


class Collection:
    """Sequences among which relatives are looked for, held in memory at a byte a residue."""

    def __init__(self, name: str, sequences: Searchable) -> None:
        self.name, self._sequences = name, sequences

    def __len__(self) -> int:
        """How many sequences it holds."""
        return len(self._sequences)

    @classmethod
    def open(cls, source: str | Path) -> Self:
        """A FASTA file, packed by gzip or not, here or at an fsspec address.

        Raises `InputError` with the line that cannot be read, `AnfinsenError` where pyhmmer is not installed.
        """
        name = str(source)
        with opened(fetched(source), file=name) as stream:
            return cls(name, Searchable.read(stream, name))

    @classmethod
    def of(cls, name: str, sequences: Iterable[str]) -> Self:
        """Sequences that are at hand."""
        return cls(name, Searchable.of(sequences))

    def family(self, sequence: str) -> Family:
        """The family of a protein; of the protein alone where no relative is found."""
        family = Family.of(sequence, list(self._relatives(sequence))[:MOST])
        return family.named(f"among the {len(self):,} sequences of {self.name}")

    def _relatives(self, sequence: str) -> Iterator[Places]:
        """What each relative that covers enough of the protein has beside its residues, the surest relative first."""
        for number, places in self._sequences.find(sequence):
            if (places >= 0).sum() >= COVERED * len(sequence):
                yield numpy.append(places_of(self._sequences[number]), -1)[places]

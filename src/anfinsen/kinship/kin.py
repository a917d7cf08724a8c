"""Who is asked for the relatives of a protein: the families that come with the package, and a collection of one's own.

    protein -> known families, and the collection if there is one -> Family of whichever found more

It knows no task.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from anfinsen.data.alphabet import MASKED_LETTER
from anfinsen.kinship.collection import Collection
from anfinsen.kinship.families import LIBRARY, Families, known_families
from anfinsen.kinship.family import Family
from anfinsen.kinship.phmmer import is_installed

NOBODY = "none"
"""What is said instead of a file where no relative shall be asked."""


class Kin:
    """Everybody who may know relatives of a protein."""

    def __init__(self, *known: Families | Collection) -> None:
        self._known = known

    @classmethod
    def find(cls, relatives: str | Path | None = None) -> Self | None:
        """The families that come with the package, and a FASTA file of many proteins where `relatives` names one.

        None where `relatives` is 'none', or where nothing can search them. Raises `InputError` where the file cannot be
        read, `AnfinsenError` where it cannot be searched.
        """
        if relatives == NOBODY:
            return None
        named = [] if relatives is None else [Collection.open(relatives)]
        comes_with_it = is_installed() and LIBRARY.is_file()  # which a small package may lack
        known = [*named, known_families()] if comes_with_it else named
        return cls(*known) if known else None

    @property
    def names(self) -> list[str]:
        """Where they look."""
        return [one.name for one in self._known]

    def family(self, sequence: str) -> Family:
        """The family of a protein from where most different relatives were found; of it alone where none was.

        Hidden residues are looked for as unknown ones, so that nothing of them is counted.
        """
        shown = sequence.replace(MASKED_LETTER, "X")
        return max((one.family(shown) for one in self._known), key=lambda family: float(family.depth.mean()))

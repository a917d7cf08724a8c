"""A collection of sequences in which relatives of a protein are found: Swiss-Prot, or what a laboratory has.

    FASTA -> Collection -> phmmer, E-value at most 0.001 -> relatives beside the protein -> Family

The search is HMMER's (Eddy 2011, PLoS Computational Biology 7:e1002195), by pyhmmer (Larralde & Zeller 2023,
Bioinformatics 39:btad214). No collection comes with the package. It knows no task.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy

from anfinsen.data.elsewhere import fetched
from anfinsen.errors import InputError, MissingExtraError
from anfinsen.intake import opened
from anfinsen.kinship.family import FEW, Family, Relative
from anfinsen.wording import counted

if TYPE_CHECKING:
    from pyhmmer.easel import DigitalSequenceBlock

E_VALUE = 1e-3
"""What chance would find less often than once in a thousand searches is a relative."""
COVERED = 0.5
"""The share of the protein beside which a relative must lie."""
MOST = 1000
"""Relatives that are kept, the surest first: more cost time and hardly change the shares."""
LONGEST = 1000
"""Residues up to which a relative is kept whole; of a longer one only the stretch that lies beside the protein."""
MOST_RESIDUES = 1_000_000_000
"""What fits into the memory of a laptop; Swiss-Prot has a fifth of it."""
_SEED = 42
_PACKAGE = "pyhmmer"
_LINE = re.compile(r"Line (\d+): (.*)")


class Collection:
    """Sequences among which relatives are looked for, held in memory at a byte a residue."""

    def __init__(self, name: str, block: DigitalSequenceBlock) -> None:
        self.name, self._block = name, block
        for number, sequence in enumerate(block):  # names need not be unique, and hits know nothing else
            sequence.name = str(number)

    def __len__(self) -> int:
        """How many sequences it holds."""
        return len(self._block)

    @classmethod
    def open(cls, source: str | Path) -> Self:
        """A FASTA file, packed by gzip or not, here or at an fsspec address.

        Raises `InputError` with the line that cannot be read, `MissingExtraError` where pyhmmer is not installed.
        """
        name, easel = str(source), _hmmer().easel
        with opened(fetched(source), file=name) as stream:
            try:
                with easel.SequenceFile(stream, format="fasta", digital=True, alphabet=easel.Alphabet.amino()) as file:
                    block = file.read_block(residues=MOST_RESIDUES)
                    has_more = file.read() is not None
            except (ValueError, EOFError) as error:
                raise _unreadable(name, str(error)) from None
        if has_more:
            raise InputError(
                f"The collection holds more than {MOST_RESIDUES:,} residues, which is the limit.",
                remedy="Give a smaller one, such as Swiss-Prot.",
                file=name,
            )
        return cls(name, block)

    @classmethod
    def of(cls, name: str, sequences: Iterable[str]) -> Self:
        """Sequences that are at hand."""
        easel = _hmmer().easel
        letters = easel.Alphabet.amino()
        texts = (easel.TextSequence(sequence=one) for one in sequences)
        return cls(name, easel.DigitalSequenceBlock(letters, [text.digitize(letters) for text in texts]))

    def family(self, sequence: str) -> Family:
        """The family of a protein; of the protein alone where no relative is found."""
        return Family.of(sequence, list(self._relatives(sequence))[:MOST])

    def tell(self, family: Family) -> str:
        """What was found, in words."""
        among = f"the {len(self):,} sequences of {self.name}"
        if not family.relatives:
            return f"None of {among} is a relative that can be told from chance."
        different = float(numpy.median(family.depth))
        found = f"{counted(family.relatives, 'relative')} among {among}"
        told = f"{found}, as good as {different:,.0f} different ones at most places."
        return f"{told} So few say little." if different < FEW else told

    def _relatives(self, sequence: str) -> Iterator[Relative]:
        """Each stretch of a relative that is like the protein and covers enough of it, the surest relative first."""
        plan7, easel = _hmmer().plan7, _hmmer().easel
        letters = easel.Alphabet.amino()
        asked = easel.TextSequence(name="asked", sequence=sequence).digitize(letters)
        search = plan7.Pipeline(letters, seed=_SEED, E=E_VALUE, incE=E_VALUE, incdomE=E_VALUE)
        for hit in search.search_seq(asked, self._block, plan7.Builder(letters, seed=_SEED)):
            whole = self._block[int(hit.name)].textize().sequence
            for domain in hit.domains.included:
                found = _beside(domain.alignment, whole, len(sequence))
                if (found.places >= 0).mean() >= COVERED:
                    yield found


def _beside(alignment: Any, whole: str, length: int) -> Relative:
    """A relative beside a protein of so many residues, by HMMER's alignment of the two."""
    places = numpy.full(length, -1)
    place, other = alignment.hmm_from - 1, alignment.target_from - 1
    for ours, theirs in zip(alignment.hmm_sequence, alignment.target_sequence, strict=True):
        if ours != "." and theirs != "-":
            places[place] = other
        place, other = place + (ours != "."), other + (theirs != "-")
    if len(whole) > LONGEST:
        start = alignment.target_from - 1
        whole, places = whole[start : alignment.target_to], numpy.where(places < 0, -1, places - start)
    return Relative(whole.upper().replace("*", "X"), places)


def _hmmer() -> Any:
    try:
        import pyhmmer
    except ImportError:
        raise MissingExtraError(_PACKAGE, "relatives") from None
    return pyhmmer


def _unreadable(name: str, told: str) -> InputError:
    """What HMMER says of a file that it cannot read, with the line as people count."""
    found = _LINE.search(told)
    reason = f"This is no FASTA of proteins: {found[2] if found else told}."
    return InputError(reason, remedy="Give FASTA without gaps.", file=name, line=int(found[1]) + 1 if found else None)

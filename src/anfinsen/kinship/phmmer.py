"""The search for relatives: one protein against many sequences, by HMMER's phmmer.

    sequences -> Searchable, a byte a residue in memory
    protein -> profile of it alone -> E-value at most 0.001 -> stretches of sequences that lie beside it

HMMER is Eddy's (2011, PLoS Computational Biology 7:e1002195), called by pyhmmer (Larralde & Zeller 2023, Bioinformatics
39:btad214). It knows neither what the sequences stand for nor what is done with those that are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

import numpy
from numpy.typing import NDArray

from anfinsen import runtime
from anfinsen.errors import AnfinsenError, InputError

if TYPE_CHECKING:
    from pyhmmer.easel import DigitalSequenceBlock

Places = NDArray[numpy.int64]

E_VALUE = 1e-3
"""What chance would find less often than once in a thousand searches is a relative."""
MOST_RESIDUES = 1_000_000_000
"""What fits into the memory of a laptop; Swiss-Prot has a fifth of it."""
_SEED = 42
_LINE = re.compile(r"Line (\d+): (.*)")


class Found(NamedTuple):
    """A stretch of a sequence that is like the protein: the sequence's number, its place beside each residue.

    `places` is (L,) for a protein of L residues, -1 where nothing stands beside.
    """

    number: int
    places: Places


class Searchable:
    """Sequences in memory, as HMMER reads them."""

    def __init__(self, block: DigitalSequenceBlock) -> None:
        self._block = block
        for number, sequence in enumerate(block):  # names need not be unique, and hits know nothing else
            sequence.name = str(number)

    def __len__(self) -> int:
        """How many sequences it holds."""
        return len(self._block)

    def __getitem__(self, number: int) -> str:
        """One of its sequences in capitals, with X for what is no residue."""
        text: str = self._block[number].textize().sequence
        return text.upper().replace("*", "X")

    @classmethod
    def of(cls, sequences: Iterable[str]) -> Self:
        """Sequences that are at hand. Raises `AnfinsenError` where pyhmmer is not installed."""
        easel = _hmmer().easel
        letters = easel.Alphabet.amino()
        texts = (easel.TextSequence(sequence=one) for one in sequences)
        return cls(easel.DigitalSequenceBlock(letters, [text.digitize(letters) for text in texts]))

    @classmethod
    def read(cls, stream: IO[bytes], name: str) -> Self:
        """All of a FASTA file.

        Raises `InputError` with the line that cannot be read, `AnfinsenError` where pyhmmer is not installed.
        """
        easel = _hmmer().easel
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
        return cls(block)

    def find(self, sequence: str) -> Iterator[Found]:
        """Each stretch that is like the protein, those of the surest sequence first; a part for each core."""
        plan7, easel = _hmmer().plan7, _hmmer().easel
        letters = easel.Alphabet.amino()
        asked = easel.TextSequence(name="asked", sequence=sequence).digitize(letters)
        profile, _, _ = plan7.Builder(letters, seed=_SEED).build(asked, plan7.Background(letters))

        def search(part: DigitalSequenceBlock) -> Any:
            pipeline = plan7.Pipeline(letters, seed=_SEED, E=E_VALUE, incE=E_VALUE, incdomE=E_VALUE)
            return pipeline.search_hmm(profile, part)

        cores = runtime.threads()
        first, *others = runtime.in_parallel(search, [self._block[part::cores] for part in range(cores)])
        for hit in first.merge(*others):  # what chance would find is reckoned of the whole again
            for domain in hit.domains.included:
                yield Found(int(hit.name), _beside(domain.alignment, len(sequence)))


def is_installed() -> bool:
    """Whether there is a search at all; pyhmmer runs on Linux and macOS."""
    try:
        _hmmer()
    except AnfinsenError:
        return False
    return True


def _beside(alignment: Any, length: int) -> Places:
    """The place of a sequence beside each of so many residues, by HMMER's alignment."""
    places = numpy.full(length, -1)
    place, other = alignment.hmm_from - 1, alignment.target_from - 1
    for ours, theirs in zip(alignment.hmm_sequence, alignment.target_sequence, strict=True):
        if ours != "." and theirs != "-":
            places[place] = other
        place, other = place + (ours != "."), other + (theirs != "-")
    return places


def _hmmer() -> Any:
    try:
        import pyhmmer
    except ImportError:
        raise AnfinsenError(
            "Relatives are looked for by pyhmmer, which is not installed.",
            remedy="Say `pip install pyhmmer` (Linux and macOS; Windows has it in its Subsystem for Linux).",
        ) from None
    return pyhmmer


def _unreadable(name: str, told: str) -> InputError:
    """What HMMER says of a file that it cannot read, with the line as people count."""
    found = _LINE.search(told)
    reason = f"This is no FASTA of proteins: {found[2] if found else told}."
    return InputError(reason, remedy="Give FASTA without gaps.", file=name, line=int(found[1]) + 1 if found else None)

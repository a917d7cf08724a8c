"""From genes to proteins: open reading frames in DNA or RNA, each translated to a record of its own.

    record of nucleotides -> six frames -> open reading frames -> one protein each, 'id:start-end:frame'

The rules, so that everyone knows what was translated:

- A record that is one coding sequence (its length a multiple of three, a start codon first, no stop before the last
  codon) gives that protein alone, with methionine first, whatever its length.
- Elsewhere a frame begins at ATG and ends at the first stop codon. Where it runs over the edge of a record it is kept
  and said to be open; at the left edge it begins at the edge itself if more than a third of it would stand before ATG.
- Of frames that share more than half of the shorter one, on either strand, the longest stays; a start or a stop that
  it lacks counts as an eighth of its length, since a frame without either may be chance.
- An ambiguous codon is the residue that all its readings give, else X; a stop only if all its readings are stops.

It knows no introns (give cDNA of organisms that have them), no circles, no scores of codon usage: a frame is a possible
gene, and short ones may be chance. Genetic codes are NCBI's, as biotite keeps them (Kunzmann & Hamacher 2018).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy
from biotite.sequence import CodonTable
from numpy.typing import NDArray

from anfinsen.errors import InputError, UsageError
from anfinsen.limits import LIMITS, Limits
from anfinsen.reading.letters import compact, name_character
from anfinsen.reading.raw import RawRecord, place
from anfinsen.structure.protein import Message

SHORTEST = 50
"""Residues of the shortest open reading frame that is looked for; shorter ones are mostly chance."""
STANDARD = 1
"""The number of the standard genetic code."""

Translate = Callable[[RawRecord, str], Iterator[RawRecord | InputError]]
"""A record of nucleotides and its file -> a record for each protein, or a refusal."""

_READINGS = {
    **{base: base for base in "ACGT"},
    **{"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC"},
    **{"B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT"},
}
"""What each letter of nucleotides may stand for (IUPAC 1984)."""
_LETTERS = "".join(_READINGS)
_SURE = "ACGTUN"
_SURE_SHARE = 0.9
_STOP = ord("*")
_FOREIGN = 255
_EDGE_SHARE = 1 / 3
_OVERLAP = 0.5
_STRETCH = 10_000

_NUMBERS = numpy.full(256, _FOREIGN, dtype=numpy.uint8)
_NUMBERS[numpy.frombuffer(_LETTERS.encode(), dtype=numpy.uint8)] = numpy.arange(len(_LETTERS))
_NUMBERS[ord("U")] = _LETTERS.index("T")
_OTHER_STRAND = numpy.array([_LETTERS.index(letter) for letter in "TGCAYRSWMKVHDBN"], dtype=numpy.uint8)


@dataclass(frozen=True)
class Frame:
    """An open reading frame: letters `start` to `end` of the record, counted from 1, the stop codon among them."""

    start: int
    end: int
    frame: int
    """+1 to +3 along the record, -1 to -3 along the other strand."""
    protein: str
    has_start: bool
    has_stop: bool

    @property
    def weight(self) -> int:
        """Its length, of which each end that it lacks takes an eighth, in eighths of a residue."""
        return len(self.protein) * (6 + self.has_start + self.has_stop)


@dataclass(frozen=True)
class GeneticCode:
    """One of NCBI's genetic codes by its number."""

    number: int = STANDARD

    @cached_property
    def _table(self) -> CodonTable:
        if self.number == STANDARD:  # NCBI's list also has two rare starts, which would make methionines of leucines
            return CodonTable.default_table()
        try:
            return CodonTable.load(self.number)
        except (ValueError, KeyError):
            raise UsageError(
                f"There is no genetic code {self.number}.",
                remedy="Give the number of one of NCBI's: 1 is the standard, 2 the mitochondria of vertebrates, "
                "4 Mycoplasma, 11 bacteria.",
            ) from None

    @cached_property
    def starts(self) -> frozenset[str]:
        """The codons at which a coding sequence may begin."""
        return frozenset(self._table.start_codons())

    @cached_property
    def residues(self) -> NDArray[numpy.uint8]:
        """The residue of every codon, ambiguous ones included, by its number: (15 * 15 * 15,)."""
        plain = {codon: str(residue) for codon, residue in self._table.codon_dict().items()}
        found = numpy.zeros(len(_LETTERS) ** 3, dtype=numpy.uint8)
        for number, codon in enumerate(product(_LETTERS, repeat=3)):
            meant = {plain["".join(one)] for one in product(*(_READINGS[letter] for letter in codon))}
            found[number] = ord(meant.pop()) if len(meant) == 1 else ord("X")
        return found


def translator(code: int = STANDARD, shortest: int = SHORTEST, *, limits: Limits = LIMITS) -> Translate:
    """What turns a record of nucleotides into the proteins of its open reading frames, or a refusal."""
    table = GeneticCode(code)
    _ = table.starts  # a wrong number is told before the first record is read
    if shortest < limits.min_residues:
        raise UsageError(
            f"The shortest reading frame asked for has {shortest} residues; {limits.min_residues} is the least.",
            remedy=f"Give --shortest {limits.min_residues} or more.",
        )

    def translate(record: RawRecord, file: str) -> Iterator[RawRecord | InputError]:
        try:
            letters, told = nucleotides(record.raw, limits)
            found = reading_frames(letters, table, shortest)
            if not found:
                raise InputError(
                    f"No open reading frame has {shortest} residues or more.",
                    remedy="Look for shorter ones with --shortest, or name another genetic code with --code.",
                )
        except InputError as error:
            yield place(error, file=file, row=record.row, record=record.id)
            return
        for frame in found:
            yield replace(
                record,
                id=f"{record.id}:{frame.start}-{frame.end}:{frame.frame:+d}",
                raw=frame.protein,
                messages=record.messages + told + _story(record.id, frame, code),
            )

    return translate


def nucleotides(raw: str, limits: Limits = LIMITS) -> tuple[str, tuple[Message, ...]]:
    """The letters of a record in capitals, U as T, or a refusal where it is no DNA or RNA."""
    text = compact(raw)
    told: tuple[Message, ...] = ()
    if text.isascii() and text != text.upper():
        told = (Message("mended", "Small letters of the nucleotides were read as capitals."),)
        text = text.upper()
    if not text:
        raise InputError("The record has no letters.", remedy="Add its sequence, or take the record out.")
    if len(text) > limits.nucleotides:
        raise InputError(
            f"The record has {len(text):,} letters; the limit is {limits.nucleotides:,}.",
            remedy="Cut it into pieces that share a few thousand letters.",
        )
    sure = sum(text.count(letter) for letter in _SURE)
    if sure < _SURE_SHARE * len(text):
        raise InputError(
            f"This does not look like DNA or RNA: {sure / len(text):.0%} of its {len(text):,} letters are A, C, G, "
            "T, U or N.",
            remedy="Proteins need no translation: leave --translate out.",
        )
    numbers = _NUMBERS[numpy.frombuffer(text.encode("latin-1", "replace"), dtype=numpy.uint8)]
    if (foreign := numpy.flatnonzero(numbers == _FOREIGN)).size:
        at = int(foreign[0])
        what = "a gap" if text[at] in "-." else name_character(text[at])
        raise InputError(
            f"There is {what} at position {at + 1}, which is no nucleotide ({foreign.size:,} in all).",
            remedy="Write A, C, G, T or U, and N for an unknown one.",
            position=at + 1,
        )
    return text.replace("U", "T"), told


def reading_frames(letters: str, code: GeneticCode, shortest: int = SHORTEST) -> list[Frame]:
    """The open reading frames of a record, in the order of their start; see the rules at the top.

    >>> [(one.start, one.end, one.frame, one.protein) for one in reading_frames("ATGGCTTGGTAA", GeneticCode(), 2)]
    [(1, 12, 1, 'MAW')]
    """
    numbers = _NUMBERS[numpy.frombuffer(letters.encode(), dtype=numpy.uint8)]
    if (whole := _coding(letters, numbers, code)) is not None:
        return [whole]
    found = [
        one
        for strand in (1, -1)
        for offset in range(3)
        for one in _frames(numbers if strand > 0 else _OTHER_STRAND[numbers[::-1]], offset, strand, code, shortest)
    ]
    return sorted(_longest(found), key=lambda frame: (frame.start, frame.end))


def _longest(frames: Sequence[Frame]) -> Iterator[Frame]:
    """The frames that share no more than half of the shorter one with a better one; neighbours are found by stretch."""
    near: dict[int, list[Frame]] = defaultdict(list)
    for one in sorted(frames, key=lambda frame: (-frame.weight, frame.start, -frame.frame)):
        stretches = range(one.start // _STRETCH, one.end // _STRETCH + 1)
        if not any(_shared(one, other) > _OVERLAP for stretch in stretches for other in near[stretch]):
            for stretch in stretches:
                near[stretch].append(one)
            yield one


def _coding(letters: str, numbers: NDArray[numpy.uint8], code: GeneticCode) -> Frame | None:
    """The whole record as one coding sequence, if it is one."""
    if len(letters) % 3 or letters[:3] not in code.starts:
        return None
    residues = code.residues[_codons(numbers, 0)]
    stops = numpy.flatnonzero(residues == _STOP)
    if len(stops) > 1 or (len(stops) == 1 and stops[0] != len(residues) - 1):
        return None
    protein = "M" + residues[1 : len(residues) - len(stops)].tobytes().decode()
    return Frame(1, len(letters), 1, protein, has_start=True, has_stop=bool(len(stops)))


def _codons(numbers: NDArray[numpy.uint8], offset: int) -> NDArray[numpy.int64]:
    """The number of each codon of one frame, (N,)."""
    count = max(0, len(numbers) - offset) // 3
    triples = numbers[offset : offset + 3 * count].reshape(count, 3).astype(numpy.int64)
    codons: NDArray[numpy.int64] = triples @ (len(_LETTERS) ** numpy.arange(2, -1, -1))
    return codons


def _frames(
    numbers: NDArray[numpy.uint8], offset: int, strand: int, code: GeneticCode, shortest: int
) -> Iterator[Frame]:
    """The open reading frames of one strand in one frame."""
    codons = _codons(numbers, offset)
    residues = code.residues[codons]
    begins = numpy.flatnonzero(codons == _ATG)
    stops = numpy.flatnonzero(residues == _STOP)
    size = len(numbers)
    for left, right in zip((-1, *stops.tolist()), (*stops.tolist(), len(residues)), strict=True):
        if right - left - 1 < shortest:
            continue
        at = int(numpy.searchsorted(begins, left + 1))
        first = int(begins[at]) if at < len(begins) and begins[at] < right else None
        has_start = first is not None
        if left < 0 and (first is None or first > _EDGE_SHARE * right):
            first, has_start = 0, False
        if first is None or right - first < shortest:
            continue
        has_stop = right < len(residues)
        start, end = offset + 3 * first + 1, offset + 3 * (right + has_stop)
        frame = strand * (offset + 1)
        if strand < 0:
            start, end = size - end + 1, size - start + 1
        yield Frame(start, end, frame, residues[first:right].tobytes().decode(), has_start, has_stop)


_ATG = sum(_LETTERS.index(letter) * len(_LETTERS) ** power for letter, power in zip("ATG", (2, 1, 0), strict=True))


def _shared(one: Frame, other: Frame) -> float:
    """How much of the shorter frame lies within the other."""
    both = min(one.end, other.end) - max(one.start, other.start) + 1
    return both / min(one.end - one.start + 1, other.end - other.start + 1)


def _story(name: str, frame: Frame, code: int) -> tuple[Message, ...]:
    """What is said of a translated protein."""
    told = [
        Message(
            "info",
            f"Translated from letters {frame.start:,} to {frame.end:,} of '{name}' in frame {frame.frame:+d} with "
            f"genetic code {code}.",
        )
    ]
    open_ends = [end for end, is_there in (("start", frame.has_start), ("stop", frame.has_stop)) if not is_there]
    if open_ends:
        told.append(
            Message(
                "warning",
                f"Its reading frame has no {' and no '.join(open_ends)} codon in this record: the protein may be "
                "longer than what was translated.",
            )
        )
    return tuple(told)

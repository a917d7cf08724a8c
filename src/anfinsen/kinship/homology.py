"""A library of known proteins, searched by alignment: who among them is related to a new protein, and how nearly.

    proteins and their labels  ->  Library  ->  kin(sequence)     ->  hits, the best first, nobody passed over
                                            ->  search(sequence)  ->  hits among those that share words, quickly
                               <->  small arrays (5 bits a residue) that travel with a model

`kin` aligns with every protein (see `alignment`). Candidates of `search` share the most rare words of three residues
on neighbouring diagonals, and each is aligned in a band around them: that is quicker, and of the enzymes below 40 %
identity whose reaction a relative tells it passes over three in ten. What chance would reach less than once in a
thousand searches is proven; what it would reach ten times is doubtful and told too, with its E-value (Karlin &
Altschul 1990, constants of BLAST).
Unlike `relatives`, which compares a table with itself, it asks about strangers, and it keeps short alignments too: one
shared domain already tells a function. It knows no task.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy
from biotite.sequence import ProteinSequence
from biotite.sequence.align import SubstitutionMatrix, align_banded
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.bits import pack_letters, pair_table, unpack_letters
from anfinsen.kinship.alignment import Aligner, trace_of
from anfinsen.kinship.blosum import GAPS, LAMBDA, K, as_biotite, e_value, placed_words
from anfinsen.structure.protein import Protein

PROVEN = 1e-3
"""E-value up to which a hit is a relative beyond doubt."""
DOUBTFUL = 10.0
"""E-value up to which it is told at all: so many hits a search has by chance."""
ALIGNED = 16
"""Candidates that are aligned for each protein."""
_WORD = 3
_BIN = 8
_BAND = 32

Places = NDArray[numpy.int64]


class Hit(NamedTuple):
    """A relative: its place in the library, identity of the alignment, score in bits, E-value."""

    place: int
    identity: float
    bits: float
    e_value: float

    @property
    def is_proven(self) -> bool:
        """Whether chance does not explain it."""
        return self.e_value <= PROVEN


class Kin(NamedTuple):
    """A relative whose alignment nobody has drawn: its place in the library, score in bits, E-value."""

    place: int
    bits: float
    e_value: float


class Library:
    """Proteins with the labels that they are known by, each label a number."""

    def __init__(self, ids: Sequence[str], chains: Sequence[str], labels: Sequence[Places]) -> None:
        self.ids, self.chains, self.labels = tuple(ids), tuple(chains), tuple(labels)
        self.residues = sum(map(len, self.chains))
        self._matrix = SubstitutionMatrix.std_protein_matrix()

    def __len__(self) -> int:
        """How many proteins it holds."""
        return len(self.chains)

    @classmethod
    def of(cls, proteins: Sequence[Protein], labels: Sequence[Sequence[int]]) -> Self:
        """A library of some proteins, each with its labels."""
        arrays = [numpy.array(row, dtype=numpy.int64) for row in labels]
        return cls([protein.id for protein in proteins], [protein.sequence for protein in proteins], arrays)

    def kin(self, sequence: str) -> list[Kin]:
        """The relatives of a sequence among all proteins, doubtful ones too, the one with the highest score first."""
        scores = self._aligner.scores(sequence).astype(numpy.float64)
        expected = e_value(scores, len(sequence), self.residues)
        order = numpy.argsort(-scores, kind="stable")[: numpy.count_nonzero((expected <= DOUBTFUL) & (scores > 0))]
        return [Kin(int(at), float(_bits(scores[at])), float(expected[at])) for at in order]

    def identity(self, sequence: str, place: int) -> float:
        """The share of columns of the best local alignment with one protein that hold the same residue twice."""
        trace = trace_of(sequence, self.chains[place])
        ours, theirs = trace[(trace >= 0).all(axis=1)].T
        same = as_biotite(sequence).code[ours] == as_biotite(self.chains[place]).code[theirs]
        return float(same.sum() / max(1, len(trace)))

    @cached_property
    def _aligner(self) -> Aligner:
        return Aligner(self.chains)

    def search(self, sequence: str) -> list[Hit]:
        """The relatives of a sequence, doubtful ones too, the one with the highest score first."""
        asked = as_biotite(sequence)
        hits = [self._hit(asked, place, diagonal) for place, diagonal in self._candidates(sequence)]
        return sorted((hit for hit in hits if hit.e_value <= DOUBTFUL), key=lambda hit: -hit.bits)

    def _hit(self, asked: ProteinSequence, place: int, diagonal: int) -> Hit:
        """The alignment with one protein around a diagonal: position in the library's minus position in the asked."""
        other = as_biotite(self.chains[place])
        band = (max(diagonal - _BAND, 1 - len(asked)), min(diagonal + _BAND, len(other) - 1))
        best = align_banded(asked, other, self._matrix, band, gap_penalty=GAPS, local=True, max_number=1)
        if not best or not len(best[0].trace):
            return Hit(place, 0.0, 0.0, numpy.inf)
        trace, score = best[0].trace, best[0].score
        aligned = trace[(trace >= 0).all(axis=1)]
        same = (asked.code[aligned[:, 0]] == other.code[aligned[:, 1]]).sum()
        expected = float(e_value(score, len(asked), self.residues))
        return Hit(place, float(same / len(trace)), float(_bits(score)), expected)

    def _candidates(self, sequence: str) -> list[tuple[int, int]]:
        """The proteins that share the most rare words with a sequence along one diagonal, and that diagonal."""
        index = self._index
        found, at = placed_words(sequence, _WORD)
        first, count = index.first[found], index.counts[found]
        places = numpy.repeat(first - count.cumsum() + count, count) + numpy.arange(count.sum())
        owners = index.owners[places].astype(numpy.int64)
        # relatives change diagonals by gaps, so neighbouring ones count together
        bins = (index.at[places] - numpy.repeat(at, count) + len(sequence)) // _BIN
        width = (index.longest + len(sequence)) // _BIN + 1
        rarity = numpy.repeat(index.rarity[found], count)
        sums = numpy.bincount(owners * width + bins, weights=rarity, minlength=len(self) * width)
        sums = sums.reshape(len(self), width)
        bests = sums.argmax(1)
        weight = sums[numpy.arange(len(self)), bests]
        best = numpy.argsort(-weight, kind="stable")[:ALIGNED]
        best = best[weight[best] > 0]
        diagonals = bests[best] * _BIN + _BIN // 2 - len(sequence)
        return list(zip(best.tolist(), diagonals.tolist(), strict=True))

    @cached_property
    def _index(self) -> _Index:
        return _Index.of(self.chains)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The library as small arrays: residues in five bits, lengths, labels, ids as bytes."""
        letters = numpy.frombuffer("".join(self.chains).encode("ascii"), dtype=numpy.uint8)
        return {
            "letters": pack_letters(letters),
            "lengths": numpy.array([len(chain) for chain in self.chains], dtype=numpy.int32),
            "labels": numpy.concatenate([numpy.zeros(0, dtype=numpy.int64), *self.labels]).astype(numpy.int16),
            "label_counts": numpy.array([len(row) for row in self.labels], dtype=numpy.uint8),
            "ids": numpy.frombuffer("\n".join(self.ids).encode(), dtype=numpy.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """The library back from its arrays; an empty one from empty arrays."""
        lengths = arrays["lengths"].astype(numpy.int64)
        if not len(lengths):
            return cls((), (), ())
        text = unpack_letters(arrays["letters"], 0, int(lengths.sum()), pair_table()).tobytes().decode("ascii")
        ends = lengths.cumsum().tolist()
        chains = [text[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]
        labels = numpy.split(arrays["labels"].astype(numpy.int64), arrays["label_counts"].astype(int).cumsum()[:-1])
        return cls(arrays["ids"].tobytes().decode().split("\n"), chains, labels)


def _bits(score: float) -> float:
    return (LAMBDA * score - float(numpy.log(K))) / float(numpy.log(2))


class _Index(NamedTuple):
    """Where each word occurs: for word w the `counts[w]` entries of `owners` and `at` from `first[w]` on."""

    first: Places
    counts: Places
    rarity: NDArray[numpy.float64]
    owners: NDArray[numpy.int32]
    at: NDArray[numpy.int32]
    longest: int

    @classmethod
    def of(cls, chains: Sequence[str]) -> Self:
        """The index of some chains."""
        found = [placed_words(chain, _WORD) for chain in chains]
        flat = numpy.concatenate([numpy.zeros(0, dtype=numpy.int64), *(part for part, _ in found)])
        order = numpy.argsort(flat, kind="stable")
        count = numpy.bincount(flat, minlength=len(RESIDUES) ** _WORD)
        owners = numpy.repeat(numpy.arange(len(chains)), [len(part) for part, _ in found])
        at = numpy.concatenate([numpy.zeros(0, dtype=numpy.int64), *(places for _, places in found)])
        rarity = numpy.log(max(1, len(flat)) / numpy.maximum(count, 1))
        longest = max(map(len, chains), default=1)
        return cls(
            count.cumsum() - count,
            count,
            rarity,
            owners[order].astype(numpy.int32),
            at[order].astype(numpy.int32),
            longest,
        )

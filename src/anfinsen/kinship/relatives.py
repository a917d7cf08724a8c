"""Which proteins of a table are relatives: found by shared words, proved by an alignment, joined to families.

Identity of two chains: identical residues / columns of their best local alignment, gaps counted (BLOSUM62, gap
penalties 11 and 1, as in MMseqs2), in a band around the diagonal with the most shared words. They are relatives if
the alignment also covers at least half of the shorter chain and chance would reach its score in a table of this
size less than once in a thousand searches (E-value; Karlin & Altschul 1990, constants of BLAST): a short alignment
reaches 30 % identity by chance alone (Rost 1999).

Families are connected components: whoever has a relative in a family belongs to it. Only so no relative that was
found is left in another split; greedy clusters, as of CD-HIT, leave pairs between two clusters. The price is that
families grow by chains of domains, so the largest one is always told.

It knows no file, no label and no split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy
from biotite.sequence.align import SubstitutionMatrix, align_banded
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.kinship.blosum import GAPS, as_biotite, e_value, placed_words
from anfinsen.kinship.neighbours import least_shared

COVERAGE = 0.5
"""Share of the shorter chain that the alignment of two relatives covers at least."""
E_VALUE = 1e-3
"""Alignments of unrelated chains that would be taken for relatives, in one search of the whole table."""
STRANGERS = 1.0
"""Unrelated chains that are aligned for each chain because they share words by chance."""
HITS = 2_000_000_000
"""Shared words that are looked at for a whole table; beyond it longer words are used, which find fewer relatives."""
_WORDS = (3, 4, 5)
_BAND = 24
_TRIES = 8
_BEST = 8
_FEWEST = 64

Places = NDArray[numpy.int64]
Tell = Callable[[int, int], None]
"""Told how many of how many chains are done."""


def _silent(done: int, total: int) -> None:
    """Nobody watches."""


class Kinship(NamedTuple):
    """How alike two chains are: identity over the alignment, coverage of the shorter chain, E-value of the score."""

    identity: float
    coverage: float
    e_value: float

    @property
    def is_proven(self) -> bool:
        """Whether the alignment is long and good enough to speak of relatives at all."""
        return self.coverage >= COVERAGE and self.e_value <= E_VALUE


class Nearest(NamedTuple):
    """For each asked chain the place of its nearest relative, -1 where none was found, and their identity or 0."""

    place: Places
    identity: NDArray[numpy.float64]


class _Candidates(NamedTuple):
    """Chains that share more words with a chain than chance would have it, on one diagonal of their alignment."""

    place: Places
    diagonal: Places
    shared: Places


class Relatives:
    """The chains of a table, searchable: who is related to whom.

    How well it does on mutants with residues changed at random, 300 residues long, is measured in the tests
    (`tests/reference/test_splits.py`). Real relatives keep stretches whole and are found more often.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        unique = {sequence: number for number, sequence in enumerate(dict.fromkeys(sequences))}
        self.chains = tuple(unique)
        """Each different sequence once, in the order of the table."""
        self.chain_of: Places = numpy.array([unique[sequence] for sequence in sequences], dtype=numpy.int64)
        """The number of each row's chain."""
        self.residues = sum(map(len, self.chains))
        self._lengths = numpy.array([len(chain) for chain in self.chains], dtype=numpy.int64)
        self._matrix = SubstitutionMatrix.std_protein_matrix()
        self._codes = [as_biotite(chain) for chain in self.chains]
        for word in _WORDS:
            self._index = _Index(self.chains, word)
            if self._index.pairs <= HITS:
                break

    @property
    def word(self) -> int:
        """Residues in the words that were compared: 3 in small tables, 4 or 5 in large ones, which finds fewer."""
        return self._index.word

    # What is asked ---------------------------------------------------------------------------------------------------

    def families(self, identity: float, *, joined: Iterable[tuple[int, int]] = (), tell: Tell = _silent) -> Places:
        """The family of each row, numbered from 0: rows with relatives at `identity` (0 to 1) or more share one.

        `joined` are pairs of chains that something else, such as MMseqs2, has found already. What was never
        found stays apart: at most `_TRIES` chains of another family are aligned with each chain, the most alike.
        """
        family = numpy.arange(len(self.chains))
        for one, other in joined:
            family[family == family[one]] = family[other]
        for chain in range(len(self.chains)):
            found = self._index.candidates(chain, range(chain))
            for place, diagonal in _a_few_of_each(found, family):
                if family[place] == family[chain]:
                    continue
                kinship = self.kinship(chain, place, diagonal)
                if kinship.is_proven and kinship.identity >= identity:
                    family[family == family[chain]] = family[place]
            tell(chain + 1, len(self.chains))
        _, numbers = numpy.unique(family, return_inverse=True)
        return numbers.astype(numpy.int64)[self.chain_of]

    def nearest(self, asked: Sequence[int] | Places, among: Sequence[int] | Places, *, tell: Tell = _silent) -> Nearest:
        """The nearest relative of the rows `asked` within the rows `among`, both given by their places in the table."""
        row_of = numpy.full(len(self.chains), -1, dtype=numpy.int64)
        known = numpy.asarray(among, dtype=numpy.int64)
        row_of[self.chain_of[known]] = known
        chains, back = numpy.unique(self.chain_of[numpy.asarray(asked, dtype=numpy.int64)], return_inverse=True)
        place = numpy.full(len(chains), -1, dtype=numpy.int64)
        identity = numpy.zeros(len(chains))
        for number, chain in enumerate(chains.tolist()):
            if row_of[chain] >= 0:
                place[number], identity[number] = row_of[chain], 1.0
            else:
                found = self._index.candidates(chain, row_of >= 0)
                for other, diagonal in zip(found.place[:_BEST].tolist(), found.diagonal[:_BEST].tolist(), strict=True):
                    kinship = self.kinship(chain, other, diagonal)
                    if kinship.is_proven and kinship.identity > identity[number]:
                        place[number], identity[number] = row_of[other], kinship.identity
            tell(number + 1, len(chains))
        return Nearest(place[back], identity[back])

    def kinship(self, one: int, other: int, diagonal: int) -> Kinship:
        """How alike two chains are, aligned around a diagonal: position in the one minus position in the other."""
        length = (int(self._lengths[one]), int(self._lengths[other]))
        band = (max(-diagonal - _BAND, 1 - length[0]), min(-diagonal + _BAND, length[1] - 1))
        best = align_banded(
            self._codes[one], self._codes[other], self._matrix, band, gap_penalty=GAPS, local=True, max_number=1
        )
        if not best or not len(best[0].trace):
            return Kinship(0.0, 0.0, numpy.inf)
        trace = best[0].trace
        aligned = trace[(trace >= 0).all(axis=1)]
        letters = [self._codes[chain].code[aligned[:, side]] for side, chain in enumerate((one, other))]
        expected = float(e_value(best[0].score, min(length), self.residues))
        return Kinship(float((letters[0] == letters[1]).sum() / len(trace)), len(aligned) / min(length), expected)


class _Index:
    """All words of all chains in order: which chains share more words on one diagonal than chance would have it."""

    def __init__(self, chains: Sequence[str], word: int) -> None:
        self.word = word
        self._lengths = numpy.array([len(chain) for chain in chains], dtype=numpy.int64)
        self._longest = int(self._lengths.max(initial=1))
        found = [placed_words(chain, word) for chain in chains]
        self._ends = numpy.cumsum([0] + [len(part) for part, _ in found])
        nothing = numpy.zeros(0, dtype=numpy.int64)
        flat = numpy.concatenate([nothing, *(part for part, _ in found)])
        self._own = numpy.concatenate([nothing, *(at for _, at in found)])
        order = numpy.argsort(flat, kind="stable")
        self._rank = numpy.empty_like(order)
        self._rank[order] = numpy.arange(len(order))
        owners = numpy.repeat(numpy.arange(len(chains)), numpy.diff(self._ends))
        self._owners, self._places = owners[order].astype(numpy.int32), self._own[order].astype(numpy.int32)
        counts = numpy.bincount(flat, minlength=len(RESIDUES) ** word)
        self._first, self._last = (counts.cumsum() - counts)[flat], counts.cumsum()[flat]
        self.pairs = int((counts * (counts - 1) // 2).sum())
        # one family of thousands of variants: a part of the equal words is enough to join it
        self._run = len(flat) if self.pairs <= HITS else max(_FEWEST, HITS // max(1, len(flat)))
        self._least = self._least_by_length(chains)

    def candidates(self, chain: int, among: range | NDArray[numpy.bool_]) -> _Candidates:
        """The chains `among` (those before it, or a mask) that may be relatives, the one with most words first."""
        own = slice(self._ends[chain], self._ends[chain + 1])
        rank = self._rank[own]
        first = numpy.maximum(self._first[own], rank - self._run)
        last = rank if isinstance(among, range) else numpy.minimum(self._last[own], rank + self._run)
        counts = last - first
        at = numpy.repeat(first - counts.cumsum() + counts, counts) + numpy.arange(counts.sum())
        owners = self._owners[at]
        width = self._longest + int(self._lengths[chain])
        kind = numpy.int32 if len(self._lengths) * width < 2**31 else numpy.int64
        # the number of a diagonal of an alignment with one chain; what is shared by relatives gathers on one
        keys = owners.astype(kind) * kind(width)
        keys += (numpy.repeat(self._own[own] + self._longest, counts) - self._places[at]).astype(kind)
        keys = keys[owners < chain if isinstance(among, range) else among[owners] & (owners != chain)]
        keys.sort()
        starts = numpy.flatnonzero(numpy.diff(keys, prepend=-1))
        shared = numpy.diff(starts, append=len(keys))
        enough = shared >= self._least.min()
        place, diagonal = numpy.divmod(keys[starts[enough]].astype(numpy.int64), width)
        shared = shared[enough]
        shorter = numpy.minimum(self._lengths[place], self._lengths[chain])
        enough = shared >= self._least[_bin(shorter)]
        place, diagonal, shared = place[enough], diagonal[enough] - self._longest, shared[enough]
        order = numpy.lexsort((-shared, place))
        order = order[numpy.flatnonzero(numpy.diff(place[order], prepend=-1))]
        order = order[numpy.argsort(-shared[order], kind="stable")]
        return _Candidates(place[order], diagonal[order], shared[order])

    def _least_by_length(self, chains: Sequence[str]) -> Places:
        """Words on one diagonal that so short a chain shares by chance with less than `STRANGERS` of all others."""
        letters = numpy.bincount(numpy.frombuffer("".join(chains).encode("ascii", "replace"), dtype=numpy.uint8))
        same = float(((letters / max(1, letters.sum())) ** 2).sum())
        least = []
        for step in range(int(_bin(numpy.array([self._longest]))[0]) + 1):
            length = 2 ** (step / 2)
            chance = STRANGERS / max(1, len(chains)) / (2 * length)
            least.append(least_shared(length * same**self.word, same, chance))
        return numpy.array(least, dtype=numpy.int64)


def _bin(lengths: Places) -> Places:
    """Lengths in steps of the square root of two."""
    steps: Places = numpy.ceil(2 * numpy.log2(numpy.maximum(lengths, 1))).astype(numpy.int64)
    return steps


def _a_few_of_each(found: _Candidates, family: Places) -> list[tuple[int, int]]:
    """Place and diagonal of the `_TRIES` best candidates of each family, the best first."""
    families = family[found.place]
    order = numpy.argsort(families, kind="stable")
    firsts = numpy.flatnonzero(numpy.diff(families[order], prepend=-1))
    within = numpy.arange(len(order)) - numpy.repeat(firsts, numpy.diff(firsts, append=len(order)))
    kept = numpy.sort(order[within < _TRIES])
    return list(zip(found.place[kept].tolist(), found.diagonal[kept].tolist(), strict=True))

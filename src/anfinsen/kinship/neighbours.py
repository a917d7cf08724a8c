"""The nearest training protein, without alignment and without an outside program.

    most_alike   over whole tables: words of residues, weighted by rarity, cosine; for the nearest-neighbour baseline
    Reach        a sketch of the training proteins that travels in a bundle: no sequence can be read from it,
                 about 90 bytes a protein; says how near a new protein is to what a model was trained on; with it
                 travels, where the network was asked, how familiar a protein's states look (see `familiarity`)

A sketch keeps of each protein the words of five residues whose hashes are smallest, a fair draw of all its words
(Broder 1997; Mash, Ondov et al. 2016, Genome Biology 17:132). If a share j of a protein's words is found in a
training protein, the identity of the two is about j^(1/5). It knows no task and no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from anfinsen.data.alphabet import RESIDUES
from anfinsen.kinship.familiarity import Familiarity
from anfinsen.structure.protein import Protein

WORD = 5
"""Residues in a word of the sketch."""
HASHES = 40
"""Words kept of each protein in a bundle."""
FAR = 0.3
"""Estimated identity below which even a found neighbour counts as far."""
_CHANCE = 0.05
"""How often an unrelated query may find a neighbour by chance."""
_SAME = 0.0585
"""How often two residues of unrelated proteins are the same: the sum of squared residue shares."""
_BITS = 22
_STEP = 65_535

Words = NDArray[numpy.int64]

_NUMBERS = numpy.full(256, -1, dtype=numpy.int64)
_NUMBERS[numpy.frombuffer(RESIDUES.encode(), dtype=numpy.uint8)] = numpy.arange(len(RESIDUES))


def words(sequence: str, length: int) -> Words:
    """The number of every word of `length` standard residues, in order; words with another letter are left out.

    >>> words("AACXAD", 2).tolist()
    [0, 1, 2]
    """
    residues = _NUMBERS[numpy.frombuffer(sequence.encode("ascii", "replace"), dtype=numpy.uint8)]
    if len(residues) < length:
        return numpy.zeros(0, dtype=numpy.int64)
    windows = numpy.lib.stride_tricks.sliding_window_view(residues, length)
    found: Words = windows[(windows >= 0).all(1)] @ (len(RESIDUES) ** numpy.arange(length - 1, -1, -1))
    return found


# Whole tables -------------------------------------------------------------------------------------------------------


class Nearest(NamedTuple):
    """For each query the place of the most alike training protein and their cosine, 0 where no word is shared."""

    place: NDArray[numpy.int64]
    cosine: NDArray[numpy.float64]


def most_alike(train: Sequence[str], queries: Sequence[str], *, length: int = 4, rows: int = 256) -> Nearest:
    """The training sequence whose words, weighted by their rarity in training, are most like each query's.

    The best `length` depends on the question: words of 2 compare whole compositions, words of 4 find relatives.
    Remote relatives need an alignment: on the localization test MMseqs2's neighbours are right in 0.45, these in 0.38.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    weigh = TfidfTransformer(sublinear_tf=True)
    known = weigh.fit_transform(_counts(train, length)).astype(numpy.float32)
    asked = weigh.transform(_counts(queries, length)).astype(numpy.float32)
    columns = known.T.tocsr()
    place, cosine = [], []
    for start in range(0, len(queries), rows):
        alike = (asked[start : start + rows] @ columns).toarray()
        place.append(alike.argmax(1))
        cosine.append(alike.max(1))
    return Nearest(numpy.concatenate(place), numpy.concatenate(cosine).astype(numpy.float64))


def _counts(sequences: Sequence[str], length: int) -> csr_matrix:
    found = [words(sequence, length) for sequence in sequences]
    ends = numpy.cumsum([0] + [len(part) for part in found])
    shape = (len(sequences), len(RESIDUES) ** length)
    table = csr_matrix((numpy.ones(ends[-1]), numpy.concatenate(found), ends), shape=shape)
    table.sum_duplicates()
    return table


# A sketch that travels ----------------------------------------------------------------------------------------------


class Reach:
    """How far a protein is from N training proteins, from `HASHES` words of each of them.

    How well it does, measured on 300 mutants at each level of random 300-residue proteins, among 30,000 of them
    (share that find their parent; mean and standard deviation of the estimate): identity 1.00: all, 1.00 +- 0.00;
    0.95: all, 0.95 +- 0.02; 0.80: all, 0.80 +- 0.04; 0.70: 95 %, 0.70 +- 0.05; 0.60: 63 %, 0.63 +- 0.04;
    0.50: 14 %, 0.61 +- 0.03 (only the lucky are found, so the estimate is too high). One unrelated protein in
    twenty finds a neighbour by chance, as chosen. So hardly anything below 0.55 is ever estimated, and `far` means
    that no near relative was found, not that no remote one exists. Real relatives keep conserved stretches whole
    and are found more often than random mutants.

    With `hashes=2000` all words are kept: 0.50 is found 85 times and 0.40 23 times in a hundred (among 4,300
    proteins), for six times the memory. That serves to keep relatives of test proteins out of training.
    """

    def __init__(
        self,
        ids: Sequence[str],
        lengths: NDArray[numpy.int64],
        flat: Words,
        counts: NDArray[numpy.int64],
        familiarity: Familiarity | None = None,
    ) -> None:
        """`flat` are the hashes of one protein after the other, sorted within each; `counts` how many each has."""
        self.ids = tuple(ids)
        self.lengths = lengths
        self.familiarity = familiarity
        self._flat, self._counts = flat, counts
        # hash and owner in one number: sorting numbers is several times as fast as sorting places by them
        both = flat << 32 | numpy.repeat(numpy.arange(len(ids)), counts)
        both.sort()
        self._hashes, self._owners = both >> 32, both & (2**32 - 1)
        ends = self._counts.cumsum()
        self._hashes_limit = numpy.full(len(ids), 2**_BITS, dtype=numpy.int64)
        # a full sketch says nothing about words beyond its largest hash
        self._full = int(self._counts.max(initial=0))
        is_full = (self._counts == self._full) & (self._counts > 0)
        self._hashes_limit[is_full] = self._flat[ends[is_full] - 1]

    @classmethod
    def fit(cls, proteins: Sequence[Protein], *, hashes: int = HASHES, familiarity: Familiarity | None = None) -> Self:
        """The sketch of some proteins; more `hashes` find more remote relatives and cost memory.

        `familiarity` is what the network's states of them say beside the sketch, where it was asked.
        """
        sketches = [_hashes(protein.sequence)[:hashes] for protein in proteins]
        lengths = numpy.array([len(protein) for protein in proteins], dtype=numpy.int64)
        counts = numpy.array([len(sketch) for sketch in sketches], dtype=numpy.int64)
        flat = numpy.concatenate([numpy.zeros(0, dtype=numpy.int64), *sketches])
        return cls([protein.id for protein in proteins], lengths, flat, counts, familiarity)

    def __len__(self) -> int:
        """How many proteins the sketch holds."""
        return len(self.ids)

    def nearest(self, sequence: str) -> tuple[float | None, str | None]:
        """Estimated identity to the nearest training protein and its id; (None, None) if none is nearer than chance.

        The identity is over the query: a fragment of a training protein is wholly known, its elongation is not.
        """
        query = _hashes(sequence)
        if not len(query) or not len(self.ids):
            return None, None
        starts = numpy.searchsorted(self._hashes, query, "left")
        found = numpy.searchsorted(self._hashes, query, "right") - starts
        places = numpy.repeat(starts - found.cumsum() + found, found) + numpy.arange(found.sum())
        shared = numpy.bincount(self._owners[places], minlength=len(self.ids))
        candidates = (shared >= self._least(len(query))).nonzero()[0]
        if not len(candidates):
            return None, None
        comparable = numpy.searchsorted(query, self._hashes_limit[candidates], "right")
        # one more in the denominator: two words of two say less than forty of forty
        best = int((shared[candidates] / (comparable + 1)).argmax())
        share = float(shared[candidates[best]] / comparable[best])
        return share ** (1 / WORD), self.ids[candidates[best]]

    def far(self, sequence: str) -> bool:
        """Whether no training protein is near: none is found, or the nearest is below `FAR`."""
        return is_far(self.nearest(sequence)[0])

    def _least(self, count: int) -> int:
        """Shared words that unrelated proteins would reach less than once in 1 / _CHANCE queries."""
        kept = self._counts.sum() / max(1, self.lengths.sum())
        return max(2, least_shared(count * max(1, self._full) * _SAME**WORD, _SAME * kept, _CHANCE / len(self.ids)))

    def to_arrays(self) -> dict[str, NDArray[numpy.generic]]:
        """The sketch as small arrays: gaps between sorted hashes in 16 bits, lengths, ids as bytes."""
        firsts = numpy.concatenate([[0], self._counts.cumsum()[:-1]])[self._counts > 0]
        gaps = numpy.diff(self._flat, prepend=0)
        gaps[firsts] = self._flat[firsts]
        steps, rest = numpy.divmod(gaps, _STEP)
        stream = numpy.full(len(gaps) + int(steps.sum()), _STEP, dtype=numpy.uint16)
        stream[(steps + 1).cumsum() - 1] = rest
        return {
            "gaps": stream,
            "counts": self._counts.astype(numpy.uint16),
            "lengths": self.lengths.astype(numpy.uint32),
            "ids": numpy.frombuffer("\n".join(self.ids).encode(), dtype=numpy.uint8),
            **(self.familiarity.to_arrays() if self.familiarity is not None else {}),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[numpy.generic]]) -> Self:
        """The sketch back from its arrays."""
        stream = arrays["gaps"].astype(numpy.int64)
        counts = arrays["counts"].astype(numpy.int64)
        totals = stream.cumsum()[stream != _STEP]
        ends = counts.cumsum()
        base = numpy.concatenate([[0], totals])[ends - counts]
        flat = totals - numpy.repeat(base, counts)
        ids = arrays["ids"].astype(numpy.uint8).tobytes().decode().split("\n") if len(counts) else []
        return cls(ids, arrays["lengths"].astype(numpy.int64), flat, counts, Familiarity.from_arrays(arrays))


def is_far(identity: float | None) -> bool:
    """Whether the nearest protein that was found, None if none was, is too remote to learn from."""
    return identity is None or identity < FAR


def least_shared(expected: float, growth: float, chance: float) -> int:
    """The least number of shared words with a probability of at most `chance` between unrelated proteins.

    Words overlap, so chance matches come in clumps: a clump grows by one word with probability `growth`
    (Polya-Aeppli distribution, Panjer's recursion), `expected` words are shared in the mean.
    """
    clumps = expected * (1 - growth)
    shares = [float(numpy.exp(-clumps))]
    tail = 1 - shares[0]
    while tail > chance and len(shares) < 1000:
        n = len(shares)
        grown = sum(k * (1 - growth) * growth ** (k - 1) * shares[n - k] for k in range(1, n + 1))
        shares.append(clumps / n * grown)
        tail -= shares[-1]
    return len(shares)


def _hashes(sequence: str) -> Words:
    """The hashes of a sequence's different words, smallest first; words of one or two kinds of residue are left out.

    Such words ('QQQQQ', 'EKEEK') occur in many unrelated proteins. The hash permutes 22-bit numbers (a word is
    below 20^5 < 2^22), so different words never collide.
    """
    found = numpy.unique(words(sequence, WORD))
    digits = found[:, None] // (len(RESIDUES) ** numpy.arange(WORD)) % len(RESIDUES)
    digits.sort(1)
    number: Words = found[(numpy.diff(digits, axis=1) > 0).sum(1) >= 2]
    mask = 2**_BITS - 1
    for odd in (2_654_435_769, 2_246_822_519, 3_266_489_917):
        number = number * (odd & mask) & mask
        number ^= number >> (_BITS // 2)
    number.sort()
    return number

"""A protein as a profile of its words: a long vector whose cosines say how alike two proteins are.

    sequence -> its words of three residues -> log(1 + count), rare words weighing more -> length 1: (8000,)

No alignment is made; relatives share words, and remote relatives too few of them. Knows no task.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from anfinsen.data.alphabet import RESIDUES
from anfinsen.kinship.neighbours import words

Floats = NDArray[numpy.float32]
Places = NDArray[numpy.int64]

WORD = 3
"""Residues of a word of a profile."""
WORDS = len(RESIDUES) ** WORD
"""Numbers of a profile."""
_LONG = 5


def word_weights(sequences: Sequence[str]) -> Floats:
    """How much each word weighs, by its rarity among some proteins: (WORDS,)."""
    held_by = numpy.zeros(WORDS)
    for sequence in sequences:
        held_by[numpy.unique(words(sequence, WORD))] += 1
    return (numpy.log((1 + len(sequences)) / (1 + held_by)) + 1).astype(numpy.float32)


def profiles(sequences: Sequence[str], weights: Floats) -> Floats:
    """The profiles of proteins (n, WORDS), each of length 1, or zero where there is no word of standard residues."""
    rows = numpy.zeros((len(sequences), WORDS), dtype=numpy.float32)
    for row, sequence in zip(rows, sequences, strict=True):
        found, counts = numpy.unique(words(sequence, WORD), return_counts=True)
        row[found] = numpy.log1p(counts) * weights[found]
        row /= max(float(numpy.linalg.norm(row)), 1e-9)
    return rows


def near_twins(sequences: Sequence[str], identity: float = 0.9) -> Places:
    """A number for each sequence, the same for twins: mutants, splice forms, and pieces of one another.

    Two are twins if the shorter one shares as many words of five residues as two chains of that identity would; who is
    a twin of a twin belongs to them. Made to keep mutants together, and far cheaper than alignments.
    """
    found = [numpy.unique(words(sequence, _LONG)) for sequence in sequences]
    ends = numpy.cumsum([0] + [len(part) for part in found])
    shape = (len(sequences), len(RESIDUES) ** _LONG)
    table = csr_matrix((numpy.ones(ends[-1]), numpy.concatenate(found), ends), shape=shape)
    shared = (table @ table.T).toarray()
    count = numpy.maximum(shared.diagonal(), 1)
    alike = shared >= identity**_LONG * numpy.minimum.outer(count, count)
    groups: Places = connected_components(csr_matrix(alike), directed=False)[1].astype(numpy.int64)
    return groups

"""One chain aligned with thousands: the best local alignment of each (Smith & Waterman 1981), none passed over.

    sequence -> Aligner.scores -> (N,) the score with each of N chains
    sequence + one chain -> aligned -> (L,) who stands beside whom

A search by shared words (see `homology`) passes over most remote relatives: this looks at everybody, 300 residues
beside three million in a tenth of a second of one core, and every core takes a part. BLOSUM62 and the field's gap
penalties, as everywhere here. The work is Opal's, which aligns with many chains in one instruction (Sosic 2015,
github.com/Martinsos/opal).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy
import pyopal
from biotite.sequence.align import SubstitutionMatrix, align_optimal
from numpy.typing import NDArray

from anfinsen import runtime
from anfinsen.kinship.blosum import GAPS, as_biotite

Places = NDArray[numpy.int64]
Scores = NDArray[numpy.int32]
MATRIX = SubstitutionMatrix.std_protein_matrix()
"""BLOSUM62."""


class Aligner:
    """Chains to be aligned with one chain after the other."""

    def __init__(self, chains: Sequence[str]) -> None:
        self._chains = pyopal.Database(str(as_biotite(chain)) for chain in chains)
        opening, extending = (-one for one in GAPS)
        self._aligner = pyopal.Aligner("BLOSUM62", gap_open=opening, gap_extend=extending)

    def scores(self, sequence: str) -> Scores:
        """The score of the best local alignment of `sequence` with each chain, (N,)."""
        asked = str(as_biotite(sequence))

        def align(part: tuple[int, int]) -> Scores:
            start, end = part
            found = self._aligner.align(asked, self._chains, mode="score", algorithm="sw", start=start, end=end)
            return numpy.array([one.score for one in found], dtype=numpy.int32)

        ends = numpy.linspace(0, len(self._chains), runtime.threads() + 1).astype(int).tolist()
        return numpy.concatenate(runtime.in_parallel(align, list(pairwise(ends))))


def trace_of(sequence: str, other: str) -> Places:
    """The best local alignment of two chains, (A, 2): places in the one and in the other, -1 for a gap."""
    found = align_optimal(as_biotite(sequence), as_biotite(other), MATRIX, GAPS, local=True, max_number=1)
    trace: Places = found[0].trace if found else numpy.zeros((0, 2), dtype=numpy.int64)
    return trace


def aligned(sequence: str, other: str) -> Places:
    """For each residue of `sequence` the place in `other` of the one it is aligned with, -1 for none: (L,)."""
    place = numpy.full(len(sequence), -1, dtype=numpy.int64)
    trace = trace_of(sequence, other)
    both = trace[(trace >= 0).all(axis=1)]
    place[both[:, 0]] = both[:, 1]
    return place

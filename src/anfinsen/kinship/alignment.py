"""One chain aligned with thousands: the best local alignment of each (Smith & Waterman 1981), none passed over.

    sequence -> Aligner.scores -> (N,) the score with each of N chains
    sequence + one chain -> aligned -> (L,) who stands beside whom

A search by shared words (see `homology`) is ten times faster and passes over relatives that share few of them. Where a
fold is asked, seconds pass anyway: this looks at everybody. BLOSUM62 and the field's gap penalties, as everywhere here.
One residue of the asked chain is worked on at a time, for all residues of all chains at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from biotite.sequence.align import SubstitutionMatrix, align_optimal
from numpy.typing import NDArray

from anfinsen.kinship.blosum import GAPS, as_biotite

Places = NDArray[numpy.int64]
Scores = NDArray[numpy.int32]
_NEVER = -20_000
"""A score that no alignment begins with."""
MATRIX = SubstitutionMatrix.std_protein_matrix()
"""BLOSUM62."""


class Aligner:
    """Chains that lie end to end, R residues together, to be aligned with one chain after the other."""

    def __init__(self, chains: Sequence[str]) -> None:
        lengths = numpy.array([len(chain) for chain in chains], dtype=numpy.int64)
        self._codes = as_biotite("".join(chains)).code.astype(numpy.uint8)
        self._starts = numpy.concatenate(([0], lengths.cumsum()[:-1])) if len(chains) else lengths
        self._owners = numpy.repeat(numpy.arange(len(chains), dtype=numpy.int32), lengths)

    def scores(self, sequence: str) -> Scores:
        """The score of the best local alignment of `sequence` with each chain, (N,)."""
        table = MATRIX.score_matrix()
        # half the memory is half the time, where no score can grow too large for it
        kind = numpy.int16 if len(sequence) * table.max() < -_NEVER else numpy.int32
        opening, extending = (kind(-one) for one in GAPS)
        table = table.astype(kind)
        best = numpy.zeros(len(self._codes), dtype=kind)
        ended, gapped = numpy.zeros_like(best), numpy.full_like(best, _NEVER)
        for code in as_biotite(sequence).code:
            # a residue of `sequence` is left out, or it stands beside one of theirs, or an alignment begins
            gapped = numpy.maximum(gapped - extending, ended - opening)
            now = numpy.empty_like(ended)
            now[1:] = ended[:-1]
            now[self._starts] = 0
            now += table[code].take(self._codes)
            numpy.maximum(now, gapped, out=now)
            numpy.maximum(now, 0, out=now)
            self._leave_out_theirs(now, opening, extending)
            numpy.maximum(best, now, out=best)
            ended = now
        return numpy.maximum.reduceat(best, self._starts).astype(numpy.int32)

    def _leave_out_theirs(self, now: NDArray[Any], opening: Any, extending: Any) -> None:
        """Residues of theirs are left out: what is worth more than opening a gap is carried on to the next ones."""
        at = numpy.flatnonzero(now > opening)
        worth = now[at] - opening
        step = 1
        while len(at):
            reached = at + step
            inside = reached < len(now)
            at, worth, reached = at[inside], worth[inside], reached[inside]
            inside = self._owners[reached] == self._owners[at]
            at, worth, reached = at[inside], worth[inside], reached[inside]
            there = now[reached]
            now[reached] = numpy.maximum(there, worth)
            # it ends where a gap that opens there would be worth as much
            goes_on = (worth > extending) & (worth - extending > there - opening)
            at, worth = at[goes_on], worth[goes_on] - extending
            step += 1


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

"""Conjoint triads: how often each three neighbouring kinds of residue stand in a chain, by size and charge.

    sequence -> 7 kinds of residue -> 343 triads, 20 residues, length -> (364,)

Residues are sorted by the dipole and volume of their side chains (Shen et al. 2007, PNAS 104:4337). The numbers say
what a chain is made of and little of how it is folded; no alignment is made. Knows no task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES

Floats = NDArray[numpy.floating[Any]]

KINDS = ("AGV", "ILFP", "YMTS", "HNQW", "RK", "DE", "C")
"""Residues that count as one kind."""
TRIADS = len(KINDS) ** 3
WIDTH = TRIADS + len(RESIDUES) + 1
"""Numbers of a chain."""

_KIND = numpy.full(256, -1, dtype=numpy.int64)
_PLACE = numpy.full(256, len(RESIDUES), dtype=numpy.int64)
for _number, _letters in enumerate(KINDS):
    _KIND[[ord(letter) for letter in _letters]] = _number
for _number, _letter in enumerate(RESIDUES):
    _PLACE[ord(_letter)] = _number


def triads(sequences: Sequence[str]) -> Floats:
    """The shares of triads, then of residues, then log10 of the length, for each chain: (n, 364).

    >>> triads(["AAAD"])[0][:1].item(), triads(["AAAD"]).shape
    (0.5, (1, 364))
    """
    found = numpy.zeros((len(sequences), WIDTH), dtype=numpy.float32)
    for row, sequence in zip(found, sequences, strict=True):
        letters = numpy.frombuffer(sequence.encode("ascii", "replace"), dtype=numpy.uint8)
        kinds = _KIND[letters]
        if len(kinds) > 2:
            whole = (kinds[:-2] >= 0) & (kinds[1:-1] >= 0) & (kinds[2:] >= 0)
            count = len(KINDS)
            numbers = (kinds[:-2] * count + kinds[1:-1]) * count + kinds[2:]
            row[:TRIADS] = numpy.bincount(numbers[whole], minlength=TRIADS) / max(int(whole.sum()), 1)
        row[TRIADS:-1] = numpy.bincount(_PLACE[letters], minlength=len(RESIDUES) + 1)[:-1] / max(len(letters), 1)
        row[-1] = numpy.log10(max(len(letters), 1))
    return found

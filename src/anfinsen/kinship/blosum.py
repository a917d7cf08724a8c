"""Two chains as BLOSUM62 compares them: biotite's residues, the field's gap penalties, and which words they share.

Matrix and penalties (11 to open a gap, 1 to go on) are those of BLAST and MMseqs2. It knows no table and no label.
"""

from __future__ import annotations

import string
from typing import Any, TypeVar

import numpy
from biotite.sequence import ProteinSequence
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.kinship.neighbours import words

GAPS = (-11, -1)
"""What opening a gap costs, and each further residue of it."""
LAMBDA, K = 0.267, 0.041
"""What scores with these penalties are worth (Karlin & Altschul 1990, constants of BLAST)."""
_COMPARED_AS = {"U": "C", "O": "K", "J": "L"}

Places = NDArray[numpy.int64]
Scores = TypeVar("Scores", float, NDArray[numpy.floating[Any]])


def as_biotite(chain: str) -> ProteinSequence:
    """A chain as biotite counts residues; what BLOSUM62 lacks (U, O, J) is compared as what it replaces.

    >>> str(as_biotite("MUXO"))
    'MCXK'
    """
    sequence = ProteinSequence()
    sequence.code = _CODES[numpy.frombuffer(chain.encode("ascii"), dtype=numpy.uint8)]
    return sequence


def e_value(score: Scores, asked: int, residues: int) -> Scores:
    """How many alignments of such a score a chain of `asked` residues would find by chance among so many residues.

    >>> bool(0.001 < e_value(70, 300, 100_000) < 0.01)
    True
    """
    expected: Scores = K * asked * residues * numpy.exp(-LAMBDA * score)
    return expected


def placed_words(chain: str, length: int) -> tuple[Places, Places]:
    """The words of a chain and where they start; words with another letter and of one kind of residue are left out.

    >>> placed_words("QQQADX", 2)[1].tolist()
    [2, 3]
    """
    is_foreign = numpy.array([letter not in RESIDUES for letter in chain], dtype=numpy.int64)
    found = words(chain, length)
    if not len(found):
        return found, found
    at = numpy.flatnonzero(numpy.convolve(is_foreign, numpy.ones(length, dtype=numpy.int64), "valid") == 0)
    is_mixed = found % ((len(RESIDUES) ** length - 1) // (len(RESIDUES) - 1)) != 0
    return found[is_mixed], at[is_mixed]


def _codes() -> NDArray[numpy.uint8]:
    codes = numpy.zeros(256, dtype=numpy.uint8)
    letters = ProteinSequence.alphabet.get_symbols()
    for letter in string.ascii_uppercase:
        codes[ord(letter)] = letters.index(_COMPARED_AS.get(letter, letter))
    return codes


_CODES = _codes()

"""Two chains as BLOSUM62 compares them: biotite's residues, the field's gap penalties, and which words they share.

Matrix and penalties (11 to open a gap, 1 to go on) are those of BLAST and MMseqs2. It knows no table and no label.
"""

from __future__ import annotations

import string

import numpy
from biotite.sequence import ProteinSequence
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.kinship.neighbours import words

GAPS = (-11, -1)
"""What opening a gap costs, and each further residue of it."""
LAMBDA, K = 0.267, 0.041
"""How scores with these penalties turn into E-values (Karlin & Altschul 1990, constants of BLAST)."""
_COMPARED_AS = {"U": "C", "O": "K", "J": "L"}

Places = NDArray[numpy.int64]


def as_biotite(chain: str) -> ProteinSequence:
    """A chain as biotite counts residues; what BLOSUM62 lacks (U, O, J) is compared as what it replaces.

    >>> str(as_biotite("MUXO"))
    'MCXK'
    """
    sequence = ProteinSequence()
    sequence.code = _CODES[numpy.frombuffer(chain.encode("ascii"), dtype=numpy.uint8)]
    return sequence


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

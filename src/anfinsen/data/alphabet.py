"""Residues as numbers: the 33 tokens of ESM-2, in its order, so that weights fit both ways.

A sequence of L residues becomes L + 2 tokens: <cls>, the residues, <eos>. Letters are checked where
files are read (`reading.readers`); here an unknown letter is a programmer's error and becomes <unk>.
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

TOKENS = (
    "<cls>", "<pad>", "<eos>", "<unk>",
    "L", "A", "G", "V", "S", "E", "R", "T", "I", "D", "P", "K", "Q", "N", "F", "Y", "M", "H", "W", "C",
    "X", "B", "U", "Z", "O", ".", "-", "<null_1>", "<mask>",
)  # fmt: skip
CLS, PAD, EOS, UNK, MASK = (TOKENS.index(token) for token in ("<cls>", "<pad>", "<eos>", "<unk>", "<mask>"))
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
"""The twenty standard residues, in alphabetical order."""
FIRST_RESIDUE, LAST_RESIDUE = TOKENS.index("L"), TOKENS.index("C")
"""The twenty standard residues fill this closed range of token numbers."""

MASKED_LETTER = "#"
"""How a masked residue is written inside a sequence; it can never come from a file."""

_TABLE = numpy.full(256, UNK, dtype=numpy.uint8)
for _number, _token in enumerate(TOKENS):
    if len(_token) == 1:
        _TABLE[ord(_token)] = _number
_TABLE[ord(MASKED_LETTER)] = MASK


def encode(sequence: str) -> NDArray[numpy.uint8]:
    """Residue numbers, shape (L,), without <cls> and <eos>.

    >>> encode("LAG").tolist()
    [4, 5, 6]
    """
    return _TABLE[numpy.frombuffer(sequence.encode("ascii", "replace"), dtype=numpy.uint8)]


def decode(numbers: NDArray[numpy.integer]) -> str:
    """Back to letters; special tokens are left out."""
    return "".join(TOKENS[number] for number in numbers if len(TOKENS[number]) == 1)

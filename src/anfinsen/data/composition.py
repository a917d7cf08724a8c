"""What a protein is made of, and nothing about in which order: the plainest thing that can be read from a sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.example import Example


def composition(examples: Sequence[Example]) -> NDArray[numpy.float64]:
    """Shares of the twenty standard residues and the logarithm of the length: (n, 21)."""
    rows = numpy.zeros((len(examples), len(RESIDUES) + 1))
    for row, example in zip(rows, examples, strict=True):
        sequence = example.protein.sequence
        row[:-1] = [sequence.count(residue) / len(sequence) for residue in RESIDUES]
        row[-1] = math.log(len(sequence))
    return rows

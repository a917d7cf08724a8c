"""Residues in five bits: 26 letters need no more, so a corpus takes five eighths of a byte a residue.

    8 letters  ->  40 bits  ->  5 bytes, the first letter in the highest bits

Sequences lie end to end and begin anywhere within a byte. After the last byte stand three zeros, so that a
reader may take eight bytes at any group at once. Knows nothing of files.
"""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UsageError

Letters = NDArray[numpy.uint8]
"""Sequences end to end, one ASCII letter a byte."""

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What is packed: the letters by their numbers. At most 32 fit."""
GROUP, GROUP_BYTES, ZEROS = 8, 5, 3
_CODE_BITS = numpy.uint64(5)
_PAIR_SHIFTS = numpy.arange(54, 23, -10, dtype=numpy.int64)
"""Where the four pairs of letters of a group begin in the eight bytes that a reader takes."""
_UNKNOWN = 255
_AT_ONCE = 1 << 20
"""Groups that are packed or unpacked together; more costs memory and gains nothing."""


def packed_size(residues: int) -> int:
    """Bytes that so many packed residues take.

    >>> packed_size(8), packed_size(9)
    (8, 13)
    """
    return -(-residues // GROUP) * GROUP_BYTES + ZEROS


def pack_letters(letters: Letters, alphabet: str = ALPHABET) -> Letters:
    """Packed letters (`packed_size`,); raises UsageError for a letter that is not in the alphabet."""
    table = numpy.full(256, _UNKNOWN, dtype=numpy.uint8)
    table[numpy.frombuffer(alphabet.encode(), dtype=numpy.uint8)] = numpy.arange(len(alphabet), dtype=numpy.uint8)
    packed = numpy.zeros(packed_size(len(letters)), dtype=numpy.uint8)
    for begin in range(0, len(letters), GROUP * _AT_ONCE):
        codes = table[letters[begin : begin + GROUP * _AT_ONCE]]
        if (codes == _UNKNOWN).any():
            place = begin + int((codes == _UNKNOWN).argmax())
            raise UsageError(
                f"The letter {chr(letters[place])!r} cannot be packed.", remedy=f"Give sequences of {alphabet} only."
            )
        codes = numpy.pad(codes, (0, -len(codes) % GROUP)).reshape(-1, GROUP)
        words = numpy.zeros(len(codes), dtype=numpy.uint64)
        for column in codes.T:
            words = words << _CODE_BITS | column
        groups = words.astype(">u8").view(numpy.uint8).reshape(-1, 8)[:, 8 - GROUP_BYTES :]
        start = begin // GROUP * GROUP_BYTES
        packed[start : start + groups.size] = groups.reshape(-1)
    return packed


def pair_table(alphabet: str = ALPHABET) -> NDArray[numpy.uint16]:
    """The two letters of every ten bits (1024,), as the two bytes of a number."""
    letters = numpy.zeros(32, dtype=numpy.uint8)
    letters[: len(alphabet)] = numpy.frombuffer(alphabet.encode(), dtype=numpy.uint8)
    return numpy.stack((letters.repeat(32), numpy.tile(letters, 32)), axis=1).view(numpy.uint16)[:, 0]


def unpack_letters(packed: Letters, first: int, count: int, table: NDArray[numpy.uint16]) -> Letters:
    """`count` letters from number `first` on, by the `pair_table` of their alphabet.

    >>> packed = pack_letters(numpy.frombuffer(b"MKTAYIAKQRQIS", dtype=numpy.uint8))
    >>> unpack_letters(packed, 2, 5, pair_table()).tobytes()
    b'TAYIA'
    """
    begin, end = first // GROUP, -(-(first + count) // GROUP)
    letters = numpy.empty(((end - begin), GROUP // 2), dtype=numpy.uint16)
    for start in range(begin, end, _AT_ONCE):
        stop = min(start + _AT_ONCE, end)
        words: NDArray[Any] = numpy.ndarray((stop - start,), ">i8", packed, start * GROUP_BYTES, (GROUP_BYTES,))
        # the shift drags the sign along, and the mask takes it away
        pairs = words.astype(numpy.int64)[:, None] >> _PAIR_SHIFTS & 1023
        table.take(pairs, out=letters[start - begin : stop - begin])
    return letters.view(numpy.uint8).reshape(-1)[first - begin * GROUP :][:count]

"""Words that every room needs: a count with its noun, words in a row, and what was refused of a file.

It knows no room, no screen and no colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

SHOWN = 5
"""Refusals that are told; the rest stand in a table."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A count with its noun.

    >>> counted(1, "pair"), counted(2_000, "pair"), counted(0, "family", "families")
    ('1 pair', '2,000 pairs', '0 families')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(words: Iterable[str]) -> str:
    """Words as a sentence lists them.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    *most, last = list(words) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def refusals(refused: Sequence[object], table: Path) -> Iterator[str]:
    """The first refusals in sentences, and where all of them stand.

    >>> list(refusals(["row 7: no number."], Path("refused.csv")))
    ['Refused: row 7: no number.']
    """
    for error in refused[:SHOWN]:
        yield f"Refused: {error}"
    if len(refused) > SHOWN:
        yield f"and {len(refused) - SHOWN:,} more refused; see {table}."

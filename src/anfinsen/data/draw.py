"""Some of many, drawn by lot: always the same ones, whoever asks and wherever.

Tables are often sorted, so the first rows stand for no table. A quick look, a baseline that learns from a part and a
test of speed all take what is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy

T = TypeVar("T")


def draw(things: Sequence[T], most: int | None, *, seed: int | Sequence[int] = 1, in_order: bool = True) -> list[T]:
    """At most so many of some things, in their own order or in that of the draw; all where `most` is None.

    >>> draw("abcdefgh", 3), draw("abcdefgh", 3, in_order=False)
    (['a', 'b', 'f'], ['f', 'a', 'b'])
    """
    return [things[at] for at in draw_places(len(things), most, seed=seed, in_order=in_order)]


def draw_places(count: int, most: int | None, *, seed: int | Sequence[int] = 1, in_order: bool = True) -> list[int]:
    """Where the drawn ones of `count` things stand."""
    places: list[int] = numpy.random.default_rng(seed).permutation(count)[:most].tolist()
    return sorted(places) if in_order else places

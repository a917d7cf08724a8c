"""Heat: how much of a network may move, in four words, and when it is time for the next one.

    cold     the body is frozen, only the heads learn        little can go wrong, little can be won
    warm     small adapters in the body learn as well        most of the gain for a few weights
    hot      every weight learns one question                fits best, forgets most
    blazing  every weight learns several questions at once   one generalist

A heat has given what it has to give when its validation loss lies on a plateau: the last looks together brought
less than a small share of all that this heat has gained. The rule looks at differences only, so it means the same
for a loss near zero, a negative one (a Gaussian likelihood) and a large one. It knows no network and no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Heat = Literal["cold", "warm", "hot", "blazing"]
HEATS: tuple[Heat, ...] = ("cold", "warm", "hot", "blazing")

MEANING: dict[Heat, str] = {
    "cold": "the body rests, the heads learn",
    "warm": "adapters and heads learn",
    "hot": "every weight learns",
    "blazing": "every weight learns many tasks",
}
"""What may move at each heat, in words."""


class Plateau(NamedTuple):
    """The last `looks` looks gained `gain` of the `whole` gain so far: less than `percent` % of it."""

    looks: int
    gain: float
    whole: float
    percent: float


def plateau(losses: Sequence[float], *, looks: int, percent: float) -> Plateau | None:
    """The plateau that validation losses have reached, or None; the first loss is that of the start.

    >>> plateau([2.0, 1.5, 1.2, 1.0], looks=2, percent=2) is None
    True
    >>> plateau([2.0, 1.0, 0.995, 0.99], looks=2, percent=2)
    Plateau(looks=2, gain=0.01, whole=1.01, percent=2)
    """
    if percent <= 0 or len(losses) <= looks:
        return None
    best, before = min(losses), min(losses[:-looks])
    gain, whole = round(before - min(before, best), 9), round(losses[0] - best, 9)
    return Plateau(looks, gain, whole, percent) if gain <= whole * percent / 100 else None


def heat_of(moving: Iterable[str], courses: int) -> Heat:
    """The heat of a training, by the names of the weights that may move and the number of questions it mixes."""
    body = [name for name in moving if "heads." not in name]
    if not body:
        return "cold"
    if all("lora" in name or "adapter" in name for name in body):
        return "warm"
    return "blazing" if courses > 1 else "hot"

"""How far an explanation can be believed, for a page and for a file: its curves beside those of random orders.

It knows neither what was credited nor what was asked: whoever draws says how many parts the last point stands for.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy
from markupsafe import Markup
from numpy.typing import NDArray

from anfinsen.drawing.plots import Axis, curve_plot
from anfinsen.explain.faithfulness import Faithfulness

DIGITS = 5
Way = Literal["deletion", "insertion"]


def rounded(values: NDArray[numpy.float64]) -> list[float]:
    """Numbers as a file keeps them."""
    return [round(float(value), DIGITS) for value in values]


def faith_json(faith: Faithfulness) -> dict[str, Any]:
    """The score, its yardstick and the curves."""
    return {
        "score": round(faith.score, DIGITS),
        "random_low": round(faith.low, DIGITS),
        "random_high": round(faith.high, DIGITS),
        "beaten": faith.beaten,
        "n": faith.orders,
        "is_faithful": faith.is_faithful,
        "share": rounded(faith.shares),
        "deletion": rounded(faith.deletion),
        "insertion": rounded(faith.insertion),
        "random_deletion": rounded(faith.random_deletion),
        "random_insertion": rounded(faith.random_insertion),
    }


def faith_plot(faith: Faithfulness, way: Way, *, across: Axis, unit: str, title: str) -> tuple[str, Markup]:
    """One curve with its title; the area reaches to the mean of random orders."""
    ours = faith.deletion if way == "deletion" else faith.insertion
    chance = faith.random_deletion if way == "deletion" else faith.random_insertion
    ends = [float(end) for end in (min(ours.min(), chance.min()), max(ours.max(), chance.max()))]
    up = Axis.over(unit or "number", ends[0], ends[1] if ends[1] > ends[0] else ends[0] + 1)
    drawn = curve_plot(
        [float(share) for share in faith.shares],
        [float(value) for value in ours],
        [float(value) for value in chance],
        [float(value) for value in ours],
        across=across,
        up=up,
        title=title,
        description="The line is our order; the area reaches to the mean of random orders.",
    )
    return title, drawn

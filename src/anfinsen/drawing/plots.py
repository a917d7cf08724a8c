"""A curve with its band, and a map of two conditions, as inline SVG in the manner of `draw`.

Positions across are percentages and positions down are pixels: the drawn part is an inner picture that is stretched
to its card, while letters keep their size. Where evidence is thin the picture itself says so, and its line is dashed.
It knows no protein and no thermodynamics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from markupsafe import Markup

from anfinsen.drawing.small import nice_ticks, picture, quantity_short, words

TOP, HEIGHT, FOOT = 20, 168, 40
"""Pixels above the drawn part, of it, and below it."""
THIN = "thin evidence"
_LEVELS = 10
"""Shades of a map."""
_DARKEST = 0.75


@dataclass(frozen=True)
class Axis:
    """What an axis shows, from where to where, with its ticks."""

    title: str
    start: float
    end: float
    ticks: Sequence[tuple[float, str]]

    @classmethod
    def over(cls, title: str, start: float, end: float) -> Axis:
        """An axis with round numbers inside its span."""
        inside = [tick for tick in nice_ticks(start, end) if start <= tick <= end]
        return cls(title, start, end, [(tick, quantity_short(tick)) for tick in inside])

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the start and 1 at the end."""
        return min(1.0, max(0.0, (value - self.start) / (self.end - self.start)))


@dataclass(frozen=True)
class Mark:
    """A place on the axis across that deserves a line and a word; `low` and `high` shade its interval."""

    value: float
    text: str
    low: float | None = None
    high: float | None = None


SHARES = Axis("folded", 0.0, 1.0, [(0.0, "0%"), (0.5, "50%"), (1.0, "100%")])


def curve_plot(
    values: Sequence[float],
    middle: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    *,
    across: Axis,
    up: Axis,
    title: str,
    description: str,
    marks: Sequence[Mark] = (),
    is_thin: bool = False,
) -> Markup:
    """A line with a band around it; all of (P,)."""
    there = [100 * across.share(value) for value in values]
    edge = _path(there, high, up) + "L" + _path(there[::-1], list(low)[::-1], up)[1:] + "z"
    parts = [_shade(mark, across) for mark in marks]
    parts.append(Markup('<path d="{}" class="area"/>').format(edge))
    parts += [_level(up.share(tick)) for tick, _ in up.ticks]
    parts.append(Markup('<path d="{}" class="trace{}"/>').format(_path(there, middle, up), " thin" if is_thin else ""))
    parts += [
        Markup('<path d="M{0:.2f} 0V{1}" class="mark-line"/>').format(100 * across.share(mark.value), HEIGHT)
        for mark in marks
    ]
    outside = [*_up_labels(up), *_across_labels(across), *_mark_words(marks, across)]
    if is_thin:
        outside.append(words(100, 12, THIN, anchor="end", style="thin-word"))
    outside.insert(0, words(0, 12, up.title, style="tick"))
    return _framed(parts, outside, title, description)


def map_plot(
    shares: Sequence[Sequence[float]], *, across: Axis, up: Axis, title: str, description: str, is_thin: bool
) -> Markup:
    """Shares from 0 to 1 over two axes as shades, first row at the foot, with the line where half is left: (U, A)."""
    rows, columns = len(shares), len(shares[0])
    high, wide = HEIGHT / rows, 100 / columns
    parts: list[Markup] = []
    for row, line in enumerate(shares):
        column = 0
        for level, run in groupby(round(_LEVELS * share) for share in line):
            count = len(list(run))
            if level:
                box = Markup(
                    '<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" class="shade" opacity="{:.2f}"/>'
                )
                top = HEIGHT - (row + 1) * high
                parts.append(box.format(column * wide, top, count * wide, high, _DARKEST * level / _LEVELS))
            column += count
    parts.append(Markup('<path d="{}" class="trace"/>').format(_half_line(shares, wide, high)))
    outside = [words(0, 12, up.title, style="tick"), *_up_labels(up), *_across_labels(across)]
    if is_thin:
        outside.append(words(100, 12, THIN, anchor="end", style="thin-word"))
    return _framed(parts, outside, title, description)


def _half_line(shares: Sequence[Sequence[float]], wide: float, high: float) -> str:
    """Where half is left: in each column the heights at which the share crosses it, joined to those of the next."""
    heights = []
    for column in range(len(shares[0])):
        line = [_odds(row[column]) for row in shares]
        heights.append(
            [
                HEIGHT - (row + 0.5 + below / (below - above)) * high
                for row, (below, above) in enumerate(pairwise(line))
                if (below >= 0) != (above >= 0)
            ]
        )
    return "".join(
        f"M{(column + 0.5) * wide:.2f} {here:.2f}L{(column + 1.5) * wide:.2f} {there:.2f}"
        for column, (left, right) in enumerate(pairwise(heights))
        if len(left) == len(right)
        for here, there in zip(left, right, strict=True)
    )


def _odds(share: float) -> float:
    """The logarithm of folded over unfolded, along which a share runs almost straight."""
    inside = min(1 - 1e-12, max(1e-12, share))
    return math.log(inside / (1 - inside))


def _framed(inside: Sequence[Markup], outside: Sequence[Markup], title: str, description: str) -> Markup:
    inner = Markup(
        '<svg x="0" y="{}" width="100%" height="{}" viewBox="0 0 100 {}" preserveAspectRatio="none">{}</svg>'
    ).format(TOP, HEIGHT, HEIGHT, Markup("").join(inside))
    return picture([inner, *outside], title=title, description=description, height=TOP + HEIGHT + FOOT, style="plot")


def _path(there: Sequence[float], values: Sequence[float], up: Axis) -> str:
    points = (f"{x:.2f} {HEIGHT * (1 - up.share(value)):.2f}" for x, value in zip(there, values, strict=True))
    return "M" + "L".join(points)


def _level(share: float) -> Markup:
    return Markup('<path d="M0 {0:.2f}H100" class="level"/>').format(HEIGHT * (1 - share))


def _shade(mark: Mark, across: Axis) -> Markup:
    if mark.low is None or mark.high is None:
        return Markup("")
    left, right = 100 * across.share(mark.low), 100 * across.share(mark.high)
    box = Markup('<rect x="{:.2f}" y="0" width="{:.2f}" height="{}" class="reach-band"/>')
    return box.format(left, right - left, HEIGHT)


def _up_labels(up: Axis) -> list[Markup]:
    """The ticks' words inside the plot, on their lines, so that the plot may fill its card."""
    return [
        words(0.6, TOP + HEIGHT * (1 - up.share(tick)) + (13 if up.share(tick) > 0.92 else -4), text, style="tick")
        for tick, text in up.ticks
    ]


def _across_labels(across: Axis) -> list[Markup]:
    found = []
    for tick, text in across.ticks:
        x = 100 * across.share(tick)
        anchor = "start" if x < 4 else "end" if x > 96 else "middle"
        found.append(words(x, TOP + HEIGHT + 15, text, anchor=anchor, style="tick"))
    found.append(words(100, TOP + HEIGHT + 33, across.title, anchor="end", style="tick"))
    return found


def _mark_words(marks: Sequence[Mark], across: Axis) -> list[Markup]:
    """Each mark's words beside its line, one below the other."""
    found = []
    for row, mark in enumerate(marks):
        share = across.share(mark.value)
        anchor, x = ("end", 100 * share - 1) if share > 0.6 else ("start", 100 * share + 1)
        found.append(words(x, TOP + 60 + 17 * row, mark.text, anchor=anchor, style="mark-word"))
    return found

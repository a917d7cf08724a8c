"""Small pictures for a card, as inline SVG: bars for classes, a range for a number, dots for scores.

Positions across are percentages and positions down are pixels, so a picture fills its card at any width while
its letters keep their size. Colours are CSS classes, so light, dark and print come from the style sheet; what a
colour says is always said by a shape or a word too. It knows no task, no file and no protein.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from anfinsen.report.answer import percent, quantity

Mark = Literal["ours", "baseline", "published"]

_LONGEST_LABEL, _LONGEST_BAR = 38, 24
_ROW = 31
_MARKS: dict[Mark, str] = {
    "ours": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
    "baseline": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "published": "M0-5L5 0L0 5L-5 0z",
}
"""A filled disc, a ring and a diamond, around their own middle."""
_SUFFIXES: dict[Mark, str] = {"ours": "", "baseline": " (baseline)", "published": " (published)"}


@dataclass(frozen=True)
class Bar:
    """One labelled bar: a share from 0 to 1, and whether it belongs to the answer."""

    label: str
    share: float
    chosen: bool = False


@dataclass(frozen=True)
class Dot:
    """One score on a common scale, with its 95 % interval where it has one."""

    label: str
    value: float
    mark: Mark
    low: float | None = None
    high: float | None = None


def picture(parts: Iterable[Markup], *, title: str, description: str, height: float, style: str) -> Markup:
    """An SVG image that fills its column, with a name and a description for those who cannot see it."""
    frame = Markup('<svg class="pic {}" role="img" width="100%" height="{}"><title>{}</title><desc>{}</desc>{}</svg>')
    return frame.format(style, round(height), title, description, Markup("").join(parts))


def contact_map(contacts: Sequence[tuple[int, int, float]], length: int, *, title: str, description: str) -> Markup:
    """A square of `length` residues a side, a point for each contact (i, j, share) on both sides of its diagonal.

    The surer, the darker; 1-based residues run to the right and downwards.
    """
    size = max(1.0, length / 110)
    point = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" opacity="{:.2f}"/>')
    parts = [point.format(x - 1, y - 1, size, size, share) for i, j, share in contacts for x, y in ((i, j), (j, i))]
    square = Markup(
        '<svg class="pic" role="img" width="100%" height="240" viewBox="-1 -1 {0} {0}" preserveAspectRatio="xMinYMid" '
        'fill="currentColor"><title>{1}</title><desc>{2}</desc>'
        '<path d="M0 0H{3}V{3}H0ZL{3} {3}" fill="none" stroke="currentColor" stroke-opacity="0.4" '
        'vector-effect="non-scaling-stroke"/>{4}</svg>'
    )
    return square.format(length + 2, title, description, length, Markup("").join(parts))


def words(x: float, y: float, text: str, *, anchor: str = "start", style: str = "") -> Markup:
    """Text at x percent and y pixels."""
    return Markup('<text x="{}%" y="{}" text-anchor="{}" class="{}">{}</text>').format(_at(x), y, anchor, style, text)


def line(x: float, end: float, y: float, *, style: str) -> Markup:
    """A level line between two percentages."""
    return Markup('<line x1="{}%" x2="{}%" y1="{}" y2="{}" class="{}"/>').format(_at(x), _at(end), y, y, style)


def share_bars(bars: Sequence[Bar], *, title: str, description: str = "") -> Markup:
    """One bar a row: label and share above, the bar below; chosen ones are filled and carry a tick."""
    parts: list[Markup] = []
    for row, bar in enumerate(bars):
        top, style = row * _ROW, "chosen" if bar.chosen else "other"
        label = _short(bar.label, longest=_LONGEST_BAR)
        parts += [
            words(0, top + 13, f"\N{CHECK MARK} {label}" if bar.chosen else label, style=f"label {style}"),
            words(100, top + 13, percent(bar.share), anchor="end", style=f"figure {style}"),
            _rectangle(0, 100, top + 19, 6, "rail"),
            _rectangle(0, 100 * max(0.0, min(1.0, bar.share)), top + 19, 6, f"bar {style}"),
        ]
    spoken = description or ", ".join(f"{bar.label} {percent(bar.share)}" for bar in bars) + "."
    return picture(parts, title=title, description=spoken, height=len(bars) * _ROW, style="bars")


def range_plot(value: float, low: float | None, high: float | None, unit: str, span: tuple[float, float]) -> Markup:
    """A number as a dot, its interval as a band, on an axis from `span[0]` to `span[1]`."""
    start, end = min(span[0], value, low or value), max(span[1], value, high or value)
    ticks = nice_ticks(start, end)
    start, end = min(start, ticks[0]), max(end, ticks[-1])

    def place(number: float) -> float:
        return 3 + 94 * (number - start) / (end - start)

    parts = [line(3, 97, 36, style="axis")]
    for number in ticks:
        x = place(number)
        parts.append(Markup('<line x1="{0}%" x2="{0}%" y1="36" y2="40" class="axis"/>').format(_at(x)))
        parts.append(words(x, 53, quantity_short(number), anchor=_anchor(x, "middle"), style="tick"))
    spoken = f"{quantity(value)} {unit}"
    if low is not None and high is not None:
        left, right = place(low), place(high)
        parts.append(_rectangle(left, right - left, 20, 10, "band"))
        near = right - left < 24
        parts.append(words(left, 13, quantity(low), anchor=_anchor(left, "end" if near else "middle"), style="end"))
        parts.append(
            words(right, 13, quantity(high), anchor=_anchor(right, "start" if near else "middle"), style="end")
        )
        spoken += f", interval {quantity(low)} to {quantity(high)} {unit}"
    parts.append(_mark(place(value), 25, "ours"))
    return picture(parts, title="The value and its interval", description=f"{spoken}.", height=58, style="range")


def score_dots(dots: Sequence[Dot], *, title: str, lower_is_better: bool) -> Markup:
    """Scores on one scale: a disc for this model, rings for baselines, diamonds for published figures."""
    ends = [end for dot in dots for end in (dot.value, dot.low, dot.high) if end is not None]
    low, high = min([0.0, *ends]), max(ends)
    high = 1.0 if low >= 0 and high <= 1 else high * 1.05 if high > 0 else 0.0
    width = (high - low) or 1.0

    def place(number: float) -> float:
        return 2 + 96 * (number - low) / width

    parts: list[Markup] = []
    for row, dot in enumerate(dots):
        top = row * _ROW
        parts += [
            words(0, top + 13, _short(dot.label, _SUFFIXES[dot.mark]), style=f"label {dot.mark}"),
            words(100, top + 13, score_figure(dot.value), anchor="end", style=f"figure {dot.mark}"),
            line(0, 100, top + 22, style="rail"),
        ]
        if dot.low is not None and dot.high is not None:
            parts.append(line(place(dot.low), place(dot.high), top + 22, style=f"whisker {dot.mark}"))
        parts.append(_mark(place(dot.value), top + 22, dot.mark))
    spoken = ", ".join(f"{dot.label} {score_figure(dot.value)}" for dot in dots)
    side = "left" if lower_is_better else "right"
    described = f"{spoken}. Better is further to the {side}."
    return picture(parts, title=title, description=described, height=len(dots) * _ROW, style="dots")


def score_figure(value: float) -> str:
    """A score with the digits that its size deserves."""
    return (f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}").replace("-", "\N{MINUS SIGN}")


def quantity_short(number: float) -> str:
    """A tick's number without needless zeros."""
    return f"{number:,.6g}".replace("-", "\N{MINUS SIGN}")


def nice_ticks(start: float, end: float, count: int = 5) -> list[float]:
    """About `count` round numbers that enclose the span.

    >>> nice_ticks(41, 83)
    [40.0, 50.0, 60.0, 70.0, 80.0, 90.0]
    """
    width = (end - start) or max(1.0, abs(start))
    rough = width / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.floor(start / step), math.ceil(end / step)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def _mark(x: float, y: float, mark: Mark) -> Markup:
    shape = Markup('<svg x="{}%" y="{}" overflow="visible"><path d="{}" class="mark {}"/></svg>')
    return shape.format(_at(x), y, _MARKS[mark], mark)


def _rectangle(x: float, width: float, y: float, height: float, style: str) -> Markup:
    shape = Markup('<rect x="{}%" width="{}%" y="{}" height="{}" rx="{}" class="{}"/>')
    return shape.format(_at(x), _at(width), y, height, height / 2, style)


def _anchor(x: float, wanted: str) -> str:
    """The wanted anchor, unless the text would leave the picture."""
    return "start" if x < 8 else "end" if x > 92 else wanted


def _short(label: str, suffix: str = "", longest: int = _LONGEST_LABEL) -> str:
    room = longest - len(suffix)
    return (label if len(label) <= room else f"{label[: room - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}") + suffix


def _at(x: float) -> str:
    return f"{x:.2f}".rstrip("0").rstrip(".")

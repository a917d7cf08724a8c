"""A chain on its way through a membrane, as a snake; and an address at the beginning of a chain, with its cut.

The membrane lies across, the outside above it and the inside below. Helices are columns that stand in it, strands
narrower ones; loops go over and under, the higher the longer, and carry their count of residues where there is room.
Everything is read from the answer (its `tokens` and `segments`, or its `cut`): any task with such an answer is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from anfinsen.targets.base import Answer
from anfinsen.targets.topology import HELIX, OUTSIDE, SIGNAL

_WIDE, _HIGH = 300, 150
_TOP, _BOTTOM = 55, 95
_LEFT, _RIGHT = 22, 278
_WIDEST_STEP, _ROOM = 44, 21
_LEAST_RULER = 40
_TALL = 40


def snake(answer: Answer) -> Markup:
    """The way through the membrane; nothing for a chain that does not cross one."""
    crossings: Sequence[Mapping[str, int | str]] = answer.get("segments", ())
    tokens: str = answer["tokens"]
    if not crossings:
        return Markup("")
    step = min(_WIDEST_STEP, (_RIGHT - _LEFT - 2 * _ROOM) / max(1, len(crossings) - 1))
    first = _WIDE / 2 - step * (len(crossings) - 1) / 2
    parts = [
        Markup('<rect x="0" y="{}" width="{}" height="{}" class="band"/>').format(_TOP, _WIDE, _BOTTOM - _TOP),
        Markup('<text x="2" y="11" class="tick">outside</text><text x="2" y="{}" class="tick">inside</text>').format(
            _HIGH - 3
        ),
    ]
    ends = [(int(one["start"]), int(one["end"])) for one in crossings]
    parts.append(_tail(tokens, first, ends[0][0], "N"))
    for number, (one, (start, end)) in enumerate(zip(crossings, ends, strict=True)):
        x = first + number * step
        if number + 1 < len(ends):
            parts.append(_loop(tokens, x, x + step, end, ends[number + 1][0] - end - 1))
        parts.append(_column(str(one["letter"]), x, step, start, end))
    parts.append(_tail(tokens, first + step * (len(ends) - 1), ends[-1][1], "C"))
    told = "; ".join(f"{_word(str(one['letter']))} {one['start']} to {one['end']}" for one in crossings)
    frame = Markup(
        '<svg class="pic snake" role="img" viewBox="0 0 {} {}" width="100%" style="max-width:30rem">'
        "<title>The way through the membrane</title><desc>{}.</desc>{}</svg>"
    )
    return frame.format(_WIDE, _HIGH, told, Markup("").join(parts))


def _word(letter: str) -> str:
    return "membrane helix" if letter == HELIX else "membrane strand"


def _is_out(tokens: str, place: int) -> bool:
    """Whether the residue at a place counted from 0 lies outside; beyond the chain's end its last residue counts."""
    return tokens[max(0, min(place, len(tokens) - 1))] in (OUTSIDE, SIGNAL)


def _column(letter: str, x: float, step: float, start: int, end: int) -> Markup:
    """One crossing, with its residues as a tooltip and, where there is room, its first and last residue."""
    width = min(15.0, 0.58 * step) * (1.0 if letter == HELIX else 0.6)
    return Markup(
        '<rect x="{:.1f}" y="{}" width="{:.1f}" height="{}" rx="{:.1f}" class="{}"><title>{}, residues {} to {}</title>'
        "</rect>"
    ).format(
        x - width / 2,
        _TOP - 3,
        width,
        _BOTTOM - _TOP + 6,
        width / 2 if letter == HELIX else 1.5,
        "helix" if letter == HELIX else "strand",
        _word(letter),
        start,
        end,
    )


def _line(path: str) -> Markup:
    return Markup('<path d="{}" class="axis" fill="none"/>').format(path)


def _loop(tokens: str, left: float, right: float, before: int, length: int) -> Markup:
    """The chain between two crossings: an arc on its side, as high as it is long."""
    out = _is_out(tokens, before)
    edge, sign = (_TOP - 3, -1) if out else (_BOTTOM + 3, 1)
    high = min(_TALL, 6 + 3.2 * math.sqrt(max(0, length)))
    # a long loop bulges beyond its two columns
    bulge = min(8.0, max(0.0, high - 14) / 3)
    tip = edge + sign * high
    drawn = _line(f"M{left:.1f} {edge}C{left - bulge:.1f} {tip:.1f} {right + bulge:.1f} {tip:.1f} {right:.1f} {edge}")
    if right - left < _ROOM:
        return drawn
    text = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle" class="tick">{}</text>')
    height = edge + sign * (0.75 * high + (3 if out else 12))
    return drawn + text.format((left + right) / 2, height, length)


def _tail(tokens: str, x: float, place: int, name: str) -> Markup:
    """The beginning (N) or the end (C) of the chain, with the count of its residues; a signal peptide is cut off."""
    begins = name == "N"
    signal = len(tokens) - len(tokens.lstrip(SIGNAL))
    length = place - 1 - signal if begins else len(tokens) - place
    out = _is_out(tokens, place - 2 if begins else place)
    edge, sign = (_TOP - 3, -1) if out else (_BOTTOM + 3, 1)
    away = -1 if begins else 1
    end_x, end_y = x + away * 14, edge + sign * 22
    drawn = _line(f"M{x:.1f} {edge}C{x:.1f} {edge + sign * 14} {end_x:.1f} {edge + sign * 10} {end_x:.1f} {end_y}")
    text = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle" class="figure chosen">{}</text>')
    small = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="tick">{}</text>')
    y = end_y - 3 if out else end_y + 11
    return drawn + text.format(end_x, y, name) + small.format(end_x + away * 8, y, "end" if begins else "start", length)


def cut_ruler(answer: Answer) -> Markup:
    """The first residues with the part that is cut off, the likeliest cut, and the range of the others."""
    cut = answer.get("cut")
    if cut is None:
        return Markup("")
    places = [int(place) for place in answer.get("cuts") or [cut]]
    longest = max(_LEAST_RULER, 10 * math.ceil((max(places) + 10) / 10))

    def x(residue: float) -> float:
        return 4 + (_WIDE - 8) * residue / longest

    low, high = x(min(places) - 0.5), x(max(places) + 0.5)
    parts = [
        Markup('<rect x="{:.1f}" y="20" width="{:.1f}" height="12" class="rail"/>').format(x(0), x(longest) - x(0)),
        Markup('<rect x="{:.1f}" y="20" width="{:.1f}" height="12" class="bar chosen"/>').format(x(0), x(cut) - x(0)),
        Markup('<rect x="{:.1f}" y="35" width="{:.1f}" height="5" class="band"/>').format(low, high - low),
        Markup('<path d="M{:.1f} 15V44" class="whisker ours"/>').format(x(cut)),
        Markup('<text x="{:.1f}" y="11" text-anchor="middle" class="figure chosen">cut after {}</text>').format(
            max(36.0, x(cut)), cut
        ),
    ]
    for residue in range(10, longest + 1, 10):
        text = Markup('<text x="{:.1f}" y="55" text-anchor="{}" class="tick">{}</text>')
        parts.append(text.format(x(residue), "end" if residue == longest else "middle", residue))
    words = f"The first {longest} residues; the signal peptide ends after residue {cut}"
    words += f", nine times in ten between {min(places)} and {max(places)}." if len(places) > 1 else "."
    frame = Markup(
        '<svg class="pic ruler" role="img" viewBox="0 0 {} 60" width="100%" style="max-width:30rem"><title>Where it is '
        "cut</title><desc>{}</desc>{}</svg>"
    )
    return frame.format(_WIDE, words, Markup("").join(parts))

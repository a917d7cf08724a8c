"""The whole chain on one line: every answer along the residues as a strip, one beneath the other, under one ruler.

Places across are shares of the chain, so strips of any height line up at any width. Letters become shapes, grades and
numbers become columns with the band of their range behind, sites become ticks as high as their chance. A chain of more
than `BINS` residues is summed up in so many bins. Each residue alone is drawn by `tracks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from anfinsen.drawing.profile import hydropathy
from anfinsen.drawing.shapes import TokenTrack, describe, overview
from anfinsen.drawing.small import nice_ticks
from anfinsen.drawing.tracks import SiteTrack, ValueTrack, describe_sites

BINS = 1200
_TALL, _LOW = 30, 18
_STEEPEST = 3.0
_Known = Sequence[float | None]


def chain_map(
    sequence: str,
    numbering: Sequence[str] | None,
    tokens: Sequence[TokenTrack],
    values: Sequence[ValueTrack],
    sites: Sequence[SiteTrack],
) -> list[tuple[str, Markup]]:
    """The strips from the top, each with its name; nothing for an empty chain."""
    if not sequence:
        return []
    rows = [("", ruler(len(sequence), numbering))]
    rows += [(track.title, _grades(track) if track.is_graded else overview(track)) for track in tokens]
    rows += [(track.title, _sites(track)) for track in sites]
    rows += [(track.title, _values(track)) for track in values]
    return [*rows, ("Hydropathy", _hydropathy(sequence))]


def ruler(length: int, numbering: Sequence[str] | None) -> Markup:
    """The numbers of residues at round places, and of the last."""
    ticks = [int(tick) for tick in nice_ticks(0, length, 8) if 0 < tick <= 0.95 * length and tick == int(tick)]
    drawn = Markup("")
    for residue in [1, *ticks, length]:
        at = 100 * (residue - 0.5) / length
        anchor = "start" if residue == 1 else "end" if residue == length else "middle"
        name = numbering[residue - 1] if numbering else str(residue)
        drawn += Markup(
            '<text x="{:.2f}%" y="11" text-anchor="{}" class="number">{}</text>'
            '<line x1="{:.2f}%" x2="{:.2f}%" y1="14" y2="18" class="floor"/>'
        ).format(at, anchor, name, at, at)
    return Markup('<svg class="pic" width="100%" height="18" aria-hidden="true">{}</svg>').format(drawn)


def _strip(title: str, description: str, width: int, height: int, paths: Iterable[tuple[str, str]]) -> Markup:
    """Filled paths in a strip of `width` units across that is stretched over the page."""
    drawn = Markup("").join(Markup('<path class="{}" d="{}"/>').format(style, path) for style, path in paths if path)
    frame = Markup(
        '<svg class="pic strip" role="img" width="100%" height="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    )
    return frame.format(height, max(1, width), height, title, description, drawn)


def binned(values: _Known) -> list[float | None]:
    """At most `BINS` means of neighbours, so that a giant chain does not become a giant page."""
    size = -(-len(values) // BINS)
    parts = [[one for one in values[at : at + size] if one is not None] for at in range(0, len(values), max(1, size))]
    return [sum(part) / len(part) if part else None for part in parts]


def _grades(track: TokenTrack) -> Markup:
    """A colour for each residue's grade."""
    grades = binned([float(letter) if letter.isdigit() else None for letter in track.tokens])
    paths = []
    for letter in track.letters:
        mine = [at for at, grade in enumerate(grades) if grade is not None and round(grade) == int(letter)]
        paths.append((f"segment grade{letter}", "".join(f"M{at} 2h1.03V{_LOW - 2}h-1.03z" for at in mine)))
    return _strip(track.title, describe(track), len(grades), _LOW, paths)


def _values(track: ValueTrack) -> Markup:
    """A column for each residue in the colour of its zone, before the band of its range."""
    rows, lows, highs = binned(track.values), binned(track.low), binned(track.high)
    known = [value for part in (rows, lows, highs) for value in part if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    scale = (_TALL - 2) / ((high - low) or 1.0)
    zero = 1 + high * scale
    ends = [(at, a, b) for at, (a, b) in enumerate(zip(lows, highs, strict=True)) if a is not None and b is not None]
    band = "".join(f"M{at} {zero - b * scale:.1f}h1V{zero - a * scale:.1f}h-1z" for at, a, b in ends)
    paths = [("band", band)]
    for zone in range(max(1, len(track.zones))):
        mine = [(at, one) for at, one in enumerate(rows) if one is not None and track.zone(one) == zone]
        drawn = "".join(f"M{at} {zero:.1f}v{-one * scale:.1f}h1V{zero:.1f}z" for at, one in mine)
        paths.append((f"zone{zone}" if track.zones else "value", drawn))
    told = f"{track.title}: {min(known, default=0):.1f} to {max(known, default=0):.1f} {track.unit}".rstrip()
    return _strip(track.title, f"{told}.", len(rows), _TALL, paths)


def _sites(track: SiteTrack) -> Markup:
    """A tick for each site that is said, as high as its chance and wide enough to be seen."""
    length = len(track.shares)
    width = max(1.0, length / 320)
    drawn = "".join(
        f"M{place + 0.5 - width / 2:.1f} {_LOW - 2}v{-max(5.0, share * (_LOW - 3)):.1f}h{width:.1f}V{_LOW - 2}z"
        for place, (share, said) in enumerate(zip(track.shares, track.said, strict=True))
        if said
    )
    floor = f"M0 {_LOW - 2}h{length}v1h-{length}z"
    return _strip(
        track.title, describe_sites(track), length, _LOW, [("ground", floor), (f"site{track.hue % 6} firm", drawn)]
    )


def _hydropathy(sequence: str) -> Markup:
    values, middle = binned(hydropathy(sequence)), _TALL / 2
    scale = (middle - 1) / _STEEPEST
    paths = []
    for style, sign in (("oily", 1), ("watery", -1)):
        mine = [(at, min(_STEEPEST, abs(one))) for at, one in enumerate(values) if one is not None and one * sign > 0]
        drawn = "".join(f"M{at} {middle}v{-sign * size * scale:.1f}h1V{middle}z" for at, size in mine)
        paths.append((style, drawn))
    return _strip("Hydropathy", "Up avoids water, down seeks it.", len(values), _TALL, paths)

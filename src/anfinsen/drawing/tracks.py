"""A protein along its residues: structure, certainty, sites, numbers, hydropathy and charge on one ruler.

The picture is made of blocks of ten residues that flow like words, so it wraps by itself at any width and in
print; a helix that runs over a border goes on in the next block. Helices are ribbons, strands are arrows, coil
is a line (letters H, E, C); other alphabets become segments that carry their letter. A site is a column as high as its
chance, solid where it is said, pale where it is only not ruled out. A number is a column in the colour of its zone,
and a line on either side shows its range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from anfinsen.drawing.profile import CHARGE, hydropathy
from anfinsen.drawing.shapes import BLOCK, HEIGHT, WIDTH, TokenTrack, glyph, segment, shade, told
from anfinsen.report.answer import percent, quantity

FOLDED_FROM = 120
"""Residues above which the blocks are folded away beneath the strips of the whole chain."""
DRAWN_UP_TO = 5000
"""Residues above which only the overview is drawn; ten thousand blocks would make a page that no browser likes."""
_RULER, _SURE, _LETTERS, _VALUES, _RANGES, _SITES, _HYDROPATHY, _CHARGE, _GAP = 15, 10, 16, 22, 40, 14, 34, 11, 4
_STEEPEST = 3.0
"""Hydropathy at the edge of its strip; the mean over a window hardly ever goes beyond."""


@dataclass(frozen=True)
class ValueTrack:
    """One number for each of L residues, None where there is none."""

    title: str
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    zones: Sequence[tuple[float, str]] = ()
    """Upper end and name of each zone, from the lowest up."""
    unit: str = ""

    def zone(self, value: float) -> int:
        """The number of the zone in which a value lies."""
        return next((number for number, (end, _) in enumerate(self.zones) if value < end), max(0, len(self.zones) - 1))


@dataclass(frozen=True)
class SiteTrack:
    """A yes or no for each of L residues: the chance, whether it is said, and whether it is not ruled out."""

    title: str
    name: str
    shares: Sequence[float]
    said: Sequence[bool]
    possible: Sequence[bool] = ()
    hue: int = field(default=0)
    """Which of the colours of sites it has."""


@dataclass(frozen=True)
class _Row:
    """A strip of the picture: what it is called, how high it is, and its drawing for residues [start, end)."""

    name: str
    height: int
    parts: Sequence[Markup]


def sequence_blocks(
    sequence: str,
    numbering: Sequence[str] | None,
    tokens: Sequence[TokenTrack],
    values: Sequence[ValueTrack],
    sites: Sequence[SiteTrack] = (),
) -> tuple[list[str], Markup, list[Markup]]:
    """The rows' names from the top, a key that draws them beside the rows, and a picture for every ten residues."""
    starts = range(0, len(sequence), BLOCK)
    rows = [_Row("residue number", _RULER, [_ruler(sequence, numbering, start) for start in starts])]
    for track in tokens:
        rows += _token_rows(track, starts)
    rows.append(_Row("residue", _LETTERS, [_letters(sequence[start : start + BLOCK]) for start in starts]))
    rows += [_site_row(track, sequence, starts) for track in sites]
    rows += [_value_row(track, starts) for track in values]
    rows.append(_hydropathy_row(sequence, starts))
    rows.append(_Row("charge", _CHARGE, [_signs(sequence[start : start + BLOCK]) for start in starts]))
    height = sum(row.height for row in rows)
    blocks = []
    for number, start in enumerate(starts):
        parts, top = [], 0
        for row in rows:
            parts.append(Markup('<g transform="translate(0 {})">{}</g>').format(top, row.parts[number]))
            top += row.height
        last = min(start + BLOCK, len(sequence))
        frame = Markup('<svg class="block" width="{}" height="{}" aria-hidden="true">{}</svg>')
        blocks.append(frame.format((last - start) * WIDTH, height, Markup("").join(parts)))
    return [row.name for row in rows], _key(rows, height), blocks


def _token_rows(track: TokenTrack, starts: range) -> list[_Row]:
    drawings: list[list[Markup]] = [[] for _ in starts]
    frame = Markup('<g class="{}"><title>{}</title>{}</g>')
    for start, end, letter in track.segments():
        word = told(track, start, end, letter)
        firmness = "firm" if track.is_graded else shade(track, start, end)
        for block in range(start // BLOCK, (end - 1) // BLOCK + 1):
            origin = block * BLOCK
            shape = (
                glyph(start, end, letter, origin) if track.is_structure else segment(track, start, end, letter, origin)
            )
            drawings[block].append(frame.format(firmness, word, shape))
    rows = [_Row(track.title, HEIGHT + 2, [Markup("").join(drawing) for drawing in drawings])]
    if track.certainty and not track.is_graded:
        parts = [_certainty(track.certainty[start : start + BLOCK]) for start in starts]
        rows.append(_Row("how sure", _SURE + _GAP, parts))
    return rows


def _certainty(certainty: Sequence[float]) -> Markup:
    """How sure each residue's letter is, as a row of columns."""
    columns = "".join(
        f"M{place * WIDTH + 1} {_SURE}v-{max(0.0, min(1.0, sure)) * _SURE:.1f}h{WIDTH - 2}V{_SURE}z"
        for place, sure in enumerate(certainty)
    )
    drawn = Markup('<path d="{}" class="sure"/><path d="M0 {}h{}" class="floor"/>')
    return drawn.format(columns, _SURE, len(certainty) * WIDTH)


def _ruler(sequence: str, numbering: Sequence[str] | None, start: int) -> Markup:
    last = min(start + BLOCK, len(sequence))
    if last - start < BLOCK:
        return Markup("")
    number = numbering[last - 1] if numbering else str(last)
    x = (last - start) * WIDTH
    drawn = Markup('<text x="{}" y="10" text-anchor="end" class="number">{}</text><path d="M{} 11v3" class="floor"/>')
    return drawn.format(x - 1, number, x - WIDTH / 2)


def _letters(residues: str) -> Markup:
    places = " ".join(str(place * WIDTH + WIDTH / 2) for place in range(len(residues)))
    return Markup('<text x="{}" y="11" text-anchor="middle" class="residues">{}</text>').format(places, residues)


def _site_row(track: SiteTrack, sequence: str, starts: range) -> _Row:
    """Columns of chance, each said one with its words."""
    parts = []
    for start in starts:
        drawn = [
            Markup('<path d="M0 {}h{}" class="floor"/>').format(_SITES, WIDTH * len(sequence[start : start + BLOCK]))
        ]
        for place in range(start, min(start + BLOCK, len(sequence))):
            # a rare site may be said at a small chance, and must be seen all the same
            height = max(6.0 if track.said[place] else 2.0, track.shares[place] * _SITES)
            is_open = track.said[place] or (bool(track.possible) and track.possible[place])
            if not is_open:
                continue
            style = f"site{track.hue} {'firm' if track.said[place] else 'faint'}"
            word = f"{track.name}, {sequence[place]}{place + 1}, {percent(track.shares[place])}"
            word += "" if track.said[place] else ", not ruled out"
            column = Markup('<rect x="{}" y="{:.1f}" width="{}" height="{:.1f}" class="{}"><title>{}</title></rect>')
            x = (place - start) * WIDTH + 1
            drawn.append(column.format(x, _SITES - height, WIDTH - 2, height, style, word))
        parts.append(Markup("").join(drawn))
    return _Row(track.title, _SITES + _GAP, parts)


def _value_row(track: ValueTrack, starts: range) -> _Row:
    known = [value for part in (track.values, track.low, track.high) for value in part if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    height = _RANGES if track.low else _VALUES
    scale = (height - 2) / ((high - low) or 1.0)
    zero = 1 + high * scale
    parts = []
    for start in starts:
        values = track.values[start : start + BLOCK]
        if not track.zones:
            drawn = _columns(values, zero, scale, "value")
        else:
            # one path a zone, so that each has its colour
            numbers = [None if value is None else track.zone(value) for value in values]
            drawn = Markup("").join(
                _columns(
                    [v if n == zone else None for v, n in zip(values, numbers, strict=True)], zero, scale, f"zone{zone}"
                )
                for zone in sorted({number for number in numbers if number is not None})
            )
        parts.append(drawn + _ranges(track, start, zero, scale))
    return _Row(track.title, height + _GAP, parts)


def _ranges(track: ValueTrack, start: int, zero: float, scale: float) -> Markup:
    """A thin line from the low to the high end of each residue's range, with the figures in words."""
    drawn = Markup("")
    line = Markup('<path d="M{:.1f} {:.1f}V{:.1f}" class="range"><title>{}</title></path>')
    ends = zip(track.low[start : start + BLOCK], track.high[start : start + BLOCK], strict=True)
    for place, (low, high) in enumerate(ends):
        value = track.values[start + place]
        if low is None or high is None or value is None:
            continue
        name = f", {track.zones[track.zone(value)][1]}" if track.zones else ""
        word = f"residue {start + place + 1}: {quantity(value)} {track.unit}".rstrip() + name
        word += f", likely {quantity(low)} to {quantity(high)}"
        drawn += line.format((place + 0.5) * WIDTH, zero - low * scale, zero - high * scale, word)
    return drawn


def site_legend(tracks: Sequence[SiteTrack]) -> Markup:
    """A sample of each colour of sites with its word, and what pale means."""
    sample = Markup(
        '<span class="sample"><svg width="{}" height="{}" aria-hidden="true">'
        '<rect x="1" y="0" width="{}" height="{}" class="site{} {}"/></svg> {}</span>'
    )
    size = (WIDTH, _SITES, WIDTH - 2, _SITES)
    parts = [sample.format(*size, track.hue, "firm", track.name) for track in tracks]
    if any(track.possible for track in tracks):
        parts.append(sample.format(*size, tracks[0].hue, "faint", "pale: not said, but not ruled out"))
    return Markup("").join(parts)


def zone_legend(track: ValueTrack) -> Markup:
    """A sample of each zone's colour with its name, and what the line is."""
    sample = Markup(
        '<span class="sample"><svg width="{}" height="10" aria-hidden="true">'
        '<rect width="{}" height="10" class="zone{}"/></svg> {}</span>'
    )
    parts = [sample.format(WIDTH, WIDTH, number, name) for number, (_, name) in enumerate(track.zones)]
    if track.low:
        parts.append(Markup("<span>thin line: the range that holds nine residues in ten</span>"))
    return Markup("").join(parts)


def describe_sites(track: SiteTrack) -> str:
    """The said sites of a track in words, for those who cannot see them."""
    places = [str(place + 1) for place, said in enumerate(track.said) if said]
    return f"{track.title}: {', '.join(places) or 'none'}."


def _hydropathy_row(sequence: str, starts: range) -> _Row:
    values = hydropathy(sequence)
    middle, scale = _HYDROPATHY / 2, (_HYDROPATHY / 2 - 1) / _STEEPEST
    parts = []
    for start in starts:
        part = values[start : start + BLOCK]
        oily = _columns([min(_STEEPEST, max(0.0, value or 0.0)) for value in part], middle, scale, "oily")
        watery = _columns([max(-_STEEPEST, min(0.0, value or 0.0)) for value in part], middle, scale, "watery")
        parts.append(oily + watery)
    return _Row("hydropathy", _HYDROPATHY + _GAP, parts)


def _columns(values: Sequence[float | None], zero: float, scale: float, style: str) -> Markup:
    bars = "".join(
        f"M{place * WIDTH} {zero:.1f}v{-value * scale:.1f}h{WIDTH}V{zero:.1f}z"
        for place, value in enumerate(values)
        if value
    )
    drawn = Markup('<path d="{}" class="{}"/><path d="M0 {:.1f}h{}" class="floor"/>')
    return drawn.format(bars, style, zero, len(values) * WIDTH)


def _signs(residues: str) -> Markup:
    drawn = Markup("")
    for sign, word, charge in (("+", "plus", 1), ("\N{MINUS SIGN}", "minus", -1)):
        places = [
            str(place * WIDTH + WIDTH / 2) for place, residue in enumerate(residues) if CHARGE.get(residue) == charge
        ]
        if places:
            drawn += Markup('<text x="{}" y="9" text-anchor="middle" class="sign {}">{}</text>').format(
                " ".join(places), word, sign * len(places)
            )
    return drawn


def _key(rows: Sequence[_Row], height: int) -> Markup:
    parts, top = [], 0
    for row in rows:
        parts.append(
            Markup('<text x="100%" y="{}" text-anchor="end">{}</text>').format(
                top + (row.height - (_GAP if row.height > _LETTERS + 4 else 0)) / 2 + 3.5, row.name
            )
        )
        top += row.height
    width = 6 * max(len(row.name) for row in rows)  # a letter of its size takes less
    frame = Markup('<svg class="key" width="{}" height="{}" aria-hidden="true">{}</svg>')
    return frame.format(width, height, Markup("").join(parts))

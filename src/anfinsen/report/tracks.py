"""A protein along its residues: structure, certainty, letters, hydropathy and charge on one ruler.

The picture is made of blocks of ten residues that flow like words, so it wraps by itself at any width and in
print; a helix that runs over a border goes on in the next block. Helices are ribbons, strands are arrows, coil
is a line (letters H, E, C); other alphabets become segments that carry their letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from anfinsen.report.profile import CHARGE, hydropathy
from anfinsen.report.shapes import BLOCK, HEIGHT, WIDTH, TokenTrack, glyph, segment, shade, told

FOLDED_FROM = 600
"""Residues above which the blocks are folded away beneath an overview."""
DRAWN_UP_TO = 5000
"""Residues above which only the overview is drawn; ten thousand blocks would make a page that no browser likes."""
_RULER, _SURE, _LETTERS, _VALUES, _HYDROPATHY, _CHARGE, _GAP = 15, 10, 16, 22, 34, 11, 4
_STEEPEST = 3.0
"""Hydropathy at the edge of its strip; the mean over a window hardly ever goes beyond."""


@dataclass(frozen=True)
class ValueTrack:
    """One number for each of L residues, None where there is none."""

    title: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class _Row:
    """A strip of the picture: what it is called, how high it is, and its drawing for residues [start, end)."""

    name: str
    height: int
    parts: Sequence[Markup]


def sequence_blocks(
    sequence: str, numbering: Sequence[str] | None, tokens: Sequence[TokenTrack], values: Sequence[ValueTrack]
) -> tuple[list[str], Markup, list[Markup]]:
    """The rows' names from the top, a key that draws them beside the rows, and a picture for every ten residues."""
    starts = range(0, len(sequence), BLOCK)
    rows = [_Row("residue number", _RULER, [_ruler(sequence, numbering, start) for start in starts])]
    for track in tokens:
        rows += _token_rows(track, starts)
    rows.append(_Row("residue", _LETTERS, [_letters(sequence[start : start + BLOCK]) for start in starts]))
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
        word, firmness = told(track, start, end, letter), shade(track, start, end)
        for block in range(start // BLOCK, (end - 1) // BLOCK + 1):
            origin = block * BLOCK
            shape = (
                glyph(start, end, letter, origin) if track.is_structure else segment(track, start, end, letter, origin)
            )
            drawings[block].append(frame.format(firmness, word, shape))
    rows = [_Row(track.title, HEIGHT + 2, [Markup("").join(drawing) for drawing in drawings])]
    if track.certainty:
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


def _value_row(track: ValueTrack, starts: range) -> _Row:
    known = [value for value in track.values if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    scale = (_VALUES - 2) / ((high - low) or 1.0)
    zero = 1 + high * scale
    parts = [_columns(track.values[start : start + BLOCK], zero, scale, "value") for start in starts]
    return _Row(track.title, _VALUES + _GAP, parts)


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
    frame = Markup('<svg class="key" width="124" height="{}" aria-hidden="true">{}</svg>')
    return frame.format(height, Markup("").join(parts))

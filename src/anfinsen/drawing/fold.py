"""A folded protein as pictures: the chain in space, the contact map, confidence along the chain, expected errors.

    Fold -> chain_picture     a ribbon (see `ribbon`), coloured by confidence
         -> contact_map       how likely each pair of residues touches
         -> error_map         by how many ångström each pair may be wrong
         -> confidence_strip  pLDDT along the chain over AlphaFold's bands
         -> legend            the bands with their words, so that no colour stands alone

All are SVG of their own colours (a style sheet cannot be counted on where the file is opened alone), and none of them
needs a script. Maps of more than `CELLS` residues are drawn in bins.
"""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import numpy
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from anfinsen.drawing.ribbon import ribbon_picture
from anfinsen.drawing.small import nice_ticks
from anfinsen.inference.fold import Fold
from anfinsen.structure.confidence import BANDS, LARGEST_ERROR

Floats = NDArray[numpy.floating[Any]]

CELLS = 500
"""Residues along the side of a map that is drawn cell by cell."""
_SIDE, _PAD = 360, 34
_INK, _PALE, _PAPER = "#1f2933", "#5f6b76", "#ffffff"
_CONTACT = (31, 79, 138)
_ERROR = ((0, 68, 27), (245, 250, 244))
"""From a small error to a large one: dark green to white, as AlphaFold DB has it."""


def frame(parts: list[Markup], width: float, height: float, title: str, description: str) -> Markup:
    """An SVG picture that keeps its proportions at any width."""
    picture = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="fold-picture" role="img" viewBox="0 0 {} {}" '
        'font-family="system-ui, sans-serif" font-size="11"><title>{}</title><desc>{}</desc>{}</svg>'
    )
    return picture.format(round(width), round(height), title, description, Markup("").join(parts))


def chain_picture(fold: Fold) -> Markup:
    """The chain as a ribbon, seen from its broadest side."""
    width, height = 560.0, 400.0
    parts = [Markup('<rect width="{}" height="{}" fill="{}"/>').format(width, height, _PAPER)]
    parts += ribbon_picture(fold.backbone, fold.plddt, tuple(map(len, fold.chains)), width, height)
    told = f"The chain from its first residue (N) to its last (C); {fold.say()}"
    return frame(parts, width, height, "The chain in space", told)


# Along the chain ----------------------------------------------------------------------------------------------------


def confidence_strip(fold: Fold) -> Markup:
    """pLDDT along the chain as a line over the four bands."""
    width, height, left, right, foot = 560.0, 190.0, 34.0, 8.0, 30.0
    tall = height - foot - 8

    def down(value: float) -> float:
        return 8 + tall * (1 - value / 100)

    parts = [Markup('<rect width="{}" height="{}" fill="{}"/>').format(width, height, _PAPER)]
    above = 100.0
    for one in BANDS:
        below = max(0.0, one.above)
        box = Markup('<rect x="{}" y="{:.1f}" width="{}" height="{:.1f}" fill="{}" opacity="0.22"/>')
        parts.append(box.format(left, down(above), width - left - right, down(below) - down(above), one.colour))
        word = Markup('<text x="{}" y="{:.1f}" fill="{}" text-anchor="end">{}</text>')
        parts.append(word.format(width - right - 4, down(above) + 12, _PALE, one.word))
        above = below
    count = len(fold)
    across = left + (width - left - right) * (numpy.arange(count) + 0.5) / count
    path = "L".join(f"{x:.1f} {down(float(y)):.1f}" for x, y in zip(across, fold.plddt, strict=True))
    parts.append(Markup('<path d="M{}" fill="none" stroke="{}" stroke-width="1.8"/>').format(path, _INK))
    for tick in (0, 50, 70, 90, 100):
        mark = Markup('<text x="{}" y="{:.1f}" text-anchor="end" fill="{}">{}</text>')
        parts.append(mark.format(left - 5, down(tick) + 4, _PALE, tick))
    parts += _residues(count, left, width - left - right, height - foot + 14)
    parts.append(Markup('<text x="{}" y="{}" fill="{}">residue</text>').format(left, height - 3, _PALE))
    lowest = int(fold.plddt.argmin()) + 1
    told = f"{fold.say()} The lowest is at residue {lowest}."
    return frame(parts, width, height, "Confidence along the chain (pLDDT, 0 to 100)", told)


def _residues(count: int, left: float, wide: float, y: float) -> list[Markup]:
    ticks = [int(tick) for tick in nice_ticks(0, count, 6) if 0 < tick <= 0.93 * count]
    text = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle" fill="{}">{}</text>')
    return [text.format(left + wide * (tick - 0.5) / count, y, _PALE, tick) for tick in [1, *ticks, count]]


# Maps ---------------------------------------------------------------------------------------------------------------


def contact_map(fold: Fold) -> Markup:
    """The chance that two residues touch, dark where it is large."""
    shares = numpy.clip(fold.contacts, 0.0, 1.0)
    count = int(numpy.triu(shares >= 0.5, 24).sum())
    told = f"{count} pairs at least 24 residues apart probably touch."
    colours = 255 - shares[..., None] ** 0.6 * (255 - numpy.array(_CONTACT))
    return _map(colours, fold, "Contacts: the chance that two residues are closer than 8 Å", told, "white 0", "blue 1")


def error_map(fold: Fold) -> Markup:
    """The expected error of each pair, dark green where it is small."""
    share = numpy.clip(fold.errors / LARGEST_ERROR, 0.0, 1.0)[..., None]
    small, large = numpy.array(_ERROR[0]), numpy.array(_ERROR[1])
    told = f"On average {float(fold.errors.mean()):.1f} Å; the promised TM-score is {fold.predicted_tm:.2f}."
    title = "Expected error of the place of one residue seen from another, Å"
    return _map(small + share**0.7 * (large - small), fold, title, told, "dark 0", f"pale {LARGEST_ERROR:g}")


def _map(colours: Floats, fold: Fold, title: str, description: str, least: str, most: str) -> Markup:
    count = len(fold)
    step = -(-count // CELLS)
    picture = numpy.clip(colours[::step, ::step], 0, 255).astype(numpy.uint8)
    parts = [
        Markup('<rect width="{}" height="{}" fill="{}"/>').format(_SIDE + 2 * _PAD, _SIDE + 2 * _PAD, _PAPER),
        Markup(
            '<image x="{}" y="10" width="{}" height="{}" preserveAspectRatio="none" style="image-rendering:pixelated" '
            'href="data:image/png;base64,{}"/>'
        ).format(_PAD, _SIDE, _SIDE, base64.b64encode(as_png(picture)).decode()),
        Markup('<rect x="{}" y="10" width="{}" height="{}" fill="none" stroke="{}"/>').format(
            _PAD, _SIDE, _SIDE, _PALE
        ),
    ]
    parts += _residues(count, _PAD, _SIDE, _SIDE + 25)
    mark = Markup('<text x="{}" y="{:.1f}" text-anchor="end" fill="{}">{}</text>')
    ticks = [int(tick) for tick in nice_ticks(0, count, 6) if 0 < tick <= 0.93 * count]
    parts += [mark.format(_PAD - 4, 14 + _SIDE * (tick - 0.5) / count, _PALE, tick) for tick in [1, *ticks, count]]
    line = Markup('<line x1="{0:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{3:.1f}" stroke="{4}" stroke-dasharray="3 2"/>')
    for end in numpy.cumsum([len(chain) for chain in fold.chains])[:-1]:
        at = _SIDE * float(end) / count
        parts.append(line.format(_PAD + at, _PAD + at, 10, 10 + _SIDE, _INK))
        parts.append(line.format(_PAD, _PAD + _SIDE, 10 + at, 10 + at, _INK))
    scale = Markup('<text x="{}" y="{}" fill="{}">{} \N{RIGHTWARDS ARROW} {}; residues along both sides</text>')
    parts.append(scale.format(_PAD, _SIDE + 46, _PALE, least, most))
    return frame(parts, _SIDE + 2 * _PAD, _SIDE + 2 * _PAD - 12, title, description)


def as_png(colours: NDArray[numpy.uint8]) -> bytes:
    """An RGB picture (H, W, 3) as PNG, for maps of many cells inside an SVG."""
    file = BytesIO()
    Image.fromarray(colours).save(file, "png", optimize=True)
    return file.getvalue()


def legend() -> Markup:
    """The four bands with their words and ranges."""
    parts, spans = [], ("above 90", "70 to 90", "50 to 70", "to 50")
    for place, (one, span) in enumerate(zip(BANDS, spans, strict=True)):
        x = 4 + 154 * place
        box = Markup('<rect x="{}" y="4" width="13" height="13" fill="{}" stroke="{}"/>')
        parts.append(box.format(x, one.colour, _PALE))
        parts.append(
            Markup('<text x="{}" y="14" font-size="10" fill="{}">{}, {}</text>').format(x + 18, _INK, one.word, span)
        )
    return frame(parts, 616, 22, "Bands of confidence", "Colours and words of the AlphaFold database.")

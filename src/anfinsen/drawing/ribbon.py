"""A chain as a ribbon on paper: broad where it is a helix or a strand, a thread elsewhere, coloured by confidence.

    backbone -> curve through CA, ribbon direction from the C=O bonds (Carson 1987, J. Mol. Graph. 5:103)
             -> seen from its broadest side, cut into short pieces, far ones first, shaded by how they face the reader

Helices and strands are told from the CA trace alone (distances and turns over four residues), which is enough to draw
and no assignment. The picture is one of the molecule and not of its mirror image. It knows no page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy
from biotite.structure import dihedral
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import uniform_filter1d

from anfinsen.structure.backbone import Backbone
from anfinsen.structure.confidence import band

Floats = NDArray[numpy.floating[Any]]

PIECES = 5
"""Pieces of the ribbon between two residues."""
BROAD, THREAD = 1.5, 0.32
"""Half the width of a helix or strand and of everything else, in ångström."""
HELIX, STRAND, COIL = 1, 2, 0
_HELIX_TURN, _HELIX_RISE = (numpy.radians(25), numpy.radians(80)), 6.4
_STRAND_TURN, _STRAND_REACH = numpy.radians(125), 9.2
_FADE, _SHADE = 0.5, 0.42
_OUTLINE = "#27313b"


@dataclass(frozen=True, eq=False)
class Ribbon:
    """The two edges of a ribbon in the reader's axes, (P, 3) each, and the pLDDT of each piece, (P - 1,)."""

    left: Floats
    right: Floats
    sure: Floats


def shapes_of(alphas: Floats) -> NDArray[numpy.int64]:
    """Helix, strand or neither for each residue, (L,), from its CA atoms."""
    found = numpy.zeros(len(alphas), dtype=numpy.int64)
    if len(alphas) < 4:
        return found
    turns = dihedral(alphas[:-3], alphas[1:-2], alphas[2:-1], alphas[3:])
    reach = numpy.linalg.norm(alphas[3:] - alphas[:-3], axis=1)
    helical = (turns > _HELIX_TURN[0]) & (turns < _HELIX_TURN[1]) & (reach < _HELIX_RISE)
    straight = (numpy.abs(turns) > _STRAND_TURN) & (reach > _STRAND_REACH)
    for kind, marks in ((STRAND, straight), (HELIX, helical)):
        runs = numpy.flatnonzero(marks[:-1] & marks[1:]) if len(marks) > 1 else numpy.empty(0, int)
        for start in runs:
            found[start : start + 5] = kind
    return found


def make_ribbon(backbone: Backbone, sure: Floats, axes: Floats, middle: Floats) -> Ribbon:
    """The ribbon of one unbroken chain; `axes` (3, 3) and `middle` (3,) say from where it is seen."""
    alphas = (backbone.alphas.astype(numpy.float64) - middle) @ axes.T
    aside = ((backbone.atom("O") - backbone.atom("C")).astype(numpy.float64)) @ axes.T
    kinds = shapes_of(alphas)
    calm = uniform_filter1d(alphas, 3, axis=0, mode="nearest")
    calm[[0, -1]] = alphas[[0, -1]]
    alphas = numpy.where((kinds == STRAND)[:, None], calm, alphas)
    for at in range(1, len(aside)):
        if aside[at] @ aside[at - 1] < 0:  # the bonds of a strand point to either side in turn; its ribbon does not
            aside[at] = -aside[at]
    aside = uniform_filter1d(numpy.nan_to_num(aside), 3, axis=0, mode="nearest")
    places = numpy.arange(len(alphas))
    fine = numpy.linspace(0, len(alphas) - 1, PIECES * (len(alphas) - 1) + 1)
    curve = CubicSpline(places, alphas)
    along, tangent = curve(fine), curve(fine, 1)
    across = CubicSpline(places, aside)(fine)
    tangent /= numpy.maximum(numpy.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    across -= (across * tangent).sum(1, keepdims=True) * tangent
    across /= numpy.maximum(numpy.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    half = _widths(kinds, fine)[:, None]
    return Ribbon(along + half * across, along - half * across, sure[numpy.rint(fine[:-1]).astype(int)])


def _widths(kinds: NDArray[numpy.int64], fine: Floats) -> Floats:
    """Half the width at each fine place; a strand ends in an arrow."""
    broad = numpy.where(kinds == COIL, THREAD, BROAD)
    width: Floats = numpy.interp(fine, numpy.arange(len(kinds)), broad)
    ends = [at for at in range(len(kinds)) if kinds[at] == STRAND and (at + 1 == len(kinds) or kinds[at + 1] != STRAND)]
    for end in ends:
        head = (fine >= end - 1.4) & (fine <= end)
        width[head] = THREAD + 1.55 * BROAD * (end - fine[head]) / 1.4
    return width


def ribbon_picture(
    backbone: Backbone, sure: Floats, lengths: tuple[int, ...], width: float, height: float
) -> list[Markup]:
    """The parts of a picture of one or more chains, `lengths` residues each, and their ends' names."""
    every = backbone.alphas.astype(numpy.float64)
    middle = every.mean(0)
    _, _, axes = numpy.linalg.svd(every - middle, full_matrices=False)
    axes[2] = numpy.cross(axes[0], axes[1])
    ribbons, start = [], 0
    for length in lengths:
        part = slice(start, start + length)
        ribbons.append(make_ribbon(backbone.cut(part.start, part.stop), sure[part], axes, middle))
        start += length
    flat = numpy.concatenate([edge for one in ribbons for edge in (one.left, one.right)])
    low, high = flat.min(0), flat.max(0)
    scale = min((width - 60) / (high[0] - low[0]), (height - 60) / max(high[1] - low[1], 1e-6))

    def shown(places: Floats) -> Floats:
        moved = (places - (low + high) / 2) * scale
        return numpy.stack(
            [width / 2 + moved[:, 0], height / 2 - moved[:, 1], (places[:, 2] - low[2]) / (high[2] - low[2] + 1e-6)], 1
        )

    pieces = []
    for one in ribbons:
        left, right = shown(one.left), shown(one.right)
        for at in range(len(one.sure)):
            pieces.append(_piece(one, left, right, at))
    pieces.sort(key=lambda piece: piece[0])
    return [drawn for _, drawn in pieces] + _names(ribbons, shown)


def _piece(one: Ribbon, left: Floats, right: Floats, at: int) -> tuple[float, Markup]:
    """One piece with its depth, 0 far to 1 near."""
    corners = numpy.stack([left[at], left[at + 1], right[at + 1], right[at]])
    near = float(corners[:, 2].mean())
    normal = numpy.cross(one.left[at + 1] - one.left[at], one.right[at] - one.left[at])
    facing = abs(float(normal[2])) / max(1e-9, float(numpy.linalg.norm(normal)))
    colour = _toned(band(float(one.sure[at])).colour, _FADE * (1 - near), _SHADE * (1 - facing))
    path = "M{:.1f} {:.1f}L{:.1f} {:.1f}L{:.1f} {:.1f}L{:.1f} {:.1f}z".format(*corners[:, :2].ravel())
    edges = "M{:.1f} {:.1f}L{:.1f} {:.1f}M{:.1f} {:.1f}L{:.1f} {:.1f}".format(
        *left[at, :2], *left[at + 1, :2], *right[at, :2], *right[at + 1, :2]
    )
    line = _toned(_OUTLINE, 0.75 * (1 - near) + 0.1, 0.0)
    drawn = Markup(
        '<path d="{0}" fill="{1}" stroke="{1}" stroke-width=".7"/><path d="{2}" stroke="{3}" stroke-width=".9"/>'
    )
    return near, drawn.format(path, colour, edges, line)


def _toned(colour: str, pale: float, dark: float) -> str:
    """A colour with a share of white and then of black."""
    rgb = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return "#" + "".join(f"{round((one + (255 - one) * pale) * (1 - dark)):02x}" for one in rgb)


def _names(ribbons: list[Ribbon], shown: Any) -> list[Markup]:
    label = Markup(
        '<text x="{:.1f}" y="{:.1f}" font-size="13" font-weight="700" fill="#1f2933" stroke="#fff" stroke-width="4" '
        'paint-order="stroke" text-anchor="middle">{}</text>'
    )
    parts = []
    for number, one in enumerate(ribbons):
        chain = "" if len(ribbons) == 1 else f" {'AB'[number]}"
        ends = shown((one.left[[0, -1]] + one.right[[0, -1]]) / 2)
        parts += [label.format(x, y - 8, name + chain) for (x, y, _), name in zip(ends, "NC", strict=True)]
    return parts

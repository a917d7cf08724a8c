"""A structure with its sites as drawn things: a picture, a PDB file with chances as B-factors, scripts for two viewers.

    picture     the CA trace laid along its own axes, likely residues dark, pockets as clouds of their points, numbered
    strips      one row for each kind of ligand, a column a residue, under the author's numbers
    PDB file    the backbone; B-factor = 100 x the chance to touch a small molecule; points of pockets as residues STP
                of chain Z, numbered by rank (as fpocket writes its spheres)
    scripts     PyMOL and ChimeraX: open that file, colour it, and name every pocket

Amber and blue, dark and pale: readers who do not tell red from green see the same. It knows no network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import biotite.structure as space
import numpy
from biotite.sequence import ProteinSequence
from biotite.structure.io.pdb import PDBFile
from markupsafe import Markup
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.inference.site_residues import evidence
from anfinsen.inference.sites import Site, SiteAnswer
from anfinsen.structure.backbone import ATOMS
from anfinsen.structure.pockets import own_frame
from anfinsen.structure.protein import Protein
from anfinsen.tasks.ligand_sites import DRUG, HELD

COLOURS = ("#c97a14", "#214c7e", "#96380f", "#6b4c9a", "#2f7d5d")
"""Of the pockets, by rank; further ones are grey."""
_REST = "#8a8f96"
DRAWN = 5
"""Pockets in the picture."""
POINTS, POINTS_CHAIN = "STP", "Z"
"""How the points of pockets are called in the PDB file."""
_WIDTH, _EDGE = 720.0, 26.0
_PALE, _DARK = (178, 171, 158), (10, 103, 95)
_NUMBER = re.compile(r"(-?\d+)([A-Za-z]?)")
_CLOUD = 90
_TALL = 0.6
"""The chance that fills a row of the strips."""

Floats = NDArray[numpy.floating[Any]]
_THREE = {letter: ProteinSequence.convert_letter_1to3(letter) for letter in RESIDUES}


def colour(rank: int) -> str:
    """The colour of a pocket, by its rank from 1.

    >>> colour(1), colour(9)
    ('#c97a14', '#8a8f96')
    """
    return COLOURS[rank - 1] if rank <= len(COLOURS) else _REST


def numbers(protein: Protein) -> tuple[str, ...]:
    """The author's number of each residue; from 1 where there are none."""
    return protein.numbering or tuple(str(place + 1) for place in range(len(protein)))


def chain_name(protein: Protein) -> str:
    """The chain's one letter in the PDB file: the file's own where it has one letter, else A.

    >>> chain_name(Protein("4hhb:B", "MK")), chain_name(Protein("query", "MK"))
    ('B', 'A')
    """
    name = protein.id.rpartition(":")[2]
    return name if len(name) == 1 and name.isalnum() and name != POINTS_CHAIN else "A"


# The picture ---------------------------------------------------------------------------------------------------------


def picture(found: SiteAnswer) -> Markup | None:
    """The chain and its best pockets, seen along its shortest axis; None without a structure."""
    backbone = found.protein.backbone
    if backbone is None:
        return None
    known = numpy.array(~numpy.isnan(backbone.alphas).any(-1), dtype=numpy.bool_)
    if known.sum() < 4:
        return None
    middle, axes = own_frame(backbone.alphas[known].astype(numpy.float64))
    laid = (backbone.alphas - middle) @ axes
    sites = found.sites[:DRAWN]
    clouds = [(site.pocket.points[_some(len(site.pocket.points))] - middle) @ axes for site in sites]
    every = numpy.concatenate([laid[known], *clouds])
    low, span = every.min(0), numpy.ptp(every, axis=0)
    scale = (_WIDTH - 2 * _EDGE) / max(float(span[0]), 1.0)
    height = float(span[1]) * scale + 2 * _EDGE

    def place(points: Floats) -> Floats:
        flat: Floats = (points[:, :2] - low[:2]) * scale + _EDGE
        flat[:, 1] = height - flat[:, 1]
        return flat

    near = (laid[:, 2] - low[2]) / max(float(span[2]), 1.0)
    parts = _trace(place(laid), near, evidence(found.answer), backbone.breaks, known, scale)
    for site, cloud in zip(reversed(sites), reversed(clouds), strict=True):
        parts.append(_cloud(place(cloud), site, 0.55 * scale))
    for site in sites:
        centre = (numpy.array(site.pocket.centre)[None] - middle) @ axes
        parts.append(_label(place(centre)[0], site))
    frame = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} '
        '{1:.0f}" font-family="sans-serif" font-size="13"><title>{2}</title>{3}</svg>'
    )
    return frame.format(_WIDTH, height, f"Sites of {found.protein.id}", Markup("").join(parts))


def _some(count: int) -> NDArray[numpy.int64]:
    """At most `_CLOUD` places, spread evenly."""
    return numpy.unique(numpy.linspace(0, count - 1, min(count, _CLOUD)).astype(numpy.int64))


def _trace(
    flat: Floats, near: Floats, shares: Floats, breaks: NDArray[numpy.bool_], known: NDArray[numpy.bool_], scale: float
) -> list[Markup]:
    """The chain as short strokes, far ones first and paler."""
    joined = numpy.flatnonzero(known[:-1] & known[1:] & ~breaks)
    stroke = Markup(
        '<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="{}" stroke-width="{:.1f}" stroke-linecap="round" '
        'opacity="{:.2f}"/>'
    )
    parts = []
    for at in joined[numpy.argsort(near[joined])].tolist():
        share = float(max(shares[at], shares[at + 1]))
        width = (0.5 + 0.35 * near[at]) * min(6.0, 0.55 * scale)
        parts.append(
            stroke.format(*flat[at], *flat[at + 1], _shade(share), width * (1 + 0.6 * share), 0.45 + 0.55 * near[at])
        )
    return parts


def _shade(share: float) -> str:
    part = min(1.0, 1.4 * share)
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(_PALE, _DARK, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _cloud(flat: Floats, site: Site, radius: float) -> Markup:
    dots = Markup("").join(
        Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(x, y, radius) for x, y in flat.tolist()
    )
    return Markup('<g fill="{}" opacity="0.30">{}</g>').format(colour(site.rank), dots)


def _label(at: Floats, site: Site) -> Markup:
    shape = Markup(
        '<g><title>{}</title><circle cx="{:.1f}" cy="{:.1f}" r="11" fill="{}" stroke="#fbfaf7" stroke-width="2"/>'
        '<text x="{:.1f}" y="{:.1f}" text-anchor="middle" fill="#ffffff" font-weight="600">{}</text></g>'
    )
    told = f"Pocket {site.rank}: {site.chance:.0%}, {HELD[site.kind]}"
    return shape.format(told, at[0], at[1], colour(site.rank), at[0], at[1] + 4.5, site.rank)


def strips(found: SiteAnswer) -> Markup:
    """The chance of each residue for every kind that is said of some residue, and for what is drug-like."""
    answer, named = found.answer, numbers(found.protein)
    kinds = [
        kind
        for kind, shares in answer["probabilities"].items()
        if kind == DRUG or max(shares, default=0.0) >= answer["thresholds"][kind]
    ]
    left, row, length = 150.0, 30.0, max(1, len(named))
    step = (_WIDTH - left) / length
    parts = []
    for number, kind in enumerate(kinds):
        floor = row * (number + 1)
        word = HELD[kind][:1].upper() + HELD[kind][1:]
        parts.append(Markup('<text x="0" y="{:.1f}" fill="#1b1d20">{}</text>').format(floor - 6, word))
        parts.append(Markup('<path d="M{} {}H{}" stroke="#e3dfd7"/>').format(left, floor, _WIDTH))
        for at, share in enumerate(answer["probabilities"][kind]):
            if share < 0.02:
                continue
            said = share >= answer["thresholds"][kind]
            bar = Markup(
                '<rect x="{:.1f}" y="{:.1f}" width="{:.2f}" height="{:.1f}" fill="{}"><title>{}</title></rect>'
            )
            told = f"{found.protein.sequence[at]}{named[at]}: {share:.0%}"
            high = min(1.0, share / _TALL) * (row - 7)
            fill = "#0a675f" if said else "#b9c9c4"
            parts.append(bar.format(left + at * step, floor - high, max(step, 1.2), high, fill, told))
    foot = row * len(kinds) + 16
    for at in sorted({0, length - 1, *range(0, length, max(1, length // 6))}):
        x = left + (at + 0.5) * step
        anchor = "end" if at == length - 1 else "middle"
        if at == length - 1 or x < _WIDTH - 45:
            parts.append(
                Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" fill="#59606a" font-size="11">{}</text>').format(
                    x, foot, anchor, named[at] if named else ""
                )
            )
    frame = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} '
        '{1:.0f}" font-family="sans-serif" font-size="12"><title>Residues that may hold a ligand</title>{2}</svg>'
    )
    return frame.format(_WIDTH, foot + 6, Markup("").join(parts))


# Files for viewers ---------------------------------------------------------------------------------------------------


def pdb_text(found: SiteAnswer) -> str:
    """The backbone with chances as B-factors, and the pockets' points, as a PDB file."""
    protein, shares = found.protein, evidence(found.answer)
    assert protein.backbone is not None  # asked for structures only
    seen = numpy.argwhere(~numpy.isnan(protein.backbone.points).any(-1))
    clouds = [(site.rank, site.pocket.points) for site in found.sites]
    atoms = space.AtomArray(len(seen) + sum(len(points) for _, points in clouds))
    for name, kind in (("b_factor", float), ("occupancy", float)):
        atoms.add_annotation(name, dtype=kind)
    atoms.occupancy[:] = 1.0
    named = [_split(number) for number in numbers(protein)]
    for at, (place, column) in enumerate(seen.tolist()):
        atoms.coord[at] = protein.backbone.points[place, column]
        atoms.chain_id[at] = chain_name(protein)
        atoms.res_id[at], atoms.ins_code[at] = named[place]
        atoms.res_name[at] = _THREE.get(protein.sequence[place], "UNK")
        atoms.atom_name[at], atoms.element[at] = ATOMS[column], ATOMS[column][0]
        atoms.b_factor[at] = 100 * shares[place]
    start = len(seen)
    for rank, points in clouds:
        part = slice(start, start + len(points))
        atoms.coord[part] = points
        atoms.chain_id[part], atoms.res_id[part], atoms.res_name[part] = POINTS_CHAIN, rank, POINTS
        atoms.atom_name[part], atoms.element[part], atoms.hetero[part] = "APOL", "C", True
        start += len(points)
    file, text = PDBFile(), StringIO()
    file.set_structure(atoms)
    file.write(text)
    return text.getvalue()


def _split(number: str) -> tuple[int, str]:
    """'60A' as 60 and 'A'; a number that a PDB file cannot hold as 9999."""
    found = _NUMBER.fullmatch(number)
    return (int(found[1]), found[2]) if found and -999 <= int(found[1]) <= 9999 else (9999, "")


def pymol_script(found: SiteAnswer, file: str) -> str:
    """Commands for PyMOL: open the PDB file beside it, colour by chance, name the pockets."""
    protein, chain = found.protein, chain_name(found.protein)
    lines = [
        "# Sites by Anfinsen: dark residues may touch a small molecule; clouds are pockets, the best is number 1.",
        f"load {file}, sites",
        "hide everything, sites",
        "set cartoon_trace_atoms, 1",
        f"show cartoon, sites and chain {chain}",
        f"spectrum b, gray80 teal, sites and chain {chain}, minimum=0, maximum=60",
    ]
    for site in found.sites:
        residues = "+".join(_escaped(number) for number in _numbers_of(site, protein))
        name = f"pocket_{site.rank}"
        lines += [
            f"# {HELD[site.kind]}, chance {site.chance:.2f}",
            f"select {name}, sites and chain {chain} and resi {residues}",
            f"show lines, {name}",
            f"select {name}_space, sites and chain {POINTS_CHAIN} and resi {site.rank}",
            f"show spheres, {name}_space",
            f"color 0x{colour(site.rank)[1:]}, {name}_space",
        ]
    spheres = f"sites and chain {POINTS_CHAIN}"
    lines += [
        f"set sphere_scale, 0.3, {spheres}",
        f"set sphere_transparency, 0.5, {spheres}",
        "deselect",
        "orient sites",
    ]
    return "\n".join(lines) + "\n"


def _escaped(number: str) -> str:
    """A negative number as PyMOL wants it in a selection.

    >>> _escaped("-3"), _escaped("60A")
    ('\\\\-3', '60A')
    """
    return f"\\{number}" if number.startswith("-") else number


def chimerax_script(found: SiteAnswer, file: str) -> str:
    """Commands for ChimeraX: open the PDB file beside it, colour by chance, name the pockets."""
    protein, chain = found.protein, chain_name(found.protein)
    lines = [
        "# Sites by Anfinsen: dark residues may touch a small molecule; clouds are pockets, the best is number 1.",
        f"open {file}",
        f"hide /{chain} atoms",
        f"cartoon /{chain}",
        f"color byattribute bfactor /{chain} palette 0,#d6d0c4:60,#0a675f",
    ]
    for site in found.sites:
        residues = ",".join(_numbers_of(site, protein))
        lines += [
            f"# {HELD[site.kind]}, chance {site.chance:.2f}",
            f"name pocket_{site.rank} /{chain}:{residues}",
            f"color /{POINTS_CHAIN}:{site.rank} {colour(site.rank)}",
        ]
    if found.sites:
        lines += [f"style /{POINTS_CHAIN} sphere", f"transparency /{POINTS_CHAIN} 50 target a"]
    return "\n".join([*lines, "view"]) + "\n"


def _numbers_of(site: Site, protein: Protein) -> Sequence[str]:
    named = numbers(protein)
    return [named[place] for place in site.pocket.residues]


LEGEND: Mapping[str, str] = {
    "structure": "The chain along its own axes; the darker a residue, the likelier it touches a small molecule. Clouds "
    "are pockets, numbered from the best; what is paler lies behind.",
    "strips": "How likely each residue holds each kind of ligand; dark where it is said, pale where it is not.",
}
"""The captions of the pictures."""

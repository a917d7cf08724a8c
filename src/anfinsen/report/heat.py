"""The 20 x L heat map of a scan, and the ladder of proposals: inline SVG, one HTML page, a few lines on a terminal.

Blue is worse than the wild type and amber better, so that readers who do not tell red from green see it too; every
cell says its substitution and its number as a tooltip, and the wild type is a dot. Positions wrap into rows of fifty.
The page asks nothing of any network and runs nothing. It knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy
from markupsafe import Markup
from numpy.typing import NDArray
from rich.text import Text

from anfinsen.data.alphabet import RESIDUES
from anfinsen.errors import InputError
from anfinsen.inference.proposals import Goal, Proposal
from anfinsen.inference.scan import Scan
from anfinsen.report import paper
from anfinsen.report.answer import plain
from anfinsen.report.tables import Cell, safe_name, write_table, written_beside
from anfinsen.wording import counted

Map = NDArray[numpy.float64]
"""(L, 20) in the order of `RESIDUES`."""

COLUMNS = ("position", "wild_type", "mutant", "score")
PROPOSAL_COLUMNS = (
    "rank",
    "variant",
    "gain",
    "low",
    "high",
    "unit",
    "wild_type_predicted",
    "predicted",
    "scan_score",
    "ddg",
    "ddg_low",
    "ddg_high",
    "reason",
    "risk",
    "claim",
)
ROW, CELL, LEFT, TOP = 50, 15, 30, 34
"""Positions in a row of the map; pixels of a cell; pixels before and above the cells."""
ORDER = "GAVLIMCPFWYHSTNQDEKR"
"""Residues from top to bottom: small, oily, aromatic, polar, charged."""
_WORSE, _BETTER, _MIDDLE = (33, 76, 126), (201, 122, 20), (247, 245, 240)
_SHADES = " ░▒▓█"


@dataclass(frozen=True)
class Section:
    """One protein on the page."""

    name: str
    lead: str
    notes: Sequence[str]
    pictures: Sequence[tuple[str, Markup]]
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default=())


def stem(scan: Scan) -> str:
    """The name of a protein's files."""
    return safe_name(scan.protein.id, scan.protein.sha256)


def write_scan(folder: Path, scan: Scan, *, raw: bool = False) -> None:
    """NAME.csv with the scores, NAME.stability.csv with ddG, and both maps as SVG."""
    name, header = stem(scan), list(COLUMNS)
    if scan.low is not None:
        header += ["low", "high"]
    write_table(folder / f"{name}.csv", header, _cells(scan, scan.scores), raw=raw)
    write_table(
        folder / f"{name}.stability.csv",
        ["position", "wild_type", "mutant", "ddg"],
        ({**row, "ddg": row["score"]} for row in _cells(scan, scan.ddg)),
        raw=raw,
    )
    for ending, values, title in (("svg", scan.scores, "Scan"), ("stability.svg", -scan.ddg, "Stability")):
        with written_beside(folder / f"{name}.{ending}") as file:
            file.write(heat_map(scan, values, title, middle=_middle(scan, values)))


def _cells(scan: Scan, table: Map) -> Iterable[Mapping[str, Cell]]:
    for place, there in enumerate(scan.protein.sequence):
        for number, residue in enumerate(RESIDUES):
            value = table[place, number]
            if not numpy.isfinite(value):
                continue
            row: dict[str, Cell] = {"position": place + 1, "wild_type": there, "mutant": residue}
            row["score"] = round(float(value), 4)
            if scan.low is not None and scan.high is not None:
                row |= {
                    "low": round(float(scan.low[place, number]), 4),
                    "high": round(float(scan.high[place, number]), 4),
                }
            yield row


def heat_map(scan: Scan, values: Map, title: str, *, middle: float = 0.0) -> Markup:
    """The map as one SVG; `middle` is the wild type's value, where a cell has no colour."""
    sequence = scan.protein.sequence
    rows = range(0, len(sequence), ROW)
    height, width = (TOP + 20 * CELL + 14), LEFT + min(ROW, len(sequence)) * CELL + 10
    reach = float(numpy.nanquantile(abs(values - middle), 0.98)) if numpy.isfinite(values).any() else 1.0
    parts = []
    for number, start in enumerate(rows):
        top = number * height + TOP
        for line, residue in enumerate(ORDER):
            parts.append(_text(LEFT - 8, top + line * CELL + 11, residue))
        for place in range(start, min(start + ROW, len(sequence))):
            left = LEFT + (place - start) * CELL
            parts.append(_text(left + CELL / 2, top - 5, sequence[place]))
            if (place + 1) % 10 == 0 or place == start:
                parts.append(_text(left + CELL / 2, top - 19, str(place + 1), soft=True))
            for line, residue in enumerate(ORDER):
                value = float(values[place, RESIDUES.index(residue)])
                parts.append(
                    _cell(
                        left,
                        top + line * CELL,
                        value,
                        middle,
                        reach,
                        f"{sequence[place]}{place + 1}{residue}",
                        is_wild=residue == sequence[place],
                    )
                )
    frame = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{}" height="{}" viewBox="0 0 {} {}" '
        'font-family="sans-serif" font-size="10"><title>{}</title><desc>{}</desc>{}</svg>'
    )
    total = len(rows) * height
    return frame.format(
        width, total, width, total, f"{title} of {plain(scan.protein.id)}", scan.sentence(), Markup("").join(parts)
    )


def _cell(left: float, top: float, value: float, middle: float, reach: float, name: str, *, is_wild: bool) -> Markup:
    if is_wild:
        return Markup('<circle cx="{}" cy="{}" r="2" fill="#59606a"/>').format(left + CELL / 2, top + CELL / 2)
    if not numpy.isfinite(value):
        return Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="none" stroke="#ddd"/>').format(
            left, top, CELL - 1, CELL - 1
        )
    box = Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="{}"><title>{} {}</title></rect>')
    return box.format(left, top, CELL - 1, CELL - 1, shade((value - middle) / (reach or 1.0)), name, f"{value:+.2f}")


def shade(share: float) -> str:
    """A colour from worse (-1) through the wild type's (0) to better (1).

    >>> shade(0.0), shade(-1.0)
    ('#f7f5f0', '#214c7e')
    """
    end, part = (_BETTER if share > 0 else _WORSE), min(1.0, abs(share))
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(_MIDDLE, end, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _text(x: float, y: float, text: str, *, soft: bool = False) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="middle" fill="{}">{}</text>').format(
        x, y, "#59606a" if soft else "#1b1d20", text
    )


def _middle(scan: Scan, values: Map) -> float:
    """The wild type's value: 0, or what was learned of it."""
    if scan.low is None or values is not scan.scores:
        return 0.0
    wild = [values[at, RESIDUES.index(one)] for at, one in enumerate(scan.protein.sequence) if one in RESIDUES]
    return float(numpy.nanmean(wild))


def strip(scan: Scan) -> list[Text]:
    """The map for a terminal: for each position a shade of how little change it bears, in rows of fifty."""
    tolerance = scan.tolerance
    known = tolerance[numpy.isfinite(tolerance)]
    ends = numpy.quantile(known, (0.2, 0.4, 0.6, 0.8)) if len(known) else numpy.zeros(4)
    lines = []
    for start in range(0, len(tolerance), ROW):
        part = tolerance[start : start + ROW]
        marks = "".join("?" if not numpy.isfinite(one) else _SHADES[4 - int((one > ends).sum())] for one in part)
        lines.append(Text(f"{start + 1:>6}  {scan.protein.sequence[start : start + ROW]}", style="dim"))
        lines.append(Text(f"        {marks}"))
    lines.append(Text("        dark: bears little change; light: bears most", style="dim"))
    return lines


# Proposals ------------------------------------------------------------------------------------------------------------


def write_proposals(path: Path, proposals: Sequence[Proposal], goal: Goal, *, raw: bool = False) -> None:
    """The suggestions as a table, best first."""
    rows: list[dict[str, Cell]] = [
        {
            "rank": rank,
            "variant": one.name,
            "gain": _round(one.gain),
            "low": _round(one.low),
            "high": _round(one.high),
            "unit": goal.unit,
            "wild_type_predicted": _round(one.before),
            "predicted": _round(one.after),
            "scan_score": _round(one.score),
            "ddg": one.stability["value"],
            "ddg_low": one.stability["low"],
            "ddg_high": one.stability["high"],
            "reason": one.reason,
            "risk": "; ".join(one.risks),
            "claim": one.claim(goal),
        }
        for rank, one in enumerate(proposals, 1)
    ]
    write_table(path, list(PROPOSAL_COLUMNS), rows, raw=raw)


def ladder(proposals: Sequence[Proposal], goal: Goal) -> Markup:
    """Each suggestion's gain as a dot on one scale, its interval as a line, no gain as a rule."""
    ends = [end for one in proposals for end in (one.gain, one.low, one.high, 0.0) if end is not None]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    span, width, step = (high - low) or 1.0, 560, 26

    def place(value: float) -> float:
        return round(190 + (width - 200) * (value - low) / span, 1)

    parts = [
        Markup('<path d="M{0} 0V{1}" stroke="#59606a" stroke-dasharray="3 3"/>').format(
            place(0.0), len(proposals) * step
        )
    ]
    for row, one in enumerate(proposals):
        y, colour = row * step + 13, "#0a675f" if one.is_clear else "#96380f"
        parts.append(Markup('<text x="0" y="{}" fill="#1b1d20">{}</text>').format(y + 4, one.name))
        if one.low is not None and one.high is not None:
            parts.append(Markup('<path d="M{} {}H{}" stroke="{}"/>').format(place(one.low), y, place(one.high), colour))
        dot = Markup('<circle cx="{}" cy="{}" r="4" fill="{}"><title>{}</title></circle>')
        parts.append(dot.format(place(one.gain), y, colour, f"{one.gain:+.3g} {goal.unit}"))
    height = len(proposals) * step + 22
    parts.append(_text(place(0.0), height - 5, f"no gain ({goal.unit})", soft=True))
    frame = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{0}" height="{1}" viewBox="0 0 {0} {1}" '
        'font-family="sans-serif" font-size="11"><title>Predicted gains</title>{2}</svg>'
    )
    return frame.format(width, height, Markup("").join(parts))


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def proposal_section(scan: Scan, proposals: Sequence[Proposal], goal: Goal) -> Section:
    """One protein's suggestions on the page."""
    rows = [
        (one.name, f"{one.gain:+.3g} {goal.unit}", one.reason, one.claim(goal), "; ".join(one.risks) or "none seen")
        for one in proposals
    ]
    clear = sum(one.is_clear for one in proposals)
    variants = counted(len(proposals), "variant")
    lead = f"{variants} toward {goal.words}; {clear or 'none'} with a gain larger than its uncertainty."
    caption = "Dot: predicted gain. Line: holds the true gain nine times in ten. Orange: the line holds zero."
    pictures = [(caption, ladder(proposals, goal))] if proposals else []
    return Section(
        plain(scan.protein.id), lead, [scan.basis()], pictures, ("variant", "gain", "reason", "how sure", "risk"), rows
    )


def scan_section(scan: Scan) -> Section:
    """One protein's maps on the page."""
    notes = [scan.basis(), *scan.findings, *(message.text for message in scan.messages)]
    unit = "the measured unit" if scan.low is not None else "arbitrary units"
    maps = [
        (f"Score in {unit}: blue is worse than the wild type, amber better, a dot is the wild type.", scan.scores),
        ("Stability: blue is less stable (positive ddG), amber more stable. Its range is wide.", -scan.ddg),
    ]
    pictures = [
        (caption, heat_map(scan, values, title, middle=_middle(scan, values)))
        for title, (caption, values) in zip(("Scan", "Stability"), maps, strict=True)
    ]
    return Section(plain(scan.protein.id), scan.sentence(), notes, pictures)


def write_page(
    path: Path,
    title: str,
    standfirst: str,
    sections: Sequence[Section],
    *,
    about: Mapping[str, str],
    refused: Sequence[InputError] = (),
    eyebrow: str = "mutations",
) -> None:
    """The page with all proteins; `eyebrow` says above the title what it is about."""
    paper.write_page(
        path,
        paper.make_template("heat.html.jinja"),
        styles=("heat.css",),
        eyebrow=eyebrow,
        title=title,
        standfirst=standfirst,
        sections=sections,
        about=about,
        refused=refused,
    )

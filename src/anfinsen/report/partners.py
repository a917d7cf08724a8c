"""Pairs of proteins on paper: a table of scores, and for some of them the map between both chains as the reason.

The map is drawn in at most 64 cells a side, each the strongest of the residues it stands for, with the residues that
speak most marked on both edges. It says where the network looked and is no map of measured contacts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
from markupsafe import Markup
from numpy.typing import NDArray

from anfinsen.drawing.small import score_figure
from anfinsen.errors import InputError
from anfinsen.hub.record import Score
from anfinsen.inference.partners import Reason
from anfinsen.report.answer import plain
from anfinsen.report.heat import Section, shade, write_page
from anfinsen.report.standing import figure_with_interval, find_standing
from anfinsen.report.tables import write_refused, write_table
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer
from anfinsen.tasks.interaction import TASK, YES

COLUMNS = ("a", "b", "score", "low", "high")
PAIRS, PAGE, REFUSED = "pairs.csv", "report.html", "refused.csv"
CELLS, CELL, LEFT, TOP, LINE = 64, 6, 60, 34, 11
"""Cells of the map on a side at most; pixels of one, left of it, above it, and of a line of names."""

ASKED = {"guo-5fold": "both were in training", "guo-C2": "one of them was", "guo-C3": "neither was"}
"""The splits that judge an answer, and what was known of the two proteins."""

Pair = tuple[Protein, Protein]


def row_of(pair: Pair, answer: Answer) -> dict[str, str | float]:
    """One line of pairs.csv."""
    low, high = answer["range"]
    numbers = (answer["probabilities"][YES], low, high)
    return {"a": pair[0].id, "b": pair[1].id} | dict(zip(COLUMNS[2:], (round(one, 4) for one in numbers), strict=True))


def sentence(pair: Pair, answer: Answer) -> str:
    """One answer in words, with both names."""
    said = TASK.say(answer).replace("They ", f"{pair[0].id} and {pair[1].id} ", 1)
    if "taught" in answer:
        said += f" This very pair was in training, as one that {'meets' if answer['taught'] else 'does not meet'}."
    return said


def spoken(pair: Pair, reason: Reason) -> str:
    """The residues that speak most, as text."""
    sides = zip(pair, (reason.one, reason.other), strict=True)
    named = (f"{chain.id} " + ", ".join(f"{chain.sequence[at]}{at + 1}" for at in places) for chain, places in sides)
    return f"What speaks most: {'; '.join(named)}. It shows where the network looked and no measured contact."


def pair_map(pair: Pair, reason: Reason) -> Markup:
    """The map between two chains as one SVG: the first from top to bottom, the second from left to right."""
    cells, (down, across) = _pooled(reason.map), reason.map.shape
    middle = float(numpy.median(cells))
    reach = float(numpy.abs(cells - middle).max()) or 1.0
    rows, columns = cells.shape
    box = Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="{}"/>')
    parts = [
        box.format(
            LEFT + CELL * column, TOP + CELL * row, CELL, CELL, shade((float(cells[row, column]) - middle) / reach)
        )
        for row in range(rows)
        for column in range(columns)
    ]
    lowest = 0.0
    for at in reason.one:
        lowest = max(lowest + LINE, TOP + CELL * rows * (at + 0.5) / down)  # names of near residues stay apart
        parts.append(_mark(LEFT - 4, lowest, "end", pair[0], at))
    for number, at in enumerate(reason.other):
        x = LEFT + CELL * columns * (at + 0.5) / across
        parts.append(_mark(x, TOP - 5 - LINE * (number % 2), "middle", pair[1], at))
    names = f"{plain(pair[0].id)} from top to bottom, {plain(pair[1].id)} from left to right"
    frame = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{0}" height="{1}" viewBox="0 0 {0} {1}" '
        'font-family="sans-serif" font-size="10"><title>Map between two chains</title><desc>{2}</desc>{3}</svg>'
    )
    return frame.format(LEFT + CELL * columns + 20, TOP + CELL * rows + 10, names, Markup("").join(parts))


def pair_section(pair: Pair, answer: Answer, reason: Reason) -> Section:
    """One pair on the page."""
    title = f"{plain(pair[0].id)} with {plain(pair[1].id)}"
    caption = "Amber: stretches that speak to each other. Blue: stretches that speak against it."
    return Section(title, sentence(pair, answer), [spoken(pair, reason)], [(caption, pair_map(pair, reason))])


def standing(scores: Sequence[Score]) -> list[Section]:
    """How often such answers are right, by what was known of the two, beside simple rules; nothing without scores."""
    rows = []
    for split, asks in ASKED.items():
        found = find_standing([one for one in scores if (one.split, one.metric) == (split, "accuracy")], None)
        if found is not None:
            rivals = "; ".join(f"{one.model} {score_figure(one.value)}" for one in found.baselines)
            rows.append((asks, f"{found.score.n:,}", figure_with_interval(found.score), rivals))
    lead = "How often the answer was right, of pairs that nobody had shown the model, half of which meet or nearly so."
    note = "The rules beside it look at one protein, at composition or at who is friend of whom; none reads a map."
    head = ("Of a pair", "Pairs", "This model", "Simple rules, best first")
    return [Section("How good such answers are", lead, [note], [], head, rows)] if rows else []


def write_pairs(
    folder: Path,
    rows: Iterable[Mapping[str, str | float]],
    sections: Sequence[Section],
    refused: Sequence[InputError],
    *,
    about: Mapping[str, str],
    scores: Sequence[Score] = (),
    raw: bool = False,
) -> None:
    """The table, the page and what was refused."""
    write_table(folder / PAIRS, COLUMNS, rows, raw=raw)
    standfirst = f"{TASK.explanation} {TASK.limits}"
    shown = [*sections, *standing(scores)]
    write_page(folder / PAGE, "Who meets whom", standfirst, shown, about=about, refused=refused, eyebrow="partners")
    write_refused(folder / REFUSED, refused, raw=raw)


def _pooled(values: NDArray[numpy.floating[Any]]) -> NDArray[numpy.floating[Any]]:
    """The strongest value of each block, in at most CELLS blocks a side."""
    for axis in (0, 1):
        starts = numpy.unique(
            numpy.linspace(0, values.shape[axis], min(CELLS, values.shape[axis]) + 1).astype(int)[:-1]
        )
        values = numpy.maximum.reduceat(values, starts, axis)
    return values


def _mark(x: float, y: float, anchor: str, chain: Protein, at: int) -> Markup:
    text = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" fill="#1b1d20">{}</text>')
    return text.format(x, y + (3 if anchor == "end" else 0), anchor, f"{chain.sequence[at]}{at + 1}")

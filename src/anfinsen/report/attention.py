"""What attention joins, for a page and for files: arcs over the chain, a row for each pair, how far to believe it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from anfinsen.drawing.plots import Axis
from anfinsen.drawing.small import nice_ticks, picture, words
from anfinsen.explain.attention import TESTED
from anfinsen.explain.explanation import Explanation
from anfinsen.report.faithfulness import DIGITS, faith_json, faith_plot
from anfinsen.report.tables import Row

PAIR = ("first", "second", "residues", "strength", "touch")
"""Columns of a table of pairs."""
DRAWN = 300
"""Arcs of a picture, the strongest."""
_HEIGHT, _FOOT = 150, 22
_PALEST = 0.25


def pairs(one: Explanation) -> Iterator[Row]:
    """The pairs that attention joins, counted from 1; where no structure came, nobody knows whether they touch."""
    sequence, found = one.example.protein.sequence, one.attention
    for (i, j), strength in zip(found.pairs.tolist(), found.strengths.tolist(), strict=True):
        touch = None if found.contacts is None else bool(found.contacts.touching[i, j])
        residues = sequence[i] + sequence[j]
        yield dict(zip(PAIR, (i + 1, j + 1, residues, round(strength, DIGITS), touch), strict=True))


def attention_json(one: Explanation) -> dict[str, Any]:
    """The pairs, how many touch, how far to believe it, and the sentences."""
    found = one.attention.contacts
    shares = ("share", "low", "high", "nearest", "all_pairs")
    return {
        "sentences": one.attention.sentences(one.example.protein.sequence),
        "pairs": list(pairs(one)),
        "contacts": None
        if found is None
        else {"n": found.count} | {name: round(getattr(found, name), DIGITS) for name in shares},
        "faithfulness": faith_json(one.attention.faithfulness),
    }


def attention_section(one: Explanation, known: str) -> dict[str, Any]:
    """What the page shows of one protein; `known` is what was measured of this model's attention."""
    faith = one.attention.faithfulness
    moved = replace(  # the page tells how far the answer moves, not how little
        faith,
        deletion=-faith.deletion,
        insertion=-faith.insertion,
        random_deletion=-faith.random_deletion,
        random_insertion=-faith.random_insertion,
    )
    ends = [(0.0, "0"), (0.5, f"{TESTED / 2:g}"), (1.0, f"{TESTED:g}")]
    titles = {"deletion": "The strongest pairs parted first", "insertion": "The strongest pairs joined first"}
    return {
        "sentences": [*one.attention.sentences(one.example.protein.sequence), known],
        "is_faithful": faith.is_faithful,
        "is_known": one.attention.contacts is not None,
        "arcs": arcs(one),
        "plots": [
            faith_plot(
                moved,
                way,
                across=Axis("pairs for each residue", 0.0, 1.0, ends),
                unit=f"answer moved by, {one.asked.unit}".removesuffix(", "),
                title=titles[way],
            )
            for way in ("deletion", "insertion")
        ],
    }


def arcs(one: Explanation) -> Markup:
    """The chain as a line with an arc over every pair, darker for the stronger, thick where the two touch."""
    found, length = one.attention, len(one.example.protein)
    strongest = float(found.strengths[0]) or 1.0
    path = Markup('<path d="M{:.2f} {h}A{:.2f} {:.1f} 0 0 1 {:.2f} {h}" class="arc{}" opacity="{:.2f}"/>')
    parts, touching = [], 0
    for (i, j), strength in list(zip(found.pairs.tolist(), found.strengths.tolist(), strict=True))[:DRAWN][::-1]:
        start, end = (100 * (place + 0.5) / length for place in (i, j))
        touch = found.contacts is not None and bool(found.contacts.touching[i, j])
        touching += touch
        high = _HEIGHT * min(1.0, 0.06 + 0.94 * (j - i) / length)
        shade = max(_PALEST, strength / strongest)
        parts.append(path.format(start, (end - start) / 2, high, end, " touch" if touch else "", shade, h=_HEIGHT))
    parts.append(Markup('<path d="M0 {0}H100" class="level"/>').format(_HEIGHT))
    inner = Markup('<svg width="100%" height="{0}" viewBox="0 0 100 {0}" preserveAspectRatio="none">{1}</svg>')
    ticks = [int(tick) for tick in nice_ticks(0, length, 6) if 0 < tick <= 0.93 * length]
    numbers = [
        words(100 * (tick - 0.5) / length, _HEIGHT + 16, str(tick), anchor="middle", style="tick") for tick in ticks
    ]
    told = f"{len(parts) - 1} pairs of residues, an arc each" + (
        "." if found.contacts is None else f"; {touching} of them touch in the structure."
    )
    return picture(
        [inner.format(_HEIGHT, Markup("").join(parts)), *numbers],
        title="Which residues attention joins",
        description=told,
        height=_HEIGHT + _FOOT,
        style="plot arcs",
    )

"""What attention joins, for a page and for files: arcs over the chain, a row for each pair, how far to believe it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from anfinsen.drawing.plots import Axis
from anfinsen.drawing.small import nice_ticks, picture, words
from anfinsen.explain.attention import TESTED, Attention
from anfinsen.report.faithfulness import DIGITS, faith_json, faith_plot
from anfinsen.report.tables import Row

PAIR = ("first", "second", "residues", "strength", "touch")
"""Columns of a table of pairs."""
DRAWN = 300
"""Arcs of a picture, the strongest."""
_HEIGHT, _FOOT = 150, 22
_PALEST = 0.25


def pairs(sequence: str, found: Attention) -> Iterator[Row]:
    """The pairs that attention joins, counted from 1; where no structure came, nobody knows whether they touch."""
    for (i, j), strength in zip(found.pairs.tolist(), found.strengths.tolist(), strict=True):
        touch = None if found.contacts is None else bool(found.contacts.touching[i, j])
        residues = sequence[i] + sequence[j]
        yield dict(zip(PAIR, (i + 1, j + 1, residues, round(strength, DIGITS), touch), strict=True))


def attention_json(sequence: str, found: Attention) -> dict[str, Any]:
    """The pairs, how many touch, how far to believe it, and the sentences."""
    known = found.contacts
    shares = ("share", "low", "high", "nearest", "all_pairs")
    return {
        "sentences": found.sentences(sequence),
        "pairs": list(pairs(sequence, found)),
        "contacts": None
        if known is None
        else {"n": known.count} | {name: round(getattr(known, name), DIGITS) for name in shares},
        "faithfulness": faith_json(found.faithfulness),
    }


def attention_section(sequence: str, found: Attention, unit: str, known: str) -> dict[str, Any]:
    """What the page shows of one protein; `known` is what was measured of this model's attention.

    `unit` is that of the answer, which moves where pairs are parted.
    """
    faith = found.faithfulness
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
        "sentences": [*found.sentences(sequence), known],
        "is_faithful": faith.is_faithful,
        "is_known": found.contacts is not None,
        "arcs": arcs(len(sequence), found),
        "plots": [
            faith_plot(
                moved,
                way,
                across=Axis("pairs for each residue", 0.0, 1.0, ends),
                unit=f"answer moved by, {unit}".removesuffix(", "),
                title=titles[way],
            )
            for way in ("deletion", "insertion")
        ],
    }


def arcs(length: int, found: Attention) -> Markup:
    """The chain as a line with an arc over every pair, darker for the stronger, thick where the two touch."""
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

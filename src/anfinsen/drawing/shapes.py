"""The shapes of a chain's states: ribbons for helices, arrows for strands, lines for coil, boxes for other letters.

Each shape is given in pixels from the first residue of the block that shows it, so that a helix that runs over a
border is drawn in pieces that fit. Every shape carries its word and its certainty as a tooltip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

from markupsafe import Markup

from anfinsen.report.answer import percent

BLOCK = 10
"""Residues in a block."""
WIDTH = 11
"""Pixels a residue."""
HEIGHT = 18
"""Pixels down a shape takes."""
_STRUCTURE = frozenset("HEC")
_HUES = 8
_BAND = 6.0
_OVERVIEW = {"H": (22, "helix"), "E": (12, "strand")}


@dataclass(frozen=True)
class TokenTrack:
    """One letter for each of L residues, its words, and how sure each letter is."""

    title: str
    tokens: str
    certainty: Sequence[float] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def is_structure(self) -> bool:
        """Whether the letters are helix, strand and coil."""
        return set(self.tokens) <= _STRUCTURE

    @cached_property
    def is_graded(self) -> bool:
        """Whether the letters are grades, digits from low to high, which a colour scale shows best."""
        return bool(self.names) and all(letter.isdigit() for letter in self.names)

    @cached_property
    def letters(self) -> list[str]:
        """The letters in a fixed order, from which each gets its colour."""
        return sorted(self.names) or sorted(set(self.tokens))

    def segments(self) -> list[tuple[int, int, str]]:
        """Runs of one letter as (start, end, letter), 0-based, end excluded."""
        runs, place = [], 0
        for letter, run in groupby(self.tokens):
            end = place + len(list(run))
            runs.append((place, end, letter))
            place = end
        return runs


def overview(track: TokenTrack) -> Markup:
    """The whole chain on one line: tall for helix, middle for strand, thin for coil; segments for other letters."""
    total = max(1, len(track.tokens))
    parts = [Markup('<rect x="0" y="13" width="100%" height="2" class="coil"/>')]
    for start, end, letter in track.segments():
        if track.is_structure and letter == "C":
            continue
        left, width = 100 * start / total, 100 * (end - start) / total
        height, style = (_OVERVIEW[letter]) if track.is_structure else (16, _hue(track, letter))
        shape = Markup('<rect x="{:.3f}%" width="{:.3f}%" y="{}" height="{}" class="{}"><title>{}</title></rect>')
        parts.append(shape.format(left, width, 14 - height / 2, height, style, told(track, start, end, letter)))
        if not track.is_structure and width > 2:
            parts.append(
                Markup('<text x="{:.3f}%" y="18" text-anchor="middle" class="letter">{}</text>').format(
                    left + width / 2, letter
                )
            )
    frame = Markup(
        '<svg class="pic overview" role="img" width="100%" height="28"><title>{}</title><desc>{}</desc>{}</svg>'
    )
    return frame.format(f"{track.title}: the whole chain", describe(track), Markup("").join(parts))


def describe(track: TokenTrack) -> str:
    """The segments of a track in words, for those who cannot see it."""
    runs = [
        f"{track.names.get(letter, letter)} {start + 1} to {end}"
        for start, end, letter in track.segments()
        if not (track.is_structure and letter == "C") and not (track.is_graded and letter != track.letters[-1])
    ]
    return f"{track.title}: {', '.join(runs) or 'no regular segment'}."


def glyph(start: int, end: int, letter: str, origin: int) -> Markup:
    """A piece of ribbon, arrow or line, in pixels from the block's first residue."""
    left, right = (start - origin) * WIDTH, (end - origin) * WIDTH
    middle = HEIGHT / 2
    if letter == "C":
        return Markup('<rect x="{}" y="{}" width="{}" height="2" class="coil"/>').format(left, middle - 1, right - left)
    if letter == "E":
        head = min(16.0, (right - left) * 0.6)
        neck = right - head
        tip = f"V{middle - 8}L{right} {middle}L{neck:.1f} {middle + 8}V{middle + 4}"
        path = f"M{left} {middle - 4}H{neck:.1f}{tip}H{left}z"
        return Markup('<path d="{}" class="strand"/>').format(path)
    half_turns = max(1, round((right - left - _BAND) / WIDTH))
    half = (right - left - _BAND) / half_turns
    front: list[str] = []
    back: list[str] = []
    for turn in range(half_turns):
        x = left + turn * half
        if x + half + _BAND < 0 or x > BLOCK * WIDTH:
            continue
        low, high = (HEIGHT - 1, 1) if turn % 2 == 0 else (1, HEIGHT - 1)
        bend = x + half / 2
        path = (
            f"M{x:.1f} {low}C{bend:.1f} {low} {bend:.1f} {high} {x + half:.1f} {high}h{_BAND:g}"
            f"C{bend + _BAND:.1f} {high} {bend + _BAND:.1f} {low} {x + _BAND:.1f} {low}z"
        )
        (front if turn % 2 == 0 else back).append(path)
    drawn = Markup('<path d="{}" class="helix back"/><path d="{}" class="helix"/>')
    return drawn.format("".join(back), "".join(front))


def segment(track: TokenTrack, start: int, end: int, letter: str, origin: int) -> Markup:
    """A box for the part of a run that lies in one block, with its letter in the middle."""
    left, right = max(0, start - origin) * WIDTH, min(BLOCK, end - origin) * WIDTH
    box = Markup('<rect x="{}" y="2" width="{}" height="14" class="{}"/>').format(
        left, right - left, _hue(track, letter)
    )
    drawn = Markup('<text x="{}" y="13" text-anchor="middle" class="letter">{}</text>')
    return box + drawn.format((left + right) / 2, letter)


def told(track: TokenTrack, start: int, end: int, letter: str) -> str:
    """A run in words: its state, its place and how sure it is."""
    name = track.names.get(letter, letter)
    place = f"residue {end}" if end - start == 1 else f"residues {start + 1} to {end}"
    sure = track.certainty[start:end]
    return f"{name}, {place}" + (f", {percent(sum(sure) / len(sure))} sure on average" if sure else "")


def shade(track: TokenTrack, start: int, end: int) -> str:
    """A lighter drawing for a less certain segment."""
    sure = track.certainty[start:end]
    mean = sum(sure) / len(sure) if sure else 1.0
    return "firm" if mean >= 0.8 else "soft" if mean >= 0.6 else "faint"


def _hue(track: TokenTrack, letter: str) -> str:
    if track.is_graded:
        return f"segment grade{letter}"
    number = track.letters.index(letter) if letter in track.letters else 0
    return f"segment hue{number % _HUES}"


def legend(track: TokenTrack) -> Markup:
    """A sample of each letter's drawing with its word."""
    parts = []
    for letter in dict.fromkeys([*track.names, *track.tokens]):
        if letter not in track.tokens:
            continue
        shape = glyph(0, 3, letter, 0) if track.is_structure else segment(track, 0, 2, letter, 0)
        sample = Markup('<span class="sample"><svg width="{}" height="{}" aria-hidden="true">{}</svg> {}</span>')
        parts.append(
            sample.format((3 if track.is_structure else 2) * WIDTH, HEIGHT, shape, track.names.get(letter, letter))
        )
    return Markup("").join(parts)

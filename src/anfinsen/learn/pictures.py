"""Numbers as pictures of characters: shaded blocks, bars, a curve. No colour says what the shape does not say.

A page is a console with the manners of a book: headings, paragraphs of at most 78 characters, pictures that do not
wrap. It asks nothing and waits for nobody, so it reads the same in a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

Floats = NDArray[numpy.floating[Any]]

SHADES = " ░▒▓█"
WIDTH = 78
CHANNELS = 8
"""Values of a state that are drawn, of all it has."""


class Page:
    """Where a lesson is written."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = min(WIDTH, console.width)

    def title(self, text: str) -> None:
        """The title of a lesson."""
        self.console.print(Text(f"\n{text}", style="bold"))
        self.console.print(Text("─" * min(len(text), self.width), style="dim"))

    def heading(self, text: str) -> None:
        """The heading of a part."""
        self.console.print(Text(f"\n{text}", style="bold cyan"))

    def say(self, text: str) -> None:
        """One paragraph."""
        self.console.print(Text(text), width=self.width)

    def note(self, text: str) -> None:
        """What must be known to read the numbers fairly."""
        self.console.print(Text(text, style="dim"), width=self.width)

    def draw(self, *lines: Text) -> None:
        """A picture, indented, cut at the edge rather than wrapped."""
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
            self.console.print(Padding(line, (0, 0, 0, 2), expand=False), crop=True)


def shade(values: Floats) -> list[str]:
    """A block of numbers (rows, columns) as shaded rows: the lowest fifth blank, the highest fifth full.

    >>> shade(numpy.array([[0.0, 1.0, 2.0, 3.0, 4.0]]))
    [' ░▒▓█']
    """
    ranks = numpy.sort(values, axis=None)
    steps = numpy.searchsorted(ranks, values, side="left") * len(SHADES) // max(1, values.size)
    return ["".join(SHADES[step] for step in row) for row in steps]


def block(values: Floats, labels: Sequence[str], *, wide: int = 1) -> list[Text]:
    """A shaded block with a label before each row, each cell `wide` characters."""
    room = max(map(len, labels), default=0)
    rows = ["".join(cell * wide for cell in row) for row in shade(values)]
    return [Text.assemble((f"{label:>{room}} ", "dim"), row) for label, row in zip(labels, rows, strict=True)]


def channels(sequence: str, states: Floats) -> list[Text]:
    """The letters of L residues, and under each some of its values: states (L or more, C), C sampled evenly."""
    chosen = numpy.linspace(0, states.shape[1] - 1, CHANNELS).astype(int)
    labels = [f"{number + 1:>3}" for number in chosen]
    drawn = block(states[: len(sequence)][:, chosen].T, labels)
    return [Text(f"    {sequence}", style="bold"), *drawn]


def bars(
    values: Mapping[str, float], *, width: int = 30, top: float | None = None, digits: int = 2, mark: str = ""
) -> list[Text]:
    """One bar a name, its length a share of the largest (or of `top`); the marked one has an arrow."""
    room = max(map(len, values), default=0)
    whole = top or max(values.values(), default=1.0) or 1.0
    drawn = []
    for name, value in values.items():
        cells = max(0, min(2 * width, round(2 * width * value / whole)))
        bar = "█" * (cells // 2) + "▌" * (cells % 2)
        line = Text.assemble(
            (f"{name:<{room}} ", "bold" if name == mark else ""), f"{value:>8.{digits}f} ", (bar, "cyan")
        )
        drawn.append(line.append(" ◄", style="bold") if name == mark else line)
    return drawn


def curves(
    lines: Mapping[str, Sequence[float]], places: Sequence[int], *, height: int = 9, width: int = 48
) -> list[Text]:
    """Several curves over the same places, each with a mark of its own; between its points a curve is straight."""
    marks = "●○▲△"
    values = [value for line in lines.values() for value in line]
    low, high = numpy.floor(10 * min(values)) / 10, numpy.ceil(10 * max(values)) / 10
    columns = numpy.linspace(places[0], places[-1], width)
    field = [[" "] * width for _ in range(height)]
    for mark, line in reversed(list(zip(marks, lines.values(), strict=False))):
        for column, value in enumerate(numpy.interp(columns, places, line)):
            row = round((high - value) / max(high - low, 1e-9) * (height - 1))
            field[row][column] = mark
    drawn = []
    for number, row_marks in enumerate(field):
        level = high - (high - low) * number / (height - 1)
        label = f"{level:.2f}" if number % 2 == 0 else ""
        drawn.append(Text.assemble((f"{label:>5} │", "dim"), "".join(row_marks)))
    drawn.append(Text("      └" + "─" * width, style="dim"))
    drawn.append(
        Text(f"       {f'step {places[0]}':<{width // 2}}{f'step {places[-1]}':>{width - width // 2}}", style="dim")
    )
    legend = "   ".join(f"{mark} {name}" for mark, name in zip(marks, lines, strict=False))
    return [*drawn, Text(f"       {legend}")]

"""A paragraph on a terminal: its lines break between words and all begin at the same place.

Brackets in it are brackets, and a word is never cut, so that a long path can be copied. It knows sentences only, and
loads nothing but rich.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

INDENT = 2


def paragraph(console: Console, text: Text | str, *, indent: int = 0, style: str = "") -> None:
    """Print a text whose lines are all indented alike, without blanks at their ends."""
    whole = Text(text, style=style) if isinstance(text, str) else text
    for part in whole.split(allow_blank=True):
        for line in part.divide(_breaks(part.plain, console.width - indent)):
            line.rstrip()
            console.print(Text(" " * indent if line else "").append_text(line), soft_wrap=True)


def _breaks(text: str, room: int) -> Iterator[int]:
    """Where lines of `room` cells begin, but for the first."""
    used = 0
    for word in re.finditer(r"\s*\S+\s*", text):
        if used and used + cell_len(word[0].rstrip()) > room:
            yield word.start()
            used = 0
        used += cell_len(word[0])

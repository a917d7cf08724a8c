"""A protein as it was given: its residues, its name, and what had to be mended on the way in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from numpy import floating
from numpy.typing import NDArray

from anfinsen.structure.backbone import Backbone

Level = Literal["info", "mended", "warning"]


@dataclass(frozen=True)
class Message:
    """Something the user must be told about one protein; `position` is 1-based."""

    level: Level
    text: str
    position: int | None = None

    def to_json(self) -> dict[str, object]:
        """The form that predictions.jsonl holds."""
        place = {} if self.position is None else {"position": self.position}
        return {"level": self.level, "text": self.text, **place}


@dataclass(frozen=True)
class Protein:
    """One chain: an upper-case sequence of L residues and where it came from.

    `numbering` holds the author's residue numbers where the source has them ('60', '60A'), one for
    each residue; `row` counts records of the source from 1. `backbone` says where the residues are in
    space, where the source is a structure; `contacts` (L, L) how likely two of them touch, where somebody has
    predicted that instead.
    """

    id: str
    sequence: str
    description: str = ""
    source: str = ""
    row: int | None = None
    numbering: tuple[str, ...] | None = None
    messages: tuple[Message, ...] = ()
    backbone: Backbone | None = field(default=None, compare=False, repr=False)
    contacts: NDArray[floating[Any]] | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.sequence)

    @cached_property
    def sha256(self) -> str:
        """The hash of the residues alone: the key under which answers and states are kept."""
        return hashlib.sha256(self.sequence.encode()).hexdigest()

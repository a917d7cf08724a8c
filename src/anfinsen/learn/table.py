"""The table that the lessons learn from: thirty-two real proteins, sixteen that leave the cell and sixteen that stay.

They are short and mostly well known, and come from the test split of DeepLoc 1.0 (Almagro Armenteros et al. 2017;
sequences UniProt, CC BY 4.0), so the embedded model has not been trained on any of them. The table has two halves
of sixteen; relatives, such as the four snake toxins, lie in the same half, so that neither half gives the other away.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from anfinsen.data.example import Example
from anfinsen.sets.catalog import Table
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer, Label
from anfinsen.tasks.base import Task

STAYS, LEAVES = "stays", "leaves"
SOURCE = "DeepLoc 1.0, test split"
"""Where the proteins and their places come from."""


@dataclass(frozen=True)
class Known:
    """One protein of the table: UniProt accession, what it is called, whose it is, where it works, and its half."""

    accession: str
    name: str
    organism: str
    place: str
    half: int
    sequence: str

    @property
    def answer(self) -> str:
        """Whether it leaves the cell."""
        return LEAVES if self.place == "Extracellular" else STAYS

    def example(self) -> Example:
        """The protein with the lessons' own question answered."""
        return Example(Protein(self.accession, self.sequence), self.answer)


@cache
def proteins() -> tuple[Known, ...]:
    """All thirty-two."""
    rows = json.loads((Path(__file__).parent / "proteins.json").read_text(encoding="utf-8"))
    return tuple(Known(**row) for row in rows)


def halves() -> tuple[list[Example], list[Example]]:
    """The two halves as examples."""
    first, second = ([known.example() for known in proteins() if known.half == half] for half in (1, 2))
    return first, second


def _say(answer: Answer) -> str:
    return f"It {answer['label']} the cell." if answer["label"] == LEAVES else "It stays in the cell."


TASK = Task(
    name="leaves",
    title="Leaves the cell",
    question="Does it leave the cell?",
    explanation="Hormones, toxins and the proteins of blood and saliva leave the cell; most others stay inside.",
    target=Label((STAYS, LEAVES)),
    table=Table(
        "lessons",
        splits={},
        title="Thirty-two well-known proteins",
        source="DeepLoc 1.0",
        licence="sequences UniProt CC BY 4.0",
    ),
    metrics=("accuracy",),
    say=_say,
)
"""The question of the lessons, a task like any other but for its table, which travels with the package."""

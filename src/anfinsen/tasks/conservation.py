"""Conservation: which residues evolution has not let change.

Lay the same protein of many species side by side, and most places differ while a few are the same everywhere. What
never changes is what the protein cannot do without: the active site, a metal's holders, the core that keeps the fold.
A mutation there usually breaks the protein, a drug that binds there is hard to escape. The network guesses from the one
sequence how much each place may vary; where relatives are known, what they have at each place is heard as well.

Data: ConSurf-DB grades from 1 (varies freely) to 9 (hardly ever changes) of 10,213 chains of known structure, with the
official split (Marquet et al. 2022, Human Genetics 141:1629; FLIP edition, Dallago et al. 2021).
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer, Tokens
from anfinsen.targets.metrics import METRICS, Metric, Pairs
from anfinsen.targets.sites import two_state_mcc
from anfinsen.tasks.base import Published, Task

_GRADES = "123456789"
_CONSERVED = 6
"""From this grade on a place counts as conserved; 1 to 5 vary (Marquet et al. 2022)."""


def _say(answer: Answer) -> str:
    grades = numpy.array([int(letter) for letter in answer["tokens"]])
    share = float((grades >= _CONSERVED).mean())
    top = numpy.flatnonzero(grades == grades.max())
    shown = ", ".join(str(place + 1) for place in top[:5]) + (" and others" if len(top) > 5 else "")
    if share == 0:
        return "No residue stands out as conserved: much of it may change without harm, or its family is unknown here."
    return f"About {share:.0%} of its residues should hardly change in evolution, most of all {shown}."


def _two_states(pairs: Pairs) -> NDArray[numpy.float64]:
    """For each protein: conserved and said so, said so, conserved, residues: (n, 4)."""
    rows = []
    for truth, answer in pairs:
        grades = numpy.frombuffer(str(truth.value).encode(), dtype=numpy.uint8)
        said = numpy.frombuffer(answer["tokens"].encode(), dtype=numpy.uint8) >= ord(str(_CONSERVED))
        true = grades >= ord(str(_CONSERVED))
        known = numpy.isin(grades, [ord(grade) for grade in _GRADES])
        rows.append([(one & known).sum() for one in (true & said, said, true, known)])
    return numpy.array(rows, dtype=numpy.float64)


METRICS.add(
    "two-state MCC",
    Metric(
        "two-state MCC",
        "correlation of said and true conserved residues",
        _two_states,
        two_state_mcc,
        "all residues are conserved, or none is",
    ),
)


TASK = Task(
    name="conservation",
    title="Conservation",
    question="Which residues may not change?",
    explanation=(
        "For every residue the network gives the chance of each of nine grades, from 1 for places that vary freely "
        "between relatives to 9 for places that are the same in nearly all. Without a known relative it guesses from "
        "what the language model has learned of all proteins; where there are some, in the families that come with "
        "Anfinsen or in a file of yours (`--relatives`), they are counted place by place, and the answer is far better."
    ),
    asks_relatives=True,
    target=Tokens(
        letters=tuple(_GRADES),
        names=(
            "varies freely",
            "grade 2",
            "grade 3",
            "grade 4",
            "middling",
            "grade 6",
            "grade 7",
            "grade 8",
            "hardly changes",
        ),
    ),
    table=Table(
        "conservation/conservation_flip.parquet",
        value="conservation",
        splits={"train": ("train",), "valid": ("valid",), "test": ("test",)},
        title="ConSurf-DB grades of 10,213 chains, in the FLIP edition",
        source="github.com/J-SNACKKB/FLIP",
        licence="AFL-3.0 repository; structures PDB CC0",
    ),
    metrics=("two-state MCC", "accuracy per residue"),
    say=_say,
    published=(
        Published("ConSeq (alignments)", "two-state MCC", 0.608, "test", "Marquet et al. 2022"),
        Published("ProtT5cons", "two-state MCC", 0.596, "test", "Marquet et al. 2022"),
        Published("ESM-1b", "two-state MCC", 0.563, "test", "Marquet et al. 2022"),
        Published("ProtBERT", "two-state MCC", 0.540, "test", "Marquet et al. 2022"),
    ),
    terms={
        "conserved": "The same in nearly all relatives of a protein. What a protein cannot do without is conserved.",
        "Two-state MCC": "Agreement between said and true conserved residues that common ones cannot inflate. 1 is "
        "perfect, 0 is guessing.",
        "ConSurf grade": "How slowly a place changes in evolution, from 1 (freely) to 9 (hardly ever), counted within "
        "its own protein. From 6 on a place counts as conserved.",
    },
    limits="Grades compare the residues of one protein with each other: a 9 in one protein may vary more than a 5 in "
    "another. Learned from chains of known structure; disordered proteins are rare among them.",
)

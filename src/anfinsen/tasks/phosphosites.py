"""Phosphosites: where the cell may switch a protein by hanging a phosphate on it.

Cells turn proteins on and off by fastening a phosphate group to a serine or a threonine and taking it off again. The
enzymes that do so, the kinases, know their places by a few residues around them: a proline behind, an arginine three
before. The group brings two negative charges, and with them another shape, another partner, another place in the cell.

Data: serines and threonines of 11,510 proteins from several collections (DeepPSP, Guo et al. 2021, Frontiers in
Genetics 12:690049, in the copy of nexuso1/bio-research) in ten parts: eight train, of one 400 proteins stop and
calibrate, of the last 400 judge. They are drawn by their ids; more would take long and tell little.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from anfinsen.data.example import Example
from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer, Calibration, Floats
from anfinsen.targets.tracks import NONE, Tracks
from anfinsen.tasks.base import Published, Task

_ASKED = frozenset("ST")
_NAME = "phosphate"
_ENOUGH = 400


@dataclass(frozen=True)
class PhosphositesTask(Task):
    """Phosphosites, of which only serines and threonines are asked."""

    def examples(self, split: str) -> list[Example]:
        """The examples of one split, for validation and test so many as are enough for a narrow interval."""
        examples = self.table.load(split)
        return examples if split == "train" else sorted(examples, key=_lot)[:_ENOUGH]

    def answers(self, outputs: Sequence[Floats], examples: Sequence[Example], calibration: Calibration) -> list[Answer]:
        """The answers, in which a residue that is neither serine nor threonine is no site."""
        answers = super().answers(outputs, examples, calibration)
        return [_asked_only(answer, one.protein.sequence) for answer, one in zip(answers, examples, strict=True)]


def _lot(example: Example) -> str:
    """A place in an order that means nothing and never changes."""
    return hashlib.sha256(f"phosphosites {example.protein.id}".encode()).hexdigest()


def _asked_only(answer: Answer, sequence: str) -> Answer:
    is_asked = [residue in _ASKED for residue in sequence]
    tokens = "".join(letter if asked else NONE for letter, asked in zip(answer["tokens"], is_asked, strict=True))
    shares = [p if asked else 0.0 for p, asked in zip(answer["probabilities"][_NAME], is_asked, strict=True)]
    changed = {"tokens": tokens, "probabilities": {_NAME: shares}}
    if "sets" in answer:
        changed["sets"] = [letters if asked else "" for letters, asked in zip(answer["sets"], is_asked, strict=True)]
    return answer | changed


def _say(answer: Answer) -> str:
    shares = answer["probabilities"][_NAME]
    asked, said = sum(share > 0 for share in shares), len(answer["tokens"]) - answer["tokens"].count(NONE)
    if not asked:
        return "It has no serine and no threonine that a phosphate could hang on."
    if not said:
        return f"None of its {asked} serines and threonines looks like a place for a phosphate."
    best = max(range(len(shares)), key=shares.__getitem__)
    return (
        f"Of its {asked} serines and threonines {said} may carry a phosphate, "
        f"most likely residue {best + 1} ({shares[best]:.0%})."
    )


TASK = PhosphositesTask(
    name="phosphosites",
    title="Phosphosites",
    question="Where may it be switched by a phosphate?",
    explanation=(
        "For every serine and threonine the network gives the chance that some kinase hangs a phosphate on it in a "
        "cell, judged from the residues around it and from what the language model knows of the whole chain."
    ),
    target=Tracks(names=(_NAME,), letters=("P",)),
    table=Table(
        "phosphosites/phospho_st.parquet",
        value="phospho_st",
        splits={
            "train": tuple(f"fold{number}" for number in range(8)),
            "valid": ("fold8",),
            "test": ("fold9",),
        },
        title="Phosphorylated serines and threonines of 11,510 proteins",
        source="github.com/nexuso1/bio-research",
        licence="Apache-2.0 repository; sequences UniProt CC BY 4.0",
    ),
    metrics=("site AUROC", "site AUPR"),
    say=_say,
    published=(Published("DeepPSP", "site AUROC", 0.82, "its own test", "Guo et al. 2021; another split"),),
    terms={
        "phosphosite": "A residue to which a cell fastens a phosphate group, mostly to switch the protein.",
        "kinase": "An enzyme that fastens phosphate groups. People have about five hundred.",
        "Site AUROC": "The chance that a true site gets a higher score than a false one. Guessing gives 0.5.",
        "Site AUPR": "Precision averaged over all recalls: guessing gives the share of true sites.",
    },
    limits="Learned from serines and threonines of mostly human and other animal proteins; tyrosines and bacteria are "
    "outside its scope. A site that nobody has seen yet counts as none, so some that are called wrong are right.",
)

"""Binding residues: which parts of a protein hold a metal, DNA or RNA, or a small molecule.

Most proteins work by holding something: an enzyme its substrate, a transcription factor its DNA, a zinc finger its
zinc. Only a few residues touch what is held, one in a hundred for a metal, one in twenty for a small molecule, and
they lie far apart in the chain and side by side in the fold. Whoever knows them knows where a drug could sit and
which mutations to leave alone.

Data: 1,263 proteins whose ligand lies within 2.5 angstrom of the residue in BioLiP (bindEmbed21, Littmann et al. 2021,
Scientific Reports 11:23916), with its official test of 298 proteins; its fifth part of cross-validation is ours to stop
and to calibrate by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy
from numpy.typing import NDArray

from anfinsen.data.example import Example
from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer
from anfinsen.targets.sites import add_scores
from anfinsen.targets.tracks import NONE, Tracks
from anfinsen.tasks.base import Published, Task
from anfinsen.wording import listed

_FIRST = 5
"""Residues that a sentence names."""
_HELD = {"metal": "a metal", "nucleic": "DNA or RNA", "small": "a small molecule"}


@dataclass(frozen=True)
class BindingTask(Task):
    """Binding residues, whose table has a column for each kind of ligand."""

    def examples(self, split: str) -> list[Example]:
        """The examples of one split, their value a string for each track."""
        columns = [replace(self.table, value=name).load(split) for name in self.target.labels]
        rows = zip(*columns, strict=True)
        return [replace(row[0], value=tuple(str(one.value) for one in row)) for row in rows]


def _say(answer: Answer) -> str:
    counts = {name: _count(answer, name) for name in answer["probabilities"]}
    found = [f"{count} may hold {_HELD.get(name, name)}" for name, count in counts.items() if count]
    if not found:
        return "No residue stands out as holding a metal, DNA, RNA or a small molecule."
    chances = _chances(answer)
    said = [letter != NONE for letter in answer["tokens"]]
    first = [str(place + 1) for place in numpy.argsort(-chances, kind="stable")[: min(_FIRST, sum(said))].tolist()]
    return (
        f"If it binds anything, then first of all at {listed(first)}. In all {listed(found)}; "
        f"about {chances[said].mean():.0%} of these should be right."
    )


def _chances(answer: Answer) -> NDArray[numpy.float64]:
    """The chance that each residue holds anything, (L,)."""
    chances: NDArray[numpy.float64] = 1 - (1 - numpy.array(list(answer["probabilities"].values()))).prod(0)
    return chances


def _count(answer: Answer, name: str) -> int:
    return sum(share >= answer["thresholds"][name] for share in answer["probabilities"][name])


for _name in _HELD:
    add_scores(_name)

TASK = BindingTask(
    name="binding-residues",
    title="Binding residues",
    question="Which residues hold a metal, DNA or a small molecule?",
    explanation=(
        "For every residue the network gives the chance that it touches a metal ion, that it touches DNA or RNA, and "
        "that it touches a small molecule, such as a cofactor or a drug; it may do several of these. The likeliest "
        "are named: so many that precision and recall together may be expected to be best for this protein. Where "
        "relatives are known, what they have at each place is heard as well."
    ),
    asks_relatives=True,
    target=Tracks(names=tuple(_HELD), letters=("M", "N", "S"), weights=(2.0, 2.0, 2.0), has_sites=True),
    table=Table(
        "binding_residues/bindembed21.parquet",
        splits={"train": ("cv1", "cv2", "cv3", "cv4"), "valid": ("cv5",), "test300": ("test300",)},
        title="Residues near a ligand in BioLiP, in the edition of bindEmbed21",
        source="github.com/Rostlab/bindPredict",
        licence="MIT repository; structures PDB CC0",
    ),
    metrics=("site F1", "site MCC", *(f"{name} {score}" for score in ("F1", "MCC", "AUPR") for name in _HELD)),
    tests=("test300",),
    say=_say,
    published=(
        Published("bindEmbed21 (ProtT5 and homology)", "site F1", 0.48, "test300", "Littmann et al. 2021"),
        Published(
            "bindEmbed21DL (ProtT5)", "site F1", 0.39, "test300", "Littmann et al. 2021, in Elnaggar et al. 2021"
        ),
        Published("ESM-1b", "site F1", 0.32, "test300", "Littmann et al. 2021, in Elnaggar et al. 2021"),
    ),
    terms={
        "ligand": "What a protein holds: a metal ion, a piece of DNA or RNA, a small molecule.",
        "Site F1": "How well the binding residues of a protein are found, whatever they bind: precision and recall "
        "taken together, averaged over proteins. 1 is perfect.",
        "binding residue": "A residue that lies within 2.5 angstrom of a ligand in a known structure. "
        "An angstrom is a ten-millionth of a millimetre.",
    },
    limits="It learnt from proteins that bind something and names residues of any protein: of one that binds nothing "
    "all are wrong. A residue counts as binding only where a structure with the ligand was known: much that is called "
    "wrong may be right and not yet seen. It sees no fold, so what meets in space is guessed from the sequence.",
)

"""Solubility: whether a protein stays dissolved when E. coli makes it.

To work with a protein one usually lets the bacterium E. coli make it. Many proteins of other organisms then clump
together instead of staying in solution, and weeks are lost. Which will stay dissolved can partly be read from the
sequence: charge, length, greasy stretches, and whether it spans a membrane.

Data: PSI:Biology constructs in the five partitions of NetSolP (Thumuluri et al. 2022, Bioinformatics 38:941) and the
validation and test sets of DeepSol (Khurana et al. 2018, Bioinformatics 34:2605), whose test set is the official one.
Part 4 and a fifth of DeepSol's validation set decide when to stop and calibrate; training rows near one of those or
near a test protein are left out, so that twins with and without a purification tag never sit on both sides. A second
exam asks what the head never saw: E. coli's own proteins, made without a living cell (Niwa et al. 2009, PNAS 106:4201).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from anfinsen.data.example import Example
from anfinsen.kinship.neighbours import Reach
from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer, Label
from anfinsen.tasks.base import Published
from anfinsen.tasks.plain import BOTH, COMPOSITION, PlainTask

CLUMPS, DISSOLVES = "insoluble", "soluble"
_PARTS = 5
_SOLUBLE_FROM, _INSOLUBLE_TO = 70.0, 30.0
_HEARD = {
    BOTH: " The network and the mere shares of its residues were weighed together.",
    COMPOSITION: " The mere shares of its residues say so: on unseen proteins the network knew no better.",
}
_ESOL = Table(
    "conditions/solubility_esol.parquet",
    id="gene",
    value="solubility_pct",
    splits={"esol": ("train", "test")},
    title="Solubility of 2,922 E. coli proteins made without a cell (eSOL)",
    source="github.com/KangZhouGroupNUS/protein_solubility",
    licence="none stated; sequences UniProt CC BY 4.0",
)


@dataclass(frozen=True)
class SolubilityTask(PlainTask):
    """Solubility, whose tables are not homology-reduced against each other and are filtered here."""

    def examples(self, split: str) -> list[Example]:
        """The examples of one split; for training only those that are far from every test and validation protein."""
        if split == "esol":
            return list(_extremes(_ESOL.load("esol")))
        if split == "test":
            return _named(self.table.load("test"))
        others = _named(self.table.load("others"))
        valid = _named(self.table.load("valid")) + [one for one in others if _is_held(one)]
        if split == "valid":
            return valid
        rest = [one for one in others if not _is_held(one)]
        held_out = [one.protein for one in (*valid, *self.examples("test"))]
        reach = Reach.fit(held_out, hashes=2000)
        return [one for one in _named(self.table.load("train")) + rest if reach.far(one.protein.sequence)]


def _named(examples: Iterable[Example]) -> list[Example]:
    """The classes by their names instead of 0 and 1."""
    return [replace(example, value=DISSOLVES if example.value == 1 else CLUMPS) for example in examples]


def _extremes(examples: Iterable[Example]) -> Iterable[Example]:
    """Percent in solution as classes: at least 70 dissolves, at most 30 clumps, what lies between is left out."""
    for example in examples:
        percent = float(example.value)  # type: ignore[arg-type]  # the column holds numbers
        if percent >= _SOLUBLE_FROM or percent <= _INSOLUBLE_TO:
            yield replace(example, value=DISSOLVES if percent >= _SOLUBLE_FROM else CLUMPS)


def _is_held(example: Example) -> bool:
    """Whether a protein of DeepSol's validation set is one of the fifth that stays out of training."""
    return int(hashlib.sha256(example.protein.sequence.encode()).hexdigest(), 16) % _PARTS == 0


def _say(answer: Answer) -> str:
    share = answer["probabilities"][DISSOLVES]
    heard = _HEARD.get(answer.get("source", ""), "")
    if len(answer["set"]) > 1:
        return f"Whether it stays dissolved when E. coli makes it is open: the chance is about {share:.0%}.{heard}"
    if answer["label"] == DISSOLVES:
        return f"It should stay dissolved when E. coli makes it (a chance of about {share:.0%}).{heard}"
    said = f"It will probably clump when E. coli makes it (the chance that it stays dissolved is about {share:.0%})."
    return f"{said}{heard}"


TASK = SolubilityTask(
    name="solubility",
    title="Solubility",
    question="Will it stay dissolved when E. coli makes it?",
    explanation=(
        "The network reads the whole chain, weighs charge, length and greasy stretches as it learned them from "
        "thousands of constructs that were tried, and gives the chance that the protein stays in solution. Since it "
        "knows hardly more than the shares of the residues tell, a straight line on these is heard beside it."
    ),
    target=Label((CLUMPS, DISSOLVES)),
    table=Table(
        "conditions/solubility.parquet",
        value="soluble",
        splits={
            "train": ("psi_part0", "psi_part1", "psi_part2", "psi_part3"),
            "others": ("dsol_val",),
            "valid": ("psi_part4",),
            "test": ("dsol_test",),
            "esol": (),
        },
        title="PSI:Biology constructs and the DeepSol validation and test sets",
        source="github.com/benjamin-kroeger/PredictProtein1_solubility and sameerkhurana10/DSOL_rv0.2",
        licence="none stated, and MIT; sequences UniProt CC BY 4.0",
    ),
    metrics=("accuracy", "mcc", "auroc"),
    tests=("test", "esol"),
    say=_say,
    published=(
        Published("DeepSol S2", "accuracy", 0.77, "test", "Khurana et al. 2018"),
        Published("DeepSol S2", "mcc", 0.55, "test", "Khurana et al. 2018"),
    ),
    terms={
        "soluble": "Staying dissolved in water instead of clumping together. "
        "Only dissolved protein can be purified in the ordinary way.",
        "construct": "The piece of a protein that is really made, often with a tag of a few residues at one end that "
        "serves to purify it.",
        "AUROC": "How often a randomly chosen soluble protein gets a higher chance than a randomly chosen insoluble "
        "one. 0.5 is guessing, 1 is perfect.",
    },
    group="behaviour",
    limits="The same construct with and without its tag is sometimes recorded as soluble and insoluble (23 of 128 such "
    "pairs disagree), so no method can be right every time; other hosts, temperatures and buffers were not taught.",
)

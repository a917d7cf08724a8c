"""Signal peptide: whether a protein carries an address that is cut off, and where the cut is.

Proteins that leave the cell, or go to its surface, begin with some twenty residues that a machine at the membrane
reads and then cuts off. The working protein begins after the cut. Whoever wants to make such a protein in a laboratory
needs to know: the address must be kept, exchanged or left out, and the tag must not stand before it.

Data: the proteins of TMbed (Bernhofer & Rost 2022, BMC Bioinformatics 23:326), most of them from SignalP 6, with the
residues of signal peptides marked; folds 0 and 1 train, fold 2 decides when to stop and calibrates, fold 3 tests.
Membrane proteins with a helix near the beginning are among the negatives, and are what is easily mistaken for an
address. A chain of known structure whose first residues nobody saw is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from anfinsen.data.batch import Batch
from anfinsen.data.example import Example
from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer
from anfinsen.targets.cleavage import Cut
from anfinsen.tasks.base import Published, Task

WHOLE, CUT = "no signal peptide", "signal peptide"
_SIGNAL, _UNKNOWN = "S", "U"


@dataclass(frozen=True)
class SignalPeptideTask(Task):
    """Signal peptides, read from the marked residues of a table of topologies."""

    def examples(self, split: str) -> list[Example]:
        """The examples of one split, without chains whose beginning is unknown."""
        return list(_marked(self.table.load(split)))

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Examples as one packed row; the target is the place of the cut."""
        target = self.target
        assert isinstance(target, Cut)
        return replace(super().collate(examples), target=torch.tensor([target.place(one) for one in examples]))

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, int]:
        """The surprise at the place of the cut, chain by chain."""
        target = self.target
        assert isinstance(target, Cut)
        assert batch.target is not None  # collate always sets it; a batch without a target has no loss
        return target.loss_of_chains(outputs, [length - 2 for length in batch.lengths], batch.target)


def _marked(examples: Iterable[Example]) -> Iterable[Example]:
    for example in examples:
        topology = str(example.value)
        length = len(topology) - len(topology.lstrip(_SIGNAL))
        if length:
            yield replace(example, value=CUT, mask="1" * length + "0" * (len(topology) - length))
        elif not topology.startswith(_UNKNOWN):
            yield replace(example, value=WHOLE)


def _say(answer: Answer) -> str:
    share, cut = answer["probabilities"][CUT], answer["cut"]
    if answer["label"] == WHOLE:
        if CUT in answer["set"]:
            return f"It probably has no signal peptide, but one is not ruled out (a chance of {share:.0%})."
        return "It has no signal peptide: nothing is cut off at its beginning to send it out of the cell."
    sentence = f"It begins with a signal peptide (a chance of {share:.0%}), an address that sends it out of the cell."
    if cut is None:
        return sentence
    places = [place for place in answer["cuts"] if place != cut]
    span = f"; nine times in ten the true cut lies between {min(answer['cuts'])} and {max(answer['cuts'])}"
    return f"{sentence} It should be cut off after residue {cut}{span if places else ''}."


TASK = SignalPeptideTask(
    name="signal-peptide",
    title="Signal peptide",
    question="Does it carry an address that is cut off, and where?",
    explanation=(
        "The network weighs, for each of the first hundred residues, how well it fits into a signal peptide and how "
        "well a cut fits behind it, and compares every possible cut with the possibility that there is none."
    ),
    target=Cut((WHOLE, CUT)),
    table=Table(
        "membrane_topology/tmbed_cv0_3.parquet",
        value="topology",
        splits={"train": ("0", "1"), "valid": ("2",), "test": ("3",)},
        split_column="fold",
        title="4,879 proteins of TMbed, with and without signal peptides",
        source="github.com/BernhoferM/TMbed",
        licence="Apache-2.0; sequences UniProt CC BY 4.0, structures PDB CC0",
    ),
    metrics=("mcc", "cut recall", "cut recall +-3", "auroc"),
    say=_say,
    published=(
        Published(
            "SignalP 6.0",
            "mcc",
            0.958,
            "its own test, Sec/SPI of eukaryotes",
            "Zeng et al. 2024, Genome Research 34:1445; another split",
        ),
    ),
    terms={
        "signal peptide": "The first residues of a protein that is sent out of the cell: an address that is cut off "
        "on the way.",
        "cut": "The bond at which the signal peptide is taken off. "
        "The mature protein begins with the residue after it.",
        "mature": "The protein as it works, after its address has been cut off.",
        "cut recall": "The share of proteins with a signal peptide for which the cut is found at the very residue, "
        "or to within three residues.",
    },
    group="place",
    limits="It says whether and where, not of which kind: of lipoproteins and of the twin-arginine way the table holds "
    "a few dozen, too few to learn from. Nine of ten of its proteins are from cells with a nucleus; of archaea it has "
    "seen about 20. Addresses for mitochondria and plastids are another question.",
)

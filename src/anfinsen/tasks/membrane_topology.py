"""Membrane topology: which stretches of a chain cross a membrane, and on which side the rest lies.

A cell and its rooms are wrapped in membranes, oily films two molecules thick. A quarter of all proteins sit in one and
cross it: most with greasy helices of about twenty residues, some in the outer membrane of bacteria with strands that
close to a barrel. Receptors, channels and pumps are such proteins, and so are most targets of drugs: what faces the
outside can be reached by a drug that never enters the cell.

Data: TMbed's proteins (Bernhofer & Rost 2022, BMC Bioinformatics 23:326), whose folds hold hardly any relatives of each
other (3 % of the test proteins share half of their residues or more with a training protein, none nine tenths): folds
0 and 1 train, fold 2 decides when to stop and calibrates, fold 3 tests. Residues of unknown place are not scored. 98 %
of all residues lie outside the membrane, so segments and proteins are scored, not residues.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from anfinsen.data.example import Example
from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer
from anfinsen.targets.segments import Segments, segments
from anfinsen.targets.topology import CROSSING, GRAMMAR, HELIX, INSIDE, OUTSIDE, SIGNAL, STRAND
from anfinsen.tasks.base import Published, Task


@dataclass(frozen=True)
class MembraneTopologyTask(Task):
    """Membrane topology, whose table spells some segments in small letters."""

    def examples(self, split: str) -> list[Example]:
        """The examples of one split; 'h' and 'b', the spelling of a few segments, are read as 'H' and 'B'."""
        target = self.target
        assert isinstance(target, Segments)
        return [replace(example, value=target.read(str(example.value))) for example in self.table.load(split)]


def _say(answer: Answer) -> str:
    tokens = answer["tokens"]
    found = segments(tokens)
    signal = found[0].end if found and found[0].letter == SIGNAL else 0
    begins = f"It begins with a signal peptide (residues 1 to {signal}). " if signal else ""
    crossings = [one for one in found if one.letter in CROSSING]
    if not crossings:
        return f"{begins}No part of it crosses a membrane, as far as the sequence tells."
    strands = crossings[0].letter == STRAND
    what = "strand" if strands else "helix"
    many = f"{len(crossings)} {'strands' if strands else 'helices'}" if len(crossings) > 1 else f"one {what}"
    start = tokens[signal] if signal < len(tokens) else tokens[-1]
    side = {INSIDE: "inside", OUTSIDE: "outside"}.get(start, "within the membrane")
    chain = "mature chain" if signal else "chain"
    return (
        f"{begins}It crosses a membrane with {many} (residues {crossings[0].start} to {crossings[-1].end}); its "
        f"{chain} should begin {side}, though which side is inside is the less certain part."
    )


TASK = MembraneTopologyTask(
    name="membrane-topology",
    title="Way through the membrane",
    question="Does it cross a membrane, where, and which side is inside?",
    explanation=(
        "For every residue the network gives the chance that it lies inside, outside, in a signal peptide, or in a "
        "helix or strand that crosses a membrane; the likeliest way that keeps the rules of membranes is the answer."
    ),
    asks_relatives=True,
    target=Segments(
        letters=(INSIDE, OUTSIDE, HELIX, STRAND, SIGNAL),
        names=("inside", "outside", "membrane helix", "membrane strand", "signal peptide"),
        grammar=GRAMMAR,
        crossing=CROSSING,
        sides=INSIDE + OUTSIDE,
        alike=(("h", HELIX), ("b", STRAND)),
    ),
    table=Table(
        "membrane_topology/tmbed_cv0_3.parquet",
        value="topology",
        splits={"train": ("0", "1"), "valid": ("2",), "test": ("3",)},
        split_column="fold",
        title="4,879 proteins of TMbed, with and without membrane segments",
        source="github.com/BernhoferM/TMbed",
        licence="Apache-2.0; sequences UniProt CC BY 4.0, structures PDB CC0",
    ),
    metrics=("Qok", "segment F1", "Qtop", "helical recall", "helical fpr", "barrel recall", "barrel fpr", "mcc"),
    say=_say,
    published=(
        Published("TMbed (five-fold)", "Qok", 0.91, "test", "Bernhofer & Rost 2022"),
        Published("TMbed (five-fold)", "helical recall", 0.98, "test", "Bernhofer & Rost 2022"),
    ),
    terms={
        "membrane": "The oily film, two molecules thick, around a cell and around its rooms. "
        "What crosses it must be greasy there.",
        "topology": "Which parts of a chain lie on which side of a membrane. "
        "Inside is the side of the cell's fluid; of barrels, the side of the space between the two membranes.",
        "signal peptide": "The first residues of a protein that is sent out of the cell: an address that is cut off "
        "on the way.",
        "barrel": "Strands side by side that close to a tube through the outer membrane of a bacterium, "
        "a mitochondrion or a chloroplast.",
        "Qok": "The share of membrane proteins of which every crossing is found and none is added, each to within "
        "five residues at both ends.",
        "Qtop": "The share of membrane proteins with every crossing right and the sides right too.",
    },
    group="place",
    limits="The topology is predicted from the sequence, and which side is inside is the less certain part. It "
    "learned from some 230 helical proteins and 27 barrels, which is too few to know a barrel: it misses most of them. "
    "Most helices are met, the ends of one in four are more than five residues off. Helices and loops that only dip "
    "into the membrane are unknown to it.",
)

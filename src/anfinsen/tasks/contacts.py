"""Contacts: which residues lie side by side in the fold, however far they are apart along the chain.

A protein is a chain, and its fold brings residues together that are far from each other along it. Whoever knows which
residues touch knows most of the fold: a map of contacts is a picture of it, in which a helix is a thick diagonal and
two strands side by side are a line of their own. The network gives for every two residues how far apart they may be,
in bins of 1 angstrom; a contact is a distance below 8 angstrom between their CB atoms. `anfinsen fold` makes
coordinates of the same answer.

Data: 5,221 chains of the PDB (see data.folds for what is learnt of which). A cluster of relatives, 35 to 40 % identity,
lies in one split, and the open CAMEO targets of 2022 lie in the test split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy

from anfinsen.data.batch import crop
from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError
from anfinsen.models.network import HeadShape
from anfinsen.models.pair_trunk import TrunkConfig
from anfinsen.sets.catalog import Table
from anfinsen.sets.folds import fold_examples
from anfinsen.targets.base import Answer
from anfinsen.targets.distances import LONG, Distances
from anfinsen.tasks.base import Published, Task


@dataclass(frozen=True)
class ContactsTask(Task):
    """Pairs of residues, of crops of chains with coordinates."""

    window: int = 192
    """Residues of a crop in training."""
    trunk: Mapping[str, Any] = field(default_factory=dict)
    """The shape of the pair trunk, such as {kind = "triangle", dim = 48}."""

    @property
    def shape(self) -> HeadShape:
        """The folding head with its trunk."""
        return HeadShape(self.target.head, self.target.size, 0, TrunkConfig.build(self.trunk, source="task.contacts"))

    def examples(self, split: str) -> list[Example]:
        """The chains of one split with their backbones."""
        if split not in self.table.splits:
            raise UnknownNameError(f"split of {self.table.name}", split, self.table.splits)
        return fold_examples(split)

    def prepare(self, example: Example, generator: numpy.random.Generator) -> Example:
        """A crop at a random place."""
        return crop(example, self.window, generator)

    def pose(self, example: Example, index: int) -> Example:
        """Long chains are judged on a part of them while training: their maps would take the longest by far."""
        return crop(example, 2 * self.window, numpy.random.default_rng(index))


def _say(answer: Answer) -> str:
    far = [contact for contact in answer["contacts"] if contact[1] - contact[0] >= LONG]
    if not far:
        return f"No two residues at least {LONG} apart along the chain stand out as touching."
    first, second, share = max(far, key=lambda contact: float(contact[2]))
    likely = sum(contact[2] >= 0.5 for contact in far)
    pairs = {0: "no pair touches more likely than not", 1: "one pair probably touches"}
    return (
        f"Of residues at least {LONG} apart along the chain, {pairs.get(likely, f'{likely} pairs probably touch')}; "
        f"the surest is {first} with {second} ({share:.0%})."
    )


_PAPER = "Lin et al. 2023, table of facebookresearch/esm; logistic regression on attention; CAMEO of April to June 2022"

TASK = ContactsTask(
    name="contacts",
    title="Contacts",
    question="Which residues lie side by side in the fold?",
    explanation=(
        "For every two residues the network gives the chance that their CB atoms are closer than 8 angstrom. Lines "
        "beside the diagonal of such a map are helices and strands that lie side by side."
    ),
    target=Distances(),
    table=Table(
        "structures/chains.parquet",
        splits={"train": ("train",), "valid": ("val",), "test": ("test",)},
        title="Protein chains with coordinates",
        source="the wwPDB, by way of the repositories listed in the structure notes",
        licence="coordinates: CC0 1.0",
        sequence="seq",
    ),
    metrics=("P@L", "P@L/5"),
    say=_say,
    group="structure",
    published=(
        Published("ESM-2 8M", "P@L", 0.157, "CAMEO Apr-Jun 2022 (another set)", _PAPER),
        Published("ESM-2 35M", "P@L", 0.284, "CAMEO Apr-Jun 2022 (another set)", _PAPER),
    ),
    terms={
        "contact": "Two residues whose CB atoms are closer than 8 angstrom.",
        "long range": "At least 24 residues apart along the chain: such contacts tell the fold.",
        "P@L": "Of the L surest long-range pairs of a protein with L residues, the share that touch. Guessing gives "
        "about 0.02.",
    },
    limits=(
        "Trained for about an hour on one core on some 3,800 chains: it finds neighbouring strands and helices of "
        "common folds, and seldom the whole of a fold. Of relatives aligned it knows nothing."
    ),
)

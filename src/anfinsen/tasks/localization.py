"""Where in the cell a protein works.

A cell is divided into rooms: the nucleus with the DNA, mitochondria that make energy, the membrane that faces
the world, and so on. A protein carries its address in its sequence, often at its first residues, and a protein
in the wrong room does not do its work. Knowing the room narrows down what a protein does, and whether a drug
can reach it: what sits on the outer membrane or outside the cell is far easier to reach than what sits inside.

Data: DeepLoc 1.0 (Almagro Armenteros et al. 2017, Bioinformatics 33:3387) with its official test split, plus
single-location Swiss-Prot and MultiLoc proteins from which near neighbours of the test and validation
proteins are taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

from anfinsen.data.example import Example
from anfinsen.kinship.neighbours import Reach
from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer, Label
from anfinsen.tasks.base import Published, Task

_PLACES = {
    "Cell membrane": "in the cell membrane, facing the outside world",
    "Cytoplasm": "in the cytoplasm, the fluid that fills the cell",
    "Endoplasmic reticulum": "in the endoplasmic reticulum, where secreted proteins are made and folded",
    "Extracellular": "outside the cell, into which it is secreted",
    "Golgi apparatus": "in the Golgi apparatus, which sorts and finishes proteins",
    "Lysosome/Vacuole": "in the lysosome or vacuole, where the cell digests what it no longer needs",
    "Mitochondrion": "in the mitochondrion, which makes the cell's energy",
    "Nucleus": "in the nucleus, with the DNA",
    "Peroxisome": "in the peroxisome, which breaks down fatty acids",
    "Plastid": "in the plastid (chloroplast) of a plant cell",
}


@dataclass(frozen=True)
class LocalizationTask(Task):
    """Localization, whose wider training tables are not homology-reduced and are filtered here."""

    def examples(self, split: str) -> list[Example]:
        """Official examples; for training also the extra ones that are far from every test and validation protein."""
        examples = self.table.load(split)
        if split != "train":
            return examples
        held_out = [example.protein for name in ("valid", "test") for example in self.table.load(name)]
        reach = Reach.fit(held_out, hashes=2000)
        return examples + [extra for extra in self.table.load("extra") if reach.far(extra.protein.sequence)]


def _say(answer: Answer) -> str:
    sentence = f"Most likely it works {_PLACES.get(answer['label'], answer['label'])}."
    others = [name for name in answer["set"] if name != answer["label"]]
    if not others:
        return sentence
    return (
        f"{sentence} Not ruled out: {', '.join(others[:-1]) + ' or ' + others[-1] if len(others) > 1 else others[0]}."
    )


TASK = LocalizationTask(
    name="localization",
    title="Place in the cell",
    question="Where in the cell does it work?",
    explanation=(
        "A protein carries its address in its sequence. The network reads the whole chain, weighs which residues "
        "matter for the address, and names one of ten compartments."
    ),
    target=Label(tuple(_PLACES)),
    table=Table(
        "localization/scl10.parquet",
        value="location",
        splits={
            "train": ("train_la",),
            "extra": ("extra_swissprot", "extra_multiloc"),
            "valid": ("valid",),
            "test": ("test",),
        },
        title="DeepLoc 1.0 and single-location Swiss-Prot proteins",
        source="github.com/HannesStark/protein-localization, Rostlab/EAT and KohlbacherLab/MultiLoc2",
        licence="MIT and GPL-3.0 repositories; sequences UniProt CC BY 4.0",
    ),
    metrics=("accuracy", "mcc"),
    say=_say,
    published=(
        Published("Light Attention + ProtT5", "accuracy", 0.860, "test", "Stark et al. 2021"),
        Published("Light Attention + ESM-1b", "accuracy", 0.83, "test", "Stark et al. 2021"),
        Published("DeepLoc 1.0", "accuracy", 0.780, "test", "Almagro Armenteros et al. 2017"),
        Published("YLoc", "accuracy", 0.612, "test", "Almagro Armenteros et al. 2017"),
    ),
    terms={
        "compartment": "A room of the cell, such as the nucleus or the mitochondrion. "
        "Most proteins work in one of them.",
    },
    group="place",
    leads=True,
    limits="Ten compartments of eukaryotic cells, one answer each; bacteria and proteins that live in two places "
    "are outside its scope.",
)

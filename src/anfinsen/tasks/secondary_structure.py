"""Secondary structure: which residues form helices, which form strands, which form neither.

A protein chain folds locally into two regular shapes before it folds as a whole: the helix, a spiral stair,
and the strand, a stretched ribbon that lies beside others to form a sheet. Everything else, turns and loops,
is called coil. Knowing them is the first picture of a protein's shape, and shows at once where a mutation or a
tag would break a helix.

Data: NetSurfP-2.0 chains of known structure (Klausen et al. 2019, Proteins 87:520), tested on CASP12, CASP13
and CASP14 targets (Elnaggar et al. 2021); residues without coordinates are not scored.
"""

from __future__ import annotations

from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer, Tokens
from anfinsen.tasks.base import Published, Task


def _say(answer: Answer) -> str:
    tokens = answer["tokens"]
    helix, strand = tokens.count("H") / len(tokens), tokens.count("E") / len(tokens)
    shape = f"About {helix:.0%} of it forms helices and {strand:.0%} strands"
    if helix > 0.4 and strand < 0.1:
        return f"{shape}: a mostly helical protein."
    if strand > 0.25 and helix < 0.15:
        return f"{shape}: a protein built of sheets."
    if helix + strand < 0.2:
        return f"{shape}: little regular structure; much of it may be flexible."
    return f"{shape}: a protein of mixed build."


TASK = Task(
    name="secondary-structure",
    title="Helices and strands",
    question="Where are its helices and strands?",
    explanation=(
        "For every residue the network gives the chance of helix, strand and coil, judged from its neighbours "
        "along the chain and from what the language model knows of the whole sequence. Where relatives are known, "
        "what stands at each place among them is heard as well: relatives fold alike."
    ),
    asks_relatives=True,
    target=Tokens(letters=("H", "E", "C"), names=("helix", "strand", "coil")),
    table=Table(
        "secondary_structure/ss3_flip.parquet",
        value="ss3",
        mask="mask",
        splits={
            "train": ("train",),
            "valid": ("valid",),
            "casp12": ("test_casp12",),
            "casp13": ("test_casp13",),
            "casp14": ("test_casp14",),
        },
        title="NetSurfP-2.0 chains, in the FLIP edition",
        source="github.com/J-SNACKKB/FLIP",
        licence="AFL-3.0 repository; structures PDB CC0",
    ),
    metrics=("Q3",),
    tests=("casp12", "casp13", "casp14"),
    say=_say,
    published=(
        Published("ProtT5-XL-U50", "Q3", 0.81, "casp12", "Elnaggar et al. 2021"),
        Published("ProtBert-BFD", "Q3", 0.76, "casp12", "Elnaggar et al. 2021"),
        Published("ProtBert", "Q3", 0.75, "casp12", "Elnaggar et al. 2021"),
    ),
    terms={
        "helix": "A stretch of chain wound like a spiral stair. It is drawn as a wave or a cylinder.",
        "strand": "A stretched piece of chain that lies beside others and forms a sheet with them. "
        "It is drawn as an arrow.",
        "coil": "Chain that is neither helix nor strand: turns and loops. It is often where a protein is flexible.",
        "Q3": "The share of residues whose state (helix, strand, coil) is guessed right. "
        "Always guessing the commonest state gives about 0.4.",
    },
    leads=True,
    limits="Trained on ordered chains of known structure; disordered proteins look more regular to it than they are.",
)

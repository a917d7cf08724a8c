"""Interface: which residues of a protein touch another protein.

Proteins seldom work alone. Where two of them hold each other they share a patch of some twenty residues, flat, often
greasy in its middle and ringed by charges. Whoever knows the patch knows where a drug could come between the two.
The patch is in one piece on the surface and in many along the chain, so that a structure helps: give one, and a graph
network hears for every residue what lies beside it in the fold. Without one it reads the sequence alone, and says so.

Data: GraphPPIS (Yuan et al. 2022, Bioinformatics 38:125): 335 chains to train on and three official tests of bound
(60 and 315) and of unbound chains (31); 733 of the 741 are here. A residue touches where it loses more than 1 square
angstrom of its surface in the complex. The CA atoms were rebuilt from distances, so that a chain may be its own mirror
image: what the network reads of them is the same for both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy
import polars

from anfinsen.data.example import Example
from anfinsen.data.nets import Net, make_net
from anfinsen.errors import UnknownNameError
from anfinsen.sets.catalog import Table
from anfinsen.structure.backbone import ATOMS, from_alphas
from anfinsen.structure.graph import GROUNDS
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer
from anfinsen.targets.sites import add_scores
from anfinsen.targets.tracks import Tracks
from anfinsen.tasks.base import FORGET, Published, Task

_TRACK = "interface"
_VALID_IN = 6
"""One training chain in so many, chosen by the hash of its id, is kept to stop and to calibrate by."""
_PER_ANGSTROM = 100


@dataclass(frozen=True)
class InterfaceTask(Task):
    """Interface residues, whose chains come with CA atoms."""

    def examples(self, split: str) -> list[Example]:
        """The chains of one split with their backbones."""
        if split not in self.table.splits:
            raise UnknownNameError(f"split of {self.table.name}", split, self.table.splits)
        wanted = self.table.splits[split]
        rows = polars.concat([polars.read_parquet(path) for path in self.table.paths()])
        found = [_example(*row) for row in rows.filter(polars.col("set").is_in(wanted)).select(_COLUMNS).iter_rows()]
        if split not in ("train", "valid"):
            return found
        return [example for example in found if _is_valid(example.protein.id) == (split == "valid")]

    def prepare(self, example: Example, generator: numpy.random.Generator) -> Example:
        """Structures are forgotten now and then, so that the network also learns to answer without one."""
        if generator.random() >= FORGET / 2:
            return example
        return replace(example, protein=replace(example.protein, backbone=None))

    def net(self, examples: Sequence[Example]) -> Net | None:
        """The residue graphs of CA atoms alone: the network has learnt from no others, so it is shown no others."""
        return make_net(bare(example.protein) for example in examples)


def bare(protein: Protein) -> Protein:
    """The protein with the CA atoms of its backbone alone; as it is where there are no others, or no backbone."""
    if protein.backbone is None:
        return protein
    others = numpy.array(ATOMS) != "CA"
    if numpy.isnan(protein.backbone.points[:, others]).all():
        return protein
    points = protein.backbone.points.copy()
    points[:, others] = numpy.nan
    return replace(protein, backbone=replace(protein.backbone, points=points))


_COLUMNS = ("id", "seq", "label", "coords_ca")


def _example(name: str, sequence: str, label: str, coordinates: bytes) -> Example:
    alphas = numpy.frombuffer(coordinates, "<i2").reshape(-1, 3) / _PER_ANGSTROM
    return Example(Protein(name, sequence, backbone=from_alphas(alphas, "experimental")), label)


def _is_valid(name: str) -> bool:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % _VALID_IN == 0


def _say(answer: Answer) -> str:
    said = [share for share in answer["probabilities"][_TRACK] if share >= answer["thresholds"][_TRACK]]
    ground = GROUNDS[answer.get("ground", "sequence")]
    if not said:
        return f"No residue stands out as touching another protein, judged from {ground}."
    right = f"about {sum(said) / len(said):.0%} of these should be right"
    return f"Of its residues, {len(said)} may touch another protein, judged from {ground}; {right}."


add_scores(_TRACK)

TASK = InterfaceTask(
    name="interface",
    title="Protein-protein interface",
    question="Which residues touch another protein?",
    explanation=(
        "For every residue the network gives the chance that it touches another protein. Given a structure it also "
        "hears what lies beside the residue in the fold; given a sequence it reads that alone."
    ),
    target=Tracks(names=(_TRACK,), letters=("I",), weights=(2.0,)),
    table=Table(
        "ppi_sites_graphppis/chains.parquet",
        splits={
            "train": ("Train_335",),
            "valid": ("Train_335",),
            "test60": ("Test_60",),
            "test315": ("Test_315",),
            "unbound31": ("UBtest_31",),
        },
        title="Interface residues of GraphPPIS",
        source="github.com/biomed-AI/GraphPPIS",
        licence="MIT repository; structures PDB CC0",
        sequence="seq",
        value="label",
        split_column="set",
    ),
    metrics=("site AUPR", "site MCC", "site AUROC"),
    tests=("test60", "test315", "unbound31"),
    say=_say,
    of_structures=True,
    members=2,
    published=(
        Published("GraphPPIS", "site AUPR", 0.429, "test60", "Yuan et al. 2022; from memory of the paper"),
        Published("GraphPPIS", "site MCC", 0.333, "test60", "Yuan et al. 2022; from memory of the paper"),
        Published("GraphPPIS", "site AUROC", 0.786, "test60", "Yuan et al. 2022; from memory of the paper"),
        Published("DeepPPISP", "site AUPR", 0.320, "test60", "Yuan et al. 2022; from memory of the paper"),
        Published("SPPIDER", "site AUPR", 0.230, "test60", "Yuan et al. 2022; from memory of the paper"),
    ),
    terms={
        "interface": "The patch of a protein's surface that touches another protein.",
        "Site AUPR": "How far up true interface residues stand when all residues are ranked by their chance. Guessing "
        "gives the share of interface residues, about 0.16.",
        "Site MCC": "How well what is said and what is true go together: 1 is perfect, 0 is guessing.",
    },
    limits=(
        "Trained on chains of complexes in the PDB: partners that hold each other only for a moment, antibodies and "
        "membrane proteins are rare there. It does not say who the partner is."
    ),
)

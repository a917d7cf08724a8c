"""Lists by which screening is judged: binders and decoys of many targets, and the proteins that they belong to.

    dude   DUD-E, 20 of its targets (Mysinger et al. 2012, J. Med. Chem. 55:6582): decoys presumed
    dud    DUD, 21 targets (Huang et al. 2006, J. Med. Chem. 49:6789): decoys presumed
    muv    MUV, 17 assays (Rohrer & Baumann 2009, J. Chem. Inf. Model. 49:169): decoys were measured, once
    bindingdb   two test parts of DrugBAN's table of BindingDB (Bai et al. 2023, Nature Machine Intelligence 5:126):
                every binder and every non-binder was measured, and both are often of one series

The first three name a target and give no sequence. Kinases are found by name among the targets of Davis, others among
the receptors that come with DUD-E; a target that is in neither cannot be asked about and is left out. A list is thinned
by drawing decoys: each then stands for so many, which the scores count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy
import polars
from numpy.typing import NDArray

from anfinsen.data.draw import draw_places
from anfinsen.sets.binders import bindingdb
from anfinsen.sets.catalog import Table
from anfinsen.structure.protein import Protein

KINASES: Mapping[str, str] = {
    "cdk2": "CDK2", "egfr": "EGFR", "fgfr1": "FGFR1", "p38": "p38-alpha", "pdgfrb": "PDGFRB", "src": "SRC",
    "vegfr2": "VEGFR2", "fak1": "FAK", "mapk2": "MAPKAPK2", "rock1": "ROCK1",
    "548": "PKAC-alpha", "644": "ROCK2", "689": "EPHA4", "810": "FAK",
}  # fmt: skip
"""Targets that are kinases, and their names in Davis; numbers are assays of MUV."""
RECEPTORS: Mapping[str, str] = {
    **{name: name for name in ("ada", "comt", "def", "glcm", "grik1", "hivint", "hs90a", "nram", "pa2ga", "pur2")},
    **{"sahh": "sahh", "cox2": "pgh2", "fxa": "fa10", "hivrt": "hivrt", "na": "nram", "652": "hivrt", "712": "hs90a"},
}
"""Other targets, and the receptor of DUD-E that is, or is a close relative of, each."""
DECOYS = 2000
"""Decoys of a target that are drawn."""
_SOURCES = {
    "dude": ("dude20", "github.com/sivanovMU-Sofia/isomerization", "GPL-3.0 repository; lists of DUD-E"),
    "dud": ("rdkit_dud_muv", "github.com/rdkit/benchmarking_platform", "BSD-3-Clause"),
    "muv": ("rdkit_dud_muv", "github.com/rdkit/benchmarking_platform", "BSD-3-Clause"),
}
MEASURED = "bindingdb"
"""The list that tells binders from measured non-binders, and is too short for scores that look at the top alone."""
SETS = (*_SOURCES, MEASURED)
"""The lists, in the order in which they are printed."""
FEWEST = (10, 5)
"""Binders and non-binders that were measured of a protein at least, for it to be a target."""


@dataclass(frozen=True)
class Target:
    """One target with N molecules of its list."""

    name: str
    protein: Protein
    is_kinase: bool
    smiles: tuple[str, ...]
    active: NDArray[numpy.bool_]
    weight: NDArray[numpy.float64]
    """(N,) how many molecules of the whole list each stands for."""


def load_targets(name: str, *, decoys: int = DECOYS, seed: int = 1) -> tuple[list[Target], list[str]]:
    """The targets of a list whose sequence is known, and the names of those that are left out."""
    if name == MEASURED:
        return _measured(), []
    file, source, licence = _SOURCES[name]
    rows = _read(f"screening/{file}.parquet", f"screening list {name}", source, licence)
    if "set" in rows.columns:
        rows = rows.filter(polars.col("set") == name.upper())
    sequences = _sequences()
    found, left = [], []
    for target in sorted(set(rows["target"])):
        if target not in sequences:
            left.append(target)
            continue
        own = rows.filter(polars.col("target") == target).unique("smiles", keep="first", maintain_order=True)
        actives, others = (own.filter(polars.col("label") == label)["smiles"].to_list() for label in (1, 0))
        drawn = draw_places(len(others), decoys, seed=[seed, *target.encode()])
        active = numpy.arange(len(actives) + len(drawn)) < len(actives)
        weight = numpy.where(active, 1.0, len(others) / max(len(drawn), 1))
        smiles = (*actives, *(others[at] for at in drawn))
        found.append(Target(target, sequences[target], target in KINASES, smiles, active, weight))
    return found, left


def _measured() -> list[Target]:
    """Proteins of BindingDB with enough of both; a pair that stands in both parts counts once."""
    labels: dict[str, dict[str, bool]] = {}
    for table in (bindingdb("random"), bindingdb("cluster")):
        for drug, protein, value in zip(table.drug, table.protein, table.value, strict=True):
            labels.setdefault(table.proteins[protein].sequence, {})[table.smiles[drug]] = bool(value > 0)
    found: list[Target] = []
    for sequence, own in sorted(labels.items()):
        active = numpy.array(list(own.values()))
        if active.sum() >= FEWEST[0] and (~active).sum() >= FEWEST[1]:
            name = f"protein {len(found) + 1}"
            found.append(Target(name, Protein(name, sequence), False, tuple(own), active, numpy.ones(len(own))))
    return found


def _sequences() -> dict[str, Protein]:
    davis = _read("dta_davis/targets.parquet", "Davis", "github.com/hkmztrk/DeepDTA", "none stated")
    receptors = _read(
        "screening/dude_receptors.parquet", "receptors of DUD-E", "shape-restrained-haddocking", "Apache-2"
    )
    by_name = dict(davis.select("target_id", "sequence").iter_rows())
    longest = dict(receptors.sort("length").select("target", "seq").iter_rows())
    found = {target: by_name[one] for target, one in KINASES.items() if one in by_name}
    found |= {target: longest[one] for target, one in RECEPTORS.items() if one in longest}
    return {target: Protein(id=target, sequence=sequence) for target, sequence in found.items()}


def _read(files: str, title: str, source: str, licence: str) -> polars.DataFrame:
    (path,) = Table(files, {}, title, source, licence).paths()
    return polars.read_parquet(path)

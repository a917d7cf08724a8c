"""Chains with what they hold: structures whose bound ligands are known, atom by atom.

    sites.parquet + sites_more.parquet -> load_holo(split) -> Holo, Holo, ...

A `Holo` is a protein with its backbone and author numbering, a '1' for every residue that touches a ligand, and the
ligands' atoms in the frame of the backbone. Buffers, water, sugars of the surface and cryoprotectants do not count as
ligands; single metal ions are not among them either. Touching means 4.0 Å between heavy atoms, or, in chains of which
only CA atoms are known, 6.5 Å to CA. Clusters are of about 35 to 40 % identity and none of them crosses two splits.
Chains of COACH420 entries are left out, so that it stays a test that nobody has trained on. It knows no task.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy
import polars
from numpy.typing import NDArray
from scipy.spatial import KDTree

from anfinsen.errors import UnknownNameError
from anfinsen.sets.catalog import Table, data_folder
from anfinsen.sets.coordinates import ATOMS, CHAINS, REBUILT, Kind
from anfinsen.structure import backbone as space
from anfinsen.structure.backbone import Backbone, find_breaks
from anfinsen.structure.protein import Protein

Floats = NDArray[numpy.float32]

SITES = Table(
    "ligand_sites/sites*.parquet",
    {"train": ("train",), "valid": ("val",), "test": ("test",)},
    "935 chains with bound ligands",
    "the wwPDB, by way of the repositories listed in the structure notes",
    "coordinates: CC0 1.0",
    sequence="seq",
    value="label",
)
"""The tables; every row says its split."""
HEAVY, TRACE = 4.0, 6.5
"""Ångström from a ligand at which a residue touches it: between heavy atoms, or to CA where only that is known."""
_TRACES = "ppi_sites_graphppis/chains.parquet"
_BENCHMARK = "ligand_sites/coach420_pdb_ids.txt"
_MISSING, _PER_ANGSTROM = -32768, 100


@dataclass(frozen=True, eq=False)
class Ligand:
    """One copy of a ligand."""

    name: str
    """The code of the chemical component, such as HEM."""
    points: Floats
    """Its heavy atoms in ångström, (A, 3)."""


@dataclass(frozen=True, eq=False)
class Holo:
    """A chain of L residues with the ligands that it holds."""

    protein: Protein
    label: str
    """'1' for each residue that touches a ligand, else '0', (L,)."""
    ligands: tuple[Ligand, ...]
    heavy: Floats
    """Every heavy atom of the chain in ångström, (A, 3); none where only CA atoms are known."""
    owners: NDArray[numpy.int64]
    """The residue of each heavy atom, (A,)."""
    cluster: int
    split: str

    def touching(self, ligand: Ligand) -> NDArray[numpy.bool_]:
        """Which residues touch one ligand, (L,), by the rule of the table."""
        assert self.protein.backbone is not None  # every row has coordinates
        tree = KDTree(ligand.points)
        touch = numpy.zeros(len(self.protein), dtype=bool)
        if len(self.heavy):
            touch[self.owners[tree.query(self.heavy)[0] <= HEAVY]] = True
            return touch
        alphas = self.protein.backbone.alphas
        known = ~numpy.isnan(alphas).any(-1)
        touch[known] = tree.query(alphas[known])[0] <= TRACE
        return touch


def load_holo(split: str) -> list[Holo]:
    """The chains of one split, in the order of the tables."""
    if split not in SITES.splits:
        raise UnknownNameError("split of the ligand sites", split, SITES.splits)
    rows = [row for row in _rows() if row["split"] in SITES.splits[split]]
    return [_holo(row, split) for row in rows]


def backbones_of(sequences: Collection[str]) -> dict[str, Backbone]:
    """A backbone for each of these sequences that a table of structures holds, residue for residue.

    Of several the one with most atoms is taken; traces of CA atoms that were rebuilt from distances come last. Tables
    that are not here are passed over.
    """
    wanted = polars.col("seq").is_in(list(sequences))
    found: dict[str, Backbone] = {}
    for table in CHAINS:
        if table.is_here():
            rows = polars.concat([polars.scan_parquet(path).filter(wanted) for path in table.paths()]).collect()
            for row in sorted(rows.iter_rows(named=True), key=lambda row: (-_order(row), row["id"])):
                found.setdefault(row["seq"], _backbone(row["coords"], row["atoms"]))
    path = data_folder() / _TRACES
    if path.is_file():
        for sequence, coordinates in (
            polars.scan_parquet(path).filter(wanted).select("seq", "coords_ca").collect().rows()
        ):
            found.setdefault(sequence, _backbone(coordinates, "ca"))
    return found


def _order(row: Mapping[str, Any]) -> int:
    return 0 if row["source"] == REBUILT else len(ATOMS[row["atoms"]])


def excluded() -> frozenset[str]:
    """PDB entries of COACH420, in capitals; none where their list is not here."""
    path = data_folder() / _BENCHMARK
    return frozenset(path.read_text(encoding="ascii").upper().split()) if path.is_file() else frozenset()


@cache
def _tables(paths: tuple[str, ...]) -> polars.DataFrame:
    return polars.concat([polars.read_parquet(path) for path in paths])


def _rows() -> Iterator[Mapping[str, Any]]:
    barred = excluded()
    for row in _tables(tuple(map(str, SITES.paths()))).iter_rows(named=True):
        if not row["in_coach420"] and row["pdb"].upper() not in barred:
            yield row


def _holo(row: Mapping[str, Any], split: str) -> Holo:
    numbers = numpy.frombuffer(row["resnum"], "<i4").tolist()
    codes = row["icodes"] or "-" * len(numbers)
    numbering = tuple(f"{one}{'' if code == '-' else code}" for one, code in zip(numbers, codes, strict=True))
    backbone = _backbone(row["coords"], row["atoms"])
    owners = numpy.frombuffer(row["heavy_res"] or b"", "<i2").astype(numpy.int64)
    return Holo(
        Protein(row["id"], row["seq"], source="ligand_sites", numbering=numbering, backbone=backbone),
        row["label"],
        tuple(Ligand(name, _points(one)) for name, one in zip(row["lig_names"], row["lig_coords"], strict=True)),
        _points(row["heavy_coords"] or b""),
        owners,
        int(row["cluster"]),
        split,
    )


def _backbone(stored: bytes, kind: Kind) -> Backbone:
    names = ATOMS[kind]
    table = _points(stored).reshape(-1, len(names), 3)
    points = numpy.full((len(table), len(space.ATOMS), 3), numpy.nan, dtype=numpy.float32)
    for column, name in enumerate(names):
        points[:, space.ATOMS.index(name)] = table[:, column]
    return Backbone(points, find_breaks(points), "experimental")


def _points(stored: bytes) -> Floats:
    """Coordinates in ångström about the table's own centre, (A, 3), NaN where missing."""
    raw = numpy.frombuffer(stored, "<i2").reshape(-1, 3)
    found: Floats = numpy.where(raw == _MISSING, numpy.nan, raw / _PER_ANGSTROM).astype(numpy.float32)
    return found

"""Tables of measured mutations: deep mutational scans of one protein each, and stability changes of many.

    scans (TEM-1, PABP, GFP, Bgl3)          wild type, variants, effects of one experiment
    stability (S2648, PTmul, FireProtDB)    protein, variant, ddG in kcal/mol, negative = stabilising; pH, temperature

The three tables of stability hold the same proteins in part: proteins are joined to families by their sequences, and a
family stands in one split only. It knows no score and no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy
import polars
from numpy.typing import NDArray

from anfinsen.data.draw import draw_places
from anfinsen.data.variants import SEPARATOR, Substitution, Variant, parse_variant
from anfinsen.errors import InputError, MissingDataError
from anfinsen.kinship.alignment import aligned
from anfinsen.kinship.relatives import Relatives
from anfinsen.kinship.splits import group_split
from anfinsen.sets.catalog import Table

WILD_TYPES = Table(
    "mutations/wild_types.parquet",
    {},
    "wild types of the deep mutational scans",
    "github.com/gitter-lab/nn4dms and facebookresearch/esm",
    "MIT",
)
_PRODDG = ("github.com/ivankovlab/proddg", "none stated")
STABILITY = (
    Table("mutations/ddg_s2648.parquet", {}, "single mutants of S2648 (Dehouck et al. 2009)", *_PRODDG),
    Table("mutations/ddg_ptmul_multi.parquet", {}, "multiple mutants of PTmul (Montanucci et al. 2019)", *_PRODDG),
    Table(
        "mutations/ddg_fireprot_conditions.parquet",
        {},
        "single mutants of FireProtDB (Stourac et al. 2021)",
        "github.com/Kuhlman-Lab/ThermoMPNN",
        "MIT",
    ),
)
FAMILY = 0.25
"""Identity at which two proteins are of one family and stay in one split."""
SHARES = (0.6, 0.2, 0.2)
_SEED = 1


@dataclass(frozen=True)
class Assay:
    """One deep mutational scan: where its table lies, which of its variants are scored, what others reach."""

    split: str
    table: Table
    published: tuple[tuple[str, float], ...] = ()
    most_changes: int | None = None
    note: str = ""
    supervised: tuple[tuple[str, float], ...] = ()


def _table(name: str, title: str, source: str) -> Table:
    return Table(f"mutations/{name}.parquet", {}, title, source, "MIT")


_NN4DMS = "github.com/gitter-lab/nn4dms"
_PAB1 = _table("pab1", "RNA-binding domain of yeast PABP (Melamed et al. 2013)", _NN4DMS)
TEM1 = Assay(
    "TEM-1",
    _table("blat_ecolx_stiffler2015", "TEM-1 beta-lactamase (Stiffler et al. 2015)", "facebookresearch/esm"),
    (("ESM-2 8M", 0.399), ("ESM-2 35M", 0.557), ("site-independent (ProteinGym)", 0.466)),
    supervised=(("one-hot (ProteinGym)", 0.749), ("ProteinNPT", 0.914)),
)
PABP = Assay(
    "PABP",
    _PAB1,
    (("ESM-2 8M", 0.476), ("ESM-2 35M", 0.566), ("site-independent (ProteinGym)", 0.663)),
    note="single and double mutants, as in ProteinGym; the table has the 75 residues of one domain, "
    "which is all that our model reads, while the published models read the whole protein",
)
PABP_SINGLES = Assay(
    "PABP single mutants",
    _PAB1,
    most_changes=1,
    note="the same domain alone; no published figure to compare",
    supervised=(("one-hot (ProteinGym)", 0.695), ("ProteinNPT", 0.843)),
)
GFP = Assay(
    "GFP",
    _table("avgfp", "green fluorescent protein (Sarkisyan et al. 2016)", _NN4DMS),
    (("ESM-2 8M", 0.078), ("ESM-2 35M", 0.131), ("site-independent (ProteinGym)", 0.649)),
    supervised=(("one-hot (ProteinGym)", 0.441), ("ProteinNPT", 0.583)),
)
BGL3 = Assay("Bgl3", _table("bgl3", "beta-glucosidase Bgl3 (Romero et al. 2015)", _NN4DMS))
ASSAYS = (TEM1, PABP, PABP_SINGLES, GFP)
"""The scans that are judged."""


@dataclass(frozen=True)
class Measured:
    """A wild type (L residues), its variants (V) and what was measured of each (V,)."""

    wild_type: str
    variants: list[Variant]
    effects: NDArray[numpy.float64]


def read_scan(assay: Assay, limit: int | None = None, *, most_changes: int | None = None) -> Measured:
    """The variants of one scan, numbered on its wild type, or a fixed random draw of `limit` of them."""
    (path,), (known,) = assay.table.paths(), WILD_TYPES.paths()
    wild = polars.read_parquet(known).filter(polars.col("assay") == assay.table.name)
    if not len(wild):
        raise MissingDataError(
            f"'{WILD_TYPES.files}' has no wild type for '{assay.table.name}'.",
            remedy=f"Get the table again from {WILD_TYPES.source}.",
        )
    rows, most = polars.read_parquet(path), most_changes or assay.most_changes
    if most is not None:
        rows = rows.filter(polars.col("num_mutations") <= most)
    chosen = draw_places(len(rows), limit)
    sequence, first = wild["wt_sequence"].item(), int(wild["numbering_offset"].item())
    texts = rows["variant"].to_list()
    variants = [parse_variant(texts[index].replace(",", SEPARATOR), sequence, first=first) for index in chosen]
    return Measured(sequence, variants, rows["score"].to_numpy()[chosen])


# Stability ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """One measured change of stability: ddG in kcal/mol, negative = the variant is more stable."""

    sequence: str
    variant: Variant
    ddg: float
    source: str
    conditions: Mapping[str, float] = field(default_factory=dict)


def read_changes() -> list[Change]:
    """Every row of the three tables whose wild type stands where it should, in the order of the files."""
    found: list[Change] = []
    for table in STABILITY:
        (path,) = table.paths()
        for row in polars.read_parquet(path).iter_rows(named=True):
            given = (("ph", row.get("pH")), ("temperature", row.get("T")))
            conditions = {name: float(value) for name, value in given if value is not None}
            try:
                if "pdb_sequence" in row:
                    sequence, variant = row["pdb_sequence"], _on_construct(row)
                else:
                    sequence = row["wt_sequence"]
                    variant = parse_variant(row["mutation"].replace("/", SEPARATOR), sequence)
            except InputError:
                continue  # a residue that the measured chain does not have: the row cannot be placed
            found.append(Change(sequence, variant, float(row["ddG"]), table.name, conditions))
    return found


def families(sequences: list[str]) -> NDArray[numpy.int64]:
    """The family of each sequence: the same number for relatives."""
    return Relatives(sequences).families(FAMILY)


def deal(changes: list[Change]) -> tuple[NDArray[numpy.int64], NDArray[numpy.str_]]:
    """The family and the split (train, valid or test) of each row; the same rows are always dealt the same."""
    unique = sorted({change.sequence for change in changes})
    number = dict(zip(unique, families(unique).tolist(), strict=True))
    member = numpy.array([number[change.sequence] for change in changes], dtype=numpy.int64)
    return member, group_split(member.tolist(), shares=SHARES, seed=_SEED).names


def _on_construct(row: Mapping[str, object]) -> Variant:
    """The mutation of a FireProtDB row, numbered on the chain that was measured instead of its precursor."""
    place = _places(str(row["pdb_sequence"]), str(row["sequence"])).get(int(str(row["position"])), 0)
    text = str(Substitution(place, str(row["wild_type"]), str(row["mutation"])))
    return parse_variant(text, str(row["pdb_sequence"]))


@cache
def _places(chain: str, precursor: str) -> dict[int, int]:
    """For residues of a precursor, their 1-based number on the chain that was cut from it."""
    start = precursor.find(chain)
    if start >= 0:
        return {start + at: at for at in range(1, len(chain) + 1)}
    return {there + 1: at for at, there in enumerate(aligned(chain, precursor).tolist(), 1) if there >= 0}

"""Who binds at all, and how a series of like molecules ranks: public tables that no affinity model here was made from.

    BIOSNAP    yes or no for drugs and human proteins, with five splits: MolTrans (Huang et al. 2021, Bioinformatics
               37:830) and DrugBAN (Bai et al. 2023, Nature Machine Intelligence 5:126)
    BindingDB  two test parts of DrugBAN's table, for a model that was trained elsewhere
    FEP        measured free energies of binding of series of like molecules, each on one protein
               (Ross et al. 2023, Communications Chemistry 6:222)

Of BIOSNAP the tests are whole, but a part of the training pairs could not be had, so figures on it are a little lower
than they could be. In its cluster split the training found here shares drugs and proteins with the test; pairs that do
are not trained on, so that both sides of a test pair are new, though a relative may be known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import polars
from numpy.typing import NDArray

from anfinsen.errors import UnknownNameError
from anfinsen.kinship.splits import LEFT_OUT, TEST, TRAIN, Places, Split
from anfinsen.sets.affinity import Affinities
from anfinsen.sets.catalog import Table
from anfinsen.structure.protein import Protein

CLUSTER = "cluster"
"""The split of BIOSNAP in which both sides are new."""
COLUMNS = {
    "random": "moltrans_full_data",
    "unseen-drug": "moltrans_unseen_drug",
    "unseen-protein": "moltrans_unseen_protein",
    CLUSTER: "drugban_cluster",
}
"""The splits of BIOSNAP by our names, the easiest first, and their columns."""
_TAUGHT, _ASKED = ("train", "val", "source_train"), ("test", "target_test")
_BIOSNAP = Table(
    "dti_biosnap/pairs.parquet",
    {},
    "BIOSNAP: 4,505 drugs and 2,179 proteins, binder or not",
    "github.com/kexinhuang12345/MolTrans and github.com/peizhenbai/DrugBAN",
    "BSD-3 (MolTrans), MIT (DrugBAN)",
)
_BINDINGDB = Table(
    "dti_bindingdb_partial/*.parquet",
    {},
    "BindingDB: two test parts, binder or not",
    "github.com/peizhenbai/DrugBAN",
    "MIT (DrugBAN)",
)
_FEP = Table(
    "fep_benchmark/*.parquet",
    {},
    "FEP benchmark: series of like molecules with measured free energies",
    "github.com/schrodinger/public_binding_free_energy_benchmark",
    "MIT",
)


@dataclass(frozen=True)
class Series:
    """Like molecules that were measured on one protein."""

    name: str
    protein: Protein
    smiles: tuple[str, ...]
    tightness: NDArray[numpy.float64]
    """(n,) minus the free energy of binding, in kcal/mol: higher is tighter."""


def biosnap() -> Affinities:
    """All pairs; the value is 1 for a binder and 0 for none."""
    pairs = polars.read_parquet(_BIOSNAP.paths()[0])
    folder = _BIOSNAP.paths()[0].parent
    smiles = polars.read_parquet(folder / "drugs.parquet")["smiles"].to_list()
    chains = polars.read_parquet(folder / "targets.parquet")["sequence"].to_list()
    sides = pairs["drug_idx"].to_numpy(), pairs["target_idx"].to_numpy()
    return _table(smiles, chains, *sides, pairs["label"].to_numpy(), "biosnap")


def biosnap_split(found: Affinities, kind: str) -> Split:
    """Training and test pairs (P,) of BIOSNAP by our name of the split; what is neither is left out."""
    if kind not in COLUMNS:
        raise UnknownNameError("split of BIOSNAP", kind, COLUMNS)
    column = polars.read_parquet(_BIOSNAP.paths()[0])[COLUMNS[kind]]
    is_test = column.is_in(_ASKED).to_numpy()
    is_taught = column.is_in(_TAUGHT).to_numpy()
    told: tuple[str, ...] = ("A part of the published training pairs could not be had; the test is whole.",)
    if kind == CLUSTER:
        touches = [numpy.isin(side, side[is_test]) for side in (found.drug, found.protein)]
        dropped = is_taught & (touches[0] | touches[1])
        is_taught = is_taught & ~dropped
        told = (*told, f"{dropped.sum():,} training pairs share a drug or a protein with the test and are left out.")
    names = numpy.where(is_test, TEST, numpy.where(is_taught, TRAIN, LEFT_OUT))
    return Split(names, kind, {"column": COLUMNS[kind]}, told)


def bindingdb(part: str) -> Affinities:
    """One part of BindingDB, 'cluster' or 'random'; the value is 1 for a binder and 0 for none."""
    files = {path.stem.partition("_")[0]: path for path in _BINDINGDB.paths()}
    if part not in files:
        raise UnknownNameError("part of BindingDB", part, files)
    rows = polars.read_parquet(files[part])
    (smiles, drug), (chains, protein) = (_numbered(rows[column].to_list()) for column in ("SMILES", "Protein"))
    return _table(smiles, chains, drug, protein, rows["Y"].to_numpy(), "bindingdb")


def fep_series(fewest: int = 5) -> list[Series]:
    """Every series of at least so many molecules; of a protein with several chains the longest stands for it.

    A molecule that is listed in several poses or charges counts once, with the mean of its free energies.
    """
    folder = _FEP.paths()[0].parent
    chains = polars.read_parquet(folder / "proteins.parquet").sort("length", descending=True)
    longest = {row["system"]: row["seq"] for row in reversed(chains.select("system", "seq").to_dicts())}
    ligands = polars.read_parquet(folder / "ligands.parquet")
    mean = ligands.group_by("system", "smiles", maintain_order=True).agg(polars.col("dG_kcal_mol").mean())
    found = []
    for (name,), group in mean.group_by("system", maintain_order=True):
        if len(group) >= fewest:
            protein = Protein(id=str(name), sequence=longest[name], source="fep")
            energies = group["dG_kcal_mol"].to_numpy().astype(numpy.float64)
            found.append(Series(str(name), protein, tuple(group["smiles"]), -energies))
    return found


def _numbered(texts: list[str]) -> tuple[list[str], Places]:
    """Each different text once, and which of them stands at each place."""
    number = {text: at for at, text in enumerate(dict.fromkeys(texts))}
    return list(number), numpy.array([number[text] for text in texts], dtype=numpy.int64)


def _table(
    smiles: list[str], chains: list[str], drug: Places, protein: Places, label: NDArray[numpy.int64], source: str
) -> Affinities:
    return Affinities(
        tuple(f"drug {at}" for at in range(len(smiles))),
        tuple(smiles),
        tuple(one.replace("@", "").replace("/", "").replace("\\", "") for one in smiles),
        tuple(Protein(id=f"protein {at}", sequence=chain, source=source) for at, chain in enumerate(chains)),
        drug.astype(numpy.int64),
        protein.astype(numpy.int64),
        label.astype(numpy.float64),
        numpy.zeros(len(label), dtype=numpy.int64),
    )

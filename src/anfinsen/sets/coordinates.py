"""Chains with coordinates from the public tables: who they are, where their atoms are, which residues are missing.

    chains.parquet + chains_more.parquet + cameo2022_dev.csv -> load_chains(split) -> Chain, Chain, ...

A crystal does not show every residue. A `Chain` therefore counts twice: `sequence` holds the residues that were seen,
and `places` says where each of them stands in the molecule that was studied:

    whole      M S T L K G A      the molecule, where a table tells it (the CAMEO targets)
    sequence     S T     G A      what was seen
    places       1 2     5 6      where it stands

Where nobody tells the molecule, `places` follows the author's residue numbers, but only where the chain is visibly
broken: a number may also jump because two numbering schemes differ, and then nothing is missing.
It knows no network. The tables are described in their own notes; see `CHAINS` for the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy
import polars
from numpy.typing import NDArray

from anfinsen.errors import InputError, UnknownNameError
from anfinsen.sets.catalog import Table
from anfinsen.structure.backbone import Backbone, find_breaks
from anfinsen.structure.geometry import beta_carbons

Floats = NDArray[numpy.float32]
Places = NDArray[numpy.int64]
Kind = Literal["bb5", "bb3", "ca"]
"""Which atoms a chain has: backbone with CB, backbone without O and CB, or CA alone."""

KINDS: tuple[Kind, ...] = get_args(Kind)
ATOMS: Mapping[Kind, tuple[str, ...]] = {"bb5": ("N", "CA", "C", "O", "CB"), "bb3": ("N", "CA", "C"), "ca": ("CA",)}
"""The atoms of each kind, in the order in which a table holds them."""
STEP = 4.2
"""Ångström between neighbouring CA atoms above which a chain is broken (a step has 3.8)."""
REBUILT = "graphppis_mds"
"""The source whose CA atoms were rebuilt from distances, so that a chain may be its own mirror image."""

_SPLITS = {"train": ("train",), "valid": ("val",), "test": ("test",)}
_SOURCE = "the wwPDB, by way of the repositories listed in the structure notes"
_LICENCE = "coordinates: CC0 1.0"
CHAINS = tuple(
    Table(f"structures/{name}.parquet", _SPLITS, title, _SOURCE, _LICENCE, sequence="seq")
    for name, title in (
        ("chains", "4,270 protein chains with coordinates"),
        ("chains_more", "951 more protein chains with a whole backbone"),
    )
)
"""The tables of chains. Clusters are of about 35 to 40 % identity, and none of them crosses two splits."""
TARGETS = Table(
    "structures/cameo2022_dev.csv",
    {},
    "50 CAMEO targets of August to October 2022",
    "bjing2016/EigenFold",
    "MIT; coordinates CC0 1.0",
)
"""The targets that are open for development, with the sequences of the whole molecules."""

_MISSING = -32768
_PER_ANGSTROM = 100
_PREFIX = "eigenfold:"
_WORDS = re.compile(r"[\W_]+")
_ENTRY = re.compile(r"(?:pdb)?([1-9][A-Za-z0-9]{3})|d([1-9][a-z0-9]{3})[a-z0-9]")
"""A PDB entry, with a domain of SCOP around it or not."""


@dataclass(frozen=True, eq=False)
class Chain:
    """One protein chain of L residues that were seen, with their coordinates."""

    id: str
    """Name, as source:entry and chain."""
    sequence: str
    """The residues that were seen, L letters."""
    atoms: Mapping[str, Floats]
    """Coordinates by atom name, each (L, 3) in ångström, NaN where missing."""
    numbers: Places
    """The author's residue numbers, (L,)."""
    insertions: str
    """The author's insertion codes, a letter a residue, '-' where there is none; '' for none at all."""
    whole: str | None
    """Every residue of the molecule that was studied, where a table tells it."""
    places: Places
    """Where each residue stands, (L,), rising: in `whole`, or counted from the first residue that was seen."""
    kind: Kind
    """Which atoms it has."""
    source: str
    """Whose collection it comes from."""
    cluster: int
    """The number of its homology cluster."""
    split: str
    """'train', 'valid' or 'test'; a cluster is never in two."""
    is_representative: bool
    """Whether it stands for its cluster in the non-redundant set."""
    is_target: bool
    """Whether it is one of the CAMEO targets that are open for development."""

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def is_rebuilt(self) -> bool:
        """Whether its atoms were rebuilt from distances, so that only distances may be learnt from it."""
        return self.source == REBUILT

    @property
    def betas(self) -> Floats | None:
        """CB of each residue, (L, 3), placed where it was not measured; None of a chain that has CA alone."""
        if "N" not in self.atoms:
            return None
        placed = beta_carbons(self.atoms["N"], self.atoms["CA"], self.atoms["C"], self.atoms.get("CB"))
        return placed.astype(numpy.float32)

    @property
    def backbone(self) -> Backbone:
        """The chain as any structure is: for graphs, scores and folds."""
        points = _stack(self.atoms)
        return Backbone(points, find_breaks(points), "experimental")


def _stack(atoms: Mapping[str, Floats]) -> Floats:
    """The atoms of each residue in a backbone's order, (L, 5, 3), NaN where a table has none."""
    nowhere = numpy.full_like(atoms["CA"], numpy.nan)
    return numpy.stack([atoms.get(name, nowhere) for name in ATOMS["bb5"]], axis=1)


def called(name: str) -> str:
    """A chain of the tables as its readers know it: PDB entry and chain, without whose collection it comes from.

    >>> called("cgdms:1ZEI_A"), called("eigenfold:3o44.A"), called("scop_foldseek:d1or4a_:B")
    ('1ZEI, chain A', '3O44, chain A', '1OR4, chain B')
    >>> called("tests_protein_seq_des:tim10:A"), called("mine")
    ('tim10:A', 'mine')
    """
    words = _WORDS.split(name)
    for place, word in enumerate(words):
        if found := _ENTRY.fullmatch(word):
            entry = (found[1] or found[2]).upper()
            return f"{entry}, chain {words[-1]}" if words[place + 1 :] and words[-1] else entry
    return name.partition(":")[2].rstrip(":") or name


def load_chains(
    split: str, *, kinds: Sequence[Kind] = KINDS, representatives: bool = False, targets: bool = False
) -> list[Chain]:
    """The chains of one split in the order of the tables, of these `kinds`.

    `representatives` keeps one chain a cluster (of kind 'bb5': over both tables; of several kinds a cluster may
    have one of each), `targets` keeps the CAMEO targets. Raises `MissingDataError` where a table is not here.
    """
    if split not in _SPLITS:
        raise UnknownNameError("split of the chains", split, _SPLITS)
    chosen = polars.col("split").is_in(_SPLITS[split]) & polars.col("atoms").is_in(kinds)
    if representatives:
        chosen &= polars.col("representative")
    if targets:
        chosen &= polars.col("cameo2022_dev")
    tables = [polars.scan_parquet(path).filter(chosen) for table in CHAINS for path in table.paths()]
    rows = polars.concat(tables).collect()
    wholes = _wholes() if rows["cameo2022_dev"].any() else {}
    return [_chain(row, split, wholes) for row in rows.iter_rows(named=True)]


def _wholes() -> dict[str, str]:
    """The whole sequence of each CAMEO target by its id."""
    (path,) = TARGETS.paths()
    rows = polars.read_csv(path, columns=["name", "seqres"])
    return {_PREFIX + name.removesuffix(".pdb"): whole for name, whole in rows.iter_rows()}


def _chain(row: Mapping[str, Any], split: str, wholes: Mapping[str, str]) -> Chain:
    atoms = _atoms(row)
    numbers = numpy.frombuffer(row["resnum"], "<i4").astype(numpy.int64)
    whole = wholes.get(row["id"])
    places = count_places(numbers, atoms["CA"]) if whole is None else find_places(row["seq"], numbers, whole)
    if places is None:
        raise InputError(
            "The residues with coordinates are not found in the whole sequence.",
            remedy="Get the tables of chains and of targets again, both of one release.",
            file=TARGETS.files,
            record=row["id"],
        )
    return Chain(
        id=row["id"],
        sequence=row["seq"],
        atoms=atoms,
        numbers=numbers,
        insertions=row["icodes"],
        whole=whole,
        places=places,
        kind=row["atoms"],
        source=row["source"],
        cluster=row["cluster"],
        split=split,
        is_representative=row["representative"],
        is_target=row["cameo2022_dev"],
    )


def _atoms(row: Mapping[str, Any]) -> dict[str, Floats]:
    """Coordinates by atom: int16 in hundredths of an ångström from `center`, -32768 for a missing atom."""
    names = ATOMS[row["atoms"]]
    packed = numpy.frombuffer(row["coords"], "<i2").reshape(-1, len(names), 3)
    points = (packed / _PER_ANGSTROM + numpy.array(row["center"])).astype(numpy.float32)
    points[packed == _MISSING] = numpy.nan
    return {name: points[:, place] for place, name in enumerate(names)}


def count_places(numbers: Places, alphas: Floats) -> Places:
    """Where each residue stands, counted from the first, (L,): a jump of the numbers counts where the chain is broken.

    An unknown CA atom counts as a break.
    """
    jumps = numpy.diff(numbers)
    is_joined = numpy.linalg.norm(numpy.diff(alphas, axis=0), axis=-1) <= STEP
    steps = numpy.where(is_joined, 1, numpy.maximum(jumps, 1))
    return numpy.concatenate(([0], steps.cumsum())).astype(numpy.int64)


def find_places(sequence: str, numbers: Places, whole: str) -> Places | None:
    """Where the residues stand in `whole`, (L,): the first place at which the numbers fit and every letter agrees."""
    seen, letters = numpy.array(list(sequence)), numpy.array(list(whole))
    relative: Places = numbers - numbers[0]
    if (numpy.diff(relative) < 1).any():
        return None
    for start in range(len(whole) - int(relative[-1])):
        places: Places = relative + start
        if (letters[places] == seen).all():
            return places
    return None

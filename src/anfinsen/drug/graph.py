"""A molecule as a graph: what each atom is and how it is bound, as small whole numbers.

    formulas -> a limited child process with RDKit -> `MoleculeGraph` each -> `join` -> one graph of many molecules

    atom  element, bonds, hydrogens, charge, hybridisation, aromatic or not, the ring it stands in, handedness
    bond  single, double, triple or aromatic; in a ring or not; conjugated or not

Each number is a place in a short list, so a network keeps one vector for each. A bond stands twice, once for each
direction, and atoms stand in the order in which the standard formula writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from anfinsen.sandbox import run_limited

ELEMENTS = ("C", "N", "O", "S", "F", "Cl", "Br", "I", "P", "B")
"""Elements with a number of their own; all others share one."""
MOST_BONDS, MOST_HYDROGENS, MOST_CHARGE = 5, 4, 2
HYBRIDS = ("SP", "SP2", "SP3")
RINGS = (5, 6)
"""Sizes of rings that are told from other rings; an atom may stand in one of each."""
HANDS = 3
ATOM_KINDS = (
    len(ELEMENTS) + 1, MOST_BONDS + 1, MOST_HYDROGENS + 1, 2 * MOST_CHARGE + 1, len(HYBRIDS) + 1, 2,
    2 ** len(RINGS) + 1, HANDS,
)  # fmt: skip
"""How many values each of an atom's numbers has."""
BONDS = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")
BOND_KINDS = 4 * len(BONDS)
"""How many values a bond's number has."""
GROUP = 50
"""Molecules that go over to the child at once."""

Numbers = NDArray[numpy.int64]


@dataclass(frozen=True)
class MoleculeGraph:
    """A atoms and their bonds, each bond in both directions (E)."""

    atoms: Numbers
    """(A, len(ATOM_KINDS))"""
    edges: Numbers
    """(2, E) from and to."""
    bonds: Numbers
    """(E,)"""


@dataclass(frozen=True)
class Joined(MoleculeGraph):
    """The graphs of many molecules as one."""

    owner: Numbers
    """(A,) which molecule an atom belongs to."""
    count: int
    """Molecules."""


def graphs_of(formulas: Sequence[str]) -> list[MoleculeGraph]:
    """The graph of each standardised formula."""
    groups = (list(formulas[start : start + GROUP]) for start in range(0, len(formulas), GROUP))
    found = [one for group in groups for one in run_limited(study_graphs, group)]
    return [MoleculeGraph(*(numpy.asarray(part, dtype=numpy.int64) for part in one)) for one in found]


def join(graphs: Sequence[MoleculeGraph]) -> Joined:
    """Some graphs side by side."""
    sizes = numpy.array([len(one.atoms) for one in graphs], dtype=numpy.int64)
    first = numpy.cumsum(sizes) - sizes
    return Joined(
        numpy.concatenate([one.atoms for one in graphs]),
        numpy.concatenate([one.edges + shift for one, shift in zip(graphs, first, strict=True)], axis=1),
        numpy.concatenate([one.bonds for one in graphs]),
        numpy.repeat(numpy.arange(len(graphs)), sizes),
        len(graphs),
    )


def study_graphs(formulas: list[str]) -> list[list[NDArray[numpy.int16]]]:
    """Atoms, edges and bonds of each standardised formula; for the child process."""
    from rdkit import Chem

    return [_graph(Chem.MolFromSmiles(formula)) for formula in formulas]


def _graph(molecule: Any) -> list[NDArray[numpy.int16]]:
    edges, kinds = [], []
    for bond in molecule.GetBonds():
        one, other = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        kind = _place(BONDS, str(bond.GetBondType())) % len(BONDS)  # a rare bond, as to a metal, counts as a single one
        edges += [(one, other), (other, one)]
        kinds += [4 * kind + 2 * bond.IsInRing() + bond.GetIsConjugated()] * 2
    return [
        numpy.array([_atom(atom) for atom in molecule.GetAtoms()], dtype=numpy.int16),
        numpy.array(edges, dtype=numpy.int16).reshape(-1, 2).T.copy(),
        numpy.array(kinds, dtype=numpy.int16),
    ]


def _atom(atom: Any) -> list[int]:
    rings = sum(2**at for at, size in enumerate(RINGS) if atom.IsInRingSize(size))
    return [
        _place(ELEMENTS, atom.GetSymbol()),
        min(atom.GetDegree(), MOST_BONDS),
        min(atom.GetTotalNumHs(), MOST_HYDROGENS),
        min(max(atom.GetFormalCharge(), -MOST_CHARGE), MOST_CHARGE) + MOST_CHARGE,
        _place(HYBRIDS, str(atom.GetHybridization())),
        int(atom.GetIsAromatic()),
        2 ** len(RINGS) if atom.IsInRing() and not rings else rings,
        int(atom.GetChiralTag()) % HANDS,
    ]


def _place(names: Sequence[str], name: str) -> int:
    """Where a name stands, behind the last where it does not."""
    return names.index(name) if name in names else len(names)

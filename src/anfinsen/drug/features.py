"""Atoms, bonds and fragments as numbers: what a network reads of a molecule.

    atoms      element, neighbours, hydrogens, charge, aromatic, in a ring
    bonds      order, in a ring, conjugated
    fragments  how often each circle of atoms up to radius 2 occurs (Morgan, ECFP4: Rogers & Hahn 2010, J. Chem. Inf.
               Model. 50:742), and each pair of atoms at its distance (Carhart et al. 1985), hashed to `BITS` numbers

Only a child process calls `numbers_of`; the sizes are for everybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anfinsen.drug.molecule import Molecule

ELEMENTS = ("B", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I")
"""Elements with a number of their own; all others share the last one."""
ATOM_SIZES = (len(ELEMENTS) + 1, 6, 5, 5, 2, 2)
"""How many values each property of an atom can take."""
BOND_SIZES = (4, 2, 2)
"""How many values each property of a bond can take."""
BITS = 2048
"""Numbers to which the fragments of one kind are hashed."""
KINDS = 2
"""Kinds of fragments."""

_ORDERS = {1.0: 0, 2.0: 1, 3.0: 2, 1.5: 3}
_MOST_CHARGE = 2


def numbers_of(molecule: Any) -> dict[str, NDArray[Any]]:
    """Atoms (A, 6), edges (2, E), bonds (E, 3) and fragments (K, 2) of an RDKit molecule."""
    atoms = [
        (
            ELEMENTS.index(atom.GetSymbol()) if atom.GetSymbol() in ELEMENTS else len(ELEMENTS),
            min(atom.GetDegree(), ATOM_SIZES[1] - 1),
            min(atom.GetTotalNumHs(), ATOM_SIZES[2] - 1),
            max(-_MOST_CHARGE, min(atom.GetFormalCharge(), _MOST_CHARGE)) + _MOST_CHARGE,
            int(atom.GetIsAromatic()),
            int(atom.IsInRing()),
        )
        for atom in molecule.GetAtoms()
    ]
    edges, bonds = [], []
    for bond in molecule.GetBonds():
        start, end = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        kind = (_ORDERS.get(bond.GetBondTypeAsDouble(), 0), int(bond.IsInRing()), int(bond.GetIsConjugated()))
        edges += [(start, end), (end, start)]
        bonds += [kind, kind]
    return {
        "atoms": numpy.array(atoms, dtype=numpy.uint8),
        "edges": numpy.array(edges, dtype=numpy.int16).reshape(-1, 2).T.copy(),
        "bonds": numpy.array(bonds, dtype=numpy.uint8).reshape(-1, len(BOND_SIZES)),
        "fragments": _fragments(molecule),
    }


def fragments_without(smiles: str) -> list[NDArray[numpy.int32]]:
    """For each atom of a standardised formula the fragments (K, 2) that are left when it is hidden."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    left = []
    for atom in range(molecule.GetNumAtoms()):
        rest = [other for other in range(molecule.GetNumAtoms()) if other != atom]
        hidden = Chem.RWMol(molecule)
        hidden.GetAtomWithIdx(atom).SetAtomicNum(0)
        hidden.UpdatePropertyCache(strict=False)
        left.append(_fragments(hidden, rest))
    return left


def _fragments(molecule: Any, centres: list[int] | None = None) -> NDArray[numpy.int32]:
    """Numbers and counts of the fragments around some atoms, around all if none are given: (K, 2)."""
    from rdkit.Chem import rdFingerprintGenerator

    makers = (
        rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS),
        rdFingerprintGenerator.GetAtomPairGenerator(fpSize=BITS),
    )
    asked: dict[str, Any] = {} if centres is None else {"fromAtoms": centres}
    counts = numpy.concatenate([maker.GetCountFingerprintAsNumPy(molecule, **asked) for maker in makers])
    there = numpy.flatnonzero(counts)
    return numpy.stack((there, counts[there]), 1).astype(numpy.int32)


def fingerprints(molecules: Sequence[Molecule]) -> NDArray[numpy.float32]:
    """How often each fragment occurs in each molecule: (M, KINDS * BITS)."""
    rows = numpy.zeros((len(molecules), KINDS * BITS), dtype=numpy.float32)
    for row, molecule in zip(rows, molecules, strict=True):
        row[molecule.fragments[:, 0]] = molecule.fragments[:, 1]
    return rows

"""Atoms, bonds and fragments as numbers: what a network reads of a molecule.

    atoms      element, neighbours, hydrogens, charge, aromatic, in a ring
    bonds      order, in a ring, conjugated
    fragments  how often each circle of atoms up to radius 2 occurs (Morgan, ECFP4: Rogers & Hahn 2010, J. Chem. Inf.
               Model. 50:742), and each pair of atoms at its distance (Carhart et al. 1985), hashed to `BITS` numbers

Only a child process calls `numbers_of`; the sizes are for everybody.
"""

from __future__ import annotations

from functools import cache
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

_PLACES = dict(zip((5, 6, 7, 8, 9, 15, 16, 17, 35, 53), range(len(ELEMENTS)), strict=True))
"""Where an element stands in `ELEMENTS`, by its atomic number."""
_ORDERS = {1.0: 0, 2.0: 1, 3.0: 2, 1.5: 3}
_MOST_CHARGE = 2


def numbers_of(molecule: Any) -> dict[str, NDArray[Any]]:
    """Atoms (A, 6), edges (2, E), bonds (E, 3) and fragments (K, 2) of an RDKit molecule."""
    atoms, edges, bonds = [], [], []
    for at in range(molecule.GetNumAtoms()):
        atom = molecule.GetAtomWithIdx(at)
        charge = atom.GetFormalCharge()
        atoms.append(
            (
                _PLACES.get(atom.GetAtomicNum(), len(ELEMENTS)),
                min(atom.GetDegree(), ATOM_SIZES[1] - 1),
                min(atom.GetTotalNumHs(), ATOM_SIZES[2] - 1),
                max(-_MOST_CHARGE, min(charge, _MOST_CHARGE)) + _MOST_CHARGE,
                atom.GetIsAromatic(),
                atom.IsInRing(),
            )
        )
    for at in range(molecule.GetNumBonds()):
        bond = molecule.GetBondWithIdx(at)
        start, end = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        kind = (_ORDERS.get(bond.GetBondTypeAsDouble(), 0), bond.IsInRing(), bond.GetIsConjugated())
        edges += [(start, end), (end, start)]
        bonds += [kind, kind]
    return {
        "atoms": numpy.array(atoms, dtype=numpy.uint8),
        "edges": numpy.array(edges, dtype=numpy.int16).reshape(-1, 2).T.copy(),
        "bonds": numpy.array(bonds, dtype=numpy.uint8).reshape(-1, len(BOND_SIZES)),
        "fragments": _fragments(molecule),
    }


def fragments_hidden(smiles: str, hidden: list[list[int]]) -> list[NDArray[numpy.int32]]:
    """For each set of atoms of a standardised formula the fragments (K, 2) that are left when they are hidden."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    left = []
    for atoms in hidden:
        rest = sorted(set(range(molecule.GetNumAtoms())) - set(atoms))
        if not rest:  # RDKit takes an empty list of centres for all of them
            left.append(numpy.zeros((0, 2), dtype=numpy.int32))
            continue
        copy = Chem.RWMol(molecule)
        for atom in atoms:
            copy.GetAtomWithIdx(atom).SetAtomicNum(0)
        copy.UpdatePropertyCache(strict=False)
        left.append(_fragments(copy, rest if atoms else None))
    return left


def _fragments(molecule: Any, centres: list[int] | None = None) -> NDArray[numpy.int32]:
    """Numbers and counts of the fragments around some atoms, around all if none are given: (K, 2)."""
    asked: dict[str, Any] = {} if centres is None else {"fromAtoms": centres}
    counts: list[tuple[int, int]] = []
    for kind, maker in enumerate(_makers()):
        found: dict[int, int] = maker.GetCountFingerprint(molecule, **asked).GetNonzeroElements()
        counts += [(kind * BITS + number, count) for number, count in sorted(found.items())]
    return numpy.array(counts, dtype=numpy.int32).reshape(-1, 2)


@cache
def _makers() -> tuple[Any, ...]:
    """What cuts a molecule into fragments, one for each kind."""
    from rdkit.Chem import rdFingerprintGenerator

    return (
        rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS),
        rdFingerprintGenerator.GetAtomPairGenerator(fpSize=BITS),
    )


def fingerprints(molecules: Sequence[Molecule]) -> NDArray[numpy.float32]:
    """How often each fragment occurs in each molecule: (M, KINDS * BITS)."""
    rows = numpy.zeros((len(molecules), KINDS * BITS), dtype=numpy.float32)
    for row, molecule in zip(rows, molecules, strict=True):
        row[molecule.fragments[:, 0]] = molecule.fragments[:, 1]
    return rows


def likeness(one: NDArray[numpy.float32], known: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    """Tanimoto likeness of circles of atoms (ECFP4) between `fingerprints` (m, .) and (K, .): (m, K)."""
    a, b = ((rows[:, :BITS] > 0).astype(numpy.float32) for rows in (one, known))
    shared = a @ b.T
    alike: NDArray[numpy.float32] = shared / numpy.maximum(a.sum(1)[:, None] + b.sum(1) - shared, 1)
    return alike

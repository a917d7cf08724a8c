"""A molecule as numbers and in parts: its fragments, which the models read, and the pieces that a reason names.

    fragments  how often each circle of atoms up to radius 2 occurs (Morgan, ECFP4: Rogers & Hahn 2010, J. Chem. Inf.
               Model. 50:742), and each pair of atoms at its distance (Carhart et al. 1985), hashed to `BITS` numbers
    pieces     the atoms of each ring system, and of each chain between or beside rings

What is given an RDKit molecule or a formula runs in a child process; `fingerprints` and `likeness` are for everybody.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anfinsen.drug.molecule import Molecule

BITS = 2048
"""Numbers to which the fragments of one kind are hashed."""
KINDS = 2
"""Kinds of fragments."""


def elements(smiles: str) -> list[str]:
    """The element of each atom of a standardised formula, in its order."""
    from rdkit import Chem

    return [atom.GetSymbol() for atom in Chem.MolFromSmiles(smiles).GetAtoms()]


def pieces(smiles: str) -> list[list[int]]:
    """The atoms of each ring system and of each chain of a standardised formula, in the order of their first atoms."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    # within a ring system bonds lie in rings; any other bond of a ring's atom, as in biphenyl, parts two pieces
    borders = [
        bond.GetIdx()
        for bond in molecule.GetBonds()
        if not bond.IsInRing() and (bond.GetBeginAtom().IsInRing() or bond.GetEndAtom().IsInRing())
    ]
    parted = Chem.FragmentOnBonds(molecule, borders, addDummies=False) if borders else molecule
    return sorted(sorted(piece) for piece in Chem.GetMolFrags(parted))


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
        left.append(fragments_of(copy, rest if atoms else None))
    return left


def circles_shared(smiles: str, circles: list[int]) -> list[float]:
    """For each atom of a standardised formula the share of the circles around it whose numbers are among some.

    Circles of the atom alone are left out, since any two molecules have some of them in common.
    """
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator

    molecule, told = Chem.MolFromSmiles(smiles), rdFingerprintGenerator.AdditionalOutput()
    told.AllocateBitInfoMap()
    _makers()[0].GetFingerprint(molecule, additionalOutput=told)
    drawn, shared, asked = numpy.zeros(molecule.GetNumAtoms()), numpy.zeros(molecule.GetNumAtoms()), set(circles)
    for number, places in told.GetBitInfoMap().items():
        for atom, radius in places:
            drawn[atom] += radius > 0
            shared[atom] += radius > 0 and number in asked
    found: list[float] = (shared / numpy.maximum(drawn, 1)).tolist()
    return found


def fragments_of(molecule: Any, centres: list[int] | None = None) -> NDArray[numpy.int32]:
    """Numbers and counts of the fragments around some atoms, around all if none are given: (K, 2)."""
    asked: dict[str, Any] = {} if centres is None else {"fromAtoms": centres}
    counts = numpy.concatenate([maker.GetCountFingerprintAsNumPy(molecule, **asked) for maker in _makers()])
    found = numpy.flatnonzero(counts)
    return numpy.stack((found, counts[found]), 1).astype(numpy.int32)


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

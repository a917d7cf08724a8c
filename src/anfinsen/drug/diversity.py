"""Families in a ranking: the best molecule leads, and what is like it stands behind it.

    formulas, best first -> circles of atoms (ECFP4) -> leaders, each unlike all before it -> family of every molecule

Sphere exclusion (Hudson et al. 1996, Quant. Struct.-Act. Relat. 15:285) as RDKit's LeaderPicker does it: it keeps the
order of the ranking, which a choice for variety alone (MaxMin) would give up. Only a child process calls
`families_of`.
"""

from __future__ import annotations

from collections.abc import Sequence

from anfinsen.sandbox import run_limited

ALIKE = 0.5
"""Tanimoto likeness from which a molecule belongs to a family."""
_SECONDS = 120


def families(smiles: Sequence[str], count: int, alike: float = ALIKE) -> tuple[list[int], list[int]]:
    """Places of at most `count` leaders, and of each molecule its leader's number, -1 for those like none of them."""
    if not smiles:
        return [], []
    leaders, family = run_limited(families_of, list(smiles), count, alike, seconds=_SECONDS)
    return list(leaders), list(family)


def families_of(smiles: list[str], count: int, alike: float) -> list[list[int]]:
    """What the child does."""
    from rdkit import Chem, DataStructs, rdBase
    from rdkit.Chem import rdFingerprintGenerator
    from rdkit.SimDivFilters.rdSimDivPickers import LeaderPicker

    rdBase.DisableLog("rdApp.*")
    maker = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [maker.GetFingerprint(Chem.MolFromSmiles(text)) for text in smiles]
    leaders = list(LeaderPicker().LazyBitVectorPick(prints, len(prints), 1 - alike, pickSize=min(count, len(prints))))
    best, family = [alike - 1e-9] * len(prints), [-1] * len(prints)
    for number, leader in enumerate(leaders):
        for at, one in enumerate(DataStructs.BulkTanimotoSimilarity(prints[leader], prints)):
            if one > best[at]:
                best[at], family[at] = one, number
    return [leaders, family]

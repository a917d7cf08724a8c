"""Changing a molecule as chemists do: one small step, or one piece against another.

    parents -> every step that applies (a ring carbon to nitrogen, a fluorine, a shorter linker ...)
            -> every cut where chemists could join (BRICS: Degen et al. 2008, ChemMedChem 3:1503), another piece put on
            -> children, each with its parent and the step's name, a seeded draw of them

The steps are those of matched molecular pairs and bioisosteres that any medicinal chemist would try (Meanwell 2011,
J. Med. Chem. 54:2529), each with the reason why. A step says what may change for the better, never that it will. Only
a child process calls what is marked; it knows no protein.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from anfinsen.sandbox import run_limited


@dataclass(frozen=True)
class Step:
    """One kind of change: its name, why chemists try it, and how it is written (reaction SMARTS)."""

    name: str
    reason: str
    pattern: str


_FLAT, _POLAR, _GREASE, _GUARD = (
    "a small group may fill a gap beside the ring",
    "a polar group may find a hydrogen bond and helps it to dissolve",
    "fat groups like fatty pockets",
    "it often slows down breakdown in the liver",
)
_ADDED = {
    "F": ("fluorine", _GUARD), "Cl": ("chlorine", _GREASE), "C": ("methyl", _FLAT), "C#N": ("nitrile", _POLAR),
    "OC": ("methoxy", _FLAT), "C(F)(F)F": ("trifluoromethyl", _GREASE), "O": ("hydroxyl", _POLAR),
    "N": ("amine", _POLAR), "C(N)=O": ("amide", _POLAR), "S(C)(=O)=O": ("methyl sulfone", _POLAR),
    "OCC": ("ethoxy", _GREASE), "N(C)C": ("dimethylamine", _POLAR),
}  # fmt: skip
_CHANGES = (
    Step("ring carbon to nitrogen", "it makes the ring less fatty and may find a hydrogen bond", "[cH;r6:1]>>[n;H0:1]"),
    Step("ring nitrogen to carbon", "a nitrogen that finds no partner only costs water", "[n;H0;X2;r6:1]>>[cH:1]"),
    Step(
        "ether to amine",
        "an N-H can give a hydrogen bond where O cannot",
        "[#6;!$(C=O):1]-[O;X2;!R:2]-[#6;!$(C=O):3]>>[#6:1]-[NH:2]-[#6:3]",
    ),
    Step(
        "amine to ether", "one hydrogen less to strip of water", "[#6;!$(C=O):1]-[NH;X3;!R:2]-[c:3]>>[#6:1]-[O:2]-[c:3]"
    ),
    Step("ether to methylene", _GREASE, "[#6;!$(C=O):1]-[O;X2;!R:2]-[c:3]>>[#6:1]-[CH2:2]-[c:3]"),
    Step(
        "methyl on nitrogen",
        "it hides a hydrogen from water and turns the bond",
        "[#6:1]-[NH;X3;!R:2]-[#6:3]>>[#6:1]-[N:2](C)-[#6:3]",
    ),
    Step(
        "methyl off nitrogen", "an N-H can give a hydrogen bond", "[#6:1]-[N;X3:2](-[CH3])-[#6:3]>>[#6:1]-[NH:2]-[#6:3]"
    ),
    Step(
        "amide turned round",
        "the same shape, its hydrogen bonds swapped",
        "[#6:1][C;!R:2](=[O:3])[NH;!R:4][#6:5]>>[#6:1][NH:4][C:2](=[O:3])[#6:5]",
    ),
    Step("methoxy to ethoxy", _GREASE, "[O;X2:1]-[CH3:2]>>[O:1]-[CH2:2]C"),
    Step("methoxy to hydroxyl", _POLAR, "[O;X2:1]-[CH3]>>[OH:1]"),
    Step("methoxy to difluoromethoxy", _GUARD, "[O;X2:1]-[CH3:2]>>[O:1]-[CH:2](F)F"),
    Step("methyl to trifluoromethyl", _GUARD, "[c:1]-[CH3:2]>>[c:1]-[C:2](F)(F)F"),
    Step("methyl off the ring", "what does not fit is better left away", "[c:1]-[CH3]>>[cH:1]"),
    Step("halogen off the ring", "what does not fit is better left away", "[c:1]-[F,Cl,Br,I]>>[cH:1]"),
    Step("halogen to fluorine", "smaller, and it keeps the charge", "[c:1]-[Cl,Br,I]>>[c:1]F"),
    Step("halogen to chlorine", _GREASE, "[c:1]-[F,Br,I]>>[c:1]Cl"),
    Step("halogen to methyl", "the same size without the charge", "[c:1]-[F,Cl,Br,I]>>[c:1]C"),
    Step("halogen to nitrile", _POLAR, "[c:1]-[F,Cl,Br,I]>>[c:1]C#N"),
    Step(
        "chain shorter by one",
        "a stiffer molecule pays less to bind",
        "[C;X4:1]-[CH2;!R]-[#6,N,O;!$(C=O):2]>>[C:1]-[*:2]",
    ),
    Step("chain longer by one", "it may reach further", "[CH2;!R:1]-[#6,N,O:2]>>[CH2:1]C[*:2]"),
    Step(
        "morpholine to methylpiperazine",
        "a base that is charged in water helps it to dissolve",
        "[C:1][O;r6;X2:2][C:3]>>[C:1][N:2](C)[C:3]",
    ),
    Step(
        "piperazine to morpholine",
        "less charge passes membranes more easily",
        "[CH2;r6:1][N;r6;X3:2](-[CH3,H])[CH2;r6:3]>>[CH2:1][O:2][CH2:3]",
    ),
    Step(
        "ester to amide",
        "amides outlive esters in blood",
        "[#6:1][C:2](=[O:3])[O;X2;!R:4][#6:5]>>[#6:1][C:2](=[O:3])[NH:4][#6:5]",
    ),
    Step("nitro to nitrile", "nitro groups harm; a nitrile is as polar", "[c:1]-[N+](=O)[O-]>>[c:1]C#N"),
    Step("acid to tetrazole", "as sour, but it passes membranes more easily", "[#6:1]-C(=O)[OH]>>[#6:1]-c1nnn[nH]1"),
)
STEPS: dict[str, Step] = {step.name: step for step in _CHANGES} | {
    f"{name} on the ring": Step(f"{name} on the ring", reason, f"[cH:1]>>[c:1]{group}")
    for group, (name, reason) in _ADDED.items()
}
"""Every step by name."""
PIECES = {
    "C": "methyl", "CC": "ethyl", "C(C)C": "isopropyl", "C1CC1": "cyclopropyl", "CC(F)(F)F": "trifluoroethyl",
    "C1CCC1": "cyclobutyl", "C1CCOCC1": "tetrahydropyran", "C1CCNCC1": "piperidine", "C1CCN(C)CC1": "methylpiperidine",
    "N1CCOCC1": "morpholine", "N1CCN(C)CC1": "methylpiperazine", "N1CCCC1": "pyrrolidine",
    "N1CCC(O)CC1": "hydroxypiperidine", "NC": "methylamine", "N(C)C": "dimethylamine", "NCCO": "aminoethanol",
    "NCCOC": "methoxyethylamine", "OC": "methoxy", "OCC": "ethoxy", "OCCO": "hydroxyethoxy", "OCCOC": "methoxyethoxy",
    "OCCN(C)C": "dimethylaminoethoxy", "OC(C)C": "isopropoxy", "c1ccccc1": "phenyl", "c1ccncc1": "4-pyridyl",
    "c1cccnc1": "3-pyridyl", "c1ccccn1": "2-pyridyl", "c1ccc(F)cc1": "4-fluorophenyl",
    "c1ccc(Cl)cc1": "4-chlorophenyl", "c1cccc(F)c1": "3-fluorophenyl", "c1cccc(Cl)c1": "3-chlorophenyl",
    "c1cnn(C)c1": "methylpyrazole", "c1cc[nH]n1": "pyrazole", "c1ncc[nH]1": "imidazole", "c1ccsc1": "thiophene",
    "c1ccoc1": "furan", "c1cnc(N)nc1": "aminopyrimidine", "C(=O)NC": "methylamide", "C(=O)N(C)C": "dimethylamide",
    "C(=O)N1CCOCC1": "morpholine amide", "NC(C)=O": "acetamide", "NS(C)(=O)=O": "methanesulfonamide",
    "S(C)(=O)=O": "methyl sulfone", "C#N": "nitrile",
}  # fmt: skip
"""Pieces that are put on where a molecule was cut, and their names; each is joined by its first atom."""
SWAP = "piece exchanged"
_SWAP_REASON = "another piece at a bond that chemists can make may fill the pocket better"
_MOST_FROM_ONE = 400
_SECONDS = 60
_CARBON = 6


def reason_of(name: str) -> str:
    """Why chemists try a step.

    >>> reason_of("fluorine on the ring")
    'it often slows down breakdown in the liver'
    """
    return STEPS[name].reason if name in STEPS else _SWAP_REASON


def vary(parents: Sequence[str], count: int, seed: int) -> list[tuple[str, int, str]]:
    """At most `count` children as (formula, place of the parent, name of the step): a seeded draw of all there are."""
    found = run_limited(children_of, list(parents), count, seed, seconds=_SECONDS)
    return [(smiles, parent, step) for smiles, parent, step in found]


def changed_atoms(seed: str, smiles: str) -> list[float]:
    """1 for each atom of a formula that the seed does not share, in the order of the formula."""
    found: list[float] = run_limited(atoms_unlike, seed, smiles, seconds=_SECONDS)
    return found


def children_of(parents: list[str], count: int, seed: int) -> list[list[Any]]:
    """What the child does."""
    import random

    from rdkit import Chem, rdBase

    rdBase.DisableLog("rdApp.*")
    draw = random.Random(seed)
    pieces = [(text, Chem.MolFromSmiles(text)) for text in PIECES]
    found: dict[str, tuple[int, str]] = {}
    for at, text in enumerate(parents):
        molecule = Chem.MolFromSmiles(text)
        own: dict[str, str] = {}
        for name, child in (*_stepped(molecule), *_swapped(molecule, pieces)):
            smiles = _sound(child)
            if smiles and smiles != text and smiles not in own:
                own[smiles] = name
        names = sorted(own)
        for smiles in draw.sample(names, min(len(names), _MOST_FROM_ONE)):
            found.setdefault(smiles, (at, own[smiles]))
    every = sorted(found)
    return [[smiles, *found[smiles]] for smiles in draw.sample(every, min(count, len(every)))]


def atoms_unlike(seed: str, smiles: str) -> list[float]:
    """What the child does: what is outside the largest part that both share."""
    from rdkit import Chem
    from rdkit.Chem import rdFMCS

    one, other = Chem.MolFromSmiles(smiles), Chem.MolFromSmiles(seed)
    shared: Any = rdFMCS.FindMCS([one, other], timeout=2, ringMatchesRingOnly=True, completeRingsOnly=True)
    pattern = Chem.MolFromSmarts(shared.smartsString) if shared.numAtoms else None
    same = set(one.GetSubstructMatch(pattern)) if pattern is not None else set()
    return [0.0 if at in same else 1.0 for at in range(one.GetNumAtoms())]


@cache
def _reactions() -> list[tuple[str, Any]]:
    from rdkit.Chem import rdChemReactions

    return [(step.name, rdChemReactions.ReactionFromSmarts(step.pattern)) for step in STEPS.values()]


def _stepped(molecule: Any) -> Iterator[tuple[str, Any]]:
    for name, reaction in _reactions():
        for (product,) in reaction.RunReactants((molecule,), maxProducts=30):
            yield name, product


def _swapped(molecule: Any, pieces: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The larger side of each cut with another piece in the place of the smaller one."""
    from rdkit import Chem
    from rdkit.Chem import BRICS

    for (begin, end), _ in BRICS.FindBRICSBonds(molecule):  # type: ignore[no-untyped-call]
        bond = molecule.GetBondBetweenAtoms(begin, end).GetIdx()
        cut = Chem.FragmentOnBonds(molecule, [bond], dummyLabels=[(0, 0)])
        sides = sorted(Chem.GetMolFrags(cut, asMols=True, sanitizeFrags=False), key=lambda one: -one.GetNumHeavyAtoms())
        if len(sides) != 2 or sides[1].GetNumHeavyAtoms() > sides[0].GetNumHeavyAtoms() / 2 + 1:
            continue
        (open_end,) = (atom for atom in sides[0].GetAtoms() if atom.GetAtomicNum() == 0)
        is_carbon = open_end.GetNeighbors()[0].GetAtomicNum() == _CARBON
        for text, piece in pieces:
            if not is_carbon and piece.GetAtomWithIdx(0).GetAtomicNum() != _CARBON:
                continue  # N-N, N-O and O-O bonds are no bonds of drugs
            yield f"{SWAP} for {PIECES[text]}", _joined(sides[0], piece)


def _joined(side: Any, piece: Any) -> Any:
    """A side whose open bond is closed by the first atom of a piece."""
    from rdkit import Chem

    both = Chem.RWMol(Chem.CombineMols(side, piece))
    (place,) = (atom for atom in both.GetAtoms() if atom.GetAtomicNum() == 0)
    (neighbour,) = place.GetNeighbors()
    both.AddBond(neighbour.GetIdx(), side.GetNumAtoms(), Chem.BondType.SINGLE)
    both.RemoveAtom(place.GetIdx())
    return both


def _sound(product: Any) -> str | None:
    """The formula of a product that can exist in one part; none otherwise."""
    from rdkit import Chem

    if Chem.SanitizeMol(product, catchErrors=True):
        return None
    text = Chem.MolToSmiles(product)
    again = Chem.MolFromSmiles(text)
    return None if again is None or "." in text else Chem.MolToSmiles(again)

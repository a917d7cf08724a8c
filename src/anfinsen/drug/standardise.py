"""One written formula or SDF record becomes one molecule in its standard form, and every change is said.

    salt, water, mixture   the largest part with carbon stays, the others are named
    charge                 taken off where a proton can do it
    isotope                its mark is taken off: no model here tells isotopes apart
    metal                  kept with a warning, for no model here has seen one; without any carbon it is refused
    too many atoms, '*', a wrong valence, no atoms       refused

Stereochemistry is kept as given. Runs in the child process only (see `molecule`), the only place that imports RDKit;
the canonical formula is written last, after the atoms were counted, since writing a giant one ends the process.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from anfinsen.drug.alerts import alerts_of
from anfinsen.drug.features import fragments_of
from anfinsen.drug.properties import properties_of
from anfinsen.errors import InputError
from anfinsen.limits import LIMITS

_METAL_NAMES = (
    "Li Na K Rb Cs Be Mg Ca Sr Ba Sc Ti V Cr Mn Fe Co Ni Cu Zn Y Zr Nb Mo Tc Ru Rh Pd Ag Cd Hf Ta W Re Os Ir Pt Au "
    "Hg Al Ga In Tl Sn Pb Bi La Ce Sm Gd Lu Ra Ac"
)
_METALS = frozenset(_METAL_NAMES.split())
_WATERS = {"O": "water", "[Na+]": "sodium", "[K+]": "potassium", "[Cl-]": "chloride", "Cl": "hydrogen chloride"}
_WATERS |= {"[Br-]": "bromide", "Br": "hydrogen bromide", "[Ca+2]": "calcium", "[Mg+2]": "magnesium"}
_ONE_FORM, _SULFUR = frozenset((6, 7, 8, 9, 17, 35, 53)), 16
"""Carbon, nitrogen, oxygen and the halogens, by their atomic numbers."""
_SHOWN = 60


def study(given: list[list[str]], is_judged: bool) -> list[dict[str, Any]]:
    """For each [text, kind] a molecule as plain values, or its refusal as {"reason", "remedy"}."""
    from rdkit import rdBase

    rdBase.DisableLog("rdApp.*")
    return [_study_one(text, kind, is_judged) for text, kind in given]


def _study_one(text: str, kind: str, is_judged: bool) -> dict[str, Any]:
    try:
        molecule, messages = standardised(text, kind)
    except InputError as error:
        return {"reason": error.reason, "remedy": error.remedy}
    numbers = {"heavy_atoms": molecule.GetNumAtoms(), "fragments": fragments_of(molecule)}
    answer: dict[str, Any] = {"messages": messages, **numbers, "properties": {}, "alerts": []}
    if is_judged:
        answer |= {"properties": properties_of(molecule), "alerts": alerts_of(molecule)}
    return answer | {"smiles": molecule.GetProp("canonical")}


def standardised(text: str, kind: str) -> tuple[Any, list[list[str]]]:
    """The RDKit molecule with its atoms in canonical order, and [level, text] of each change; raises InputError."""
    from rdkit import Chem

    molecule = _parsed(text, kind)
    _refuse_size(molecule)
    messages: list[list[str]] = []
    molecule = _without_isotopes(molecule, messages)
    molecule = _largest_part(molecule, messages)
    molecule, canonical = _uncharged(molecule, messages)
    _remark(molecule, messages)
    ordered = Chem.MolFromSmiles(canonical)
    if ordered is None:
        raise InputError(
            "Its standard form cannot be read again, so nothing could be said of it.",
            remedy="Write it as plain SMILES, without charges that no proton explains.",
        )
    ordered.SetProp("canonical", canonical)
    return ordered, messages


def _parsed(text: str, kind: str) -> Any:
    from rdkit import Chem

    molecule = _read(text, kind)
    if molecule is None:
        if kind == "block":
            wrong = "The record is no molecule: its table of atoms and bonds cannot be read."
            raise InputError(wrong, remedy="Export it again as a V2000 or V3000 molfile.")
        wrong = f"'{_shown(text)}' is no SMILES: rings, brackets or elements do not add up."
        raise InputError(wrong, remedy="Copy it again.")
    atoms = _atoms(molecule)
    if any(atom.GetAtomicNum() == 0 or atom.HasQuery() for atom in atoms):
        raise InputError(
            "It holds an atom that stands for any atom ('*' or R).", remedy="Write the one molecule that is meant."
        )
    _refuse_size(molecule)
    if Chem.SanitizeMol(molecule, catchErrors=True):
        for problem in Chem.DetectChemistryProblems(_read(text, kind)):
            raise InputError(f"It is no possible molecule: {_problem(problem)}.", remedy="Correct that atom or ring.")
    return Chem.RemoveHs(molecule) if any(atom.GetAtomicNum() == 1 for atom in atoms) else molecule


def _read(text: str, kind: str) -> Any:
    """The molecule as it is written, not yet judged; None where it cannot be read."""
    from rdkit import Chem

    if kind == "block":
        return Chem.MolFromMolBlock(text, sanitize=False, removeHs=False, strictParsing=True)
    settings = Chem.SmilesParserParams()
    settings.sanitize = settings.allowCXSMILES = settings.parseName = False  # type: ignore[assignment]  # RDKit types these wrongly
    return Chem.MolFromSmiles(text, settings)


def _atoms(molecule: Any) -> list[Any]:
    """Its atoms; RDKit's own sequence takes twice as long to walk along."""
    return [molecule.GetAtomWithIdx(at) for at in range(molecule.GetNumAtoms())]


def _problem(problem: Any) -> str:
    if problem.GetType() == "AtomValenceException":
        return f"atom {problem.GetAtomIdx() + 1} has more bonds than its element can form"
    if problem.GetType() == "KekulizeException":
        places = ", ".join(str(index + 1) for index in problem.GetAtomIndices())
        return f"the atoms {places} are written as aromatic (small letters) but their ring cannot be"
    return "an atom is written as aromatic (a small letter) outside a ring"


def _refuse_size(molecule: Any) -> None:
    heavy = molecule.GetNumHeavyAtoms()
    if heavy == 0:
        raise InputError("It has no atom but hydrogen.", remedy="Give a molecule with at least one carbon.")
    if heavy > LIMITS.heavy_atoms:
        raise InputError(
            f"It has {heavy:,} atoms besides hydrogen; the limit is {LIMITS.heavy_atoms}.",
            remedy="Give a small molecule; peptides and polymers are no drugs of the kind this model knows.",
        )


def _without_isotopes(molecule: Any, messages: list[list[str]]) -> Any:
    marked = [atom for atom in _atoms(molecule) if atom.GetIsotope()]
    if marked:
        names = sorted({f"{atom.GetIsotope()}{atom.GetSymbol()}" for atom in marked})
        for atom in marked:
            atom.SetIsotope(0)
        from rdkit import Chem

        molecule = Chem.RemoveHs(molecule)
        messages.append(
            ["mended", f"Isotope marks were taken off ({', '.join(names)}): models do not tell them apart."]
        )
    return molecule


def _largest_part(molecule: Any, messages: list[list[str]]) -> Any:
    from rdkit import Chem

    parts = list(Chem.GetMolFrags(molecule, asMols=True)) if len(Chem.GetMolFrags(molecule)) > 1 else [molecule]
    organic = [part for part in parts if any(atom.GetAtomicNum() == 6 for atom in _atoms(part))]
    if not organic:
        raise InputError("It holds no carbon.", remedy="Give an organic molecule; ions and metals are not judged.")
    if len(parts) == 1:
        return molecule
    written = {id(part): Chem.MolToSmiles(part) for part in parts}
    kept = max(organic, key=lambda part: (part.GetNumHeavyAtoms(), written[id(part)]))
    left = [written[id(part)] for part in parts if part is not kept]
    if left and set(left) == {written[id(kept)]}:
        messages.append(["mended", f"The same molecule was written {len(parts)} times; it is read once."])
    elif left:
        names = ", ".join(sorted({f"{_WATERS[one]} ({one})" if one in _WATERS else _shown(one) for one in left}))
        is_mixture = any(part is not kept and part.GetNumHeavyAtoms() > kept.GetNumHeavyAtoms() / 2 for part in organic)
        what = "It is a mixture; only the largest organic part is judged" if is_mixture else "A salt was removed"
        messages.append(["warning" if is_mixture else "mended", f"{what}; left out: {names}."])
    return kept


def _uncharged(molecule: Any, messages: list[list[str]]) -> tuple[Any, str]:
    """The molecule in its neutral, usual form, and that form written down."""
    from rdkit import Chem

    if all(map(_is_usual, _atoms(molecule))):  # no rule of the menders speaks of such atoms
        return molecule, Chem.MolToSmiles(molecule)
    normalizer, uncharger = _menders()
    normal = uncharger.uncharge(normalizer.normalize(molecule))
    canonical = Chem.MolToSmiles(normal)
    # atoms with the same charges and hydrogens are the same molecule; writing it down once more costs far more
    if _electrons(normal) != _electrons(molecule) and canonical != Chem.MolToSmiles(molecule):
        messages.append(["mended", "Charges or groups were written in their neutral, usual form."])
    return normal, canonical


def _is_usual(atom: Any) -> bool:
    """Whether it is uncharged and of an element that has one usual form: sulfur has several, beside three others."""
    number = atom.GetAtomicNum()
    return not atom.GetFormalCharge() and (number in _ONE_FORM or (number == _SULFUR and atom.GetDegree() != 3))


def _electrons(molecule: Any) -> list[tuple[int, int]]:
    return [(atom.GetFormalCharge(), atom.GetTotalNumHs()) for atom in _atoms(molecule)]


@cache
def _menders() -> tuple[Any, Any]:
    """Made once: their rules take longer to read than to apply."""
    from rdkit.Chem.MolStandardize import rdMolStandardize

    return rdMolStandardize.Normalizer(), rdMolStandardize.Uncharger()


def _remark(molecule: Any, messages: list[list[str]]) -> None:
    from rdkit import Chem

    atoms = _atoms(molecule)
    metals = sorted({atom.GetSymbol() for atom in atoms} & _METALS)
    if metals:
        messages.append(
            ["warning", f"It holds a metal ({', '.join(metals)}): outside training, so treat it as a guess."]
        )
    if any(atom.GetNumRadicalElectrons() for atom in atoms):
        messages.append(["warning", "It holds an atom with an unpaired electron (a radical); is a hydrogen missing?"])
    Chem.AssignStereochemistry(molecule, cleanIt=True, force=True, flagPossibleStereoCenters=True)
    open_centers = sum(atom.HasProp("_ChiralityPossible") and not atom.HasProp("_CIPCode") for atom in atoms)
    if open_centers:
        messages.append(["info", f"The hand of {open_centers} of its centres is not written, so it may be a mix."])


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

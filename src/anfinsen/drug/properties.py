"""Would it make a drug? Numbers that chemists ask for before they make a molecule.

Drug-likeness (QED: Bickerton et al. 2012, Nature Chemistry 4:90), Lipinski's rule of five (Lipinski et al. 1997, Adv.
Drug Deliv. Rev. 23:3) and the ease of its synthesis (SA score: Ertl & Schuffenhauer 2009, J. Cheminf. 1:8), as RDKit
computes them. All three are habits of known drugs and not laws: many good drugs break one. Only a child process calls
`properties_of`; the table of fragments that the SA score reads comes inside the RDKit package and is trusted as its
code is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEANINGS: Mapping[str, str] = {
    "weight": "Weight of one mole in grams. Above 500, few drugs are taken up by the gut.",
    "logp": "How much it prefers fat to water, as a power of ten (Crippen's estimate). Above 5 it hardly dissolves.",
    "donors": "Hydrogen atoms that it can share with water (N-H and O-H). More than 5 keep it out of cells.",
    "acceptors": "Nitrogen and oxygen atoms. More than 10 keep it out of cells.",
    "polar_area": "Polar surface in square angstrom. Above 140 few enter cells, above 90 few enter the brain.",
    "rotatable": "Bonds around which it can turn. More than 10 make tight binding costly.",
    "lipinski_broken": "How many of Lipinski's four limits it breaks (weight 500, logP 5, 5 donors, 10 acceptors).",
    "qed": "Drug-likeness from 0 to 1: how much its properties are those of known oral drugs.",
    "synthesis": "Ease of synthesis (SA score) from 1, easy, to 10, very hard; most drugs lie between 2 and 5.",
}
"""What each property means; the order is that of tables."""


def properties_of(molecule: Any) -> dict[str, float]:
    """The properties of an RDKit molecule, by name."""
    from rdkit.Chem import QED, rdMolDescriptors
    from rdkit.Contrib.SA_Score import sascorer

    weight, logp = rdMolDescriptors._CalcMolWt(molecule), rdMolDescriptors.CalcCrippenDescriptors(molecule)[0]
    donors, acceptors = rdMolDescriptors.CalcNumLipinskiHBD(molecule), rdMolDescriptors.CalcNumLipinskiHBA(molecule)
    return {
        "weight": round(weight, 2),
        "logp": round(logp, 2),
        "donors": float(donors),
        "acceptors": float(acceptors),
        "polar_area": round(rdMolDescriptors.CalcTPSA(molecule), 1),
        "rotatable": float(rdMolDescriptors.CalcNumRotatableBonds(molecule)),
        "lipinski_broken": float((weight > 500) + (logp > 5) + (donors > 5) + (acceptors > 10)),
        "qed": round(QED.qed(molecule), 3),  # type: ignore[no-untyped-call]
        "synthesis": round(sascorer.calculateScore(molecule), 2),
    }


def simple_properties(smiles: list[str]) -> list[list[float]]:
    """Nine numbers of each standardised formula that any chemist can count: what a probe of decoys looks at."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdMolDescriptors as count

    rdBase.DisableLog("rdApp.*")
    rows = []
    for text in smiles:
        molecule = Chem.MolFromSmiles(text)
        logp, refraction = count.CalcCrippenDescriptors(molecule)
        rows.append(
            [
                count._CalcMolWt(molecule), logp, refraction, float(count.CalcNumLipinskiHBD(molecule)),
                float(count.CalcNumLipinskiHBA(molecule)), count.CalcTPSA(molecule),
                float(count.CalcNumRotatableBonds(molecule)), float(count.CalcNumRings(molecule)),
                float(count.CalcNumAromaticRings(molecule)),
            ]
        )  # fmt: skip
    return rows

"""Fragments known for trouble: those that fool many assays (PAINS) and those that are unstable or toxic (Brenk).

PAINS: Baell & Holloway 2010, J. Med. Chem. 53:2719. Brenk: Brenk et al. 2008, ChemMedChem 3:435. Both as RDKit's
FilterCatalog keeps them. An alert is a reason to look and not a verdict: some good drugs raise one. Only a child
process calls `alerts_of`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

CATALOGS = {"PAINS": "often fools assays", "BRENK": "often unstable or toxic"}
"""The lists, and what their fragments are known for."""


def alerts_of(molecule: Any) -> list[list[Any]]:
    """Catalog, name and atoms (from 0) of each alert of an RDKit molecule."""
    found = []
    for name in CATALOGS:
        for entry in _catalog(name).GetMatches(molecule):
            atoms = sorted({pair[1] for match in entry.GetFilterMatches(molecule) for pair in match.atomPairs})
            found.append([name, entry.GetDescription(), atoms])
    return found


@cache
def _catalog(name: str) -> Any:
    from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

    return FilterCatalog(FilterCatalogParams(getattr(FilterCatalogParams.FilterCatalogs, name)))

"""What a sequence tells without any learning: hydropathy, charge and mass.

Hydropathy is the scale of Kyte & Doolittle (1982, J. Mol. Biol. 157:105), averaged over a window; charge counts
lysine and arginine against aspartate and glutamate and leaves histidine and the chain's ends out.
"""

from __future__ import annotations

from biotite.sequence import ProteinSequence

from anfinsen.data.alphabet import RESIDUES

HYDROPATHY = {
    "I": 4.5, "V": 4.2, "L": 3.8, "F": 2.8, "C": 2.5, "M": 1.9, "A": 1.8, "G": -0.4, "T": -0.7, "S": -0.8,
    "W": -0.9, "Y": -1.3, "P": -1.6, "H": -3.2, "E": -3.5, "Q": -3.5, "D": -3.5, "N": -3.5, "K": -3.9, "R": -4.5,
}  # fmt: skip
"""Kyte and Doolittle's value of each residue: positive avoids water, negative seeks it."""
CHARGE = {"K": 1, "R": 1, "D": -1, "E": -1}
"""Charge near pH 7."""
WINDOW = 9
"""Residues over which hydropathy is averaged."""


def hydropathy(sequence: str, window: int = WINDOW) -> list[float | None]:
    """The mean hydropathy around each of L residues, over fewer at the ends; None where no residue is known.

    >>> hydropathy("III", 1)
    [4.5, 4.5, 4.5]
    """
    reach = window // 2
    values = [HYDROPATHY.get(residue) for residue in sequence]
    means: list[float | None] = []
    for place in range(len(sequence)):
        known = [value for value in values[max(0, place - reach) : place + reach + 1] if value is not None]
        means.append(sum(known) / len(known) if known else None)
    return means


def charge(sequence: str) -> int:
    """Net charge near pH 7, histidine and the ends left out.

    >>> charge("KKD")
    1
    """
    return sum(CHARGE.get(residue, 0) for residue in sequence)


def kilodalton(sequence: str) -> float | None:
    """Mass of the bare chain; None where a residue is unknown."""
    if not sequence or not set(sequence) <= set(RESIDUES):
        return None
    return float(ProteinSequence(sequence).get_molecular_weight()) / 1000

"""What is known of one residue in the place of another before any network is asked: size, water, charge, habit.

    wild type, mutant, what surrounds the place -> terms (numbers) in named groups -> a weighted sum

Two families of terms stand here. `effect_terms` tell how likely a substitution is to harm; `state_terms` are
differences of a state, mutant less wild type, so that the way back has the same numbers with the other sign: whatever
is a weighted sum of them is antisymmetric by construction. Scales: octanol to water (Fauchere & Pliska 1983), volume in
cubic angstrom (Zamyatnin 1972), helix propensity in kcal/mol (Pace & Scholtz 1998), strand propensity in kcal/mol
(Minor & Kim 1994); swaps between relatives: BLOSUM62. It knows no weights: they are fitted, and lie in a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any, Self

import numpy
from biotite.sequence.align import SubstitutionMatrix
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.variants import Variant
from anfinsen.structure.titration import GROUPS

Floats = NDArray[numpy.floating[Any]]
Terms = dict[str, Floats]
"""Named groups of terms, each (..., k)."""

WATER = {
    "A": 0.31, "R": -1.01, "N": -0.60, "D": -0.77, "C": 1.54, "Q": -0.22, "E": -0.64, "G": 0.0, "H": 0.13, "I": 1.80,
    "L": 1.70, "K": -0.99, "M": 1.23, "F": 1.79, "P": 0.72, "S": -0.04, "T": 0.26, "W": 2.25, "Y": 0.96, "V": 1.22,
}  # fmt: skip
"""How much a side chain prefers octanol to water (log10 of the partition, less glycine's)."""
VOLUME = {
    "A": 88.6, "R": 173.4, "N": 114.1, "D": 111.1, "C": 108.5, "Q": 143.8, "E": 138.4, "G": 60.1, "H": 153.2,
    "I": 166.7, "L": 166.7, "K": 168.6, "M": 162.9, "F": 189.9, "P": 112.7, "S": 89.0, "T": 116.1, "W": 227.8,
    "Y": 193.6, "V": 140.0,
}  # fmt: skip
"""Volume of a residue in cubic angstrom."""
HELIX = {
    "A": 0.0, "L": 0.21, "R": 0.21, "M": 0.24, "K": 0.26, "Q": 0.39, "E": 0.40, "I": 0.41, "W": 0.49, "S": 0.50,
    "Y": 0.53, "F": 0.54, "H": 0.61, "V": 0.61, "N": 0.65, "T": 0.66, "C": 0.68, "D": 0.69, "G": 1.0, "P": 3.16,
}  # fmt: skip
"""What a residue costs a helix, in kcal/mol more than alanine."""
STRAND = {
    "T": 1.1, "I": 1.0, "Y": 0.96, "F": 0.86, "V": 0.82, "M": 0.72, "W": 0.54, "C": 0.52, "S": 0.70, "L": 0.51,
    "R": 0.45, "K": 0.27, "Q": 0.23, "N": -0.08, "H": -0.02, "E": 0.01, "A": 0.0, "D": -0.94, "G": -1.2, "P": -3.0,
}  # fmt: skip
"""What a residue gives a strand, in kcal/mol more than alanine; proline is put at the end of the scale."""
PH, CELSIUS = 7.0, 25.0
"""What is assumed where pH or temperature is not told."""
_CUBIC, _KELVIN = 60.0, 25.0
"""Units in which volumes and temperatures enter, so that all terms are of like size."""
_HELIX_MEAN, _STRAND_MEAN, _GRADE_MEAN = 0.37, 0.22, 5.0


def _scale(values: Mapping[str, float]) -> Floats:
    return numpy.array([values[residue] for residue in RESIDUES])


_WATER, _SIZE = _scale(WATER), _scale(VOLUME) / _CUBIC
_PROLINE, _GLYCINE = (numpy.array([float(one == residue) for one in RESIDUES]) for residue in "PG")
_MATRIX = SubstitutionMatrix.std_protein_matrix()
BLOSUM62: Floats = numpy.array([[_MATRIX.get_score(a, b) for b in RESIDUES] for a in RESIDUES], dtype=numpy.float64)
"""(20, 20), wild type by mutant, in the order of `RESIDUES`."""


@dataclass(frozen=True)
class Surroundings:
    """What a network says of P places whose own residue it does not see: mutant and wild type look alike to it.

    What a network does not answer is put at its mean, where it changes nothing.
    """

    log_likelihood: Floats
    """(P, 20) in the order of `RESIDUES`; 0 where unknown."""
    helix: Floats
    """(P,) chance of a helix less its mean."""
    strand: Floats
    """(P,) chance of a strand less its mean."""
    conservation: Floats
    """(P,) expected ConSurf grade less the middle one, in steps of two grades."""
    family: Floats
    """(P, 20) as `log_likelihood`, where the network has also heard what relatives have there; 0 where unknown."""

    @classmethod
    def of(
        cls,
        count: int,
        *,
        log_likelihood: Floats | None = None,
        structure: Floats | None = None,
        grade: Floats | None = None,
        family: Floats | None = None,
    ) -> Self:
        """From raw answers: log-probabilities (P, 20), chances of helix and strand (P, 2), grades 1 to 9 (P,).

        `family` are log-probabilities as well.
        """
        nothing, level = numpy.zeros(count), numpy.zeros((count, len(RESIDUES)))
        return cls(
            level if log_likelihood is None else log_likelihood,
            nothing if structure is None else structure[:, 0] - _HELIX_MEAN,
            nothing if structure is None else structure[:, 1] - _STRAND_MEAN,
            nothing if grade is None else (grade - _GRADE_MEAN) / 2,
            level if family is None else family,
        )

    def __len__(self) -> int:
        return len(self.helix)

    def at(self, places: Sequence[int] | slice) -> Surroundings:
        """Only these places."""
        chosen = slice(*places.indices(len(self))) if isinstance(places, slice) else list(places)
        return Surroundings(*(getattr(self, part.name)[chosen] for part in fields(self)))


@dataclass(frozen=True)
class Weights:
    """A fitted weighted sum of groups of terms, with how it was chosen; written by `benchmarks/mutations.py`."""

    groups: Mapping[str, tuple[float, ...]]
    about: Mapping[str, Any]

    def __call__(self, terms: Terms) -> Floats:
        """The sum, (...) for groups of shape (..., k)."""
        total: Floats = sum(terms[name] @ numpy.array(weights) for name, weights in self.groups.items())
        return total

    @classmethod
    def read(cls, package: str, name: str) -> Self:
        """From the file that lies beside the code that uses it."""
        found = json.loads(resources.files(package).joinpath(name).read_text(encoding="utf-8"))
        return cls({group: tuple(weights) for group, weights in found["groups"].items()}, found["about"])

    def to_text(self) -> str:
        """As JSON, the same for the same numbers."""
        return json.dumps({"groups": self.groups, "about": self.about}, indent=1, ensure_ascii=False) + "\n"


def places_of(letters: str) -> NDArray[numpy.int64]:
    """The number of each residue among the twenty, -1 where it is none of them."""
    return numpy.array([RESIDUES.find(letter) for letter in letters], dtype=numpy.int64)


def effect_terms(wild: NDArray[numpy.int64], around: Surroundings) -> Terms:
    """Terms of all twenty residues at each of P places, (P, 20, k) a group; all 0 for the wild type itself."""
    water, size = _WATER - _WATER[wild][:, None], _SIZE - _SIZE[wild][:, None]
    steps = numpy.stack([water, size, abs(water), abs(size)], axis=2)
    swap = (BLOSUM62[wild] - BLOSUM62[wild, wild][:, None])[:, :, None] / 4
    changed = (numpy.arange(len(RESIDUES)) != wild[:, None])[:, :, None].astype(numpy.float64)
    grade = around.conservation[:, None, None]
    ends = numpy.eye(len(RESIDUES))
    return {
        "relatives": swap,
        "size and water": steps,
        "residues": numpy.concatenate(
            [changed * ends[wild][:, None, :], changed * ends[None, :, :].repeat(len(wild), 0)], axis=2
        ),
        "family": _against(wild, around.family),
        "language model": _against(wild, around.log_likelihood),
        "conservation": numpy.concatenate([changed * grade, grade * steps, grade * swap], axis=2),
    }


def _against(wild: NDArray[numpy.int64], logs: Floats) -> Floats:
    """How much likelier each residue is than the wild type, halved so as to be of the size of one: (P, 20, 1)."""
    found: Floats = (logs - numpy.take_along_axis(logs, wild[:, None], axis=1))[:, :, None] / 2
    return found


def state_terms(
    wild: NDArray[numpy.int64],
    mutant: NDArray[numpy.int64],
    around: Surroundings,
    ph: float | None = None,
    celsius: float | None = None,
) -> Terms:
    """Terms of P substitutions, (P, k) a group, each mutant less wild type: the way back changes every sign."""
    ph, warmth = PH if ph is None else ph, ((CELSIUS if celsius is None else celsius) - CELSIUS) / _KELVIN
    water, size = _WATER[mutant] - _WATER[wild], _SIZE[mutant] - _SIZE[wild]
    both = numpy.stack([water, size], axis=1)
    habit = numpy.stack([scale[mutant] - scale[wild] for scale in (_scale(HELIX), _scale(STRAND))], axis=1)
    rare = numpy.stack([scale[mutant] - scale[wild] for scale in (_PROLINE, _GLYCINE)], axis=1)
    charge = _charges(ph) - _charges(PH)
    ends = numpy.eye(len(RESIDUES))
    rows = numpy.arange(len(wild))
    fold = numpy.concatenate([habit, rare, both], axis=1)
    return {
        "size and water": both,
        "residues": (ends[mutant] - ends[wild]) * 0.1,
        "secondary structure": 0.3
        * numpy.concatenate([around.helix[:, None] * fold, around.strand[:, None] * fold], axis=1),
        "language model": (around.log_likelihood[rows, mutant] - around.log_likelihood[rows, wild])[:, None] * 0.1,
        "conditions": 0.3
        * numpy.concatenate(
            [
                warmth * both,
                (charge[mutant] - charge[wild])[:, None],
                (abs(_charges(ph)) - abs(_charges(PH)))[[mutant, wild]].T @ numpy.array([[1.0], [-1.0]]),
            ],
            axis=1,
        ),
    }


def summed(terms: Terms) -> Terms:
    """The terms of a variant: those of its substitutions, added."""
    return {name: group.sum(0) for name, group in terms.items()}


def ends_of(variant: Variant) -> tuple[NDArray[numpy.int64], NDArray[numpy.int64]]:
    """The numbers of wild types and mutants of a variant, (P,) each."""
    return places_of("".join(one.wild_type for one in variant)), places_of("".join(one.mutant for one in variant))


def _charges(ph: float) -> Floats:
    """Mean charge of each of the twenty side chains at a pH, after Henderson and Hasselbalch."""
    found = numpy.zeros(len(RESIDUES))
    for number, residue in enumerate(RESIDUES):
        if residue in GROUPS:
            group = GROUPS[residue]
            found[number] = group.sign / (1 + 10 ** (group.sign * (ph - group.pka)))
    return found

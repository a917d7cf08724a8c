"""How a folded protein falls apart: heat, denaturant and pressure in one energy, after Gibbs and Helmholtz.

    G(T, c, P) = H (1 - T / Tm) + Cp (T - Tm - T ln(T / Tm))  -  m c  +  V (P - P0)        in kJ/mol
    folded     = 1 / (1 + exp(-G / RT))

G is the energy that it takes to unfold; where it is zero, half of the molecules are unfolded. Tm comes from outside.
Everything else is estimated from the length of the chain alone, by relations that were fitted to small proteins:
each is a `Quantity` with its published source and with the spread of real proteins around it, as a factor.

What is assumed, and fails where it is not so: the protein unfolds in one step and can fold back; Cp, m and V do not
change with temperature, denaturant or pressure; no ligand, partner or membrane holds it. It knows no network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.special import expit

GAS = 8.314462618e-3
"""The gas constant in kJ/(mol K); CODATA 2018."""
ZERO_CELSIUS = 273.15
AIR_PRESSURE = 0.101325
"""One atmosphere in MPa."""
ENTHALPY_AT = 60.0
"""The temperature, in °C, for which the enthalpies of proteins have been tabled."""
KILOJOULE = 4.184e-3
"""kJ in a calorie."""
NINETY = 1.6448536269514722
"""A normal variable is nine times in ten within so many standard deviations."""
SHORTEST, LONGEST = 50, 300
"""Residues of the proteins that unfold in one step and were tabled; a longer chain falls apart domain by domain."""
SEED = 20
LEAST = 0.1
"""No draw of an enthalpy goes below this share of the size relation: a protein that melts takes up heat."""

Numbers = float | NDArray[numpy.float64]


@dataclass(frozen=True)
class Quantity:
    """One constant of one protein: its value, and by what factor real proteins differ from it (a sigma of the log)."""

    name: str
    meaning: str
    value: float
    unit: str
    spread: float
    source: str
    is_thin: bool = False

    @property
    def low(self) -> float:
        """The lower end of the range that should hold the true value nine times in ten, by size."""
        return self.value * math.exp(-NINETY * self.spread)

    @property
    def high(self) -> float:
        """The upper end of that range, by size."""
        return self.value * math.exp(NINETY * self.spread)

    def to_json(self) -> dict[str, object]:
        """The form that behaviour.jsonl holds."""
        return {
            "name": self.name,
            "meaning": self.meaning,
            "value": round(self.value, 3),
            "low": round(min(self.low, self.high), 3),
            "high": round(max(self.low, self.high), 3),
            "unit": self.unit,
            "source": self.source,
            "thin_evidence": self.is_thin,
        }


def exposed_area(residues: int) -> float:
    """Surface that water reaches only after unfolding, in square angstrom (Myers, Pace & Scholtz 1995, eq. 1).

    >>> exposed_area(100)
    8393.0
    """
    return -907.0 + 93.0 * residues


def size_relations(length: int) -> dict[str, Quantity]:
    """The constants of a protein of so many residues; longer chains are counted as one domain of `LONGEST`.

    The spreads are those of the proteins in tests/reference/test_thermodynamics.py, rounded up.

    >>> {name: round(one.value, 1) for name, one in size_relations(100).items()}
    {'enthalpy': 292.0, 'heat_capacity': 5.8, 'urea': 5.4, 'guanidinium': 11.3, 'volume': -60.0}
    """
    residues = min(length, LONGEST)
    area = exposed_area(residues)
    robertson = "Robertson & Murphy 1997, Chem. Rev. 97:1251"
    myers = "Myers, Pace & Scholtz 1995, Protein Sci. 4:2138"
    found = (
        Quantity(
            "enthalpy", "heat that unfolding takes up at 60 °C", 2.92 * residues, "kJ/mol", 0.25,
            f"2.92 kJ/mol a residue; {robertson}",
        ),
        Quantity(
            "heat_capacity", "growth of that heat with each degree", 0.058 * residues, "kJ/(mol K)", 0.25,
            f"58 J/(mol K) a residue; {robertson}",
        ),
        Quantity(
            "urea", "stability lost with each mol/L of urea", (374 + 0.11 * area) * KILOJOULE, "kJ/(mol M)", 0.30,
            f"374 + 0.11 x area in cal/(mol M), area = 93 x residues - 907 Å²; {myers}", is_thin=True,
        ),
        Quantity(
            "guanidinium", "stability lost with each mol/L of guanidinium chloride",
            (859 + 0.22 * area) * KILOJOULE, "kJ/(mol M)", 0.35,
            f"859 + 0.22 x area in cal/(mol M), area = 93 x residues - 907 Å²; {myers}", is_thin=True,
        ),
        Quantity(
            "volume", "change of volume when it unfolds", -60.0, "mL/mol", 0.60,
            "middle of a published range of about -20 to -160 mL/mol without a clear relation to size; "
            "Royer 2002, Biochim. Biophys. Acta 1595:201", is_thin=True,
        ),
    )  # fmt: skip
    return {one.name: one for one in found}


@dataclass(frozen=True)
class Unfolding:
    """The constants of one protein, each a number, or each a column (D, 1) of draws.

    `melting` in °C; `enthalpy` at 60 °C in kJ/mol; `heat_capacity` in kJ/(mol K); `urea` and `guanidinium`, the
    m-values, in kJ/(mol M); `volume` in mL/mol, which with MPa makes J/mol.
    """

    melting: Numbers
    enthalpy: Numbers
    heat_capacity: Numbers
    urea: Numbers = 0.0
    guanidinium: Numbers = 0.0
    volume: Numbers = 0.0

    def heat(self) -> Numbers:
        """Enthalpy of unfolding at the melting temperature in kJ/mol (Kirchhoff)."""
        heat: Numbers = numpy.maximum(
            self.enthalpy + self.heat_capacity * (self.melting - ENTHALPY_AT), LEAST * numpy.asarray(self.enthalpy)
        )
        return heat

    def energy(
        self,
        temperature: Numbers = 25.0,
        *,
        urea: Numbers = 0.0,
        guanidinium: Numbers = 0.0,
        pressure: Numbers = AIR_PRESSURE,
    ) -> NDArray[numpy.float64]:
        """Energy that unfolding takes in kJ/mol, at °C, mol/L and MPa; every argument may be an array."""
        kelvin, melting = temperature + ZERO_CELSIUS, self.melting + ZERO_CELSIUS
        from_heat = self.heat() * (1 - kelvin / melting)
        from_water = self.heat_capacity * (kelvin - melting - kelvin * numpy.log(kelvin / melting))
        from_denaturant = -(self.urea * urea + self.guanidinium * guanidinium)
        from_pressure = self.volume * (pressure - AIR_PRESSURE) / 1000
        energy: NDArray[numpy.float64] = numpy.asarray(from_heat + from_water + from_denaturant + from_pressure)
        return energy

    def folded(self, temperature: Numbers = 25.0, **at: Numbers) -> NDArray[numpy.float64]:
        """The share of molecules that are folded, from 0 to 1.

        >>> float(Unfolding(melting=60.0, enthalpy=300.0, heat_capacity=6.0).folded(60.0))
        0.5
        """
        share: NDArray[numpy.float64] = expit(self.energy(temperature, **at) / (GAS * (temperature + ZERO_CELSIUS)))
        return share


def central(melting: float, relations: Mapping[str, Quantity]) -> Unfolding:
    """The protein as the relations expect it."""
    return Unfolding(melting, **{name: one.value for name, one in relations.items()})


def drawn(melting: float, low: float, high: float, relations: Mapping[str, Quantity], count: int = 2000) -> Unfolding:
    """`count` proteins as they might be: Tm from its 90 % interval, every constant from its spread; always the same.

    Errors of the constants are drawn independently of each other, which makes the bands a little too wide.
    """
    generator = numpy.random.default_rng(SEED)
    sigma = (high - low) / (2 * NINETY)
    constants = {
        name: one.value * numpy.exp(one.spread * generator.standard_normal((count, 1)))
        for name, one in relations.items()
    }
    return Unfolding(melting + sigma * generator.standard_normal((count, 1)), **constants)

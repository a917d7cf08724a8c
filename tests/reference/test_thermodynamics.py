"""The energy of unfolding against measured proteins, against integration, and where its value is known beforehand.

The measured figures are rounded and quoted by hand: heats and melting temperatures from calorimetry near neutral pH
(collected by Makhatadze & Privalov 1995, Adv. Protein Chem. 47:307, and by Pfeil 1998, Protein Stability and Folding),
m-values from Myers, Pace & Scholtz 1995 (Protein Sci. 4:2138). Quoted from memory of these
collections, they are landmarks for the size of a protein's constants, not data to fit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy
import pytest
from scipy.integrate import quad

from anfinsen.structure.thermodynamics import (
    AIR_PRESSURE,
    GAS,
    KILOJOULE,
    LONGEST,
    ZERO_CELSIUS,
    Unfolding,
    central,
    drawn,
    size_relations,
)


class Measured(NamedTuple):
    """Residues, Tm in °C, heat at Tm in kJ/mol, heat capacity in kJ/(mol K), m-values in kcal/(mol M)."""

    residues: int
    melting: float
    heat: float
    heat_capacity: float
    urea: float | None
    guanidinium: float | None


PROTEINS = {
    "barnase": Measured(110, 55.0, 500.0, 5.8, 1.94, 4.40),
    "ribonuclease A": Measured(124, 63.0, 460.0, 5.1, 1.40, 3.10),
    "hen lysozyme": Measured(129, 76.0, 560.0, 6.5, 1.29, 2.33),
    "T4 lysozyme": Measured(164, 65.5, 550.0, 10.7, 2.00, 5.50),
    "staphylococcal nuclease": Measured(149, 53.0, 338.0, 9.2, 2.36, 6.83),
    "ribonuclease T1": Measured(104, 51.6, 397.0, 5.3, 1.21, 2.56),
    "thioredoxin": Measured(108, 86.0, 430.0, 6.9, 1.30, 3.31),
    "barstar": Measured(89, 73.0, 290.0, 6.1, 1.25, 2.40),
    "chymotrypsin inhibitor 2": Measured(64, 74.0, 280.0, 3.2, None, 1.89),
    "protein G, B1": Measured(56, 87.5, 250.0, 2.6, None, 1.80),
    "ubiquitin": Measured(76, 90.0, 300.0, 3.5, None, None),
}
LYSOZYME = central(76.0, size_relations(129))


def logs(quantity: str) -> numpy.ndarray:
    """How far each measured protein lies from its size relation, as logarithms of the ratio."""
    found = []
    for protein in PROTEINS.values():
        relations = size_relations(protein.residues)
        if quantity == "enthalpy":
            found.append(numpy.log(protein.heat / central(protein.melting, relations).heat()))
        elif (value := getattr(protein, quantity)) is not None:
            scale = KILOJOULE * 1000 if quantity in ("urea", "guanidinium") else 1.0
            found.append(numpy.log(value * scale / relations[quantity].value))
    return numpy.array(found)


@pytest.mark.parametrize("quantity", ["enthalpy", "heat_capacity", "urea", "guanidinium"])
def test_measured_proteins_scatter_about_the_size_relations_as_stated(quantity: str) -> None:
    far, stated = logs(quantity), size_relations(100)[quantity].spread
    typical = float(numpy.sqrt((far**2).mean()))
    assert stated / 2 <= typical <= stated, f"{quantity}: {typical:.2f} measured, {stated} stated"
    assert abs(float(far.mean())) < stated
    assert (numpy.abs(far) < 1.645 * stated).mean() >= 0.8


STABILITY = {
    "barnase": 37.0,
    "ribonuclease A": 38.0,
    "hen lysozyme": 37.0,
    "T4 lysozyme": 60.0,
    "staphylococcal nuclease": 23.0,
    "thioredoxin": 37.0,
    "barstar": 21.0,
    "ubiquitin": 28.0,
}
"""Energy that unfolding takes at 25 °C in kJ/mol, from denaturation by urea or guanidinium."""


def test_the_stability_at_room_temperature_lies_in_its_band_for_most_proteins() -> None:
    """All but barnase, whose heat of unfolding is 1.7 times what its length tells."""
    outside = []
    for name, kilojoule in STABILITY.items():
        protein = PROTEINS[name]
        draws = drawn(protein.melting, protein.melting - 1, protein.melting + 1, size_relations(protein.residues))
        low, high = numpy.quantile(draws.energy(25.0), (0.05, 0.95))
        if not low < kilojoule < high:
            outside.append(name)
    assert outside == ["barnase"]


def test_half_is_folded_at_the_melting_temperature() -> None:
    for melting in (35.0, 56.3, 91.7):
        protein = central(melting, size_relations(120))
        assert float(protein.folded(melting)) == 0.5
        assert float(protein.folded(melting - 5)) > 0.5 > float(protein.folded(melting + 5))


def test_the_energy_is_what_integrating_heat_and_entropy_gives() -> None:
    protein, melting = LYSOZYME, 76.0 + ZERO_CELSIUS
    for celsius in (5.0, 25.0, 60.0, 90.0):
        kelvin = celsius + ZERO_CELSIUS
        heat = float(protein.heat()) + quad(lambda _: protein.heat_capacity, melting, kelvin)[0]
        entropy = float(protein.heat()) / melting + quad(lambda t: protein.heat_capacity / t, melting, kelvin)[0]
        assert float(protein.energy(celsius)) == pytest.approx(heat - kelvin * entropy, abs=1e-9)


def test_the_slope_of_the_curve_at_the_midpoint_is_the_van_t_hoff_heat() -> None:
    step, kelvin = 1e-3, 76.0 + ZERO_CELSIUS
    slope = (float(LYSOZYME.folded(76.0 + step)) - float(LYSOZYME.folded(76.0 - step))) / (2 * step)
    assert -4 * GAS * kelvin**2 * slope == pytest.approx(float(LYSOZYME.heat()), rel=1e-5)


def test_more_of_a_denaturant_or_of_pressure_never_folds() -> None:
    dose = numpy.linspace(0, 8, 50)
    for name in ("urea", "guanidinium"):
        assert (numpy.diff(LYSOZYME.folded(25.0, **{name: dose})) <= 0).all()
    assert (numpy.diff(LYSOZYME.folded(25.0, pressure=100 * dose)) <= 0).all()
    # at half denaturation, as much energy is taken away as there was
    half = float(LYSOZYME.energy(25.0)) / LYSOZYME.urea
    assert float(LYSOZYME.folded(25.0, urea=half)) == pytest.approx(0.5, abs=1e-12)


def test_a_megapascal_on_a_millilitre_is_a_joule() -> None:
    protein = Unfolding(60.0, 300.0, 6.0, volume=-50.0)
    lost = float(protein.energy(25.0) - protein.energy(25.0, pressure=AIR_PRESSURE + 100.0))
    assert lost == pytest.approx(5.0)  # 50 mL/mol x 100 MPa = 5 kJ/mol


def test_draws_are_the_same_every_time_and_lie_about_the_relations() -> None:
    relations = size_relations(129)
    once, again = (drawn(76.0, 70.0, 82.0, relations) for _ in range(2))
    assert numpy.array_equal(once.melting, again.melting) and numpy.array_equal(once.urea, again.urea)
    assert numpy.quantile(once.melting, (0.05, 0.95)) == pytest.approx((70.0, 82.0), abs=0.5)
    for name, one in relations.items():
        inside = (getattr(once, name) - one.low) * (getattr(once, name) - one.high) <= 0
        assert 0.88 <= inside.mean() <= 0.92


def test_a_long_chain_is_counted_as_one_domain() -> None:
    assert size_relations(5_000) == size_relations(LONGEST)
    assert size_relations(200)["enthalpy"].value == pytest.approx(2 * size_relations(100)["enthalpy"].value)

"""Points in space against the wwPDB's ideal residues and biotite's distances, angles and dihedrals."""

from __future__ import annotations

import math

import biotite.structure as theirs
import numpy
import pytest

from anfinsen.structure.geometry import CA_CB, beta_carbons, contacts, distances, place_atom, place_beta

GENERATOR = numpy.random.default_rng(4)
IDEAL = {
    "ALA": [[-0.966, 0.493, 1.5], [0.257, 0.418, 0.692], [-0.094, 0.017, -0.716], [1.204, -0.62, 1.296]],
    "LEU": [[-1.661, 0.627, -0.406], [-0.205, 0.441, -0.467], [0.18, -0.055, -1.836], [0.221, -0.583, 0.585]],
    "TRP": [[1.278, 1.121, 2.059], [-0.008, 0.417, 1.97], [-0.49, 0.076, 3.357], [0.168, -0.868, 1.161]],
}
"""N, CA, C and CB of ideal residues in the wwPDB's Chemical Component Dictionary."""


@pytest.mark.parametrize("name", IDEAL)
def test_the_placed_cb_is_that_of_an_ideal_l_amino_acid(name: str) -> None:
    nitrogen, alpha, carbon, beta = numpy.array(IDEAL[name])[:, None]
    placed = place_beta(nitrogen, alpha, carbon)
    assert numpy.linalg.norm(placed - beta) < 0.1
    mirrored = place_beta(-nitrogen, -alpha, -carbon)
    assert numpy.linalg.norm(mirrored + beta) > 1.0


def test_a_placed_atom_has_the_length_angle_and_dihedral_that_were_asked() -> None:
    first, second, third = GENERATOR.normal(size=(3, 20, 3)) * 3
    placed = place_atom(first, second, third, 1.33, 2.0, -1.1)
    assert theirs.distance(third, placed) == pytest.approx(1.33)
    assert theirs.angle(second, third, placed) == pytest.approx(2.0)
    assert theirs.dihedral(first, second, third, placed) == pytest.approx(-1.1)


def test_three_atoms_on_a_line_place_nothing() -> None:
    first, second, third = numpy.eye(1, 3) * 0, numpy.eye(1, 3), numpy.eye(1, 3) * 2
    assert numpy.isnan(place_atom(first, second, third, 1.33, 2.0, -1.1)).all()


def test_a_measured_cb_is_kept_and_a_missing_one_is_placed() -> None:
    nitrogen, alpha, carbon, beta = GENERATOR.normal(size=(4, 3, 3))
    beta[1] = numpy.nan
    alpha[2] = numpy.nan
    found = beta_carbons(nitrogen, alpha, carbon, beta)
    assert found[0].tolist() == beta[0].tolist()
    assert math.dist(found[1], alpha[1]) == pytest.approx(CA_CB)
    assert found[2].tolist() == beta[2].tolist()
    assert numpy.isnan(beta_carbons(nitrogen, alpha, carbon)[2]).all()


def test_distances_are_those_of_biotite_and_what_is_missing_touches_nothing() -> None:
    points = GENERATOR.normal(size=(12, 3)) * 6
    points[5] = numpy.nan
    apart = distances(points)
    expected = theirs.distance(points[:, None], points[None])
    assert apart == pytest.approx(expected, nan_ok=True)
    assert numpy.isnan(apart[5]).all()
    touching = contacts(apart)
    assert not touching[5].any()
    assert (touching == (numpy.nan_to_num(expected, nan=99.0) < 8.0)).all()
    assert contacts(apart, 2.0).sum() < touching.sum() < 121

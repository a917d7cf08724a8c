"""What surrounds a residue, against counts by hand: plain loops over every two residues, as the papers define them."""

from __future__ import annotations

import math

import numpy
import pytest

from anfinsen.structure.backbone import Backbone, from_alphas
from anfinsen.structure.surroundings import CROWDS, HALF_SPHERES, SIDE, directions, part, surroundings


@pytest.fixture
def backbone() -> Backbone:
    """Sixty residues that wander about in a ball."""
    draw = numpy.random.default_rng(1)
    places = [numpy.zeros(3)]
    while len(places) < 60:
        step = draw.normal(size=3)
        place = places[-1] + 3.8 * step / numpy.linalg.norm(step)
        if numpy.linalg.norm(place) < 14:
            places.append(place)
    return from_alphas(numpy.array(places))


def kinds() -> numpy.ndarray:
    return numpy.eye(20, dtype=numpy.float32)[numpy.random.default_rng(2).integers(0, 20, size=60)]


def test_half_spheres_hold_what_stands_before_and_behind_the_side_chain(backbone: Backbone) -> None:
    alphas = backbone.alphas
    found = part(surroundings(kinds(), backbone), "exposure")
    for residue in range(1, 59):
        # HSE-alpha: the side chain points away from the two neighbours in the chain (Hamelryck 2005)
        before, behind = (alphas[residue] - alphas[at] for at in (residue - 1, residue + 1))
        side = before / numpy.linalg.norm(before) + behind / numpy.linalg.norm(behind)
        expected = []
        for reach in HALF_SPHERES:
            up = down = 0
            for other in range(60):
                away = alphas[other] - alphas[residue]
                if other != residue and numpy.linalg.norm(away) < reach:
                    up, down = (up + 1, down) if away @ side > 0 else (up, down + 1)
            expected += [math.log1p(up) - 3, math.log1p(down) - 3]
        assert found[residue] == pytest.approx(expected, abs=1e-4)


def test_the_crowd_is_how_many_side_chains_are_near(backbone: Backbone) -> None:
    middles = backbone.alphas + SIDE * directions(backbone)[:, 2]
    apart = numpy.linalg.norm(middles[:, None] - middles[None], axis=-1)
    counts = numpy.stack([(apart < reach).sum(1) - 1 for reach in CROWDS], axis=1)
    found = part(surroundings(kinds(), backbone), "crowd")
    assert found == pytest.approx(2 * (numpy.log1p(counts) - [2.2, 3.2, 3.8, 4.3]), abs=1e-4)


def test_the_first_patch_is_the_mean_of_kinds_weighted_by_nearness(backbone: Backbone) -> None:
    middles = backbone.alphas + SIDE * directions(backbone)[:, 2]
    apart = numpy.linalg.norm(middles[:, None] - middles[None], axis=-1)
    alphas = numpy.linalg.norm(backbone.alphas[:, None] - backbone.alphas[None], axis=-1)
    weights = numpy.exp(-((apart / 8.0) ** 2)) * (alphas <= 24.8)
    found = part(surroundings(kinds(), backbone), "patch")
    assert found[:, :20] == pytest.approx(10 * weights @ kinds() / weights.sum(1, keepdims=True), abs=1e-3)


def test_the_middle_of_a_ball_is_no_bulge_and_its_rim_is_one(backbone: Backbone) -> None:
    bulge = part(surroundings(kinds(), backbone), "bulge")[:, 4]  # out of the middle of 20 Å
    depth = numpy.linalg.norm(backbone.alphas - backbone.alphas.mean(0), axis=-1)
    assert numpy.corrcoef(bulge, depth)[0, 1] > 0.9


def test_no_distance_along_the_chain_is_told_across_a_break() -> None:
    alphas = numpy.zeros((12, 3))
    alphas[:, 0] = 3.8 * numpy.arange(12)
    alphas[6:, 1] = 30.0
    trace = part(surroundings(numpy.zeros((12, 20), dtype=numpy.float32), from_alphas(alphas)), "trace")
    assert not trace[5, 0::2].any() and not trace[6, 1::2].any()
    assert trace[0, 0] == pytest.approx(3 * (7.6 / 5.9 - 1), abs=1e-4)
    assert trace[2, 1] == pytest.approx(trace[0, 0])

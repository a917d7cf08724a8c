"""Pockets: a cleft that we dug is found, however the protein lies; in real structures they are where the ligand is."""

from __future__ import annotations

import os

import numpy
import pytest
from scipy.spatial import KDTree

from anfinsen.bench.sites import dca, hits
from anfinsen.inference.site_residues import averaged, joined, voices
from anfinsen.sets.holo import Holo, Ligand, load_holo
from anfinsen.structure.backbone import ATOMS, Backbone, from_alphas
from anfinsen.structure.pockets import Pocket, faced, find_cavities, find_pockets, gather, own_frame
from anfinsen.structure.protein import Protein
from anfinsen.tasks.ligand_sites import DRUG

AXIS = numpy.array([1.0, 0.0, 0.0])


def dug() -> tuple[str, Backbone, numpy.ndarray]:
    """A ball of residues with a hole of 5.5 Å from one side: the sequence, the backbone, the middle of the hole."""
    steps = numpy.arange(-19, 20, 3.8)
    lattice = numpy.stack(numpy.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    lattice += numpy.random.default_rng(1).normal(scale=0.2, size=lattice.shape)
    ball = lattice[numpy.linalg.norm(lattice * [1.0, 1.1, 1.25], axis=1) < 18]
    beside = numpy.linalg.norm(ball[:, 1:], axis=1)
    kept = ball[~((beside < 5.5) & (ball[:, 0] > 2))]
    return "A" * len(kept), from_alphas(kept.astype(numpy.float32)), numpy.array([8.0, 0.0, 0.0])


def turned(backbone: Backbone, seed: int) -> tuple[Backbone, numpy.ndarray, numpy.ndarray]:
    turn = numpy.linalg.qr(numpy.random.default_rng(seed).normal(size=(3, 3)))[0]
    turn[:, 0] *= numpy.sign(numpy.linalg.det(turn))
    shift = numpy.array([40.0, -7.0, 11.0])
    return Backbone((backbone.points @ turn + shift).astype(numpy.float32), backbone.breaks), turn, shift


def test_a_hole_that_we_dug_is_the_best_pocket() -> None:
    sequence, backbone, hole = dug()
    best, *others = find_pockets(sequence, backbone)
    assert numpy.linalg.norm(numpy.array(best.centre) - hole) < 4
    assert 200 < best.volume < 1500
    assert best.enclosure > 0.6
    around = numpy.linalg.norm(backbone.alphas[list(best.residues)] - hole, axis=1)
    assert around.max() < 18 and len(best.residues) > 10
    assert all(other.score < best.score / 2 for other in others)


def test_residues_around_the_hole_face_most_of_it_however_the_protein_lies() -> None:
    sequence, backbone, hole = dug()
    hollows = find_cavities(sequence, backbone)
    assert hollows is not None
    count = faced(hollows, len(sequence))
    away = numpy.linalg.norm(backbone.alphas - hole, axis=1)
    assert numpy.median(count[away < 8]) > 30 and numpy.median(count[away > 16]) < 5
    moved, _, _ = turned(backbone, 1)
    again = find_cavities(sequence, moved)
    assert again is not None and numpy.abs(faced(again, len(sequence)) - count).max() <= 3


def test_all_voices_together_name_the_residues_around_the_hole_however_the_protein_lies() -> None:
    sequence, backbone, hole = dug()
    flat = numpy.full(len(sequence), 0.2)
    away = numpy.linalg.norm(backbone.alphas - hole, axis=1)
    near = numpy.where(away < 8, 0.6, 0.2)
    heard = {}
    for name, placed, alone in (("shape", flat, flat), ("network", near, flat), ("sequence", flat, near)):
        hollows = find_cavities(sequence, backbone)
        assert hollows is not None
        first = gather(hollows, placed)[0]
        heard[name] = voices(placed, alone, backbone, hollows, first)
        assert numpy.median(heard[name][away < 8, 1]) > 3 > heard[name][away > 16, 1].mean()
        assert (heard[name][:, 2] <= heard[name][:, 1]).all()  # of all points that it faces those of the first pocket
    said = {"probabilities": {DRUG: flat.tolist(), "ZN": flat.tolist()}, "thresholds": {DRUG: 0.1, "ZN": 0.5}}
    told = {name: joined(said, rows) for name, rows in heard.items()}
    shares = {name: numpy.array(one["probabilities"][DRUG]) for name, one in told.items()}
    assert numpy.median(shares["shape"][away < 8]) > 2 * numpy.median(shares["shape"][away > 16])
    for name in ("network", "sequence"):
        gain = shares[name] - shares["shape"]
        assert gain[away < 8].mean() > 0.02 and gain[away < 8].mean() > 2 * gain[away > 18].mean(), name
    assert told["shape"]["probabilities"]["ZN"] == flat.tolist() and told["shape"]["thresholds"]["ZN"] == 0.5
    moved, _, _ = turned(backbone, 1)
    again = find_cavities(sequence, moved)
    assert again is not None
    rows = voices(near, near, moved, again, gather(again, near)[0])
    ours = voices(near, near, backbone, find_cavities(sequence, backbone), gather(hollows, near)[0])  # type: ignore[arg-type]
    assert numpy.abs(rows - ours).max() < 1.0 and numpy.abs(rows - ours).mean() < 0.02


def test_an_average_over_surroundings_is_the_weighed_mean_of_the_neighbours() -> None:
    draw = numpy.random.default_rng(1)
    points, values = draw.normal(scale=6.0, size=(40, 3)), draw.normal(size=40)
    points[3], points[7] = numpy.nan, [500.0, 0.0, 0.0]
    apart = numpy.linalg.norm(points[:, None] - points[None], axis=-1)
    weight = numpy.where((apart <= 20) & (apart > 0), numpy.exp(-((apart / 10) ** 2)), 0.0)
    expected = numpy.where(weight.sum(1) > 0, weight @ values / numpy.maximum(weight.sum(1), 1e-12), values)
    assert averaged(values, points) == pytest.approx(expected)


def test_a_protein_that_is_turned_and_moved_has_the_same_pockets() -> None:
    sequence, backbone, _ = dug()
    evidence = numpy.linspace(0, 1, len(sequence))
    first = find_pockets(sequence, backbone, evidence)
    for seed in (1, 2):
        other, turn, shift = turned(backbone, seed)
        again = find_pockets(sequence, other, evidence)
        assert len(again) == len(first)
        for one, two in zip(first, again, strict=True):
            assert numpy.array(one.centre) @ turn + shift == pytest.approx(numpy.array(two.centre), abs=0.05)
            assert one.volume == pytest.approx(two.volume, rel=0.02)
            assert one.score == pytest.approx(two.score, rel=0.02)
            assert set(one.residues) == set(two.residues)


def test_what_residues_say_decides_between_two_alike_hollows() -> None:
    sequence, backbone, hole = dug()
    near = numpy.linalg.norm(backbone.alphas - hole, axis=1) < 11
    said, denied = (find_pockets(sequence, backbone, numpy.where(near == there, 0.9, 0.01)) for there in (True, False))
    assert numpy.linalg.norm(numpy.array(said[0].centre) - hole) < 4
    best = max((one.score for one in denied), default=0.0)
    assert best < said[0].score / 2


def test_a_flat_strand_and_a_chain_without_places_have_none() -> None:
    strand = numpy.arange(30)[:, None] * 3.4 * AXIS
    assert find_pockets("A" * 30, from_alphas(strand.astype(numpy.float32))) == []
    nowhere = numpy.full((30, len(ATOMS), 3), numpy.nan, dtype=numpy.float32)
    assert find_pockets("A" * 30, Backbone(nowhere, numpy.zeros(29, dtype=bool))) == []


def test_the_own_frame_turns_with_what_it_lies_in() -> None:
    points = numpy.random.default_rng(1).normal(size=(50, 3)) * [9.0, 4.0, 1.0] + 3
    turn = numpy.linalg.qr(numpy.random.default_rng(2).normal(size=(3, 3)))[0]
    turn[:, 0] *= numpy.sign(numpy.linalg.det(turn))
    (middle, axes), (moved, other) = own_frame(points), own_frame(points @ turn)
    assert (points - middle) @ axes == pytest.approx((points @ turn - moved) @ other, abs=1e-9)
    assert numpy.linalg.det(axes) == pytest.approx(1)


def chain(ligands: list[list[float]]) -> Holo:
    held = tuple(Ligand("X", numpy.array([place], dtype=numpy.float32)) for place in ligands)
    empty = numpy.zeros((0, 3), dtype=numpy.float32), numpy.zeros(0, dtype=numpy.int64)
    return Holo(Protein("p", "A"), "0", held, *empty, 1, "test")


def pocket(*centre: float) -> Pocket:
    x, y, z = centre
    return Pocket((x, y, z), 1.0, (), 1.0, 1.0, numpy.zeros((0, 3)))


def test_a_ligand_counts_as_found_up_to_four_angstrom_and_by_the_first_pockets_only() -> None:
    two = chain([[0, 0, 0], [20, 0, 0]])
    assert hits(two, [pocket(3.9, 0, 0), pocket(50, 0, 0), pocket(20, 0, 0)], 0) == 1
    assert hits(two, [pocket(3.9, 0, 0), pocket(50, 0, 0), pocket(20, 0, 0)], 2) == 2
    assert hits(two, [pocket(4.1, 0, 0)], 0) == 0
    one = chain([[0, 0, 0]])
    found = dca([two, one], [[pocket(0, 0, 0)], [pocket(9, 9, 9)]], 0)
    assert found.value == pytest.approx(1 / 3) and found.n == 2
    assert found.low is not None and found.high is not None and found.low <= 1 / 3 <= found.high


@pytest.mark.skipif("ANFINSEN_DATA" not in os.environ, reason="needs the public tables")
def test_told_the_true_residues_it_finds_the_ligands_of_real_structures() -> None:
    chains = [one for one in load_holo("valid") if len(one.protein) < 220][:6]
    found = 0
    for one in chains:
        assert one.protein.backbone is not None
        truth = numpy.array([letter == "1" for letter in one.label]) * 0.9
        pockets = find_pockets(one.protein.sequence, one.protein.backbone, truth)
        atoms = numpy.concatenate([ligand.points for ligand in one.ligands])
        found += bool(pockets) and KDTree(atoms).query(pockets[0].centre)[0] <= 4
    assert found >= 5

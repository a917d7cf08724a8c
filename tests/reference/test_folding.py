"""What a fold is learnt from, against biotite and by hand: distances, torsions, CB from CA, the loss and its answer."""

from __future__ import annotations

import math

import biotite.structure as space
import numpy
import pytest
import torch
from biotite.structure.info import residue

from anfinsen.data.example import Example
from anfinsen.sets.coordinates import load_chains
from anfinsen.sets.folds import betas_from_alphas, fold_examples
from anfinsen.structure.backbone import Backbone, find_breaks
from anfinsen.structure.distogram import EDGES, Distogram, centres
from anfinsen.structure.geometry import distances, place_atom
from anfinsen.structure.protein import Protein
from anfinsen.targets.distances import (
    CONFIDENCE_WEIGHT,
    CONTACT_WEIGHT,
    TORSION_WEIGHT,
    Distances,
    betas_of,
    lddt_of,
    torsions_of,
)
from anfinsen.tasks import TASKS

PHI, PSI, OMEGA = -1.1, -0.8, math.pi


def helix(length: int) -> Backbone:
    """A chain of ideal residues, all with the same torsions."""
    atoms = [numpy.array(one) for one in ([0.0, 0, 0], [1.46, 0, 0], [2.0, 1.42, 0])]
    for _ in range(length - 1):
        atoms.append(place_atom(*atoms[-3:], 1.33, 2.035, PSI))
        atoms.append(place_atom(*atoms[-3:], 1.46, 2.124, OMEGA))
        atoms.append(place_atom(*atoms[-3:], 1.52, 1.94, PHI))
    points = numpy.full((length, 5, 3), numpy.nan, dtype=numpy.float32)
    points[:, :3] = numpy.array(atoms).reshape(length, 3, 3)
    return Backbone(points, find_breaks(points), "experimental")


def example(length: int = 20) -> Example:
    return Example(Protein("p", "A" * length, backbone=helix(length)))


def test_torsions_are_those_that_the_chain_was_built_with_and_those_of_biotite() -> None:
    backbone = helix(6)
    found = torsions_of(backbone)
    numpy.testing.assert_allclose(found[1:, 0], PHI, atol=1e-4)
    numpy.testing.assert_allclose(found[:-1, 1], PSI, atol=1e-4)
    assert numpy.isnan(found[0, 0]) and numpy.isnan(found[-1, 1])
    array = space.AtomArray(18)
    array.coord = backbone.points[:, :3].reshape(-1, 3)
    array.res_id = numpy.repeat(numpy.arange(6), 3)
    array.atom_name = numpy.tile(["N", "CA", "C"], 6)
    array.res_name[:], array.chain_id[:], array.element = "ALA", "A", numpy.tile(["N", "C", "C"], 6)
    phi, psi, _ = space.dihedral_backbone(array)
    numpy.testing.assert_allclose(found, numpy.stack((phi, psi), 1), atol=1e-4)


def test_no_torsion_is_taken_across_a_break() -> None:
    backbone = helix(6)
    points = backbone.points.copy()
    points[3:] += 50
    found = torsions_of(Backbone(points, find_breaks(points)))
    assert numpy.isnan(found[2, 1]) and numpy.isnan(found[3, 0])
    assert numpy.isnan(found).sum() == 4


def test_the_placed_cb_is_that_of_biotites_alanine() -> None:
    """The chain has ideal N, CA and C; the CB of biotite's own alanine, laid over them, is where ours is placed."""
    atoms = {atom.atom_name: atom.coord for atom in residue("ALA")}
    points = numpy.full((1, 5, 3), numpy.nan, dtype=numpy.float32)
    points[0, :3] = [atoms["N"], atoms["CA"], atoms["C"]]
    (placed,) = betas_of(Backbone(points, find_breaks(points)))
    assert numpy.linalg.norm(placed - atoms["CB"]) < 0.15


def test_a_cb_from_ca_alone_lies_where_a_helix_has_it_and_on_the_other_side_in_its_mirror_image() -> None:
    backbone = helix(12)
    true, placed = betas_of(backbone), betas_from_alphas(backbone.alphas)
    assert numpy.isnan(placed[[0, -1]]).all()
    assert numpy.linalg.norm(true - placed, axis=-1)[1:-1].max() < 0.7
    mirror = backbone.points * numpy.array([1, 1, -1], dtype=numpy.float32)
    wrong = betas_from_alphas(mirror[:, 1]) - true * numpy.array([1, 1, -1])
    assert numpy.linalg.norm(wrong, axis=-1)[1:-1].max() < 0.7 or numpy.linalg.norm(wrong, axis=-1)[1:-1].min() > 1.0
    broken = backbone.alphas.copy()
    broken[6:] += 30
    assert numpy.isnan(betas_from_alphas(broken)[[5, 6]]).all()


def test_the_target_holds_the_distances_and_on_its_diagonal_the_torsions() -> None:
    one = example()
    rows = Distances().encode(one).reshape(20, 20, 4)
    assert one.protein.backbone is not None
    apart = distances(betas_of(one.protein.backbone))
    for i, j in ((0, 5), (7, 3), (19, 0)):
        assert rows[i, j].tolist()[:2] == [i, j]
        assert rows[i, j, 2] == pytest.approx(apart[i, j])
    numpy.testing.assert_allclose(rows[5, 5, 2:], [PHI, PSI], atol=1e-4)
    assert numpy.isnan(Distances().encode(Example(Protein("p", "AAA")))[:, 2:]).all()


def perfect(one: Example, sure: float = 30.0) -> torch.Tensor:
    """Outputs that know the truth."""
    rows = torch.from_numpy(Distances().encode(one))
    outputs = torch.zeros(len(rows), len(EDGES) + 1)
    known = ~rows[:, 2].isnan()
    outputs[known, torch.bucketize(rows[known, 2], torch.from_numpy(EDGES).float(), right=True)] = sure
    itself = rows[:, 0] == rows[:, 1]
    outputs[itself] = 0
    for place, column in ((2, 0), (3, 2)):
        angle = rows[itself, place].nan_to_num(0.0)
        outputs[itself.nonzero()[:, 0], column] = 50 * angle.cos()
        outputs[itself.nonzero()[:, 0], column + 1] = 50 * angle.sin()
    return outputs


def test_who_knows_the_truth_has_hardly_a_loss_and_who_guesses_has_that_of_a_guess() -> None:
    one = example()
    rows = torch.from_numpy(Distances().encode(one))
    right, count = Distances().loss(perfect(one), rows)
    assert count == 20 * 19
    blind, _ = Distances().loss(torch.zeros(400, len(EDGES) + 1), rows)
    assert float(right) / count < 0.15 < 3 < float(blind) / count
    # a guess over 18 bins, over 4 of 18 that are contacts, over the circle, and over how right it is
    separation = (rows[:, 0] - rows[:, 1]).abs()
    far = (separation >= 6) & ~rows[:, 2].isnan()
    touching = (rows[far, 2] < 8).double().mean()
    contact = -(touching * math.log(5 / 18) + (1 - touching) * math.log(13 / 18))
    expected = math.log(18) + CONTACT_WEIGHT * float(contact) + TORSION_WEIGHT * math.log(2 * math.pi)
    expected += CONFIDENCE_WEIGHT * math.log(2)
    assert float(blind) / count == pytest.approx(expected, abs=0.01)


def test_an_unknown_backbone_has_no_loss() -> None:
    rows = torch.from_numpy(Distances().encode(Example(Protein("p", "AAAA"))))
    outputs = torch.zeros(16, len(EDGES) + 1, requires_grad=True)
    loss, count = Distances().loss(outputs, rows)
    assert (float(loss.detach()), count) == (0.0, 0)


def test_the_lddt_of_expected_distances_is_that_of_biotite() -> None:
    """Bins that expect exactly the distances of moved points, and biotite's lDDT of those points."""
    generator = numpy.random.default_rng(2)
    # points on a grid, none nearer than the first bin's middle and none farther than the last's
    grid = numpy.array(numpy.meshgrid([0, 6, 12], [0, 6, 12], [0, 6])).reshape(3, -1).T.astype(float)[:15]
    truth = grid + generator.normal(0, 0.1, size=grid.shape)
    moved = truth + generator.normal(0, 0.4, size=truth.shape)
    apart, guessed = distances(truth), distances(moved)
    inside = ~numpy.eye(15, dtype=bool)
    assert centres(EDGES)[0] < guessed[inside].min() and guessed.max() < centres(EDGES)[-1]
    rows = torch.zeros(15, 15, 4, dtype=torch.float64)
    rows[..., 0], rows[..., 1] = torch.from_numpy(numpy.array(numpy.indices((15, 15), dtype=float)))
    rows[..., 2] = torch.from_numpy(numpy.where(inside, apart, numpy.nan))
    middles = centres(EDGES)
    low = numpy.clip(numpy.searchsorted(middles, guessed) - 1, 0, len(middles) - 2)
    share = numpy.clip((guessed - middles[low]) / (middles[low + 1] - middles[low]), 1e-9, 1 - 1e-9)
    logits = torch.full((15, 15, len(middles)), -1e4, dtype=torch.float64)
    logits.scatter_(2, torch.from_numpy(low)[..., None], torch.from_numpy(numpy.log(1 - share))[..., None])
    logits.scatter_(2, torch.from_numpy(low + 1)[..., None], torch.from_numpy(numpy.log(share))[..., None])
    flat = rows.reshape(-1, 4)
    known = (flat[:, 0] != flat[:, 1]) & ~flat[:, 2].isnan()
    found, is_judged = lddt_of(logits.reshape(-1, len(middles)), flat, known)
    assert is_judged.all()
    reference, model = atoms_at(truth), atoms_at(moved)
    expected = space.lddt(reference, model, aggregation="residue")
    numpy.testing.assert_allclose(found, expected, atol=1e-6)


def atoms_at(points: numpy.ndarray[tuple[int, int], numpy.dtype[numpy.float64]]) -> space.AtomArray:
    """One CB a residue."""
    array = space.AtomArray(len(points))
    array.coord, array.res_id = points, numpy.arange(len(points))
    array.atom_name[:], array.res_name[:], array.chain_id[:], array.element[:] = "CB", "ALA", "A", "C"
    return array


def test_an_answer_names_the_contacts_from_one_on_and_its_distogram_says_the_same() -> None:
    one = example(30)
    outputs = perfect(one, 4.0).numpy()
    target = Distances()
    believed = target.distogram(outputs, {})
    assert believed.probabilities.sum(-1) == pytest.approx(1.0)
    numpy.testing.assert_allclose(believed.probabilities, believed.probabilities.transpose(1, 0, 2))
    numpy.testing.assert_allclose(believed.torsions[5], [PHI, PSI], atol=1e-4)
    assert believed.sureness[5, 0] == pytest.approx(50, rel=1e-3)
    answer = target.answer(outputs, {})
    for i, j, share in answer["contacts"]:
        assert j - i >= 6 and share == pytest.approx(believed.contacts[i - 1, j - 1], abs=1e-4) and share > 0.15
    assert len(answer["confidence"]) == 30
    assert TASKS["contacts"].say(answer).endswith(".")
    assert "12 with 40 (81%)" in TASKS["contacts"].say({"contacts": [[1, 30, 0.3], [12, 40, 0.81]]})


def test_a_contact_bin_that_holds_the_cutoff_counts_by_its_share() -> None:
    shares = numpy.full((2, 2, 4), 0.25)
    believed = Distogram(shares, numpy.array([4.0, 7.0, 9.0]), numpy.zeros((2, 2)), numpy.zeros((2, 2)))
    assert believed.contacts[0, 1] == pytest.approx(0.25 + 0.25 + 0.125)
    assert believed.distances[0, 1] == pytest.approx(numpy.mean([2.5, 5.5, 8.0, 10.0]))


def test_chains_are_learnt_from_as_far_as_their_atoms_tell() -> None:
    if not TASKS["contacts"].table.is_here():
        pytest.skip("the tables of chains are not here")
    valid = fold_examples("valid")
    clusters = {chain.id: chain.cluster for chain in load_chains("valid")}
    assert len({clusters[one.protein.id] for one in valid}) > 0.9 * len(valid) > 200
    for one in valid[:20]:
        backbone = one.protein.backbone
        assert backbone is not None and len(backbone) == len(one.protein)
        assert (~numpy.isnan(betas_of(backbone)).any(-1)).mean() > 0.8

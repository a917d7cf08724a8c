"""RMSD, TM-score and lDDT-CA against others: definitions written out plainly, biotite, and a blind search."""

from __future__ import annotations

import biotite.structure as theirs
import numpy
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from anfinsen.errors import UndefinedScoreError
from anfinsen.structure.scores import lddt, mean_lddt, rmsd, tm_scale, tm_score

Floats = NDArray[numpy.float64]


def fold(length: int, seed: int) -> Floats:
    """A walk of 3.8 Å steps that turns slowly: as compact as a chain."""
    draw = numpy.random.default_rng(seed)
    steps = [numpy.array([1.0, 0.0, 0.0])]
    for _ in range(length - 2):
        steps.append(Rotation.from_rotvec(draw.normal(size=3) * 0.8).apply(steps[-1]))
    return numpy.concatenate([numpy.zeros((1, 3)), numpy.cumsum(3.8 * numpy.array(steps), axis=0)])


def moved(points: Floats, seed: int) -> Floats:
    return Rotation.random(rng=seed).apply(points) + numpy.random.default_rng(seed).normal(size=3) * 30


def two_domains(length: int, seed: int) -> tuple[Floats, Floats]:
    """A chain and the same with its last 40 % turned by a hinge, and some noise."""
    reference = fold(length, seed)
    hinge = int(0.6 * length)
    model = reference + numpy.random.default_rng(seed).normal(size=reference.shape) * 0.7
    model[hinge:] = Rotation.from_rotvec([0.0, 1.2, 0.4]).apply(model[hinge:] - model[hinge]) + model[hinge]
    return reference, moved(model, seed + 1)


def plain_lddt(reference: Floats, model: Floats) -> Floats:
    """The definition of Mariani et al., residue by residue."""
    scores = []
    for at in range(len(reference)):
        kept = []
        for other in range(len(reference)):
            true = numpy.linalg.norm(reference[at] - reference[other])
            if other != at and true < 15.0:
                error = abs(true - numpy.linalg.norm(model[at] - model[other]))
                kept += [error < limit for limit in (0.5, 1.0, 2.0, 4.0)]
        scores.append(numpy.mean(kept) if kept else numpy.nan)
    return numpy.array(scores)


def test_lddt_is_the_mean_of_four_questions_about_every_near_residue() -> None:
    reference, model = two_domains(60, 3)
    assert lddt(reference, model) == pytest.approx(plain_lddt(reference, model), abs=1e-3)
    assert 0.4 < mean_lddt(reference, model) < 0.95


def test_a_structure_is_itself_wherever_it_stands() -> None:
    reference = fold(80, 1)
    copy = moved(reference, 2)
    assert rmsd(reference, copy) == pytest.approx(0.0, abs=1e-4)
    assert tm_score(reference, copy) == pytest.approx(1.0, abs=1e-6)
    assert lddt(reference, copy) == pytest.approx(1.0)


def test_a_mirror_image_is_right_by_distances_and_wrong_by_superposition() -> None:
    reference = fold(80, 1)
    assert mean_lddt(reference, -reference) == pytest.approx(1.0)
    assert tm_score(reference, -reference) < 0.6


def test_rmsd_is_that_of_a_search_over_all_rotations() -> None:
    reference, model = two_domains(50, 5)
    centred = model - model.mean(0), reference - reference.mean(0)

    def error(turn: Floats) -> float:
        return float(((Rotation.from_rotvec(turn).apply(centred[0]) - centred[1]) ** 2).sum(-1).mean())

    starts = [Rotation.random(rng=seed).as_rotvec() for seed in range(8)]
    best = min(minimize(error, start).fun for start in starts)
    assert rmsd(reference, model) == pytest.approx(best**0.5, abs=1e-3)


@pytest.mark.parametrize(("length", "seed"), [(40, 5), (70, 6), (120, 7)])
def test_no_blind_search_finds_a_better_superposition_for_the_tm_score(length: int, seed: int) -> None:
    reference, model = two_domains(length, seed)
    scale = tm_scale(length)

    def loss(placed: Floats) -> float:
        apart = Rotation.from_rotvec(placed[:3]).apply(model) + placed[3:] - reference
        return -float((1 / (1 + (apart**2).sum(-1) / scale**2)).mean())

    hinge, found = int(0.6 * length), []
    for part in (slice(0, hinge), slice(hinge, None), slice(None)):
        turn = Rotation.align_vectors(reference[part] - reference[part].mean(0), model[part] - model[part].mean(0))[0]
        start = numpy.concatenate([turn.as_rotvec(), reference[part].mean(0) - turn.apply(model[part].mean(0))])
        found.append(-minimize(loss, start).fun)
    assert tm_score(reference, model) == pytest.approx(max(found), abs=1e-3)


def test_the_formula_of_the_tm_score_is_biotites() -> None:
    reference = fold(90, 8)
    model = reference + numpy.random.default_rng(1).normal(size=reference.shape) * 0.05
    places = numpy.arange(90)
    chains = []
    for points in (reference, model):
        chain = theirs.AtomArray(90)
        chain.coord, chain.res_id, chain.atom_name = points.astype(numpy.float32), places, numpy.full(90, "CA")
        chain.res_name[:] = "ALA"
        chains.append(chain)
    superposed, _ = theirs.superimpose(*chains)
    expected = theirs.tm_score(chains[0], superposed, places, places, reference_length=90)
    assert tm_score(reference, model) == pytest.approx(expected, abs=1e-3)


def test_what_the_reference_does_not_show_is_left_out_and_what_the_model_lacks_is_wrong() -> None:
    reference, whole = fold(60, 2), fold(60, 2)
    reference[:10] = numpy.nan
    assert tm_score(reference, whole) == pytest.approx(1.0)
    scores = lddt(reference, whole)
    assert numpy.isnan(scores[:10]).all() and scores[10:] == pytest.approx(1.0)
    lacking = fold(60, 2)
    lacking[50:] = numpy.nan
    assert tm_score(reference, lacking) == pytest.approx(40 / 50, abs=1e-6)
    assert lddt(reference, lacking)[50:] == pytest.approx(0.0)
    assert rmsd(reference, lacking) == pytest.approx(0.0, abs=1e-4)


def test_too_little_is_said_to_have_no_score() -> None:
    points = fold(10, 1)
    empty = numpy.full((10, 3), numpy.nan)
    with pytest.raises(UndefinedScoreError, match=r"^The two structures share 0 residues; a superposition needs 3\."):
        tm_score(points, empty)
    with pytest.raises(UndefinedScoreError, match=r"^lDDT does not exist for this chain"):
        mean_lddt(points * 100, points)

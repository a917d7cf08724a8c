"""Structures built from distograms: near the truth, of the right hand, possible, and written so that others read."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import biotite.structure as space
import gemmi
import numpy
import pytest
from biotite.structure.io import pdbx

from anfinsen.structure.backbone import Backbone
from anfinsen.structure.building import build
from anfinsen.structure.confidence import BANDS, aligned_errors, band, errors, expected_errors, fit, plddt
from anfinsen.structure.distogram import EDGES, Distogram
from anfinsen.structure.formats import read_chains
from anfinsen.structure.frames import RESIDUE, chain_of
from anfinsen.structure.geometry import distances, place_beta
from anfinsen.structure.sanity import check
from anfinsen.structure.scores import mean_lddt, tm_score
from anfinsen.structure.writing import Maker, as_error_json, as_modelcif, as_pdb, as_structure, backbone_atoms

MAKER = Maker("Anfinsen", "0", "made for a test", "tiny")
SEQUENCE = "MKELLKKAEELGVSPEELKKVLEAGNDPELVARVWELAK"


def hairpin() -> tuple[numpy.ndarray, numpy.ndarray]:
    """Torsions (L, 2) and N, CA, C, O, CB (L, 5, 3) of two helices with a turn between them."""
    angles = numpy.radians([(-63.0, -42.0)] * 17 + [(-90.0, 0.0), (70.0, 30.0), (-80.0, 150.0)] + [(-63.0, -42.0)] * 19)
    atoms = chain_of(angles.astype(numpy.float32))
    betas = place_beta(*(atoms[:, place] for place in range(3)))
    points = numpy.full((len(angles), 5, 3), numpy.nan, dtype=numpy.float32)
    points[:, :3], points[:, 4] = atoms, betas
    return angles, points


def sharp(points: numpy.ndarray, angles: numpy.ndarray, blur: float = 0.0) -> Distogram:
    """A distogram that is sure of the true bin of every pair, but for `blur` of its probability."""
    apart = distances(points[:, 4])
    bins = numpy.eye(len(EDGES) + 1)[numpy.digitize(apart, EDGES)]
    bins = (1 - blur) * bins + blur / bins.shape[-1]
    return Distogram(bins.astype(numpy.float32), EDGES, angles, numpy.full(angles.shape, 8.0))


@pytest.fixture(scope="module")
def truth() -> numpy.ndarray:
    return hairpin()[1]


@pytest.fixture(scope="module")
def model(truth: numpy.ndarray) -> Backbone:
    return build(sharp(truth, hairpin()[0]), SEQUENCE).backbone


def test_torsions_and_bonds_of_an_ideal_chain_are_those_that_were_asked() -> None:
    angles, points = hairpin()
    nitrogen, alpha, carbon = (points[:, place].astype(numpy.float64) for place in range(3))
    phi = space.dihedral(carbon[:-1], nitrogen[1:], alpha[1:], carbon[1:])
    psi = space.dihedral(nitrogen[:-1], alpha[:-1], carbon[:-1], nitrogen[1:])
    assert numpy.allclose(phi, angles[1:, 0], atol=1e-3) and numpy.allclose(psi, angles[:-1, 1], atol=1e-3)
    assert numpy.allclose(numpy.linalg.norm(nitrogen[1:] - carbon[:-1], axis=1), 1.329, atol=1e-3)


def test_a_structure_is_built_that_is_the_true_one_and_not_its_mirror_image(
    truth: numpy.ndarray, model: Backbone
) -> None:
    assert tm_score(truth[:, 1], model.alphas) > 0.8
    assert mean_lddt(truth[:, 1], model.alphas) > 0.8
    mirrored = truth[:, 1] * numpy.array([1, 1, -1])
    assert tm_score(mirrored, model.alphas) < tm_score(truth[:, 1], model.alphas) - 0.2


def test_what_is_built_is_possible(model: Backbone) -> None:
    found = check(model)
    assert (found.clashes, found.breaks, found.left_handed) == (0, 0, 0)
    assert found.strained <= 2  # the sharp turn of this chain leaves no room for a flat bond
    assert found.right_handed > 20
    nitrogen, alpha, carbon, beta = (model.atom(name).astype(numpy.float64) for name in ("N", "CA", "C", "CB"))
    assert numpy.allclose(numpy.linalg.norm(alpha - nitrogen, axis=1), 1.458, atol=2e-3)
    hand = numpy.einsum("ij,ij->i", numpy.cross(nitrogen - alpha, carbon - alpha), beta - alpha)
    ideal = RESIDUE.double().numpy() - RESIDUE.double().numpy()[1]
    assert (
        numpy.nanmax(hand) * float(numpy.cross(ideal[0], ideal[2]) @ ideal[3]) > 0
        and (numpy.isnan(hand) | (numpy.sign(hand) == numpy.sign(numpy.nanmax(hand)))).all()
    )
    assert numpy.isnan(beta).any(1).tolist() == [letter == "G" for letter in SEQUENCE]
    assert numpy.allclose(numpy.linalg.norm(model.atom("O") - carbon, axis=1), 1.231, atol=2e-3)


@pytest.mark.skipif("ANFINSEN_DATA" not in os.environ, reason="the tables of chains are not here")
def test_a_real_chain_is_built_from_its_distances() -> None:
    from anfinsen.sets.coordinates import load_chains
    from anfinsen.targets.distances import torsions_of

    chains = load_chains("valid", kinds=("bb5",), representatives=True)
    chain = next(one for one in chains if 60 <= len(one) <= 80 and not one.backbone.breaks.any())
    points = numpy.stack([*(chain.atoms[name] for name in ("N", "CA", "C", "O")), chain.betas], axis=1)
    built = build(sharp(points, numpy.nan_to_num(torsions_of(chain.backbone))), chain.sequence)
    assert tm_score(chain.atoms["CA"], built.backbone.alphas) > 0.8
    assert mean_lddt(chain.atoms["CA"], built.backbone.alphas) > 0.8
    assert check(built.backbone).clashes == 0


# Confidence ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "word", "colour"),
    [
        (0, "very low", "#FF7D45"),
        (49.9, "very low", "#FF7D45"),
        (50, "very low", "#FF7D45"),
        (50.1, "low", "#FFDB13"),
        (69.9, "low", "#FFDB13"),
        (70, "low", "#FFDB13"),
        (70.1, "confident", "#65CBF3"),
        (89.9, "confident", "#65CBF3"),
        (90, "confident", "#65CBF3"),
        (90.1, "very high", "#0053D6"),
        (100, "very high", "#0053D6"),
    ],
)
def test_every_confidence_has_one_word_and_one_colour(value: float, word: str, colour: str) -> None:
    assert (band(value).word, band(value).colour) == (word, colour)


def test_the_fitted_confidence_is_right_on_average_and_never_falls() -> None:
    draw = numpy.random.default_rng(1)
    agreed = [draw.uniform(0.1, 0.9, 60) for _ in range(30)]
    truth = [numpy.clip(0.5 * one + 0.1 + draw.normal(0, 0.03, 60), 0, 1) for one in agreed]
    found = fit(agreed, agreed, truth, 1.5)
    said = plddt(numpy.concatenate(agreed), numpy.concatenate(agreed), found)
    assert abs(said.mean() - 100 * numpy.concatenate(truth).mean()) < 1
    order = plddt(numpy.linspace(0, 1, 50), numpy.full(50, 0.5), found)
    assert (numpy.diff(order) >= 0).all() and order.min() >= 0 and order.max() <= 100
    assert errors(numpy.array([[0.0, 4.0], [40.0, 0.0]]), found).tolist() == [[0.0, 6.0], [31.75, 0.0]]


def test_a_structure_that_fits_its_distogram_is_trusted_more_than_one_that_does_not(truth: numpy.ndarray) -> None:
    from anfinsen.structure.confidence import agreement

    believed = sharp(truth, hairpin()[0], blur=0.2)
    wrong = truth[:, 4] * 1.5
    assert agreement(believed, truth[:, 4]).mean() > agreement(believed, wrong).mean() + 0.2
    assert expected_errors(believed, truth[:, 4]).mean() < expected_errors(believed, wrong).mean()


def test_aligned_errors_see_a_mirror_image_and_no_turn(truth: numpy.ndarray) -> None:
    turn = numpy.linalg.qr(numpy.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= numpy.linalg.det(turn)
    assert aligned_errors(truth, truth @ turn.T + 7).max() < 1e-3
    assert aligned_errors(truth, truth * numpy.array([1, 1, -1])).mean() > 2


# Files --------------------------------------------------------------------------------------------------------------


def test_files_are_read_back_by_others_and_by_us_with_one_scale(truth: numpy.ndarray) -> None:
    sure = numpy.linspace(12, 98.5, len(truth))
    points = truth.copy()
    points[:, 3] = points[:, 2] + [0.0, 0.0, 1.23]
    chain = Backbone(points, numpy.zeros(len(points) - 1, bool), "predicted", sure.astype(numpy.float32))
    structure = as_structure("hairpin", [SEQUENCE], backbone_atoms(chain), sure)
    files = {"a.cif": as_modelcif(structure, MAKER, [SEQUENCE], sure), "a.pdb": as_pdb(structure, MAKER)}
    for name, text in files.items():
        (protein,) = read_chains(name, text.encode())
        assert protein.sequence == SEQUENCE and protein.backbone is not None  # type: ignore[union-attr]
        assert protein.backbone.origin == "predicted"  # type: ignore[union-attr]
        assert numpy.allclose(protein.backbone.confidence, sure, atol=0.01)  # type: ignore[union-attr]
        assert numpy.allclose(protein.backbone.alphas, points[:, 1], atol=2e-3)  # type: ignore[union-attr]
    block = pdbx.CIFFile.read(io.StringIO(files["a.cif"])).block
    assert numpy.allclose(block["ma_qa_metric_local"]["metric_value"].as_array(float), sure, atol=0.01)
    assert block["ma_qa_metric"]["mode"].as_array().tolist() == ["local", "global"]
    assert block["entity_poly"]["pdbx_seq_one_letter_code_can"].as_item() == SEQUENCE
    read = gemmi.make_structure_from_block(gemmi.cif.read_string(files["a.cif"]).sole_block())
    assert len(read[0]["A"]) == len(SEQUENCE) and read.entities[0].full_sequence[0] == "MET"


def test_two_equal_chains_are_one_entity_and_unknown_residues_stay_unknown(truth: numpy.ndarray) -> None:
    chain = Backbone(numpy.concatenate([truth, truth + 30]), numpy.zeros(2 * len(truth) - 1, bool))
    sequence = SEQUENCE[:-1] + "X"
    structure = as_structure("pair", [sequence] * 2, backbone_atoms(chain), numpy.full(len(chain), 50.0))
    assert [one.name for one in structure[0]] == ["A", "B"] and len(structure.entities) == 1
    assert structure[0]["B"][-1].name == "UNK"
    text = as_modelcif(structure, MAKER, [sequence] * 2, numpy.full(len(chain), 50.0))
    assert text.count("UNK") > 2


def test_expected_errors_are_written_as_the_alphafold_database_does(tmp_path: Path) -> None:
    (told,) = json.loads(as_error_json(numpy.array([[0.0, 3.4], [3.6, 0.0]])))
    assert told == {"predicted_aligned_error": [[0, 3], [4, 0]], "max_predicted_aligned_error": 31.75}


def test_the_bands_leave_no_gap() -> None:
    assert [one.above for one in BANDS] == sorted((one.above for one in BANDS), reverse=True)

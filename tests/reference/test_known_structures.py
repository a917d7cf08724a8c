"""Known structures lent to a fold: the alignment against biotite, the bank on disk, and what a template may change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from biotite.sequence.align import align_optimal

from anfinsen.bench import fold_fitting
from anfinsen.data.example import Example
from anfinsen.errors import BundleError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.distances import Folder
from anfinsen.inference.fold import LINKER, relatives
from anfinsen.kinship.alignment import MATRIX, Aligner, aligned
from anfinsen.kinship.blosum import GAPS, as_biotite
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.sets.coordinates import load_chains
from anfinsen.sets.folds import betas_from_alphas, fold_examples
from anfinsen.sets.known_structures import PER_ANGSTROM, KnownStructures, known_structures
from anfinsen.structure.backbone import Backbone, find_breaks
from anfinsen.structure.distogram import EDGES, Distogram
from anfinsen.structure.geometry import distances
from anfinsen.structure.lending import KEYS, START, Template, fit, lend, mixed
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
CALIBRATION = dict(zip(KEYS, START, strict=True))


def random_chain(length: int, seed: int) -> str:
    return "".join(numpy.random.default_rng(seed).choice(list(LETTERS), size=length))


def walk(length: int, seed: int) -> Backbone:
    """A trace of steps of 3.8 Å that turns slowly, with one break."""
    steps = numpy.random.default_rng(seed).normal(size=(length, 3))
    steps = numpy.stack([numpy.convolve(axis, numpy.ones(4), "same") for axis in steps.T], 1)
    alphas = (3.8 * steps / numpy.linalg.norm(steps, axis=1, keepdims=True)).cumsum(0)
    alphas[length // 2 :] += 60.0
    points = numpy.full((length, 5, 3), numpy.nan, dtype=numpy.float32)
    points[:, 1] = alphas
    return Backbone(points, find_breaks(points), "experimental")


def unsure(length: int) -> Distogram:
    """A distogram that believes everything a little."""
    shares = numpy.full((length, length, len(EDGES) + 1), 1 / (len(EDGES) + 1), dtype=numpy.float32)
    return Distogram(shares, EDGES, numpy.zeros((length, 2)), numpy.zeros((length, 2)))


def template_of(points: numpy.ndarray, e_value: float = 1e-40) -> Template:
    points = points.astype(numpy.float32)
    return Template("known", 0.9, 1.0, e_value, points, points, numpy.full(len(points), 4.0))


@pytest.mark.parametrize("length", [30, 90])
def test_every_score_is_that_of_biotite_with_gaps_and_across_no_end(length: int) -> None:
    asked = random_chain(length, 1)
    kin = asked[:12] + "GG" + asked[12:20] + asked[23:]  # two residues more, three fewer
    chains = [asked, kin, random_chain(40, 2), asked[5:9], kin[::-1], random_chain(7, 3), asked + kin]
    scores = Aligner(chains).scores(asked)
    for chain, score in zip(chains, scores, strict=True):
        best = align_optimal(as_biotite(asked), as_biotite(chain), MATRIX, GAPS, local=True, max_number=1)
        assert score == (best[0].score if best else 0)


def test_an_alignment_names_the_partner_of_each_residue() -> None:
    sequence = "MKTAYIAKQRQISFVKSHFSRQ"
    assert aligned(sequence, "GGG" + sequence).tolist() == list(range(3, 25))
    assert aligned(sequence[4:], sequence).tolist() == list(range(4, 22))


def test_a_bank_keeps_its_traces_to_half_a_grid_point_and_refuses_what_is_none(tmp_path: Path) -> None:
    chains = [Protein(f"c{n}", random_chain(n, n), backbone=walk(n, n)) for n in (40, 75)]
    KnownStructures.of(chains).save(tmp_path / "bank.safetensors")
    bank = KnownStructures.load(tmp_path / "bank.safetensors")
    assert bank.library.chains == tuple(one.sequence for one in chains)
    for one, trace in zip(chains, bank.traces, strict=True):
        assert one.backbone is not None
        there = distances(trace / PER_ANGSTROM)
        assert numpy.abs(there - distances(one.backbone.alphas)).max() < 2 * 3**0.5 / 2 / PER_ANGSTROM
    (tmp_path / "none.safetensors").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="no bank of structures"):
        KnownStructures.load(tmp_path / "none.safetensors")


def test_a_relative_lends_its_atoms_to_the_residues_that_it_is_aligned_with() -> None:
    chains = [Protein(f"c{n}", random_chain(120, n), backbone=walk(120, n)) for n in (1, 2, 3)]
    bank = KnownStructures.of(chains)
    best = bank.search(chains[1].sequence[20:100])[0]
    assert (best.id, best.identity, best.coverage) == ("c2", 1.0, 1.0) and best.e_value < 1e-20
    assert chains[1].backbone is not None
    numpy.testing.assert_allclose(distances(best.alphas), distances(chains[1].backbone.alphas[20:100]), atol=0.1)
    assert bank.search(random_chain(30, 9)) == [] or bank.search(random_chain(30, 9))[0].e_value > 1e-3
    linked = relatives(chains[0].sequence + LINKER + chains[2].sequence, bank)
    where = {one.id: numpy.flatnonzero(~numpy.isnan(one.alphas[:, 0])) for one in linked if one.e_value < 1e-20}
    assert where["c1"].tolist() == list(range(120)) and where["c3"].tolist() == list(range(145, 265))


def test_what_is_lent_is_symmetric_sums_to_one_and_does_not_change_when_the_template_is_turned() -> None:
    alphas = walk(40, 5).alphas.copy()
    alphas[10:13] = numpy.nan
    known = template_of(alphas)
    believed, used = mixed(unsure(40), [known], CALIBRATION)
    assert used == (known,)
    assert numpy.allclose(believed.probabilities.sum(-1), 1, atol=1e-4)
    assert numpy.array_equal(believed.probabilities, believed.probabilities.transpose(1, 0, 2))
    assert numpy.array_equal(believed.probabilities[11], unsure(40).probabilities[11])  # it has nothing to say there
    first, second = numpy.triu_indices(40, 3)
    apart = distances(alphas)[first, second]
    told = (apart > 5) & (apart < 15)
    assert numpy.abs(believed.distances[first, second] - apart)[told].max() < 6
    turn = numpy.linalg.qr(numpy.random.default_rng(2).normal(size=(3, 3)))[0].astype(numpy.float32)
    again, _ = mixed(unsure(40), [template_of(alphas @ turn + 7)], CALIBRATION)
    numpy.testing.assert_allclose(again.probabilities, believed.probabilities, atol=1e-3)


def test_what_is_not_named_has_changed_nothing() -> None:
    alone = unsure(30)
    assert mixed(alone, [], CALIBRATION) == (alone, ())
    doubtful = template_of(walk(30, 6).alphas, e_value=9.0)
    believed, used = mixed(alone, [doubtful], CALIBRATION | {"template offset": -6.0})
    assert used == () and believed is alone


def test_the_fit_trusts_templates_that_were_right_more_than_those_that_were_wrong() -> None:
    first, second = numpy.triu_indices(30, 3)
    asked = walk(30, 99).alphas
    apart = distances(asked)[first, second]
    near = apart < EDGES[-1]
    bins = numpy.searchsorted(EDGES, apart[near], side="right")
    found = {}
    for name, seeds in (("right", (0, 0)), ("wrong", (0, 50))):
        cases = []
        for seed in range(4):
            known, true = (walk(30, seed + other).alphas for other in seeds)
            cases.append((lend(unsure(30), [template_of(known)], first, second), distances(true)[first, second]))
        believed, _ = mixed(unsure(30), [template_of(asked)], fit(cases, EDGES))
        found[name] = believed.probabilities[first[near], second[near], bins].mean()
    assert found["right"] > 0.6 > 0.3 > found["wrong"]


def test_the_bank_of_the_package_holds_the_training_chains_and_nobody_who_is_judged() -> None:
    if not TASKS["contacts"].table.is_here():
        pytest.skip("the tables of chains are not here")
    bank = known_structures()
    train = {example.protein.id: example.protein.sequence for example in fold_examples("train")}
    assert dict(zip(bank.library.ids, bank.library.chains, strict=True)) == train
    judged = {chain.id for split in ("valid", "test") for chain in load_chains(split)}
    assert not judged & set(bank.library.ids)


def test_a_template_keeps_its_place_along_a_longer_chain() -> None:
    moved = template_of(walk(20, 7).alphas).within(5, 40)
    assert moved.coverage == 0.5 and moved.alphas.shape == moved.betas.shape == (40, 3)
    assert numpy.flatnonzero(~numpy.isnan(moved.betas[:, 0])).tolist() == list(range(5, 25))


@pytest.mark.parametrize("is_right", [True, False])
def test_the_fit_is_kept_in_the_bundle_and_trusts_relatives_as_far_as_they_were_right(
    is_right: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32)
    network = Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {"contacts": TASKS["contacts"].shape})
    kind, size = network.shapes["contacts"][:2]
    record = TaskRecord(kind=kind, size=size, calibration={"temperature": 1.25, KEYS[0]: 99.0})
    Bundle("tiny-fold", network.eval(), {"contacts": record}).save(tmp_path / "tiny")
    asked = [Protein(f"v{n}", random_chain(60, n), backbone=with_betas(walk(60, n))) for n in range(6)]
    known = [replace(one, backbone=one.backbone if is_right else walk(60, 50 + n)) for n, one in enumerate(asked)]
    monkeypatch.setattr(fold_fitting, "fold_examples", lambda split: [Example(one) for one in asked])
    monkeypatch.setattr(fold_fitting, "training_structures", lambda: KnownStructures.of(known))
    monkeypatch.setattr(Folder, "distogram", lambda self, protein: unsure(len(protein)))
    told: list[str] = []
    found = fold_fitting.fit_templates(tmp_path / "tiny", most=4, tell=told.append)
    assert len(told) == 4 and told[-1].startswith("4 of 4 validation chains")
    assert Bundle.load(tmp_path / "tiny").records["contacts"].calibration == found | {"temperature": 1.25}
    assert set(found) == set(KEYS)
    backbone = asked[5].backbone
    assert backbone is not None
    first, second = numpy.triu_indices(60, 3)
    apart = numpy.nan_to_num(distances(backbone.atom("CB"))[first, second], nan=99.0)
    near = (apart < EDGES[-1]).nonzero()[0]
    bins = numpy.searchsorted(EDGES, apart[near], side="right")
    believed, _ = mixed(unsure(60), KnownStructures.of(known).search(asked[5].sequence), found)
    sure = believed.probabilities[first[near], second[near], bins].mean()
    assert sure > 0.5 if is_right else sure < 0.2


def with_betas(backbone: Backbone) -> Backbone:
    """The same with CB where a trace of CA lets it be expected."""
    points = backbone.points.copy()
    points[:, 4] = betas_from_alphas(backbone.alphas)
    return Backbone(points, backbone.breaks, backbone.origin)

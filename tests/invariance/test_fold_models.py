"""What must not change a fold: where it lies, a linker, chunks; and gradients that are right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch

from anfinsen.errors import BundleError
from anfinsen.inference import fold
from anfinsen.inference.fold import LINKER, Fold, built, fold_pair, refusal
from anfinsen.limits import Limits
from anfinsen.structure.backbone import Backbone
from anfinsen.structure.building import Built, build, scaled
from anfinsen.structure.confidence import agreement, expected_errors
from anfinsen.structure.distogram import EDGES, Distogram
from anfinsen.structure.frames import chain_of, frames_of, oxygens, spread, torsions
from anfinsen.structure.protein import Protein
from anfinsen.structure.sanity import check
from anfinsen.structure.scores import rmsd
from anfinsen.structure.wishes import Wishes

SEQUENCE = "MKELLKKAEELGVSPEELKK"


pytestmark = pytest.mark.usefixtures("short_search")


def guess(length: int, seed: int = 1) -> Distogram:
    """A distogram of a chain that nobody knows, symmetric."""
    draw = numpy.random.default_rng(seed)
    raw = draw.random((length, length, len(EDGES) + 1)) ** 4
    raw += raw.transpose(1, 0, 2)
    torsion = numpy.tile(numpy.radians([-63.0, -42.0]), (length, 1))
    return Distogram(
        raw / raw.sum(-1, keepdims=True), EDGES, torsion, numpy.full((length, 2), 5.0), draw.random(length)
    )


class Guesser:
    """Folds whatever it is given, from a guess."""

    name = "guesser"

    def memory(self, length: int) -> int:
        return 1000 * length**2

    def fold(self, protein: Protein) -> Fold:
        return built(protein, guess(len(protein)), {}, self.name)


def turned(points: numpy.ndarray) -> numpy.ndarray:
    turn = numpy.linalg.qr(numpy.random.default_rng(2).normal(size=(3, 3)))[0]
    return points @ (turn * numpy.linalg.det(turn)).T + 11


@pytest.fixture(scope="module")
def pair() -> Fold:
    return fold_pair(Guesser(), Protein("a", SEQUENCE), Protein("b", SEQUENCE[::-1]))


def test_confidence_and_checks_do_not_change_when_a_structure_is_turned_and_moved(pair: Fold) -> None:
    believed, points = pair.distogram, pair.backbone.points
    assert believed is not None
    moved = replace(pair.backbone, points=turned(points).astype(numpy.float32))
    assert numpy.allclose(agreement(believed, pair.backbone.betas), agreement(believed, moved.betas), atol=1e-4)
    assert numpy.allclose(
        expected_errors(believed, pair.backbone.betas), expected_errors(believed, moved.betas), atol=1e-3
    )
    assert check(moved) == replace(check(pair.backbone), width=check(moved).width)


def test_a_structure_is_the_same_each_time_it_is_built() -> None:
    one, other = (Guesser().fold(Protein("a", SEQUENCE)) for _ in range(2))
    assert numpy.array_equal(one.backbone.points, other.backbone.points, equal_nan=True)


def test_a_relative_tells_left_from_right_where_torsions_know_nothing() -> None:
    place = numpy.arange(24)
    # a coil of CA atoms: distances alone do not tell its hand
    coil = numpy.stack([6 * numpy.cos(place / 2), 6 * numpy.sin(place / 2), 2.2 * place], 1)
    bins = numpy.searchsorted(EDGES, numpy.linalg.norm(coil[:, None] - coil, axis=-1), side="right")
    nothing = numpy.zeros((24, 2))
    believed = Distogram(numpy.eye(len(EDGES) + 1, dtype=numpy.float32)[bins], EDGES, nothing, nothing)
    mirrored = coil * [1, 1, -1]
    for like, other in ((coil, mirrored), (mirrored, coil)):
        found = build(believed, SEQUENCE[:20] + "AKEL", like).backbone.alphas
        assert rmsd(like, found) < rmsd(other, found)


def test_a_relative_draws_what_lies_beyond_the_last_bin() -> None:
    place = numpy.arange(60)
    turn = 3.66 / 20 * place
    arch = numpy.stack([20 * numpy.cos(turn), 20 * numpy.sin(turn), 1.0 * place], 1)
    apart = numpy.linalg.norm(arch[:, None] - arch, axis=-1)
    known = numpy.eye(len(EDGES) + 1, dtype=numpy.float32)[numpy.searchsorted(EDGES, apart, side="right")]
    believed = Distogram(known, EDGES, numpy.zeros((60, 2)), numpy.zeros((60, 2)))
    like = numpy.where((place < 25)[:, None] | (place >= 35)[:, None], arch, numpy.nan)
    alone, with_relative = (
        min(rmsd(arch, trace * [1, 1, sign]) for sign in (1, -1))
        for trace in (scaled(believed), scaled(believed, like))
    )
    assert apart.max() > 2 * EDGES[-1]
    assert with_relative < 3 < alone / 5


def test_what_comes_out_with_helices_of_the_wrong_hand_is_built_again_from_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    helix = spread(frames_of(chain_of(numpy.tile(numpy.radians([-63.0, -42.0]), (20, 1)).astype(numpy.float32))))
    points = numpy.full((20, 5, 3), numpy.nan, dtype=numpy.float32)
    points[:, :3], points[:, 4] = helix[:, :3].numpy(), helix[:, 3].numpy()
    right, left = (Backbone(one.astype(numpy.float32), numpy.zeros(19, bool), "predicted") for one in (points, -points))
    assert check(left).is_mirrored and not check(right).is_mirrored
    asked = []

    def stubborn(believed: Distogram, sequence: str, like: numpy.ndarray | None = None) -> Built:
        asked.append(like)
        is_right = like is not None and rmsd(right.alphas, like) < rmsd(left.alphas, like)
        return Built(right if is_right else left, 0.0, ())

    monkeypatch.setattr(fold, "build", stubborn)
    found = built(Protein("a", SEQUENCE), guess(20), {}, "any")
    assert len(asked) == 2 and not any("mirror" in message.text for message in found.messages)
    assert numpy.array_equal(found.backbone.points, right.points, equal_nan=True)


def test_a_linker_is_taken_out_and_two_chains_remain(pair: Fold) -> None:
    assert pair.chains == (SEQUENCE, SEQUENCE[::-1]) and len(pair) == 2 * len(SEQUENCE)
    assert pair.backbone.breaks.nonzero()[0].tolist() == [len(SEQUENCE) - 1]
    assert pair.contacts.shape == pair.errors.shape == (len(pair), len(pair)) and len(pair.atoms) == len(pair)
    assert LINKER not in "".join(pair.chains) and "linker" in pair.messages[-1].text


def test_rewards_are_smooth_and_their_gradient_is_right() -> None:
    wishes = Wishes(guess(12))
    wishes.narrow(2.0)
    places = (6 * torch.randn(2, 12, 3, generator=torch.Generator().manual_seed(1))).requires_grad_()
    wishes.reward(places).sum().backward()
    assert places.grad is not None
    for at in ((0, 3, 1), (1, 7, 2)):
        step = torch.zeros_like(places)
        step[at] = 0.02
        with torch.no_grad():
            rise = (wishes.reward(places + step) - wishes.reward(places - step)).sum() / 0.04
        assert float(places.grad[at]) == pytest.approx(float(rise), abs=0.02)


def test_frames_give_torsions_that_no_turn_changes() -> None:
    frames = torch.randn(1, 9, 9, generator=torch.Generator().manual_seed(3))
    atoms = spread(frames)
    moved = torch.from_numpy(turned(atoms[0].numpy().astype(numpy.float64)))[None].float()
    for one, other in zip(torsions(atoms), torsions(moved), strict=True):
        assert torch.allclose(one, other, atol=1e-3)
    assert torch.allclose(
        torch.from_numpy(turned(oxygens(atoms)[0].numpy().astype(numpy.float64))).float(), oxygens(moved)[0], atol=1e-3
    )


def test_what_cannot_be_folded_is_refused_with_a_remedy() -> None:
    folds, limits = Guesser(), Limits(fold_residues_cpu=60, fold_residues_gpu=60)
    assert refusal(Protein("fits", "A" * 60), folds, limits=limits) is None
    for protein, partner, word in (
        (Protein("long", "A" * 61), 0, "limit"),
        (Protein("pair", "A" * 30), 30, "limit"),
        (Protein("unknown", "A" * 30 + "X" * 20), 0, "unknown"),
    ):
        error = refusal(protein, folds, partner=partner, limits=limits)
        assert error is not None and word in error.reason and error.remedy and error.record == protein.id
    greedy = type("Greedy", (Guesser,), {"memory": lambda self, length: 10**15})()
    error = refusal(Protein("big", SEQUENCE), greedy)
    assert error is not None and "memory" in error.reason


def test_suspicious_structures_are_called_so() -> None:
    points = numpy.zeros((12, 5, 3), dtype=numpy.float32)
    points[:, :, 0] = numpy.arange(12)[:, None] * 3.8 + numpy.arange(5)
    points[6:, :, 1] = 40.0
    points[11] = points[2]
    found = check(Backbone(points, numpy.zeros(11, bool), "predicted", numpy.full(12, 20, numpy.float32)))
    assert found.clashes == 1 and found.breaks >= 1 and found.low_share == 1.0
    told = " ".join(message.text for message in found.messages())
    assert "overlap" in told and "torn" in told and "low confidence" in told


# ESMFold ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ESMFold with random weights, in the layout of the public one."""
    from transformers import EsmConfig, EsmForProteinFolding

    torch.manual_seed(1)
    inside = {"sequence_dim": 32, "pairwise_dim": 16, "ipa_dim": 4, "resnet_dim": 16, "num_heads_ipa": 2}
    inside |= {"num_qk_points": 2, "num_v_points": 2, "num_blocks": 1, "num_transition_layers": 1}
    trunk = {"num_blocks": 1, "sequence_state_dim": 32, "pairwise_state_dim": 16, "sequence_head_width": 8}
    trunk |= {"pairwise_head_width": 8, "position_bins": 4, "max_recycles": 1, "structure_module": inside}
    config = EsmConfig(
        vocab_size=33,
        hidden_size=32,
        pad_token_id=1,
        mask_token_id=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=37,
        max_position_embeddings=1026,
        position_embedding_type="rotary",
        is_folding_model=True,
        esmfold_config={"trunk": trunk, "fp16_esm": False, "lddt_head_hid_dim": 8},
    )
    folder = tmp_path_factory.mktemp("esmfold")
    EsmForProteinFolding(config).eval().save_pretrained(folder)
    return folder


def test_esmfold_is_opened_from_disk_and_chunks_change_nothing(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anfinsen.inference import esmfold

    folds = esmfold.ESMFold.load(str(checkpoint))
    whole = folds.fold(Protein("a", SEQUENCE))
    monkeypatch.setattr(esmfold, "CHUNKED_FROM", 5)
    monkeypatch.setattr(esmfold, "CHUNK", 4)
    parts = folds.fold(Protein("a", SEQUENCE))
    assert numpy.allclose(whole.backbone.points, parts.backbone.points, atol=1e-3, equal_nan=True)
    assert "SD" in whole.atoms[0] and 0 < whole.plddt.mean() < 100
    assert whole.maker.model == str(checkpoint) and whole.contacts.shape == (len(SEQUENCE),) * 2


def test_a_checkpoint_that_is_not_here_is_refused_and_not_fetched() -> None:
    from anfinsen.inference.esmfold import ESMFold

    with pytest.raises(BundleError, match="is not on this machine, and nothing is downloaded"):
        ESMFold.load("facebook/esmfold_v1")

"""The task that reads structures: coordinates of a file reach the network, and the answer says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy
import polars
import pytest
import torch

from anfinsen.data.batch import crop
from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.reading.readers import read_examples
from anfinsen.structure.backbone import Backbone, from_alphas
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import ask

TASK = TASKS["interface"]
LETTERS = list("ACDEFGHIKLMNPQRSTVWY")


@pytest.fixture
def network() -> Network:
    torch.manual_seed(1)
    shape = EncoderConfig(layers=1, dim=32, heads=2, inner_dim=64)
    return Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {TASK.name: TASK.shape}).eval()


def chain(length: int, seed: int) -> Example:
    draw = numpy.random.default_rng(seed)
    alphas = numpy.cumsum(draw.normal(size=(length, 3)) * 2.0, axis=0)
    return Example(Protein(f"p{seed}", "".join(draw.choice(LETTERS, size=length)), backbone=from_alphas(alphas)))


def without(example: Example) -> Example:
    return replace(example, protein=replace(example.protein, backbone=None))


def outputs(network: Network, examples: Sequence[Example]) -> list[numpy.ndarray]:
    return [one[TASK.name] for one in ask(network, [TASK], examples)]


def test_coordinates_of_a_file_reach_the_network_and_the_answer_says_so(network: Network) -> None:
    found = [
        one for one in read_examples(Path(__file__).parent.parent / "bad" / "good.pdb") if isinstance(one, Example)
    ]
    seen, blind = outputs(network, found), outputs(network, [without(one) for one in found])
    assert numpy.abs(seen[0] - blind[0]).max() > 1e-3
    (answer,) = TASK.answers(seen, found, {})
    (other,) = TASK.answers(blind, [without(one) for one in found], {})
    assert (answer["ground"], other["ground"]) == ("structure", "sequence")
    assert "judged from its structure; about " in TASK.say(answer)
    assert "judged from the sequence alone" in TASK.say(other)


def test_a_chain_is_answered_alike_alone_in_company_and_turned_round(network: Network) -> None:
    examples = [chain(length, length) for length in (15, 40, 28)]
    together = outputs(network, [*examples, without(examples[0])])
    turn = numpy.linalg.qr(numpy.random.default_rng(1).normal(size=(3, 3)))[0]
    for example, expected in zip(examples, together, strict=False):
        backbone = example.protein.backbone
        assert backbone is not None
        turned = Backbone((backbone.points @ turn + 7.0).astype(numpy.float32), backbone.breaks)
        moved = replace(example, protein=replace(example.protein, backbone=turned))
        for (alone,) in (outputs(network, [example]), outputs(network, [moved])):
            assert alone == pytest.approx(expected, abs=2e-4)


def test_of_a_whole_backbone_it_is_shown_what_it_learnt_from_the_ca_atoms(network: Network) -> None:
    (whole, *_) = (
        one for one in read_examples(Path(__file__).parent.parent / "bad" / "good.pdb") if isinstance(one, Example)
    )
    assert whole.protein.backbone is not None and not numpy.isnan(whole.protein.backbone.atom("N")).all()
    trace = replace(whole, protein=replace(whole.protein, backbone=from_alphas(whole.protein.backbone.alphas)))
    assert outputs(network, [whole])[0] == pytest.approx(outputs(network, [trace])[0], abs=1e-5)


def test_another_sequence_on_the_same_backbone_is_read_anew() -> None:
    example = chain(20, 1)
    other = replace(example, protein=replace(example.protein, sequence="W" * 20))
    first, second, again = (TASK.collate([one]).net for one in (example, other, example))
    assert first is not None and second is not None and again is not None
    assert torch.equal(first.nodes, again.nodes) and not torch.equal(first.nodes, second.nodes)


def test_a_cropped_chain_keeps_the_places_of_its_residues() -> None:
    example = chain(50, 3)
    part = crop(example, 20, numpy.random.default_rng(1))
    assert part.protein.backbone is not None and example.protein.backbone is not None
    start = example.protein.sequence.index(part.protein.sequence)
    assert numpy.array_equal(part.protein.backbone.points, example.protein.backbone.points[start : start + 20], True)
    batch = TASK.collate([part])
    assert batch.net is not None and len(batch.net.positions) == 20


def test_structures_are_forgotten_now_and_then_in_training() -> None:
    example, draw = chain(20, 1), numpy.random.default_rng(1)
    kept = sum(TASK.prepare(example, draw).protein.backbone is not None for _ in range(400))
    assert 260 < kept < 340


def test_the_table_is_read_with_its_coordinates_and_its_official_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = numpy.array([[0, 0, 0], [380, 0, 0], [760, 0, 0]], dtype="<i2").tobytes()
    rows = [
        {"id": f"1abc{at}", "set": part, "seq": "MKT", "label": "010", "coords_ca": places}
        for at, part in enumerate(["Train_335"] * 30 + ["Test_60"])
    ]
    (tmp_path / "ppi_sites_graphppis").mkdir()
    polars.DataFrame(rows).write_parquet(tmp_path / "ppi_sites_graphppis" / "chains.parquet")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    train, valid, (test,) = (TASK.examples(split) for split in ("train", "valid", "test60"))
    assert len(train) + len(valid) == 30 and len(valid) > 0
    assert {one.protein.id for one in train}.isdisjoint(one.protein.id for one in valid)
    assert test.protein.backbone is not None and test.protein.backbone.alphas[1].tolist() == pytest.approx([3.8, 0, 0])
    assert TASK.target.encode(test)[:, 0].tolist() == [0.0, 1.0, 0.0]
    with pytest.raises(UnknownNameError, match="There is no split of chains called 'test'"):
        TASK.examples("test")

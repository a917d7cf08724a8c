"""The task of ligand sites: what nobody looked at is unknown, who judges is not learnt from, structures are joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch

from anfinsen.bench.sites import alone, said_from, without_structure
from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError
from anfinsen.inference.site_residues import ALONE, NEVER, PLACED, RIGHT, sparing
from anfinsen.sets import holo
from anfinsen.sets.holo import load_holo
from anfinsen.sets.known_sites import KnownSites
from anfinsen.structure.backbone import from_alphas
from anfinsen.structure.protein import Protein
from anfinsen.tasks import ligand_sites
from anfinsen.tasks.ligand_sites import DRUG, LETTERS, TASK, key_of, told

KINDS = list(LETTERS)
A, B, C, D, E = (letter * 6 for letter in "AGLKV")


def stored(points: list[list[float]]) -> bytes:
    return (numpy.array(points) * 100).round().astype("<i2").tobytes()


def line(length: int) -> list[list[float]]:
    return [[3.8 * at, 0.0, 0.0] for at in range(length)]


def structure(name: str, sequence: str, split: str, **more: Any) -> dict[str, Any]:
    row = {
        "id": f"x:{name}",
        "pdb": name,
        "source": "x",
        "seq": sequence,
        "resnum": numpy.arange(5, 5 + len(sequence)).astype("<i4").tobytes(),
        "icodes": "-----A",
        "atoms": "ca",
        "coords": stored(line(len(sequence))),
        "cluster": 1,
        "label": "110000",
        "lig_names": ["HEM", "GTP"],
        "lig_coords": [stored([[0.0, 4.0, 0.0]]), stored([[19.0, 4.0, 0.0]])],
        "heavy_res": b"",
        "heavy_coords": b"",
        "in_coach420": False,
        "split": split,
    }
    return row | more


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A handful of chains: CA of A and B, ZN of A, an official test, a COACH420 entry; three structures."""
    rows = [
        ("CA", "train", "1aaa_A", A, "100000"),
        ("ZN", "train", "1aab_A", A, "010000"),
        ("CA", "train", "1bbb_A", B, "000001"),
        ("CA", "test", "1ccc_A", C, "001000"),
        ("MG", "train", "1ccc_A", C, "001000"),
        ("CA", "train", "9zzz_A", "W" * 6, "000100"),
    ]
    (tmp_path / "ligand_residues_gpsite").mkdir()
    frame = polars.DataFrame(rows, schema=["ligand", "split", "id", "seq", "label"], orient="row")
    frame.write_parquet(tmp_path / "ligand_residues_gpsite" / "residues.parquet")
    (tmp_path / "ligand_sites").mkdir()
    made = [structure("1ddd", D, "train"), structure("1eee", E, "test"), structure("9zzz", "M" * 6, "train")]
    polars.DataFrame(made).write_parquet(tmp_path / "ligand_sites" / "sites.parquet")
    (tmp_path / "ligand_sites" / "coach420_pdb_ids.txt").write_text("9zzz\n")
    (tmp_path / "ppi_sites_graphppis").mkdir()
    traces = polars.DataFrame([{"seq": B, "coords_ca": stored(line(6))}])
    traces.write_parquet(tmp_path / "ppi_sites_graphppis" / "chains.parquet")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    monkeypatch.setattr(ligand_sites, "deal", lambda: {key_of(C): "out"})
    holo._tables.cache_clear()
    return tmp_path


def by_sequence(examples: list[Example]) -> dict[str, Example]:
    return {example.protein.sequence: example for example in examples}


def test_a_chain_stands_once_with_what_is_known_of_each_kind(tables: Path) -> None:
    train = by_sequence(TASK.examples("train"))
    assert set(train) == {A, B, D}
    assert train[A].value == told(6, {"CA": "100000", "ZN": "010000"})
    assert train[B].value == told(6, {"CA": "000001"})
    assert train[D].value == told(6, {DRUG: "110000", "HEM": "110000"})
    backbone = train[B].protein.backbone
    assert backbone is not None and backbone.alphas[1].tolist() == pytest.approx([3.8, 0, 0])
    assert train[A].protein.backbone is None


def test_who_judges_is_not_learnt_from_and_a_benchmark_of_others_stays_unseen(tables: Path) -> None:
    (official,) = TASK.examples("official")
    assert official.value == told(6, {"CA": "001000"})
    (test,) = TASK.examples("test")
    assert test.protein.sequence == E and test.protein.numbering == ("5", "6", "7", "8", "9", "10A")
    assert len(load_holo("train")) == 1
    with pytest.raises(UnknownNameError, match="There is no split of residues called 'tset'"):
        TASK.examples("tset")


def test_fewer_and_shorter_chains_can_be_asked_for(tables: Path) -> None:
    fewer = by_sequence(replace(TASK, of_a_kind=1).examples("train"))
    assert D in fewer and len({A, B} & set(fewer)) >= 1
    assert not replace(TASK, longest=5).examples("train")


def test_what_is_unknown_moves_nothing() -> None:
    examples = [Example(Protein("p", "MKTAYI"), told(6, {"CA": "010001"}))]
    outputs = torch.zeros(6, len(KINDS), requires_grad=True)
    loss, known = TASK.loss(outputs, TASK.collate(examples))
    loss.backward()
    assert known == 6 and outputs.grad is not None
    moved = outputs.grad.abs().sum(0) > 0
    assert [KINDS[at] for at in moved.nonzero()[:, 0].tolist()] == ["CA"]


def test_a_kind_by_itself_is_asked_of_the_chains_where_it_is_known(tables: Path) -> None:
    task, train = alone("CA", TASK.examples("train"))
    assert task.target.size == 1 and {example.value for example in train} == {("100000",), ("000001",)}
    assert all(one.protein.backbone is None for one in without_structure(train))


def test_training_forgets_structures_and_atoms_now_and_then() -> None:
    points = numpy.random.default_rng(1).normal(size=(20, 5, 3)).astype(numpy.float32)
    whole = replace(from_alphas(points[:, 1]), points=points)
    example = Example(Protein("p", "A" * 20, backbone=whole), told(20, {}))
    draw = numpy.random.default_rng(1)
    seen = [TASK.prepare(example, draw).protein for _ in range(400)]
    traces = [one for one in seen if one.backbone is not None and numpy.isnan(one.backbone.atom("N")).all()]
    bare = [one for one in seen if one.backbone is None]
    assert 60 < len(bare) < 140 and 80 < len(traces) < 160
    assert 0.3 < sum(one.contacts is not None for one in bare) / len(bare) < 0.7


def test_an_answer_says_what_it_stands_on_and_contacts_move_it() -> None:
    draw = numpy.random.default_rng(1)
    contacts = numpy.zeros((30, 30))
    contacts[3, 20] = contacts[20, 3] = 0.9
    chain = Protein("p", "".join(draw.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=30)))
    measured = from_alphas(numpy.cumsum(draw.normal(scale=2.0, size=(30, 3)), axis=0).astype(numpy.float32))
    posed = [
        chain,
        replace(chain, contacts=contacts),
        replace(chain, backbone=measured),
        replace(chain, backbone=replace(measured, origin="predicted"), contacts=contacts),
    ]
    examples = [Example(one) for one in posed]
    outputs = [numpy.zeros((30, len(KINDS)))] * 4
    told_by = TASK.answers(outputs, examples, {f"threshold {kind}": 0.5 for kind in KINDS} | {"temperature": 1.0})
    assert [one["ground"] for one in told_by] == ["sequence", "contacts", "structure", "fold"]
    assert TASK.say(told_by[1]).endswith("from predicted contacts.")
    nets = [TASK.collate([one]).net for one in examples]
    assert [one.grounds[0] for one in nets if one is not None] == ["sequence", "contacts", "structure", "fold"]
    assert nets[0] is not None and nets[1] is not None
    added = {tuple(edge) for edge in nets[1].edges.T.tolist()} - {tuple(edge) for edge in nets[0].edges.T.tolist()}
    assert added == {(3, 20), (20, 3)}


def test_a_relative_tells_where_its_ligand_would_sit(tmp_path: Path) -> None:
    draw = numpy.random.default_rng(1)
    sequence = "".join(draw.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=120))
    alphas = draw.normal(scale=20.0, size=(120, 3)).astype(numpy.float32)
    ligand = holo.Ligand("HEM", alphas[40:44] + 0.5)
    empty = numpy.zeros((0, 3), dtype=numpy.float32), numpy.zeros(0, dtype=numpy.int64)
    relative = holo.Holo(Protein("1abc:A", sequence, backbone=from_alphas(alphas)), "", (ligand,), *empty, 1, "train")
    library = KnownSites.of([relative])
    library.save(tmp_path / "known.safetensors")
    found = KnownSites.load(tmp_path / "known.safetensors").compare("GG" + sequence[:100])
    assert (found.relatives, found.nearest) == (1, "1abc:A")
    here = found.at([42, 43, 44, 45])
    assert here is not None and here.ligand == "HEM" and {42, 43, 44, 45} <= here.residues
    assert found.at([2, 3, 4, 5, 6, 7, 8]) is None
    stranger = KnownSites.load(tmp_path / "known.safetensors").compare("W" * 60)
    assert (stranger.relatives, stranger.sites) == (0, ())


def test_a_sequence_says_a_kind_only_where_enough_of_what_is_said_was_right() -> None:
    draw = numpy.random.default_rng(1)
    truth = (draw.random(5000) < 0.05).astype(float)
    telling, idle = 0.02 + 0.5 * truth * draw.random(5000) + 0.1 * draw.random(5000), draw.random(5000)
    said = telling >= said_from(telling, truth)
    assert truth[said].mean() >= RIGHT and truth[said].sum() > truth.sum() / 2
    assert said_from(idle, truth) == NEVER
    shares = {kind: [0.9, 0.2] for kind in KINDS}
    given = {"probabilities": shares, "thresholds": dict.fromkeys(KINDS, 0.1), "tokens": "LL"}
    calibration = {f"{ALONE}{kind}": NEVER if kind in ("PRO", "CA") else 0.5 for kind in KINDS} | {f"{PLACED}PRO": 0.4}
    alone, placed = (sparing({**given, "ground": ground}, calibration) for ground in ("contacts", "structure"))
    assert ligand_sites.counts(alone) == {kind: 1 for kind in KINDS if kind not in ("PRO", "CA")}
    assert ligand_sites.counts(placed) == {kind: 2 if kind == DRUG else 1 for kind in KINDS if kind != "CA"}
    assert alone["probabilities"] == shares and sparing({**given, "ground": "sequence"}, {})["thresholds"][DRUG] == 0.1

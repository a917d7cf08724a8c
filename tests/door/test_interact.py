"""Who meets whom: symmetric, the same in any company, the same one by one and all at once, and on after a kill."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy
import polars
import pytest
import torch
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.data.example import Example
from anfinsen.data.triads import triads
from anfinsen.errors import BundleError, UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score, TaskRecord
from anfinsen.inference import partners
from anfinsen.inference.partners import Pairer, Shelf, best_pairs
from anfinsen.models.acquaintance import Acquaintances, Asked
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.models.pairing import PLACES
from anfinsen.models.recall import Recall
from anfinsen.report.partners import standing
from anfinsen.structure.protein import Protein
from anfinsen.tasks.ask import ask
from anfinsen.tasks.interaction import KNOWN, NO, TASK, YES
from anfinsen.tasks.meeting import Meeting

LETTERS = list("ACDEFGHIKLMNPQRSTVWY")


def made(count: int, seed: int = 1, longest: int = 120) -> list[Protein]:
    """Invented proteins."""
    generator = numpy.random.default_rng(seed)
    sizes = generator.integers(20, longest, count).tolist()
    return [Protein(f"p{at}", "".join(generator.choice(LETTERS, size))) for at, size in enumerate(sizes)]


def two_circles(proteins: list[Protein], count: int = 300) -> list[Example]:
    """Pairs of which those of even places meet among themselves, and those of odd ones."""
    generator = numpy.random.default_rng(3)
    drawn = {tuple(sorted(map(int, generator.integers(0, len(proteins), 2)))) for _ in range(count)}
    return [
        Example(proteins[a], YES if (a - b) % 2 == 0 else NO, partner=proteins[b]) for a, b in sorted(drawn) if a != b
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle that answers pairs, with a memory of two circles."""
    torch.manual_seed(1)
    shape = EncoderConfig(layers=1, dim=32, heads=2, inner_dim=64)
    network = Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {TASK.name: TASK.shape}).eval()
    known, rooms = two_circles(made(30)), numpy.random.default_rng(5).dirichlet(numpy.ones(PLACES), 30)
    where = {protein.sha256: row for protein, row in zip(made(30), rooms, strict=True)}
    cast(Recall, network.heads[TASK.name].memory).keep(Meeting.fit(known, YES, where).to_arrays())
    outputs = [one[TASK.name] for one in ask(network, [TASK], known)]
    calibration = TASK.target.calibrate(outputs, known)
    record = TaskRecord(kind="pairing", size=2, labels=TASK.target.labels, calibration=calibration)
    bundle = Bundle("anfinsen-tiny-pairs", network, {TASK.name: record})
    bundle.remember()
    bundle.save(tmp_path_factory.mktemp("pairs") / "bundle")
    return next(tmp_path_factory.getbasetemp().glob("pairs*/bundle"))


@pytest.fixture(scope="module")
def pairer(folder: Path) -> Pairer:
    return Pairer.load(folder)


def fasta(path: Path, proteins: list[Protein]) -> Path:
    path.write_text("".join(f">{protein.id}\n{protein.sequence}\n" for protein in proteins), encoding="utf-8")
    return path


def scores(answers: list[dict[str, object]]) -> list[float]:
    return [answer["probabilities"][YES] for answer in answers]  # type: ignore[index]


def test_the_order_of_two_proteins_and_their_company_make_no_difference(pairer: Pairer) -> None:
    proteins = [*made(30)[:6], *made(4, seed=9)]
    pairs = [(one, other) for one in proteins for other in proteins]  # a protein with itself too
    together = scores(pairer.answers(pairs))
    turned = scores(pairer.answers([(other, one) for one, other in pairs]))
    numpy.testing.assert_allclose(together, turned, atol=1e-6)
    alone = [scores(pairer.answers([pair]))[0] for pair in pairs[::7]]
    numpy.testing.assert_allclose(together[::7], alone, atol=1e-5)
    asked = [Example(one, partner=other) for one, other in pairs]
    usual = [one[TASK.name] for one in ask(pairer.network, [TASK], asked)]
    answers = TASK.answers(usual, asked, pairer.bundle.records[TASK.name].calibration)
    numpy.testing.assert_allclose(together, scores(answers), atol=1e-5)


def test_all_against_all_is_what_pairs_one_by_one_are(
    pairer: Pairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partners, "BLOCK", 5)
    proteins = [*made(30)[:8], *made(5, seed=9)]
    count = len(proteins) * (len(proteins) + 1) // 2
    named = [replace(protein, id=f"q{at}") for at, protein in enumerate(proteins)]
    assert pairer.all_against_all(pairer.shelf(named), tmp_path) == count
    rows = polars.read_parquet(sorted(tmp_path.glob("pairs-*.parquet")))
    assert len(rows) == count
    place = {protein.id: protein for protein in named}
    alone = pairer.answers([(place[a], place[b]) for a, b in rows.select("a", "b").iter_rows()])
    numpy.testing.assert_allclose(rows["score"], scores(alone), atol=1e-5)
    numpy.testing.assert_allclose(rows["low"], [one["range"][0] for one in alone], atol=1e-4)
    numpy.testing.assert_allclose(rows["high"], [one["range"][1] for one in alone], atol=1e-4)
    assert best_pairs(tmp_path, 3)[0]["score"] == pytest.approx(max(scores(alone)), abs=1e-5)


def test_a_killed_run_goes_on_with_the_first_missing_block(
    pairer: Pairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partners, "BLOCK", 4)
    shelf = pairer.shelf(made(12))
    pairer.all_against_all(shelf, tmp_path / "whole")

    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pairer.all_against_all(shelf, tmp_path / "killed", tell=stop)
    left = pairer.all_against_all(shelf, tmp_path / "killed")
    assert 0 < left < 78
    whole, killed = (polars.read_parquet(sorted((tmp_path / name).glob("*.parquet"))) for name in ("whole", "killed"))
    assert whole.equals(killed)


def test_a_block_of_pairs_takes_the_same_memory_however_many_proteins_there_are(
    pairer: Pairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partners, "BLOCK", 8)
    largest = []
    usual = Pairer.grid

    def watched(self: Pairer, one: Shelf, other: Shelf) -> object:
        largest.append(len(one) * len(other))
        return usual(self, one, other)

    monkeypatch.setattr(Pairer, "grid", watched)
    pairer.all_against_all(pairer.shelf(made(40)), tmp_path)
    assert max(largest) == 64
    assert len(largest) == 15


def test_the_memory_knows_who_belongs_to_which_circle() -> None:
    proteins = made(40)
    pairs = two_circles(proteins, 400)
    meeting = Meeting.fit(pairs[::2], YES)
    one, other = (meeting.asked([pair.chains[side] for pair in pairs[1::2]]) for side in (0, 1))
    votes, known = meeting.votes(one, other)
    truth = numpy.array([pair.value == YES for pair in pairs[1::2]])
    assert ((votes > 0) == truth)[known == 2].mean() > 0.9
    again = Meeting.from_arrays(meeting.to_arrays())
    numpy.testing.assert_allclose(again.votes(one, other)[0], votes, atol=1e-3)


def test_of_new_proteins_the_memory_knows_what_pairs_of_such_rooms_do() -> None:
    proteins, generator = made(60), numpy.random.default_rng(4)
    rooms = numpy.eye(PLACES)[generator.integers(0, 2, 60)] * 0.8 + 0.02
    where = {protein.sha256: row for protein, row in zip(proteins, rooms, strict=True)}
    at = generator.integers(0, 60, (500, 2))
    same = (rooms[at[:, 0]] == rooms[at[:, 1]]).all(1)
    pairs = [
        Example(proteins[a], YES if is_same else NO, partner=proteins[b])
        for (a, b), is_same in zip(at.tolist(), same, strict=True)
    ]
    strangers = made(40, seed=9)
    told = numpy.eye(PLACES)[generator.integers(0, 2, 40)] * 0.8 + 0.02
    meeting = Meeting.fit(pairs, YES, where)
    asked = meeting.asked(strangers, told)
    votes, known = meeting.votes(asked, asked, is_grid=True)
    assert (known == 0).all()
    numpy.testing.assert_allclose(votes, votes.T, atol=1e-5)
    assert ((votes > 0) == (told[:, None] == told).all(-1)).mean() > 0.95
    in_rows, _ = meeting.votes(asked.part(slice(0, 20)), asked.part(slice(20, 40)))
    numpy.testing.assert_allclose(in_rows, votes[numpy.arange(20), numpy.arange(20, 40)], atol=1e-4)
    untold = Meeting.fit(pairs, YES)  # a memory that was told of no places listens to none
    numpy.testing.assert_array_equal(untold.asked(strangers, told).places, numpy.zeros((40, 0)))


def test_circles_are_connected_by_meetings_alone_and_a_chain_of_two_names_joins_none() -> None:
    pairs = numpy.array([[0, 1], [1, 2], [3, 4], [0, 3], [2, 5], [5, 4]])
    meets = numpy.array([True, True, True, False, True, True])
    nowhere = numpy.zeros((6, 0), dtype=numpy.float32)
    joined = Acquaintances(pairs, meets, nowhere)
    assert len(set(joined.circle.tolist())) == 1
    doubles = numpy.arange(6) == 5
    apart = Acquaintances(pairs, meets, nowhere, doubles)
    assert apart.circle[0] == apart.circle[2] != apart.circle[3] == apart.circle[4]
    clues = apart.circle_clues(numpy.array([0]), numpy.array([4]))
    numpy.testing.assert_allclose(clues, apart.circle_clues(numpy.array([4]), numpy.array([0])))
    asked = Asked(numpy.array([0, -1]), numpy.eye(6)[:2], nowhere[:2])
    assert apart.knows(asked).tolist() == [True, False]


def test_triads_are_shen_s() -> None:
    (row,) = triads(["AVGK"])  # A, V and G are one kind, K another: triads 0-0-0 and 0-0-4
    assert numpy.flatnonzero(row[:343]).tolist() == [0, 4]
    assert row[:343].sum() == pytest.approx(1)


def test_the_verb_answers_two_proteins_a_list_and_everyone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANFINSEN_CACHE", str(tmp_path / "cache"))
    proteins = made(5, longest=60)
    files = [fasta(tmp_path / f"{name}.fasta", part) for name, part in (("a", proteins[:1]), ("b", proteins[1:2]))]
    everyone = fasta(tmp_path / "all.fasta", proteins)
    listed = tmp_path / "list.csv"
    listed.write_text("a,b\np0,p1\np2,p2\np3,nobody\n,p4\n", encoding="utf-8")
    usual = ["--bundle", str(folder), "--threads", "1"]
    runner = CliRunner()
    two = runner.invoke(app, ["interact", *map(str, files), "--out", str(tmp_path / "two"), *usual])
    assert two.exit_code == 0, two.output
    assert "p0 and p1" in two.output
    page = (tmp_path / "two" / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "What speaks most" in page
    arguments = ["interact", str(listed), "--sequences", str(everyone), "--out", f"file://{tmp_path}/list", *usual]
    assert runner.invoke(app, arguments).exit_code == 3
    rows = list(csv.DictReader((tmp_path / "list" / "pairs.csv").read_text(encoding="utf-8").splitlines()))
    assert {(row["a"], row["b"]) for row in rows} == {("p0", "p1"), ("p2", "p2")}
    assert all(float(row["low"]) <= float(row["score"]) <= float(row["high"]) for row in rows)
    refused = (tmp_path / "list" / "refused.csv").read_text(encoding="utf-8")
    assert "'nobody' is none of the 5 proteins." in refused
    assert "It names one." in refused
    for _ in range(2):
        arguments = ["interact", "--all-against-all", str(everyone), "--out", str(tmp_path / "every"), *usual]
        every = runner.invoke(app, arguments)
        assert every.exit_code == 0, every.output
    assert "0 pairs were answered now, of 5 proteins." in every.output
    assert len((tmp_path / "every" / "pairs.csv").read_text(encoding="utf-8").split()) == 16


def test_what_is_no_question_about_pairs_is_refused_in_words(folder: Path, tmp_path: Path, pairer: Pairer) -> None:
    runner = CliRunner()
    nothing = runner.invoke(app, ["interact", "--bundle", str(folder)])
    assert isinstance(nothing.exception, UsageError)
    assert "Give two files of proteins (A B), one table of pairs, or --all-against-all FILE." in str(nothing.exception)
    partners.claim(tmp_path, {"file": "one.fasta"})
    with pytest.raises(UsageError, match="already holds pairs with another file"):
        partners.claim(tmp_path, {"file": "two.fasta"})
    with pytest.raises(BundleError, match="does not answer 'interaction'"):
        Pairer(replace(pairer.bundle, records={}))


def test_chances_move_to_the_share_of_pairs_that_is_expected_to_meet(
    pairer: Pairer, folder: Path, tmp_path: Path
) -> None:
    proteins = [replace(protein, id=f"q{at}") for at, protein in enumerate(made(30)[:5])]
    pairs = [(proteins[0], other) for other in proteins[1:]]
    usual, rare = numpy.array(scores(pairer.answers(pairs))), Pairer.load(folder, expected=0.01)
    taught = pairer.meeting.meets.mean()
    moved = usual / (1 - usual) / (taught / (1 - taught)) * 0.01 / 0.99  # Bayes' rule, in odds
    answers = rare.answers(pairs)
    numpy.testing.assert_allclose(scores(answers), moved / (1 + moved), rtol=1e-4)
    assert all(one["range"][0] <= one["probabilities"][YES] <= one["range"][1] for one in answers)
    assert (numpy.array(scores(answers)) > 0.5).sum() <= (usual > 0.5).sum()
    rare.all_against_all(rare.shelf(proteins), tmp_path)
    every = polars.read_parquet(sorted(tmp_path.glob("pairs-*.parquet"))).filter(polars.col("a") == "q0")
    numpy.testing.assert_allclose(every["score"][1:], scores(answers), atol=1e-5)
    with pytest.raises(UsageError, match=r"came as 1\. Give it between 0 and 1"):
        Pairer.load(folder, expected=1.0)


def test_a_range_is_wider_where_less_is_known_and_always_holds_its_score(pairer: Pairer) -> None:
    taught, strangers = two_circles(made(30))[0], made(2, seed=9)
    answers = pairer.answers([taught.chains, (strangers[0], strangers[1])])  # type: ignore[list-item]
    assert [answer[KNOWN] for answer in answers] == [2, 0]
    assert answers[0]["taught"] == (taught.value == YES)
    assert "taught" not in answers[1]
    for answer in answers:
        assert answer["range"][0] <= answer["probabilities"][YES] <= answer["range"][1]
    assert numpy.ptp(answers[1]["range"]) >= numpy.ptp(answers[0]["range"])


def test_the_page_says_how_often_such_answers_were_right() -> None:
    place = {"suite": "partners", "task": "interaction", "dataset": "guo", "split": "guo-C3", "metric": "accuracy"}
    figures = {"low": 0.5, "high": 0.7, "n": 945}
    rows = [
        Score.build({**place, **figures, "model": who, "value": at}) for who, at in (("anfinsen-tiny", 0.6), ("x", 0.5))
    ]
    (section,) = standing(rows)
    assert section.rows == [("neither was", "945", "0.600 (95% interval 0.500 to 0.700)", "x 0.500")]
    assert standing([]) == []


def test_of_two_strangers_the_sentence_says_first_how_little_is_known() -> None:
    sure = {"probabilities": {YES: 0.7}, "range": [0.6, 0.8]}
    words = [TASK.say({**sure, KNOWN: known}).split(":")[0] for known in (0, 1)]
    assert words == ["They may or may not interact", "They may well interact"]
    assert "hardly more than a coin does: treat it as a guess." in TASK.say({**sure, KNOWN: 0})
    wide = {"probabilities": {YES: 0.3}, "range": [0.2, 0.6], KNOWN: 2}
    assert TASK.say(wide).startswith("They may or may not interact: a chance of 30%")

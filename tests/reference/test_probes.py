"""Linear probes against scikit-learn and torch directly, and the transfer curve's arithmetic."""

from __future__ import annotations

import math
from pathlib import Path

import numpy
import polars
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from anfinsen.bench import probes, transfer
from anfinsen.bench.probes import answer_probe, ends_of, fit, one_hot, probe_rows
from anfinsen.bench.study import untrained
from anfinsen.bench.transfer import factor_of, learn, transfer_rows
from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle
from anfinsen.models.network import Network
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import validation_loss

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty proteins a split in which K, E and L are helix, V, I and Y strand, and the place tells the composition."""
    generator = numpy.random.default_rng(3)
    structures, places = [], []
    classes = TASKS["localization"].target.labels
    for split in ("train", "valid", "test_casp12", "test_casp13", "test_casp14"):
        for number in range(40):
            sequence = "".join(generator.choice(list(RESIDUES), 30))
            truth = "".join("H" if one in "KEL" else "E" if one in "VIY" else "C" for one in sequence)
            row = {"id": f"{split}{number}", "sequence": sequence, "ss3": truth, "mask": "1" * 29 + "0"}
            structures.append({**row, "split": split})
    for split in ("train_la", "valid", "test"):
        for number in range(40):
            place = number % 3
            letters = [*RESIDUES, *("WKD"[place] * 20)]
            sequence = "".join(generator.choice(letters, 30))
            row = {"id": f"{split}{number}", "sequence": sequence, "location": classes[place]}
            places.append({**row, "split": split})
    for folder, name, rows in (("secondary_structure", "ss3_flip", structures), ("localization", "scl10", places)):
        (tmp_path / folder).mkdir()
        polars.DataFrame(rows).write_parquet(tmp_path / folder / f"{name}.parquet")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))


def test_a_probe_of_residues_is_logistic_regression_on_their_states(tables: None, tiny_network: Network) -> None:
    task = TASKS["secondary-structure"]
    drawn = {split: task.table.load(split)[:12] for split in ("train", "valid", *task.tests)}
    answers = answer_probe(task, probes._states_of(tiny_network, per_residue=True), drawn)

    def states(split: str) -> numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float32]]:
        tokens, lengths = pack([example.protein.sequence for example in drawn[split]])
        with torch.no_grad():
            return tiny_network.states(tokens, lengths)[0].numpy()

    def truth(split: str) -> list[str]:
        return [letter for example in drawn[split] for letter in str(example.value)]

    known = numpy.array([mark == "1" for example in drawn["train"] for mark in str(example.mask)])
    valid = numpy.array([mark == "1" for example in drawn["valid"] for mark in str(example.mask)])
    scale = StandardScaler().fit(states("train")[known])
    lines = [
        LogisticRegression(C=penalty, max_iter=500).fit(
            scale.transform(states("train")[known]), numpy.array(truth("train"))[known]
        )
        for penalty in probes.PENALTIES
    ]
    scores = [line.score(scale.transform(states("valid")[valid]), numpy.array(truth("valid"))[valid]) for line in lines]
    expected = "".join(lines[int(numpy.argmax(scores))].predict(scale.transform(states("casp13"))))
    said = "".join(answer["tokens"] for answer in answers["casp13"])
    assert numpy.mean([one == other for one, other in zip(said, expected, strict=True)]) > 0.98


def test_validation_chooses_the_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    strong, weak = 1e-2, 1e3
    monkeypatch.setattr(probes, "PENALTIES", (strong, weak))
    generator = numpy.random.default_rng(1)
    rows, others = generator.normal(size=(60, 30)), generator.normal(size=(1000, 30))
    truth = (rows[:, 0] > 0).astype(int)
    noisy = numpy.where(generator.random(60) < 0.3, 1 - truth, truth)
    by_heart, by_rule = fit(rows, noisy, rows, noisy), fit(rows, noisy, others, (others[:, 0] > 0).astype(int))
    assert [line[-1].C for line in (by_heart, by_rule)] == [weak, strong]


def test_every_candidate_has_a_row_and_the_rules_of_the_tables_are_found(tables: None, tiny_network: Network) -> None:
    told: list[str] = []
    rows = probe_rows(Bundle("anfinsen-trial", tiny_network), limit=None, tell=told.append)
    found = {(row.task, row.split, row.model): row for row in rows}
    ours = found["secondary-structure", "casp12", "anfinsen-trial linear probe"]
    assert (ours.suite, ours.metric, ours.n, ours.dataset) == ("language-model", "Q3", 40, "ss3_flip")
    assert ours.low is not None
    assert found["secondary-structure", "casp14", "one-hot"].value == 1.0
    assert found["localization", "test", "composition"].value > 0.9
    assert {row.model for row in rows if row.split == "test" and not row.published} == {
        "anfinsen-trial linear probe",
        "random weights",
        "composition",
    }
    published = {row.model: row for row in rows if row.published and row.split == "test"}
    assert published["Light Attention + ProtT5"].metric == "Q10"
    assert told[0] == "probes: anfinsen-trial linear probe learns secondary-structure from 40 proteins."
    again = probe_rows(Bundle("anfinsen-trial", tiny_network), limit=None, tell=told.append)
    assert again == rows


def test_one_hot_and_the_ends_of_a_protein() -> None:
    assert one_hot("AXY").sum(1).tolist() == [1, 0, 1]
    assert one_hot("AXY")[2, RESIDUES.index("Y")] == 1
    example = Example(Protein("a", "AAACCCGGG"), "Nucleus")
    assert ends_of(example, 6).protein.sequence == "AAAGGG"
    assert ends_of(example, 9) is example


def test_the_untrained_twin_is_the_same_network_with_other_weights(tiny_network: Network) -> None:
    twin, again = untrained(tiny_network, seed=5), untrained(tiny_network, seed=5)
    assert twin is not None
    assert again is not None
    mine, theirs = dict(tiny_network.body.named_parameters()), dict(twin.body.named_parameters())
    assert {name: weight.shape for name, weight in mine.items()} == {name: w.shape for name, w in theirs.items()}
    name = "encoder.blocks.0.qkv.weight"
    assert not torch.equal(mine[name], theirs[name])
    assert torch.equal(theirs[name], dict(again.body.named_parameters())[name])
    assert list(twin.heads) == ["masked"]


# The transfer curve -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "scratch", "factor"),
    [
        ([0.4, 0.5, 0.6], [0.1, 0.2, 0.5], 10.0),
        ([0.4, 0.5, 0.6], [0.1, 0.2, 0.55], 10**0.5),
        ([0.6, 0.5, 0.7], [0.1, 0.2, 0.55], 100.0),
        ([0.4, 0.5, 0.6], [0.1, 0.2, 0.6], 1.0),
    ],
)
def test_the_factor_is_read_off_the_line_between_two_shares(
    ours: list[float], scratch: list[float], factor: float
) -> None:
    assert factor_of(ours, scratch, (0.01, 0.1, 1.0)) == pytest.approx(factor)


def test_there_is_no_factor_where_our_curve_stays_below() -> None:
    assert math.isnan(factor_of([0.1, 0.2], [0.3, 0.4], (0.1, 1.0)))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "EPOCHS", 1)
    monkeypatch.setattr(transfer, "FEWEST_STEPS", 3)
    monkeypatch.setattr(transfer, "LOOP", transfer.LOOP.replaced(tokens=256, judge_every=2, warmup=1))


def test_learning_starts_from_the_body_and_leaves_it_as_it_was(
    tables: None, short: None, tiny_network: Network
) -> None:
    task = TASKS["localization"]
    train, valid = task.table.load("train"), task.table.load("valid")
    before = {name: weight.clone() for name, weight in tiny_network.body.state_dict().items()}
    learnt, _ = learn(task, tiny_network.body, train, valid, rate=3e-3)
    assert all(torch.equal(weight, before[name]) for name, weight in tiny_network.body.state_dict().items())
    start, _ = learn(task, tiny_network.body, train, valid, rate=1e-9)
    assert validation_loss(learnt, task, valid) < validation_loss(start, task, valid)


def test_the_curve_has_both_arms_at_every_share_and_the_factor(
    tables: None, short: None, tiny_network: Network
) -> None:
    told: list[str] = []
    rows = transfer_rows(Bundle("anfinsen-trial", tiny_network), limit=30, tell=told.append)
    assert [row.split for row in rows if row.task == "localization" and row.model == "anfinsen-trial"] == [
        *(f"test at {share} % of 1,000 labels" for share in (1, 3, 10, 30, 100)),
        "test at 100 % of 1,000 labels",
    ]
    assert [row.metric for row in rows if row.task == "localization"] == ["Q10"] * 10 + ["label factor"]
    assert {row.model for row in rows} == {"anfinsen-trial", "from scratch"}
    assert {row.suite for row in rows} == {"transfer"}
    assert sum(sentence.startswith("transfer: localization: pre-training saves") for sentence in told) == 1

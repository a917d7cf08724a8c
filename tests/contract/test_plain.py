"""A plain voice beside a network: what it is, that it travels with the bundle, that the better of the two is heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anfinsen.data.composition import composition
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.models.network import HeadShape, Network
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import softmax
from anfinsen.tasks import TASKS
from anfinsen.tasks.plain import PlainTask

SOLUBILITY = TASKS["solubility"]
CLUMPS, DISSOLVES = SOLUBILITY.target.labels


def charged_or_greasy(count: int) -> list[Example]:
    """Proteins of which the charged ones mostly dissolve."""
    generator = numpy.random.default_rng(2)
    examples = []
    for number in range(count):
        is_charged = number % 2 == 0
        letters = list("ACDEFGHIKLMNPQRSTVWY" + ("DEKR" if is_charged else "FILV") * 2)
        sequence = "".join(generator.choice(letters, size=int(generator.integers(30, 80))))
        label = DISSOLVES if is_charged == (generator.random() < 0.9) else CLUMPS
        examples.append(Example(Protein(f"p{number}", sequence), label))
    return examples


@pytest.fixture
def network(tiny_network: Network) -> Network:
    torch.manual_seed(1)
    return Network(tiny_network.body, {"solubility": HeadShape("pooled", 2)}).eval()


def test_the_line_is_scikit_learns_and_knows_no_order(network: Network) -> None:
    assert isinstance(SOLUBILITY, PlainTask)
    train, asked = charged_or_greasy(200), charged_or_greasy(230)[200:]
    head = network.heads["solubility"]
    outputs = [numpy.zeros(2) for _ in asked]
    assert all(len(row) == 2 for row in SOLUBILITY.consult(head, asked, outputs))
    SOLUBILITY.remember(head, train)
    heard = numpy.stack(SOLUBILITY.consult(head, asked, outputs))
    labels = [SOLUBILITY.target.labels.index(str(one.value)) for one in train]
    line = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(composition(train), labels)
    # the memory is stored in half precision
    assert softmax(heard[:, 2:]) == pytest.approx(line.predict_proba(composition(asked)), abs=0.01)
    turned = [replace(one, protein=Protein(one.protein.id, one.protein.sequence[::-1])) for one in asked]
    assert numpy.stack(SOLUBILITY.consult(head, turned, outputs)) == pytest.approx(heard)


@pytest.mark.parametrize(("knowing", "source"), [(0.0, "composition"), (3.0, "both")])
def test_the_calibration_hears_who_knows_something_and_the_answer_says_who(
    network: Network, knowing: float, source: str
) -> None:
    head, examples = network.heads["solubility"], charged_or_greasy(400)
    SOLUBILITY.remember(head, examples[:200])
    generator = numpy.random.default_rng(3)
    held = examples[200:]
    truth = numpy.array([SOLUBILITY.target.labels.index(str(one.value)) for one in held])
    rows = generator.normal(size=(200, 2)) + knowing * numpy.eye(2)[truth]
    told = SOLUBILITY.consult(head, held, list(rows))
    calibration = SOLUBILITY.target.calibrate(told, held)
    answers = SOLUBILITY.answers(told, held, calibration)
    assert {answer["source"] for answer in answers} == {source}
    right = numpy.mean([answer["label"] == one.value for answer, one in zip(answers, held, strict=True)])
    alone = SOLUBILITY.answers(list(rows), held, SOLUBILITY.target.calibrate(list(rows), held))
    assert "source" not in alone[0]
    assert right > numpy.mean([answer["label"] == one.value for answer, one in zip(alone, held, strict=True)])
    assert ("shares of its residues" in SOLUBILITY.say(answers[0])) and "shares" not in SOLUBILITY.say(alone[0])


def test_the_line_travels_with_the_bundle_and_a_bundle_without_one_opens(network: Network, tmp_path: Path) -> None:
    records = {"solubility": TaskRecord(kind="pooled", size=2)}
    asked, outputs = charged_or_greasy(5), [numpy.zeros(2)] * 5
    for part in ("before", "after"):
        Bundle("tiny", network, records).save(tmp_path / part)
        head = Bundle.load(tmp_path / part).network.heads["solubility"]
        mine = SOLUBILITY.consult(network.heads["solubility"], asked, outputs)
        theirs = SOLUBILITY.consult(head, asked, outputs)
        assert len(theirs[0]) == (2 if part == "before" else 4)
        assert numpy.stack(theirs) == pytest.approx(numpy.stack(mine))
        head.load_state_dict({name: one for name, one in head.state_dict().items() if "memory" not in name})
        assert len(SOLUBILITY.consult(head, asked, outputs)[0]) == 2, "a head that was saved without a memory has none"
        SOLUBILITY.remember(network.heads["solubility"], charged_or_greasy(200))

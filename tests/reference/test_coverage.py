"""Nine times in ten is kept: on invented proteins whose chances are known, and by the formulas of the papers."""

from __future__ import annotations

import numpy
import pytest

from anfinsen.data.example import Example
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Label, Number, Tokens, risk_threshold, softmax
from anfinsen.targets.coverage import by_group, groups_of, redraw
from anfinsen.targets.metrics import measure

LETTERS = ("H", "E", "C")


def _protein(number: int, length: int = 10) -> Protein:
    return Protein(f"p{number}", "A" * length)


def _structures(count: int, seed: int) -> tuple[list[numpy.ndarray], list[Example]]:
    """Proteins whose residues are hard or easy TOGETHER: the case in which residues must not be drawn as if alone."""
    generator = numpy.random.default_rng(seed)
    outputs, examples = [], []
    for number in range(count):
        length = int(generator.integers(20, 120))
        sharpness = generator.exponential(2.0)
        logits = generator.normal(size=(length, 3)) * sharpness
        truth = [LETTERS[generator.choice(3, p=row)] for row in softmax(logits)]
        outputs.append(logits)
        examples.append(Example(_protein(number, length), "".join(truth), "1" * (length - 3) + "000"))
    return outputs, examples


def test_the_risk_of_residues_is_controlled_by_proteins() -> None:
    outputs, examples = _structures(240, seed=1)
    redrawn = redraw(Tokens(LETTERS), outputs, examples, draws=10)
    assert redrawn.estimate().value == pytest.approx(0.9, abs=0.012)
    assert redrawn.estimate().n == 120
    assert 1 < redrawn.width < 3


def test_the_threshold_is_the_largest_that_keeps_the_bound() -> None:
    generator = numpy.random.default_rng(1)
    shares = [generator.random(int(generator.integers(5, 30))) for _ in range(60)]
    threshold = risk_threshold(shares)

    def bound(at: float) -> float:
        return (sum(float((part < at).mean()) for part in shares) + 1) / (len(shares) + 1)

    assert bound(threshold) <= 0.1 + 1e-9
    assert bound(float(min(share for part in shares for share in part if share > threshold))) > 0.1


def test_with_fewer_than_nine_proteins_every_letter_stays_possible() -> None:
    assert risk_threshold([numpy.array([0.9, 0.8])] * 8) == 0.0
    assert risk_threshold([numpy.array([0.9, 0.8])] * 9) == 0.8


def test_a_letter_that_is_not_ruled_out_stands_in_the_residues_set() -> None:
    logits = numpy.log(numpy.array([[0.7, 0.2, 0.1], [0.05, 0.05, 0.9], [0.4, 0.35, 0.25]]))
    answer = Tokens(LETTERS).answer(logits, {"temperature": 1.0, "threshold": 0.19})
    assert answer["tokens"] == "HCH"
    assert answer["sets"] == ["HE", "C", "HEC"]
    truth = Example(_protein(0, 3), "EEC", "111")
    assert measure("coverage", [truth, truth], [answer, answer]).value == pytest.approx(2 / 3)
    assert "sets" not in Tokens(LETTERS).answer(logits, {"temperature": 1.0})


def test_labels_and_numbers_are_covered_and_classes_are_told_apart() -> None:
    generator = numpy.random.default_rng(2)
    logits = generator.normal(size=(1000, 4)) * 1.5
    target = Label(tuple("abcd"))
    labels = [target.classes[generator.choice(4, p=row)] for row in softmax(logits)]
    examples = [Example(_protein(number), label) for number, label in enumerate(labels)]
    redrawn = redraw(target, list(logits), examples, draws=10)
    bands = numpy.array(["<30"] * 961 + [">90"] * 39)
    found = by_group(redrawn, groups_of(examples, target.classes, bands))
    assert list(found) == ["all", "class a", "class b", "class c", "class d", "identity <30 %"]  # 39 are too few
    assert found["all"].value == pytest.approx(0.9, abs=0.01)
    weighted = sum(found[f"class {name}"].value * labels.count(name) for name in "abcd") / len(labels)
    assert weighted == pytest.approx(found["all"].value, abs=0.005)
    outputs = numpy.stack((generator.normal(size=800), generator.normal(size=800) * 0.3), 1)
    numbers = outputs[:, 0] + numpy.exp(outputs[:, 1]) * generator.standard_t(4, size=800)
    truths = [Example(_protein(number), float(value)) for number, value in enumerate(numbers)]
    assert redraw(Number("K"), list(outputs), truths, draws=10).estimate().value == pytest.approx(0.9, abs=0.01)

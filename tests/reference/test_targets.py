"""Several labels and numbers a residue, against PyTorch, scikit-learn and SciPy."""

from __future__ import annotations

from dataclasses import replace

import numpy
import pytest
import scipy.stats
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score
from torch.nn import functional

from anfinsen.bench.baselines import baselines_for
from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Label
from anfinsen.targets.labels import Labels, fit_each
from anfinsen.targets.metrics import measure
from anfinsen.targets.values import Values
from anfinsen.tasks.custom import Custom, Scale, balanced, task_name

CLASSES = ("a", "b", "c")
GENERATOR = numpy.random.default_rng(7)


def protein(number: int, length: int = 24) -> Protein:
    letters = numpy.random.default_rng(number).choice(list(RESIDUES), size=length)
    return Protein(f"p{number}", "".join(letters))


def several(count: int, unknown: bool = False) -> list[Example]:
    made = []
    for number in range(count):
        names = [name for name in CLASSES if GENERATOR.random() < 0.4]
        if unknown and number % 3 == 0:
            names = [*(name for name in names if name != "c"), "?c"]
        made.append(Example(protein(number), tuple(names)))
    return made


@pytest.mark.parametrize("weights", [(), (2.0, 1.0, 5.0)])
def test_the_loss_of_labels_is_pytorchs_over_what_is_known(weights: tuple[float, ...]) -> None:
    target, examples = Labels(CLASSES, weights), several(6, unknown=True)
    truth = torch.from_numpy(numpy.stack([target.encode(example) for example in examples]))
    outputs = torch.randn(6, 3)
    known = ~truth.isnan()
    expected = functional.binary_cross_entropy_with_logits(
        outputs, truth.nan_to_num(), pos_weight=torch.tensor(weights) if weights else None, reduction="none"
    )[known].sum()
    loss, count = target.loss(outputs, truth.reshape(-1))  # a batch holds them in one row
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)
    assert count == int(known.sum()) == 16


def test_weighted_classes_are_pytorchs() -> None:
    target = Label(CLASSES, (3.0, 1.0, 0.5))
    outputs, truth = torch.randn(5, 3), torch.tensor([0, 1, 2, -100, 0])
    expected = functional.cross_entropy(outputs, truth, torch.tensor([3.0, 1.0, 0.5]), reduction="sum")
    loss, count = target.loss(outputs, truth)
    assert float(loss) == pytest.approx(float(expected))
    assert count == 4


def test_micro_f1_is_scikit_learns() -> None:
    examples = several(40)
    shares = GENERATOR.random((40, 3))
    answers = [Labels(CLASSES).answer(numpy.log(row / (1 - row)), {}) for row in shares]
    truth = numpy.array([[name in (example.value or ()) for name in CLASSES] for example in examples])  # type: ignore[operator]
    found = measure("micro_f1", examples, answers)
    assert found.value == pytest.approx(f1_score(truth, shares >= 0.5, average="micro"))
    assert found.low is not None and found.high is not None and found.low <= found.value <= found.high


def test_fmax_is_the_best_of_all_thresholds() -> None:
    examples = several(40)
    shares = GENERATOR.random((40, 3)).round(3)
    answers = [Labels(CLASSES).answer(numpy.log(row / (1 - row)), {}) for row in shares]
    truth = numpy.array([[name in (example.value or ()) for name in CLASSES] for example in examples])  # type: ignore[operator]
    best = 0.0
    has = truth.any(1)
    for threshold in numpy.linspace(0.01, 0.99, 99):
        said = shares[has] >= threshold
        spoke = said.any(1)
        if not spoke.any():
            continue
        hit = (said & truth[has]).sum(1)
        precision = (hit[spoke] / said[spoke].sum(1)).mean()
        recall = (hit / truth[has].sum(1)).mean()
        best = max(best, 2 * precision * recall / max(precision + recall, 1e-12))
    assert measure("fmax", examples, answers).value == pytest.approx(best)


def test_calibrating_labels_mends_scale_and_shares_and_skips_the_unknown() -> None:
    logits = GENERATOR.normal(size=(4000, 2))
    truth = (GENERATOR.random((4000, 2)) < 1 / (1 + numpy.exp(-(logits + numpy.array([0.0, -1.5]))))).astype(float)
    truth[::7, 0] = numpy.nan
    temperature, shifts = fit_each(3 * logits, truth)
    assert temperature == pytest.approx(3.0, rel=0.1)
    assert shifts == pytest.approx([0.0, -1.5], abs=0.15)


def test_a_label_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(UsageError) as told:
        Labels(CLASSES).encode(Example(protein(1), ("a", "d")))
    assert str(told.value) == "'d' is not one of the labels a, b, c. Correct the label or leave the row out."


def valued(count: int) -> tuple[list[Example], list[dict[str, object]]]:
    examples, answers = [], []
    for number in range(count):
        truth = GENERATOR.normal(size=24)
        truth[number % 24] = numpy.nan
        examples.append(Example(protein(number), tuple(float(one) for one in truth)))
        answers.append({"values": list(numpy.nan_to_num(truth) + GENERATOR.normal(size=24))})
    return examples, answers


def test_scores_a_residue_are_scipys() -> None:
    examples, answers = valued(9)
    true = numpy.array([example.value for example in examples]).ravel()
    said = numpy.array([answer["values"] for answer in answers]).ravel()
    known = ~numpy.isnan(true)
    true, said = true[known], said[known]
    for metric, expected in (
        ("pearson per residue", pearsonr(true, said).statistic),
        ("spearman per residue", spearmanr(true, said).statistic),
        ("rmse per residue", numpy.sqrt(((true - said) ** 2).mean())),
    ):
        found = measure(metric, examples, answers)
        assert found.value == pytest.approx(expected), metric
        assert found.n == 9


def test_numbers_a_residue_are_learned_where_known_and_their_calibration_is_a_straight_line() -> None:
    target = Values("", center=2.0, spread=4.0)
    examples, _ = valued(3)
    truth = numpy.concatenate([target.encode(example) for example in examples])
    loss, count = target.loss(torch.zeros(72, 2), torch.from_numpy(truth))
    assert count == 69
    # squared error, and the surprise of a bell curve of spread one
    bell = -scipy.stats.norm.logpdf(truth[~numpy.isnan(truth)]) - numpy.log(2 * numpy.pi) / 2
    assert float(loss) == pytest.approx(float(numpy.nansum(truth**2) + bell.sum()), rel=1e-5)
    places = [numpy.nan_to_num(target.encode(example)) / 2 + 1 for example in examples]
    outputs = [numpy.stack([place, numpy.zeros(24)], axis=1) for place in places]
    calibration = target.calibrate(outputs, examples)
    assert (calibration["scale"], calibration["shift"]) == pytest.approx((2.0, -2.0), abs=1e-4)
    with pytest.raises(UsageError) as told:
        target.encode(Example(protein(1), (1.0, 2.0)))
    assert str(told.value) == (
        "'p1' has 24 residues but 2 numbers. Give one number for each residue, or leave the row out; nothing is padded."
    )


@pytest.mark.parametrize("kind", ["labels", "values"])
def test_their_baselines_answer_in_the_models_form_and_do_not_see_the_test(kind: str) -> None:
    custom = Custom(title="own", kind=kind, labels=CLASSES if kind == "labels" else (), spread=2.0)  # type: ignore[arg-type]
    task = custom.task("own")
    examples = several(40, unknown=True) if kind == "labels" else valued(40)[0]
    baselines = baselines_for(task)
    assert len(baselines) == (3 if kind == "labels" else 4)
    for baseline in baselines:
        asked = [replace(example, value=None) for example in examples[30:]]
        answers = baseline.answer(examples[:30], asked, task)
        form = {"labels"} if kind == "labels" else {"values", "low", "high", "unit"}
        assert [set(answer) for answer in answers] == [form] * 10
        assert answers == baseline.answer(examples[:30], examples[30:], task)


def test_a_custom_task_says_what_its_bundle_kept() -> None:
    custom = Custom(
        title="growth_rate",
        kind="number",
        unit="1/h",
        center=2.0,
        spread=0.5,
        conditions=(Scale(name="ph", center=7.0),),
    )
    again = Custom.build(custom.model_dump(mode="json")).task("growth")
    assert (again.question, again.shape, again.target.labels) == (
        "What is its growth rate?",
        custom.task("x").shape,
        (),
    )
    assert again.say({"value": 2.0, "low": 1.0, "high": 3.0, "unit": "1/h"}) == (
        "Its growth rate should be about 2 1/h (nine times in ten between 1 and 3 1/h)."
    )
    label = Custom(title="place", kind="label", labels=("in", "out")).task("place")
    assert label.say({"label": "in", "set": ["in", "out"]}) == "Most likely its place is in. Not ruled out: out."


def test_classes_are_weighted_only_where_one_is_rare() -> None:
    def made(*counts: int) -> list[Example]:
        return [Example(protein(1), name) for name, count in zip(CLASSES, counts, strict=False) for _ in range(count)]

    custom = Custom(title="own", kind="label", labels=("a", "b"))
    assert balanced(custom, made(10, 9)) == ()
    assert balanced(custom, made(30, 10)) == pytest.approx((2 / 3, 2.0))
    assert task_name("x/secondary-structure.csv") == "my-secondary-structure"

"""Calibration does what its papers promise, on invented data whose truth is known."""

from __future__ import annotations

import numpy
import pytest

from anfinsen.data.example import Example
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import (
    CLASS_COVERAGE,
    FLOOR,
    Label,
    Number,
    conformal_quantile,
    fit_scaling,
    fit_temperature,
    softmax,
)

PROTEIN = Protein("p", "ACDEFGHIKL")


def test_the_temperature_that_was_put_in_is_found() -> None:
    generator = numpy.random.default_rng(1)
    honest = generator.normal(size=(4000, 5)) * 2
    truth = numpy.array([generator.choice(5, p=row) for row in softmax(honest)])
    assert fit_temperature(honest * 3.0, truth) == pytest.approx(3.0, rel=0.08)
    assert fit_temperature(honest, truth) == pytest.approx(1.0, rel=0.08)


def test_class_shares_that_differ_between_training_and_use_are_mended() -> None:
    generator = numpy.random.default_rng(1)
    planted = numpy.array([1.5, 0.0, -1.5, 0.0])
    logits = generator.normal(size=(4000, 4)) * 2
    truth = numpy.array([generator.choice(4, p=row) for row in softmax(logits + planted)])
    temperature, shifts, weight = fit_scaling(logits, truth)
    assert weight == 0.0
    assert temperature == pytest.approx(1.0, rel=0.1)
    assert shifts - shifts.mean() == pytest.approx(planted, abs=0.2)
    before = (logits.argmax(1) == truth).mean()
    assert ((logits / temperature + shifts).argmax(1) == truth).mean() > before + 0.03


def test_the_conformal_quantile_is_the_finite_sample_one() -> None:
    # of 9 scores and a new one, the new one is below the largest in 9 of 10 cases
    assert conformal_quantile(numpy.arange(1.0, 10.0), coverage=0.9) == 9.0
    assert conformal_quantile(numpy.arange(1.0, 20.0), coverage=0.9) == 18.0


def test_sets_of_labels_hold_the_truth_nine_times_in_ten() -> None:
    target = Label(tuple("abcdef"))
    shares = []
    for seed in range(20):
        generator = numpy.random.default_rng(seed)
        logits = generator.normal(size=(1200, 6)) * 1.5
        truth = [target.classes[generator.choice(6, p=row)] for row in softmax(logits)]
        examples = [Example(PROTEIN, value) for value in truth]
        # the network is over-confident by a factor of two; calibration must mend that
        calibration = target.calibrate(list(logits[:600] * 2), examples[:600])
        answers = [target.answer(row * 2, calibration) for row in logits[600:]]
        shares.append(numpy.mean([value in answer["set"] for value, answer in zip(truth[600:], answers, strict=True)]))
    assert 0.88 < numpy.mean(shares) < 0.92


def test_a_rare_and_hard_class_is_covered_where_it_has_rows_enough() -> None:
    target = Label(("common", "usual", "rare"))
    with_floor, without, everyone = [], [], []
    for seed in range(20):
        generator = numpy.random.default_rng(seed)
        truth = generator.choice(3, p=(0.5, 0.44, 0.06), size=1200)
        logits = generator.normal(size=(1200, 3))
        seen = numpy.where(truth == 2, generator.integers(0, 2, 1200), truth)  # a rare one looks like one of the others
        logits[numpy.arange(1200), seen] += 3.0
        examples = [Example(PROTEIN, target.classes[at]) for at in truth]
        calibration = target.calibrate(list(logits[:600]), examples[:600])
        assert all(f"{FLOOR}{name}" in calibration for name in target.classes)
        plain = {key: value for key, value in calibration.items() if not key.startswith(FLOOR)}
        rare = truth[600:] == 2
        for found, known in ((with_floor, calibration), (without, plain)):
            sets = [target.answer(row, known)["set"] for row in logits[600:]]
            held = numpy.array([target.classes[at] in one for at, one in zip(truth[600:], sets, strict=True)])
            found.append(held[rare].mean())
            if known is calibration:
                everyone.append(held.mean())
    assert numpy.mean(without) < 0.7
    assert numpy.mean(with_floor) > CLASS_COVERAGE - 0.03
    assert numpy.mean(everyone) > 0.89
    few = target.calibrate(list(logits[:60]), examples[:60])
    assert f"{FLOOR}rare" not in few and f"{FLOOR}common" in few


def test_intervals_hold_the_truth_nine_times_in_ten_and_are_wider_where_the_network_doubts() -> None:
    target = Number("°C", center=50.0, spread=10.0)
    shares = []
    for seed in range(20):
        generator = numpy.random.default_rng(seed)
        log_spread = generator.normal(size=1200) * 0.5
        place = generator.normal(size=1200)
        # heavier tails than the network assumes
        truth = 50 + 10 * (place + numpy.exp(log_spread) * generator.standard_t(3, size=1200))
        outputs = list(numpy.stack((place, log_spread), -1))
        examples = [Example(PROTEIN, float(value)) for value in truth]
        calibration = target.calibrate(outputs[:600], examples[:600])
        answers = [target.answer(output, calibration) for output in outputs[600:]]
        shares.append(
            numpy.mean([a["low"] <= value <= a["high"] for value, a in zip(truth[600:], answers, strict=True)])
        )
        widths = numpy.array([answer["high"] - answer["low"] for answer in answers])
        assert numpy.corrcoef(widths, numpy.exp(log_spread[600:]))[0, 1] > 0.99
    assert 0.88 < numpy.mean(shares) < 0.92

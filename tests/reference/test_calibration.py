"""Calibration does what its papers promise, on invented data whose truth is known."""

from __future__ import annotations

import numpy
import pytest

from anfinsen.data.example import Example
from anfinsen.structure.protein import Protein
from anfinsen.tasks.targets import Label, Number, conformal_quantile, fit_scaling, fit_temperature, softmax

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
    temperature, shifts = fit_scaling(logits, truth)
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

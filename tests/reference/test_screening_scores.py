"""Scores of a ranking against RDKit's, and what RDKit does not know: ties, and decoys that stand for many."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from rdkit.ML.Scoring import Scoring as _Scoring

from anfinsen.drug.diversity import families
from anfinsen.errors import UndefinedScoreError
from anfinsen.tasks.screening import area, bedroc, enrichment, measure_targets

Scoring: Any = _Scoring


@pytest.mark.parametrize("count", [60, 1_000])
@pytest.mark.parametrize("gain", [0.0, 0.5])
def test_scores_are_those_of_rdkit(count: int, gain: float) -> None:
    draw = numpy.random.default_rng(count)
    active = draw.random(count) < 0.1
    score = draw.random(count) + gain * active
    listed = [[bool(one)] for one in active[numpy.argsort(-score)]]
    ones = numpy.ones(count)
    assert area(active, score, ones) == pytest.approx(Scoring.CalcAUC(listed, 0))
    assert bedroc(active, score, ones) == pytest.approx(Scoring.CalcBEDROC(listed, 0, 20.0))
    for share in (0.01, 0.1):
        assert enrichment(active, score, ones, share) == pytest.approx(Scoring.CalcEnrichment(listed, 0, [share])[0])


def test_a_decoy_that_stands_for_three_counts_as_three_equal_ones() -> None:
    draw = numpy.random.default_rng(2)
    active = numpy.arange(80) < 8
    score = draw.random(80) + 0.3 * active
    weight = numpy.where(active, 1.0, 3.0)
    times = weight.astype(int)
    whole = numpy.repeat(active, times), numpy.repeat(score, times), numpy.ones(times.sum())
    for measure in (area, bedroc, enrichment):
        assert measure(active, score, weight) == pytest.approx(measure(*whole))


def test_a_ranking_without_an_order_is_worth_a_draw() -> None:
    active, ones = numpy.arange(200) < 10, numpy.ones(200)
    flat = numpy.zeros(200)
    assert area(active, flat, ones) == pytest.approx(0.5) and enrichment(active, flat, ones) == pytest.approx(1.0)
    shuffled = [bedroc(active, numpy.random.default_rng(seed).random(200), ones) for seed in range(300)]
    assert bedroc(active, flat, ones) == pytest.approx(numpy.mean(shuffled), abs=0.02)
    with pytest.raises(UndefinedScoreError):
        area(numpy.zeros(5, dtype=bool), numpy.zeros(5), numpy.ones(5))


def test_the_interval_counts_targets() -> None:
    found = measure_targets([0.5, 0.6, 0.7, 0.8])
    assert found.high is not None and found.n == 4 and found.value == pytest.approx(0.65)
    assert found.high - found.value == pytest.approx(3.1824 * 0.129099 / 2, rel=1e-4)


def test_families_keep_the_order_and_hold_what_is_alike() -> None:
    ring = "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1"
    smiles = [f"{ring}OC", f"{ring}OCC", "CCCCCCCC", f"{ring}NC", "O=C1CCCCN1"]
    leaders, family = families(smiles, 2)
    assert leaders == [0, 2] and family == [0, 0, 1, 0, -1] and families([], 3) == ([], [])

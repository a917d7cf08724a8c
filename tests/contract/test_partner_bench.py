"""The figures of pairs: their intervals count proteins, and who-meets-whom alone is shown for what it is."""

from __future__ import annotations

import numpy
import pytest

from anfinsen.bench.complexes import over_complexes
from anfinsen.bench.partners import circles_alone, over_proteins
from anfinsen.bench.suite import suites
from anfinsen.data.example import Example
from anfinsen.structure.protein import Protein
from anfinsen.tasks.interaction import NO, YES, is_held
from anfinsen.tasks.meeting import Meeting

LETTERS = list("ACDEFGHIKLMNPQRSTVWY")


def test_an_interval_over_proteins_is_wider_where_few_proteins_make_many_pairs() -> None:
    generator = numpy.random.default_rng(1)
    truth = generator.integers(0, 2, 400).astype(float)
    said = numpy.where(generator.random(400) < 0.8, truth, 1 - truth) - 0.5
    many = numpy.arange(800).reshape(400, 2)
    few = generator.integers(0, 12, (400, 2))
    wide, narrow = (over_proteins("accuracy", truth, said, sides) for sides in (few, many))
    assert wide.value == narrow.value == ((said > 0) == (truth > 0)).mean()
    assert wide.low is not None and wide.high is not None and narrow.low is not None and narrow.high is not None
    assert wide.high - wide.low > 0.02
    assert over_proteins("AUPR", truth, truth, few).value == 1.0
    ahead = over_proteins("accuracy", truth, truth - 0.5, few, beside=said)
    assert ahead.value == pytest.approx(1 - wide.value)
    assert ahead.low == pytest.approx(1 - wide.high)
    assert ahead.high == pytest.approx(1 - wide.low)
    perfect = over_complexes(truth > 0, truth, numpy.repeat(numpy.arange(8), 50))
    assert (perfect.value, perfect.low, perfect.n) == (1.0, 1.0, 8)


def test_circles_alone_answer_pairs_whose_negatives_join_two_circles() -> None:
    generator = numpy.random.default_rng(2)
    chains = [Protein(f"p{at}", "".join(generator.choice(LETTERS, 40))) for at in range(30)]
    drawn = [tuple(generator.integers(0, 30, 2).tolist()) for _ in range(400)]
    pairs = [Example(chains[a], YES if (a - b) % 2 == 0 else NO, partner=chains[b]) for a, b in drawn if a != b]
    meeting = Meeting.fit(pairs[:200], YES)
    one, other = (meeting.asked([pair.chains[side] for pair in pairs[200:]]) for side in (0, 1))
    said = circles_alone(meeting, one.own, other.own)
    truth = numpy.array([pair.value == YES for pair in pairs[200:]])
    assert ((said > 0) == truth).mean() > 0.95


def test_what_stays_out_of_training_does_not_depend_on_the_order_of_a_pair() -> None:
    generator = numpy.random.default_rng(3)
    chains = [Protein(f"p{at}", "".join(generator.choice(LETTERS, 30))) for at in range(60)]
    pairs = [(one, other) for one in chains for other in chains]
    held = [is_held(Example(one, partner=other)) for one, other in pairs]
    assert held == [is_held(Example(other, partner=one)) for one, other in pairs]
    assert 0.2 < sum(held) / len(held) < 0.5


def test_pairs_have_a_suite_of_their_own() -> None:
    names = {sitting.name for sitting in suites()["partners"]}
    assert {"partners-interaction", "partners-complexes"} <= names
    assert "interaction" not in {sitting.name for sitting in suites()["sequence"]}

"""How familiar a state is: against scipy's Mahalanobis distance, and in what it promises of held-out proteins."""

from __future__ import annotations

import numpy
import pytest
from scipy.spatial.distance import mahalanobis

from anfinsen.kinship.familiarity import Familiarity
from anfinsen.kinship.neighbours import Reach
from anfinsen.structure.protein import Protein


def _states(count: int, width: int = 8, seed: int = 1) -> numpy.ndarray:
    generator = numpy.random.default_rng(seed)
    return generator.normal(size=(count, width)) * numpy.linspace(3, 1, width) + 5


def _fitted(width: int = 8) -> Familiarity:
    found = Familiarity.fit(_states(400, width, seed=1), _states(200, width, seed=2))
    assert found is not None
    return found


def test_the_distance_is_that_of_mahalanobis() -> None:
    train = _states(400)
    inverse = numpy.linalg.inv(numpy.cov(train.T))
    for state in _states(5, seed=3) + 4:
        expected = mahalanobis(state, train.mean(0), inverse) / numpy.sqrt(8)
        # seven axes are known one by one; with the one that is left over that is the whole covariance
        assert _fitted().distance(state) == pytest.approx(expected, rel=1e-4)


def test_one_held_out_protein_in_twenty_is_strange_and_a_shifted_one_is() -> None:
    found = _fitted(width=64)
    strange = [found.is_strange(state) for state in _states(2000, 64, seed=4)]
    assert numpy.mean(strange) == pytest.approx(0.05, abs=0.03)
    # what hardly varied in training counts most where it suddenly does
    off = numpy.zeros(64)
    off[-1] = 25
    assert found.is_strange(_states(1, 64, seed=5)[0] + off)


def test_with_too_few_proteins_nothing_is_said() -> None:
    assert Familiarity.fit(_states(19), _states(100)) is None
    assert Familiarity.fit(_states(100), _states(19)) is None


def test_it_travels_with_the_sketch_and_takes_little_room() -> None:
    proteins = [Protein("a", "MKTAYIAKQRQISFVKSHFSRQ"), Protein("b", "GSHMRYWVPLLNNQTEDCAFIK")]
    found = _fitted(width=192)
    arrays = Reach.fit(proteins, familiarity=found).to_arrays()
    assert sum(array.nbytes for name, array in arrays.items() if name.startswith("states.")) < 14_000
    again = Reach.from_arrays(arrays)
    assert again.nearest(proteins[0].sequence) == (1.0, "a")
    assert again.familiarity is not None
    for state in _states(20, 192, seed=6):
        assert again.familiarity.distance(state) == pytest.approx(found.distance(state), rel=1e-3)
    assert Reach.from_arrays(Reach.fit(proteins).to_arrays()).familiarity is None

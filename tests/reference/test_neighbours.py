"""The nearest protein: planted mutants of known identity, unrelated proteins, and scikit-learn's own word counts."""

from __future__ import annotations

import time

import numpy
import pytest
from safetensors.numpy import load, save
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer

from anfinsen.data.alphabet import RESIDUES
from anfinsen.kinship.neighbours import HASHES, Reach, least_shared, most_alike, words
from anfinsen.structure.protein import Protein

LETTERS = numpy.array(list(RESIDUES))
GENERATOR = numpy.random.default_rng(7)
COUNT = 3000


def invent(length: int) -> str:
    return "".join(GENERATOR.choice(LETTERS, size=length))


def mutate(sequence: str, identity: float) -> str:
    letters = numpy.array(list(sequence))
    for place in GENERATOR.choice(len(letters), size=round((1 - identity) * len(letters)), replace=False):
        letters[place] = GENERATOR.choice(LETTERS[letters[place] != LETTERS])
    return "".join(letters)


@pytest.fixture(scope="module")
def proteins() -> list[Protein]:
    return [Protein(f"P{number:05d}", invent(300)) for number in range(COUNT)]


@pytest.fixture(scope="module")
def reach(proteins: list[Protein]) -> Reach:
    return Reach.fit(proteins)


@pytest.mark.parametrize(
    ("identity", "found", "error"), [(1.0, 1.0, 0.0), (0.95, 1.0, 0.03), (0.8, 0.97, 0.06), (0.6, 0.4, 0.08)]
)
def test_planted_mutants_are_found_within_the_stated_error(
    reach: Reach, proteins: list[Protein], identity: float, found: float, error: float
) -> None:
    estimates = []
    for protein in proteins[:100]:
        estimate, name = reach.nearest(mutate(protein.sequence, identity))
        if name == protein.id:
            assert estimate is not None
            estimates.append(estimate)
    assert len(estimates) >= found * 100
    assert numpy.sqrt(numpy.mean((numpy.array(estimates) - identity) ** 2)) <= error
    assert numpy.mean(estimates) == pytest.approx(identity, abs=0.02 if identity > 0.7 else 0.06)


def test_unrelated_proteins_are_far(reach: Reach) -> None:
    strangers = [invent(300) for _ in range(200)]
    near = [sequence for sequence in strangers if not reach.far(sequence)]
    assert len(near) <= 20  # one in twenty by choice; 20 of 200 would be a chance of one in a hundred thousand
    assert sum(reach.nearest(sequence) == (None, None) for sequence in strangers) >= 180


def test_with_all_words_half_the_residues_are_enough(proteins: list[Protein]) -> None:
    whole = Reach.fit(proteins[:1000], hashes=2000)
    hits = sum(whole.nearest(mutate(protein.sequence, 0.5))[1] == protein.id for protein in proteins[:100])
    assert hits >= 70
    assert sum(not whole.far(invent(300)) for _ in range(100)) <= 12


def test_a_fragment_is_known_and_a_long_stranger_with_a_known_end_is_less_so(
    reach: Reach, proteins: list[Protein]
) -> None:
    fragment = reach.nearest(proteins[5].sequence[60:240])
    assert fragment == (1.0, "P00005")
    longer, name = reach.nearest(proteins[5].sequence + invent(900))
    assert name == "P00005"
    assert longer is not None
    assert longer < 0.85


def test_repeats_alone_make_no_relatives() -> None:
    reach = Reach.fit([Protein("poly", "MKV" + "Q" * 80 + "E" * 60)])
    assert reach.far("LTR" + "Q" * 90 + "QEQEEQ" * 10)


@pytest.mark.parametrize("sequence", ["", "MKV", "XXXXXXXXXX", "#" * 30, "mkvlaa"])
def test_what_has_no_words_is_far(reach: Reach, sequence: str) -> None:
    assert reach.nearest(sequence) == (None, None)
    assert reach.far(sequence)


def test_a_sketch_of_nothing_finds_nothing() -> None:
    for proteins in ([], [Protein("short", "MK")]):
        reach = Reach.from_arrays(Reach.fit(proteins).to_arrays())
        assert len(reach) == len(proteins)
        assert reach.far(invent(100))


def test_the_arrays_survive_safetensors_and_hold_no_sequence(proteins: list[Protein]) -> None:
    mixed = [*proteins[:50], Protein("short", "MKVLAAG"), Protein("none", "MK"), Protein("long", invent(9000))]
    reach = Reach.fit(mixed)
    back = Reach.from_arrays(load(save(reach.to_arrays())))
    assert back.ids == reach.ids
    for protein in mixed:
        for asked in (protein.sequence, mutate(protein.sequence, 0.8)):
            assert back.nearest(asked) == reach.nearest(asked)
    kept = reach.to_arrays()["counts"].tolist()
    assert max(kept) == HASHES
    assert kept[-2] == 0


def test_it_is_small_and_fast() -> None:
    """30,000 proteins in less than 3 MB, a query of 300 residues in less than 20 ms of computing, at its best of 20."""
    sketches = [numpy.sort(GENERATOR.choice(560_000, size=HASHES, replace=False)) for _ in range(30_000)]
    names = [f"P{number:05d}" for number in range(30_000)]
    reach = Reach(names, numpy.full(30_000, 300), numpy.concatenate(sketches), numpy.full(30_000, HASHES))
    assert sum(array.nbytes for array in reach.to_arrays().values()) < 3_000_000
    queries = [invent(300) for _ in range(20)]
    seconds = []
    for query in queries:
        began = time.process_time()
        reach.nearest(query)
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.02


def test_chance_without_clumps_is_poissons() -> None:
    for expected in (0.01, 0.3, 4.0):
        assert least_shared(expected, 0.0, 1e-5) == int(stats.poisson.isf(1e-5, expected)) + 1
    assert least_shared(0.3, 0.3, 1e-5) > least_shared(0.3, 0.0, 1e-5)


def test_whole_tables_agree_with_scikit_learn(proteins: list[Protein]) -> None:
    known = [protein.sequence for protein in proteins[:200]]
    asked = [mutate(sequence, 0.6) for sequence in known[:60]] + [invent(200)]
    theirs = TfidfVectorizer(analyzer="char", ngram_range=(4, 4), lowercase=False, sublinear_tf=True)
    alike = theirs.fit(known).transform(asked) @ theirs.transform(known).T
    found = most_alike(known, asked, rows=16)
    assert found.place[:60].tolist() == list(range(60))
    # scikit-learn's cosine leaves words out that training never had; ours counts them as rarest
    ours = numpy.array([most_alike(known, [known[3]]).cosine[0], found.cosine[60]])
    assert ours[0] == pytest.approx(1.0, abs=1e-5)
    assert ours[1] <= alike.max(1).toarray()[60, 0] + 1e-5


def test_words_are_counted_in_base_twenty() -> None:
    assert words("ACDEF", 5).tolist() == [0 * 160_000 + 1 * 8000 + 2 * 400 + 3 * 20 + 4]
    assert words("ACXDE", 2).tolist() == [1, 2 * 20 + 3]
    assert words("AC", 5).tolist() == []

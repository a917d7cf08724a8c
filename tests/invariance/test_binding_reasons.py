"""Reasons of an affinity: planted ones are found and believed, others are not, and every part is named once."""

from __future__ import annotations

import numpy
import pytest

from anfinsen.drug.molecule import Molecule, elements_of, parts_of, without_atoms
from anfinsen.drug.reading import read_molecules
from anfinsen.errors import InputError, UsageError
from anfinsen.explain.binding import _lost, _spread, believe
from anfinsen.inference.affinity_pocket import mean_state, read_pockets, say
from anfinsen.structure.protein import Protein

DRAW = numpy.random.default_rng(4)
PLANTED = numpy.concatenate([numpy.zeros(20), [1.5, 2.0, 1.0, 0.5]])
SETS = [numpy.array([at]) for at in range(len(PLANTED))]


def answer(hidden: list[numpy.ndarray]) -> numpy.ndarray:
    """An affinity that is the sum of what is left of the planted weights."""
    return numpy.array([5 + PLANTED.sum() - PLANTED[numpy.unique(gone)].sum() for gone in hidden])


def test_planted_weights_are_found_to_the_last_digit_and_sum_to_the_answer() -> None:
    credits = _lost(answer, SETS)
    assert credits == pytest.approx(PLANTED)
    assert credits.sum() == pytest.approx(float(answer([numpy.zeros(0, int)])[0] - answer([numpy.arange(24)])[0]))
    whole = _spread(numpy.array([3.0, 5.0]), [numpy.array([0, 1]), numpy.array([2])], 3)
    assert whole.tolist() == [1.5, 1.5, 5.0]


def test_planted_weights_are_believed_and_neither_their_opposite_nor_chance() -> None:
    views = {str(at): view for at, view in enumerate([PLANTED, -PLANTED, *DRAW.normal(size=(20, 24))])}
    found, opposite, *chance = believe(views, SETS, answer).values()
    assert found.is_faithful and found.score > 0.4
    assert found.deletion[[0, -1]] == pytest.approx([10, 5]) and found.insertion[[0, -1]] == pytest.approx([5, 10])
    assert not opposite.is_faithful and opposite.score < opposite.low
    assert sum(one.is_faithful for one in chance) < 6, "one in twenty is believed by chance"


def read(text: str) -> Molecule:
    (found,) = read_molecules(text)
    assert isinstance(found, Molecule)
    return found


def test_every_atom_is_in_one_ring_system_or_chain() -> None:
    naphthyl = read("CC(=O)Nc1ccc2ccccc2c1-c1ccccc1")
    parts = parts_of(naphthyl)
    assert sorted(at for part in parts for at in part) == list(range(naphthyl.heavy_atoms))
    assert sorted(len(part) for part in parts) == [4, 6, 10], "an amide, a phenyl, and a naphthyl of two rings"
    assert [elements_of(naphthyl)[at] for at in parts[0]] == ["C", "C", "O", "N"] and len(parts_of(read("CCO"))) == 1


def test_a_molecule_without_all_its_atoms_has_no_fragment_and_without_none_all() -> None:
    aspirin = read("CC(=O)Oc1ccccc1C(=O)O")
    nothing, everything, one = without_atoms(aspirin, [list(range(13)), [], [4]])
    assert len(nothing.fragments) == 0 and (everything.fragments == aspirin.fragments).all()
    assert 0 < one.fragments[:, 1].sum() < aspirin.fragments[:, 1].sum()
    assert (one.fragments == without_atoms(aspirin)[4].fragments).all()


TWO = [Protein("one", "MKVLAT"), Protein("two", "GGGG")]


def test_a_pocket_is_read_from_a_list_or_a_table_and_moves_the_mean(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert read_pockets("2, 4-5", TWO[:1])["one"].tolist() == [1, 3, 4]
    table = tmp_path / "pocket.csv"
    table.write_text("protein,position\none,6\none,1\n", encoding="utf-8")
    pockets = read_pockets(str(table), TWO)
    assert {name: places.tolist() for name, places in pockets.items()} == {"one": [0, 5]}
    assert say(pockets, TWO) == [
        "The pocket of one is taken to be M1, T6.",
        "two has no pocket that is known; all of its residues count alike.",
    ]
    assert "This is a guess" in say(pockets, TWO, is_guess=True)[0]
    states = DRAW.normal(size=(6, 3)).astype(numpy.float32)
    assert mean_state(states, None) == pytest.approx(states.mean(0))
    assert mean_state(states, numpy.array([0, 5]), 1.0) == pytest.approx(states[[0, 5]].mean(0))


@pytest.mark.parametrize(
    ("given", "proteins", "sentence"),
    [
        ("2,x", TWO[:1], "'x' in the pocket is neither a residue nor a stretch."),
        ("7", TWO[:1], "'one' has 6 residues; its pocket names residue 7."),
        ("0", TWO[:1], "'one' has 6 residues; its pocket names residue 0."),
        ("2", TWO, "A list of residues is for one protein; 2 are asked about."),
        ("protein,position\nthree,1\n", TWO, "The pocket is of 'three', which is not asked about."),
        ("protein,position\none,first\n", TWO, "'first' is no position."),
        ("position\n1\n", TWO, "The columns are position."),
    ],
)
def test_a_pocket_that_does_not_fit_is_refused(given: str, proteins, sentence: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    if "\n" in given:
        (tmp_path / "pocket.csv").write_text(given, encoding="utf-8")
        given = str(tmp_path / "pocket.csv")
    with pytest.raises((UsageError, InputError)) as caught:
        read_pockets(given, proteins)
    assert sentence in str(caught.value) and caught.value.remedy

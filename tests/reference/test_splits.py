"""Relatives are found where they were planted, families stay together, and every kind of split keeps its promise."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from biotite.sequence import ProteinSequence
from biotite.sequence.align import SubstitutionMatrix, align_optimal, get_sequence_identity

from anfinsen.data.alphabet import RESIDUES
from anfinsen.errors import AnfinsenError, UsageError
from anfinsen.kinship import mmseqs
from anfinsen.kinship.clusters import cluster_split
from anfinsen.kinship.relatives import Relatives
from anfinsen.kinship.splits import (
    LEFT_OUT,
    NAMES,
    TEST,
    TRAIN,
    cold_pair_split,
    group_split,
    own_split,
    pair_classes,
    random_split,
    read_shares,
    time_split,
)

LETTERS = numpy.array(list(RESIDUES))
GENERATOR = numpy.random.default_rng(11)
LEVELS = (1.0, 0.95, 0.6, 0.35, 0.2)
EACH, STRANGERS = 40, 100


def invent(length: int) -> str:
    return "".join(GENERATOR.choice(LETTERS, size=length))


def mutate(sequence: str, identity: float) -> str:
    letters = numpy.array(list(sequence))
    for place in GENERATOR.choice(len(letters), size=round((1 - identity) * len(letters)), replace=False):
        letters[place] = GENERATOR.choice(LETTERS[letters[place] != LETTERS])
    return "".join(letters)


class Planted:
    """Parents, then one mutant of each at some identity, then strangers."""

    def __init__(self) -> None:
        self.parents = [invent(300) for _ in range(EACH * len(LEVELS))]
        self.level = numpy.repeat(LEVELS, EACH)
        mutants = [mutate(parent, level) for parent, level in zip(self.parents, self.level, strict=True)]
        self.sequences = [*self.parents, *mutants, *(invent(300) for _ in range(STRANGERS))]
        self.relatives = Relatives(self.sequences)
        self.families = self.relatives.families(0.3)

    def recall(self, level: float) -> float:
        places = numpy.flatnonzero(self.level == level)
        return float((self.families[places] == self.families[places + len(self.parents)]).mean())


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()


@pytest.mark.parametrize(("level", "least"), [(1.0, 1.0), (0.95, 1.0), (0.6, 0.95), (0.35, 0.9)])
def test_planted_relatives_are_found(planted: Planted, level: float, least: float) -> None:
    assert planted.recall(level) >= least


def test_strangers_and_what_is_below_the_threshold_stay_apart(planted: Planted) -> None:
    """At 20 % identity a mutant is a stranger; strangers have families of one."""
    assert planted.recall(0.2) <= 0.05
    sizes = numpy.bincount(planted.families)
    assert sizes.max() == 2
    assert sizes[planted.families[-STRANGERS:]].max() == 1


def test_identity_is_that_of_the_best_local_alignment(planted: Planted) -> None:
    matrix = SubstitutionMatrix.std_protein_matrix()
    for place in range(0, 3 * EACH, 10):
        other = place + len(planted.parents)
        one, two = (ProteinSequence(planted.sequences[at]) for at in (place, other))
        best = align_optimal(one, two, matrix, gap_penalty=(-11, -1), local=True, max_number=1)[0]
        found = planted.relatives.nearest([other], [place])
        assert found.place.tolist() == [place]
        assert found.identity[0] == pytest.approx(get_sequence_identity(best), abs=0.01)


def test_a_cluster_split_leaves_no_relative_across(planted: Planted) -> None:
    split = cluster_split(planted.relatives, shares=(0.6, 0.2, 0.2), seed=3)
    for name in NAMES:
        others = numpy.flatnonzero(split.names != name)
        assert planted.relatives.nearest(split.rows(name), others).identity.max() < 0.3
    assert split.counts() == {"train": 300, "valid": 100, "test": 100}
    assert split.record["identity"] == 0.3


def test_a_fragment_and_its_whole_are_one_family_and_a_short_shared_domain_is_none() -> None:
    whole = invent(400)
    domain = whole[:60]
    long_stranger = invent(300) + domain
    family = Relatives([whole, whole[100:260], long_stranger]).families(0.3)
    assert family[0] == family[1] != family[2]


def test_gaps_are_bridged_and_rare_letters_are_read() -> None:
    parent = invent(300)
    child = mutate(parent[:140] + parent[150:], 0.7).replace("C", "U")
    assert Relatives([parent, child + "OX"]).families(0.3).tolist() == [0, 0]


@pytest.mark.parametrize(
    "sequences", [[], ["M"], ["MK", "MK"], ["QQQQQQQQQQQQ", "EEEEEEEEEEEE"], ["XXXXXXXXXXXX", "MKVLAAGIVG"]]
)
def test_odd_tables_have_families_too(sequences: list[str]) -> None:
    found = Relatives(sequences).families(0.3).tolist()
    assert len(found) == len(sequences)
    assert len(set(found)) == len(set(sequences))


def test_thousands_of_variants_of_one_protein_are_one_family_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anfinsen.kinship.relatives.HITS", 300_000)
    parent = invent(56)
    relatives = Relatives([mutate(parent, 0.95) for _ in range(400)])
    assert relatives.word == 5
    assert relatives.families(0.3).max() == 0


# Dealing --------------------------------------------------------------------------------------------------------------


def test_the_same_seed_deals_the_same_and_another_one_differently() -> None:
    first, again, other = (random_split(100, seed=seed).names for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert random_split(100).counts() == {"train": 80, "valid": 10, "test": 10}


def test_groups_stay_together_and_shares_are_met() -> None:
    groups = GENERATOR.integers(0, 120, size=1000).tolist()
    split = group_split(groups, seed=5)
    where = {group: {split.names[at] for at in range(1000) if groups[at] == group} for group in set(groups)}
    assert {len(names) for names in where.values()} == {1}
    counts = split.counts()
    assert abs(counts["train"] - 800) <= 15 and abs(counts["test"] - 100) <= 15


def test_a_giant_family_is_told() -> None:
    split = group_split([0] * 900 + list(range(1, 101)), noun="family")
    assert set(split.names[:900]) == {TRAIN}
    assert split.told == (
        "The largest family has 900 of 1,000 rows, more than the 80% asked for training, so the shares could not be "
        "met.",
    )


def test_one_family_alone_is_refused() -> None:
    with pytest.raises(UsageError) as told:
        group_split([7] * 50, noun="family")
    assert str(told.value) == (
        "The 50 rows make 1 family that stays together, and nothing is left for valid and test. Add other proteins, "
        "raise --identity, or take --by random, which says less about new proteins."
    )


def test_names_of_splits_are_kept_and_groups_are_dealt() -> None:
    assert own_split(["Train", "val", "TEST", "dev"]).names.tolist() == ["train", "valid", "test", "valid"]
    assert own_split([f"species {n % 20}" for n in range(100)]).counts() == {"train": 80, "valid": 10, "test": 10}
    with pytest.raises(UsageError, match=r"The split column is empty in 1 of 2 rows, such as row 2\."):
        own_split(["train", " "])


def test_time_goes_from_old_to_new_and_never_cuts_a_moment() -> None:
    split = time_split([f"{2000 + n // 10}-01-01" for n in range(200)][::-1])
    assert split.counts() == {"train": 160, "valid": 20, "test": 20}
    assert set(split.names[:20]) == {TEST}
    assert split.told == (
        "Training ends with 2015-01-01, validation with 2017-01-01; the test begins with 2018-01-01.",
    )
    with pytest.raises(UsageError, match=r"'soon' in row 2 of the time column is neither a number nor a date\."):
        time_split(["2001", "soon"])


def test_cold_pairs_are_new_on_both_sides() -> None:
    a = [n % 30 for n in range(900)]
    b = [f"d{n // 30}" for n in range(900)]
    split = cold_pair_split(a, b, seed=2)
    classes = pair_classes(split.names, a, b)
    assert set(classes[split.rows(TEST)]) == {"C3"}
    kept = (split.names != LEFT_OUT).sum()
    assert (split.names == TRAIN).sum() / kept == pytest.approx(0.8, abs=0.1)
    assert split.told[0].startswith(f"{900 - kept} of 900 pairs ")


def test_one_kind_of_partner_on_both_sides_is_never_in_two_splits() -> None:
    a = [one for one in range(40) for _ in range(40)]
    b = [other for _ in range(40) for other in range(40)]
    split = cold_pair_split(a, b, same=True)
    known = {side[at] for side in (a, b) for at in split.rows(TRAIN)}
    assert known.isdisjoint({side[at] for side in (a, b) for at in split.rows(TEST)})


def test_pairs_are_classed_by_how_many_partners_are_new() -> None:
    names = numpy.array([TRAIN, TRAIN, TEST, TEST, TEST, "valid"])
    found = pair_classes(names, ["p", "q", "p", "p", "r", "p"], ["1", "2", "2", "3", "3", "1"])
    assert found.tolist() == ["", "", "C1", "C2", "C3", ""]


@pytest.mark.parametrize("text", ["0.8,0.2", "0.8,0.1,0.2", "1,0,0", "a,b,c", "nan,0.5,0.5"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as told:
        read_shares(text)
    assert str(told.value) == (
        f"The shares came as '{text}'; three numbers between 0 and 1 that add up to 1 are expected. Write the shares "
        "of train, valid and test, as in --shares 0.8,0.1,0.1."
    )


# MMseqs2, played by a script ------------------------------------------------------------------------------------------


def play(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / mmseqs.PROGRAM
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_pairs_of_mmseqs_are_read_and_short_overlaps_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = r"0\t0\t1\t90\t90\t1\t90\t90\n0\t1\t1\t60\t90\t5\t64\t80\n0\t2\t1\t20\t90\t1\t20\t80\n"
    play(
        tmp_path,
        monkeypatch,
        f"""[ "$1" = easy-search ] && [ "$6" = 0.4 ] || [ "$7" = 0.4 ] && printf '{rows}' > "$4" """,
    )
    assert mmseqs.is_installed()
    assert list(mmseqs.search(["MK", "MV", "ML"], 0.4)) == [(0, 1)]
    strangers = [invent(60), invent(60), invent(60)]
    assert Relatives(strangers).families(0.3, joined=[(0, 1)]).tolist() == [0, 0, 1]


def test_a_broken_mmseqs_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(tmp_path, monkeypatch, "echo 'out of space' >&2; exit 1")
    with pytest.raises(AnfinsenError) as told:
        list(mmseqs.search(["MKV"], 0.3))
    assert str(told.value) == "MMseqs2 failed: out of space Mend its installation, or split without it: --no-mmseqs."

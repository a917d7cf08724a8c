"""What is planted as a leak is told, in the sentence and with the share it has; what is clean is called clean."""

from __future__ import annotations

import numpy
import pytest

from anfinsen.data.alphabet import RESIDUES
from anfinsen.kinship.leaks import (
    BANDS,
    Finding,
    Rows,
    band_of,
    conflicts,
    new_partners,
    repeated_pairs,
    shared_ids,
    twins,
)
from anfinsen.kinship.relatives import Relatives
from anfinsen.kinship.shortcuts import degree_shortcuts, telling_columns, telling_ids
from anfinsen.kinship.splits import TEST, TRAIN, Split, random_split

LETTERS = numpy.array(list(RESIDUES))
GENERATOR = numpy.random.default_rng(5)


def invent(length: int = 200) -> str:
    return "".join(GENERATOR.choice(LETTERS, size=length))


def mutate(sequence: str, identity: float) -> str:
    letters = numpy.array(list(sequence))
    for place in GENERATOR.choice(len(letters), size=round((1 - identity) * len(letters)), replace=False):
        letters[place] = GENERATOR.choice(LETTERS[letters[place] != LETTERS])
    return "".join(letters)


def a_split(*names: str) -> Split:
    return Split(numpy.array(names), "random")


def texts(findings: list[Finding]) -> list[str]:
    return [str(finding) for finding in findings]


# Twins ----------------------------------------------------------------------------------------------------------------


def test_planted_twins_are_reported_with_their_share() -> None:
    parents = [invent() for _ in range(60)]
    planted = [1.0] * 6 + [0.95] * 12 + [0.7] * 9 + [0.4] * 15
    tests = [mutate(parents[at], level) for at, level in enumerate(planted)] + [invent() for _ in range(58)]
    split = a_split(*[TRAIN] * 60, *[TEST] * 100)
    nearest, found = twins(split, Relatives([*parents, *tests]), Rows(range(1, 161)))
    assert [(one.level, one.name) for one in found] == [
        ("error", "identical"),
        ("error", "twins"),
        ("warning", "relatives at 50"),
        ("warning", "relatives at 30"),
    ]
    for one, share in zip(found, (0.06, 0.12, 0.09, 0.15), strict=True):
        assert one.share == pytest.approx(share, abs=0.02)
    assert nearest.place[:18].tolist() == list(range(18))
    assert (band_of(nearest.identity)[:18] == ">90").all()
    assert str(found[0]) == (
        "6 of 100 test proteins (6%) stand in training with the very same residues: row 61 and row 1 (100 %); "
        "row 62 and row 2 (100 %); row 63 and row 3 (100 %); and 3 more."
    )


def test_a_clean_split_is_called_clean() -> None:
    split = a_split(*[TRAIN] * 30, *[TEST] * 10)
    nearest, found = twins(split, Relatives([invent() for _ in range(40)]), Rows(range(1, 41)))
    assert texts(found) == [
        "None of the 10 test proteins has a training relative of 30 % identity or more that was found."
    ]
    assert set(nearest.place.tolist()) == {-1}


def test_bands_begin_with_their_lower_edge() -> None:
    assert band_of(numpy.array([0.0, 0.299, 0.3, 0.4999, 0.5, 0.9, 1.0])).tolist() == [
        "<30", "<30", "30-50", "30-50", "50-90", ">90", ">90",
    ]  # fmt: skip
    assert BANDS == ("<30", "30-50", "50-90", ">90")


def test_families_do_not_depend_on_the_order_of_the_rows() -> None:
    parents = [invent() for _ in range(20)]
    chains = [*parents, *(mutate(parent, 0.6) for parent in parents), *(mutate(parent, 0.5) for parent in parents[:9])]
    order = GENERATOR.permutation(len(chains))
    straight = Relatives(chains).families(0.3)
    mixed = numpy.empty_like(straight)
    mixed[order] = Relatives([chains[at] for at in order]).families(0.3)
    assert len(set(zip(straight.tolist(), mixed.tolist(), strict=True))) == len(set(straight.tolist())) == 20


# Labels ---------------------------------------------------------------------------------------------------------------


def test_one_sequence_with_two_labels_names_both_rows() -> None:
    rows = Rows([1, 2, 4], ["p1", "p2", ""])
    assert texts(conflicts(["MKV", "MLL", "MKV"], ["Nucleus", "Nucleus", "Cytoplasm"], rows)) == [
        "1 row has the residues of an earlier row and another label: row 1 (p1) says 'Nucleus' and row 4 says "
        "'Cytoplasm'. Keep one, or give the median."
    ]
    assert conflicts(["MKV", "MKV", "MLL"], ["1.0", "1.1", "9"], rows) == []
    assert len(conflicts(["MKV", "MKV", "MLL"], ["1.0", "9", "4"], rows)) == 1
    assert conflicts(["MKV", "MKV"], ["a", "b"], rows, given=[["20", "37"]]) == []
    assert conflicts(["MKV", "MKV"], ["a", ""], rows) == []


def test_an_id_of_two_sequences_is_told() -> None:
    assert texts(shared_ids(["p", "q", "p"], ["MKV", "MLL", "MAA"], Rows([1, 2, 3]))) == [
        "1 id stands for more than one sequence: 'p' in rows 1 and 3."
    ]
    assert shared_ids(["p", "p", ""], ["MKV", "MKV", "MLL"], Rows([1, 2, 3])) == []


def test_a_column_that_is_the_label_is_told() -> None:
    labels = ["0", "1"] * 10
    columns = {
        "label": labels,
        "copy": labels,
        "word": ["no", "yes"] * 10,
        "name": [f"p{n}" for n in range(20)],
        "other": ["x", "x", "y", "y"] * 5,
    }
    told = texts(telling_columns(columns, labels, "label"))
    assert told == [
        f"The column '{name}' {how} 'label' in all 20 rows that have one: a model that reads it has read the answer. "
        "Leave it out."
        for name, how in (("copy", "equals the label"), ("word", "translates one to one into the label"))
    ]
    celsius = [str(n * 1.5) for n in range(20)]
    kelvin = {"kelvin": [str(n * 1.5 + 273.15) for n in range(20)], "noise": [str(n * 7 % 20) for n in range(20)]}
    assert [one.name for one in telling_columns(kelvin, celsius, "celsius")] == ["telling column"]


def test_an_id_that_encodes_the_label_is_told() -> None:
    labels = ["yes", "no"] * 20
    assert "'pos_#'" in texts(telling_ids([f"{'pos' if n % 2 == 0 else 'neg'}_{n}" for n in range(40)], labels))[0]
    by_order = texts(telling_ids([f"P{n:03d}" for n in range(40)], sorted(labels)))
    assert by_order == [
        "The column 'id' gives the label away: the number in it is in the order of the labels (AUROC 1.00, n = 40). "
        "Rows were probably sorted before they were numbered; do not let a model read it."
    ]
    assert telling_ids([f"P{n:03d}" for n in range(40)], labels) == []
    assert telling_ids([f"P{n:03d}" for n in range(40)], [str(n / 7) for n in range(40)])[0].name == "telling id"
    assert telling_ids(["no digits"] * 40, labels) == []


# Pairs ----------------------------------------------------------------------------------------------------------------


def test_repeated_and_mirrored_pairs_are_errors() -> None:
    a, b = ["A", "C", "B", "A", "D", "D"], ["B", "C", "A", "B", "C", "D"]
    split = a_split(TRAIN, TRAIN, TEST, TEST, TEST, TEST)
    found = repeated_pairs(split, a, b, Rows(range(1, 7)))
    assert texts(found) == [
        "1 of 4 test pairs (25%) stands in training too: row 4 and row 1.",
        "1 of 4 test pairs (25%) stands in training with their partners exchanged: row 3 and row 1.",
    ]
    assert {one.level for one in found} == {"error"}
    assert str(new_partners(split, a, b)).startswith(
        "Of 4 test pairs, 2 have both partners in training (C1), 1 one (C2) and 1 none (C3)"
    )


def pairs_of(count: int = 3000) -> tuple[list[str], list[str]]:
    return [[f"{side}{n}" for n in GENERATOR.integers(0, 40, size=count)] for side in "pd"]  # type: ignore[return-value]


def test_a_label_that_one_partner_decides_is_a_shortcut() -> None:
    a, b = pairs_of()
    labels = [str(int(int(one[1:]) % 2 == 0)) for one in a]
    found = degree_shortcuts(random_split(len(a)), a, b, labels)
    assert [one.level for one in found] == ["info", "warning", "info"]
    assert "the mean label of the first partner in training alone predicts '1' with AUROC 1.00" in str(found[1])


def test_shuffled_labels_score_at_chance() -> None:
    """The 95 % interval of a shortcut on labels that mean nothing holds 0.5 in about 95 of 100 draws."""
    a, b = pairs_of(600)
    holds = total = 0
    for seed in range(15):
        labels = GENERATOR.permutation(["0", "1"] * 300).tolist()
        for one in degree_shortcuts(random_split(600, seed=seed), a, b, labels):
            low, high = (float(part) for part in str(one).split("interval ")[1].split(";")[0].split(" to "))
            holds, total = holds + (low <= 0.5 <= high), total + 1
    assert total == 45
    assert holds >= 38  # fewer would happen once in some thousand times


def test_partners_that_are_all_new_have_no_shortcut() -> None:
    split = a_split(*[TRAIN] * 4, *[TEST] * 4)
    labels = ["0", "1"] * 4
    assert degree_shortcuts(split, list("aabbccdd"), list("eeffgghh"), labels) == []

"""What stands in a column of answers: every kind that can be meant, and every cell that cannot be learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy
import pytest

from anfinsen.data.alphabet import RESIDUES
from anfinsen.errors import UsageError
from anfinsen.tables.answers import guess_kind, read_answers
from anfinsen.tables.labelled import Labelled, TableConfig, read_labelled
from anfinsen.tables.offered import from_lists

LETTERS = numpy.array(list(RESIDUES))


def chains(count: int, seed: int = 1, length: int = 30) -> list[str]:
    generator = numpy.random.default_rng(seed)
    return ["".join(generator.choice(LETTERS, size=length)) for _ in range(count)]


def read(labels: Sequence[object], sequences: Sequence[str] | None = None, **settings: object) -> Labelled:
    more = settings.pop("more", None)
    config = TableConfig.build({"column": "sequence", "label": ("label",), **settings})
    return read_labelled(from_lists(sequences or chains(len(labels)), labels, more), config)  # type: ignore[arg-type]


def refusals(found: Labelled) -> list[str]:
    return [f"{error.row}: {error.reason} {error.remedy}" for error in found.refused]


def numbers(*odd: str) -> list[str]:
    """Thirty numbers, the first ones replaced."""
    return [*odd, *(f"{40 + at / 7:.3f}" for at in range(30 - len(odd)))]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1.5", "2", "3.25"], "number"),
        (["5 nM", "7 nM", "12.5 nM"], "number"),
        (["1,5", "2,25", "7"], "number"),
        (["0", "1", "1"], "label"),
        (["Nucleus", "Cytoplasm", "Nucleus"], "label"),
        (["A;B", "B", "A"], "labels"),
        (["HHHHCCCCEE", "HHHHHHHHHH", "CCCCCCCCCC"], "tokens"),
        (["1 2 3 4 5 6 7 8 9 10", "1;2;3;4;5;6;7;8;9;10", "[0,0,0,0,0,0,0,0,0,nan]"], "values"),
    ],
)
def test_a_kind_is_guessed_where_there_is_no_doubt(cells: list[str], kind: str) -> None:
    assert guess_kind(cells, [10] * len(cells), "y") == kind


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (
            ["1", "2", "3"] * 4,
            "The column 'y' holds 3 different whole numbers (1, 2, 3): classes, or a quantity? Say --kind label or "
            "--kind number.",
        ),
        (
            ["1.5", "2.5", "high", "low"] * 3,
            "The column 'y' holds 6 numbers and 6 texts such as 'high'. Say which it is: --kind number refuses the "
            "texts, --kind label takes all for classes.",
        ),
        (
            [f"text {chr(97 + at)}" for at in range(25)],
            "The column 'y' holds 25 different texts in 25 rows, such as 'text a': that is no set of classes. Name "
            "another column with --label NAME, or say --kind label if it is one.",
        ),
        (["", "NA"], "The column 'y' is empty in all 2 rows. Name the column with the answers: --label NAME."),
    ],
)
def test_what_leaves_doubt_is_refused_with_what_was_seen(cells: list[str], sentence: str) -> None:
    with pytest.raises(UsageError) as told:
        guess_kind(cells, [99] * len(cells), "y")
    assert str(told.value) == sentence


def test_a_kind_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(UsageError) as told:
        guess_kind(["1"], [1], "y", "numbr")
    assert str(told.value) == (
        "There is no kind of answer 'numbr'. Did you mean 'number'? Known: number, label, labels, tokens, values."
    )


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("", "The cell in column 'label' is empty: there is no answer to learn from. Fill it in."),
        ("NaN", "The cell in column 'label' is empty: there is no answer to learn from. Fill it in."),
        ("inf", "'inf' in column 'label' is infinite. Write the number that was measured, or leave the row out."),
        (
            ">100",
            "'>100' in column 'label' is a limit, not a number. Write the number that was measured, or leave the row "
            "out.",
        ),
        ("hot", "'hot' in column 'label' is no number. Write a number such as 37.5, or leave the row out."),
        (
            "41,5",
            "'41,5' in column 'label' has a comma: 41.5, or thousands? Write it as 41.5 or without the comma.",
        ),
        ("1,204,000", "'1,204,000' in column 'label' has commas. Write it without them."),
        ("41 °C", "'41 °C' in column 'label' is in °C; most other rows have no unit. Write all rows in one unit."),
    ],
)
def test_a_cell_that_is_no_number_is_refused_with_its_row(cell: str, sentence: str) -> None:
    found = read(numbers(cell), kind="number")
    assert refusals(found) == [f"1: {sentence}"]
    assert len(found) == 29


def test_a_unit_and_a_decimal_comma_are_told() -> None:
    found = read([f"{at},{at} nM" for at in range(10, 35)] + ["3 µM"])
    assert found.unit == "nM"
    assert found.examples[0].value == 10.1
    assert found.told == (
        "The unit 'nM' was taken off 25 numbers in column 'label'.",
        "The numbers in column 'label' have a decimal comma; 1,5 was read as 1.5.",
    )
    assert refusals(found) == [
        "26: '3 µM' in column 'label' is in µM; most other rows are in nM. Write all rows in one unit."
    ]


def test_an_outlier_is_kept_and_told() -> None:
    found = read(numbers("5000"))
    assert len(found) == 30
    assert found.warned == (
        "row 1 says 5000, while the others lie between 40 and 44: a slip of the pen, or another unit? They are kept.",
    )


def test_more_than_one_missing_answer_in_twenty_must_be_allowed() -> None:
    labels = ["", "", *"AB" * 14]
    with pytest.raises(UsageError) as told:
        read(labels)
    assert str(told.value) == (
        "2 of 30 rows (7%) have no answer in column 'label'. Train on the others with --yes or --set "
        "table.missing=drop, or fill them in."
    )
    assert len(read(labels, missing="drop")) == 28


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: read(["A"] * 30),
            "All 30 rows have the same answer, 'A': there is nothing to learn. Add rows with another answer, or name "
            "another column with --label NAME.",
        ),
        (
            lambda: read(["5"] * 30, kind="number"),
            "All 30 rows have the same answer, '5': there is nothing to learn. Add rows with another answer, or name "
            "another column with --label NAME.",
        ),
        (
            lambda: read(["A", "B"] * 6),
            "12 rows are left to learn from; at least 20 are needed to train a model and to judge it. Add rows.",
        ),
        (
            lambda: read(["A", *"BC" * 15]),
            "The class 'A' has 1 row: too few to be trained on and judged at once. Leave such rows out with --set "
            "table.rare=drop, or join such classes to 'other' with --set table.rare=merge.",
        ),
        (
            lambda: read(["A", "A", "D", *"BC" * 15]),
            "The class 'A' has 2 rows (and 1 more class has fewer than 3): too few to be trained on and judged at "
            "once. Leave such rows out with --set table.rare=drop, or join such classes to 'other' with --set "
            "table.rare=merge.",
        ),
        (
            lambda: from_lists(["MKV"], [1, 2]),
            "There are 1 sequences but 2 values of 'label'. Give one for each sequence.",
        ),
        (lambda: from_lists([], []), "The list of sequences is empty. Give at least twenty sequences."),
    ],
)
def test_what_cannot_be_learned_is_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(UsageError) as told:
        make()
    assert str(told.value) == sentence


def test_rare_classes_are_dropped_or_merged_as_is_wished_and_told() -> None:
    labels = ["A", "D", "D", *"BC" * 15]
    dropped = read(labels, rare="drop")
    assert len(dropped) == 30
    assert refusals(dropped)[0] == (
        "1: Its class 'A' has fewer than 3 rows. Add rows of that class, or merge it with --set table.rare=merge."
    )
    merged = read(labels, rare="merge")
    assert [example.value for example in merged.examples[:4]] == ["other", "other", "other", "B"]
    assert merged.told == ("The class 'A' has 1 row (and 1 more class has fewer than 3); they were merged to 'other'.",)


def test_contradicting_rows_are_named_both_and_settled_as_is_wished() -> None:
    sequences, labels = chains(31), ["A", "B", *"AB" * 14, "A"]
    sequences[1] = sequences[0]
    dropped = read(labels, sequences)
    assert refusals(dropped) == [
        f"{row}: It contradicts row {other}: the same residues have the answers '{mine}' and '{theirs}'. Keep the "
        "right one, or say --set table.conflicts=median (numbers) or keep."
        for row, other, mine, theirs in ((1, 2, "A", "B"), (2, 1, "B", "A"))
    ]
    assert len(read(labels, sequences, conflicts="keep")) == 31
    values = numbers("10", "90")
    sequences = sequences[:30]
    joined = read(values, sequences, conflicts="median")
    assert joined.examples[0].value == 50.0
    assert joined.told == ("2 rows contradict each other; each group was joined to its median.",)


def test_a_row_that_stands_twice_counts_once() -> None:
    sequences, labels = chains(30), ["A", "A", *"AB" * 14]
    sequences[1] = sequences[0]
    found = read(labels, sequences)
    assert len(found) == 29
    assert found.told == ("1 row repeats an earlier one with the same answer and was left out.",)


def test_numbers_that_nearly_agree_are_joined_and_that_is_told() -> None:
    sequences, values = chains(30), [str(number) for number in (50, 51, *range(20, 48))]
    sequences[1] = sequences[0]
    found = read(values, sequences)
    assert (len(found), found.examples[0].value) == (29, 50.5)
    (told,) = found.told
    assert told.startswith("2 rows have residues in common with others and answers that differ by less than ")
    assert refusals(found)[0].startswith("2: It is joined with row 1")


def test_an_id_with_two_sequences_is_refused() -> None:
    ids = ["x", "x", *(f"p{at}" for at in range(28))]
    found = read(["A", "B"] * 15, more={"id": ids})
    assert refusals(found) == [
        "2: The id 'x' stands already in row 1, with another sequence. Give each protein an id of its own."
    ]


def test_classes_that_differ_in_capitals_are_one_and_told() -> None:
    found = read(["Nucleus", "nucleus", *["Nucleus", "Cytosol"] * 14])
    assert found.told == ("The class 'Nucleus' is also written 'nucleus'; they were read as one.",)
    assert {example.value for example in found.examples} == {"Nucleus", "Cytosol"}


def test_residue_answers_of_another_length_show_both_lengths() -> None:
    letters = ["H" * 15 + "C" * 15] * 25 + ["HHH"]
    assert refusals(read(letters)) == [
        "26: The sequence has 30 residues, but column 'label' has 3 letters. Give one letter for each residue; nothing "
        "is padded."
    ]
    values = [" ".join(map(str, range(30)))] * 25 + ["1 2 x"]
    assert refusals(read(values)) == ["26: 'x' in column 'label' is no number. Write nan where it is unknown."]


def test_label_columns_of_their_own_are_several_labels_and_may_be_unknown() -> None:
    zeros = ["0", "1"] * 15
    more = {"membrane": zeros, "secreted": ["", *zeros[1:]]}
    found = read_labelled(
        from_lists(chains(30), zeros, more), TableConfig(column="sequence", label=("membrane", "secreted"))
    )
    assert found.kind == "labels"
    assert found.examples[0].value == ("?secreted",)
    assert found.examples[1].value == ("membrane", "secreted")


def test_conditions_are_numbers_that_differ() -> None:
    more = {"temperature": [20, 37.5] * 15, "salt": ["1", ""] * 14 + ["2", "3"], "ph": [7] * 30}
    found = read(["A", "B"] * 15, more=more, conditions=("salt",))
    assert found.conditions == ("temperature", "salt")
    assert found.examples[0].conditions == {"temperature": 20.0, "salt": 1.0}
    assert found.examples[1].conditions == {"temperature": 37.5}


def test_fasta_headers_hold_answers_as_biotrainer_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "own.fasta"
    rows = [
        f">Seq{at} SET={'train' if at < 20 else 'test'} VALIDATION={at % 5 == 0} TARGET={'AB'[at % 2]}\n{chain}\n"
        for at, chain in enumerate(chains(30))
    ]
    path.write_text("".join(rows))
    found = read_labelled(path, TableConfig())
    assert (found.kind, found.splits[:2] if found.splits else None) == ("label", ("valid", "train"))
    assert found.examples[1].protein.id == "Seq1"
    path.write_text(">a\nMKVLAAGIVGLLLA\n")
    with pytest.raises(UsageError) as told:
        read_labelled(path, TableConfig())
    assert str(told.value) == (
        f"No header of {path} holds an answer. Write headers such as >Seq1 TARGET=Nucleus, or give CSV."
    )


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (
            "a,b,label",
            "The columns 'a' and 'b' look like two partners of a pair, but the cells of 'b' are no residues. Put the "
            "sequences of both proteins into the table,",
        ),
        (
            "first,second,label",
            "The sequences could be in column 'first' or 'second'. Say which: --column NAME; or, if each row is a "
            "pair, --column FIRST --partner SECOND.",
        ),
        (
            "sequence,tm,ogt2",
            "The answers could be in column 'tm' or 'ogt2'; {file} has: sequence, tm, ogt2. Say",
        ),
    ],
)
def test_roles_that_are_open_are_refused(tmp_path: Path, header: str, sentence: str) -> None:
    path = tmp_path / "own.csv"
    columns = [chains(30), chains(30, 2) if "second" in header else numbers(), numbers()]
    path.write_text(header + "\n" + "\n".join(map(",".join, zip(*columns, strict=True))) + "\n")
    with pytest.raises(UsageError) as told:
        read_labelled(path, TableConfig())
    assert str(told.value).startswith(sentence.replace("{file}", str(path)))


def test_numbers_survive_every_way_in() -> None:
    assert read_answers(["1e-3", "+2", ".5"], [1, 1, 1], "number", "y").values == (0.001, 2.0, 0.5)

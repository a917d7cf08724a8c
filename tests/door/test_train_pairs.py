"""A table of pairs: roles, classes of new partners, simple rules, symmetry, and a bundle that asks about pairs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy
import pytest
from typer.testing import CliRunner

import anfinsen
from anfinsen.bench.degree import DEGREE, SIDES
from anfinsen.cli import app
from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.predictor import Predictor
from anfinsen.kinship.splits import LEFT_OUT, TEST, TRAIN, VALID, pair_classes, partner_split
from anfinsen.structure.protein import Protein
from anfinsen.tables.labelled import TableConfig, read_labelled
from anfinsen.tables.offered import from_lists

ONE = Protein("one", "MKTAYIAKQRQISFVKSHFSRQ")
OTHER = Protein("other", "GSHMLEDPVDAFKLMNE")


def charges(partners: int, pairs: int, seed: int = 2) -> tuple[list[tuple[str, str]], list[str]]:
    """Invented pairs of acid and basic chains: opposite charges bind, whoever the partners are."""
    draw = numpy.random.default_rng(seed)
    chains = []
    for at in range(partners):
        letters = list("AGLSTVFYHPQN") + list("KR" if at % 2 else "DE") * 6
        chains.append("".join(draw.choice(letters, size=int(draw.integers(24, 40)))))
    seen = {tuple(sorted(draw.choice(partners, size=2, replace=False).tolist())) for _ in range(3 * pairs)}
    chosen = sorted(seen)[:: max(1, len(seen) // pairs)][:pairs]
    turned = [(one, other) if draw.random() < 0.5 else (other, one) for one, other in chosen]
    labels = ["bind" if (one + other) % 2 else "apart" for one, other in turned]
    return [(chains[one], chains[other]) for one, other in turned], labels


def write(path: Path, columns: dict[str, Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def told(text: str) -> str:
    return " ".join(text.split())


def test_a_table_of_pairs_goes_the_whole_way_and_its_bundle_reads_the_same_two_columns(
    tmp_path: Path, body: Path
) -> None:
    pairs, labels = charges(60, 400)
    pairs, labels = [*pairs, pairs[0][::-1], ("MKV*LLAAGIVGLL", pairs[0][1])], [*labels, labels[0], "bind"]
    a, b = ([pair[side] for pair in pairs] for side in (0, 1))
    source = write(tmp_path / "charges.csv", {"sequence_a": a, "sequence_b": b, "interaction": labels})
    out = tmp_path / "run"
    flags = ["--out", str(out), "--from", str(body), "--set", "train.steps=8", "--threads", "1"]
    result = CliRunner().invoke(app, ["train", str(source), *flags])
    assert result.exit_code == 3, result.output
    said = told(result.output)
    for sentence in (
        "400 pairs to learn from, 2 refused.",
        "pairs of proteins: columns 'sequence_a' and 'sequence_b' (by their names; which comes first makes no",
        "answers: column 'interaction', read as a class for each pair",
        "1 row repeats an earlier one with the same answer and was left out.",
        "decide who is new: the test has",
        "degree only 0.",
        "first partner only 0.",
        "second partner only 0.",
        "On 'test, both partners known (C1)': Accuracy",
        "Pairs share proteins, so they are fewer than they look",
        "C3: both new).",
    ):
        assert sentence in said, sentence
    bundle = Bundle.load(out / "bundle")
    record = bundle.records["charges"]
    assert record.kind == "pair" and record.custom is not None and record.custom.of_pairs
    assert {DEGREE, *SIDES, "majority", "composition"} < {score.model for score in record.scores}
    assert all(score.n is not None and score.low is not None for score in record.scores)
    assert bundle.verify() == []

    again = write(tmp_path / "asked.csv", {"sequence_a": a[:4], "sequence_b": b[:4]})
    flags = ["--bundle", str(out / "bundle"), "--out", str(tmp_path / "p"), "--threads", "1"]
    asked = CliRunner().invoke(app, ["predict", str(again), *flags])
    assert asked.exit_code == 0, asked.output
    lines = [json.loads(line) for line in (tmp_path / "p" / "predictions.jsonl").read_text().splitlines()]
    assert [line["partner"]["sequence"] for line in lines] == b[:4]
    assert set(lines[0]["answers"]["charges"]) == {"label", "probability", "set", "probabilities", "reach"}
    assert "protein-1 with protein-2" in asked.output and "Most likely their interaction is" in told(asked.output)
    assert "protein-1 with protein-2" in (tmp_path / "p" / "report.html").read_text()
    twice = CliRunner().invoke(app, ["predict", str(again), *flags])
    assert "4 records were answered in an earlier run" in told(twice.output)
    lone = CliRunner().invoke(app, ["predict", a[0], *flags])
    assert lone.exit_code != 0


def test_two_lists_of_pairs_learn_what_binds_and_shuffled_answers_score_at_chance(body: Path) -> None:
    pairs, labels = charges(70, 500)
    true = anfinsen.train(pairs, labels, start=body, train__steps=10)
    assert true.scores[0].low is not None and true.scores[0].low > 0.6, str(true)
    assert "new" in true.scores[0].split
    rules = [s.value for s in true.scores if s.model in (DEGREE, *SIDES) and s.question == true.scores[0].question]
    assert len(rules) == 3 and true.scores[0].value > max(rules)
    said = true.predict([pairs[0], pairs[0][::-1]])
    assert said[0] == said[1]
    control = anfinsen.train(pairs, labels, start=body, train__steps=10, table__shuffle=True)
    score = control.scores[0]
    assert score.low is not None and score.high is not None and score.low <= 0.5 <= score.high, str(control)


def test_the_order_of_partners_makes_no_difference(body: Path) -> None:
    pairs, labels = charges(30, 200)
    numbers = [float(label == "bind") * 2 + at % 7 / 7 for at, label in enumerate(labels)]
    model = anfinsen.train(pairs, numbers, start=body, train__steps=4, table__by="random")
    one, turned = (Predictor(model.bundle).predict([Example(a, partner=b)]) for a, b in ((ONE, OTHER), (OTHER, ONE)))
    (mine,), (theirs,) = list(one), list(turned)
    assert mine.answers["my-task"]["value"] == pytest.approx(theirs.answers["my-task"]["value"], abs=1e-5)
    assert {score.split for score in model.scores} >= {"test, pairs dealt at random"}
    with pytest.raises(UsageError, match=r"asks about two proteins at a time, and 'one' came as one\."):
        list(Predictor(model.bundle).predict([ONE]))


def test_partners_are_dealt_so_that_each_class_is_what_it_says() -> None:
    draw = numpy.random.default_rng(1)
    a, b = draw.integers(0, 80, 600).tolist(), draw.integers(0, 80, 600).tolist()
    split = partner_split(a, b, seed=3)
    classes = pair_classes(split.names, a, b)
    known = {one for at in split.rows(TRAIN) for one in (a[at], b[at])}
    stops = {one for at in split.rows(VALID) for one in (a[at], b[at])} - known
    for at in split.rows(TEST).tolist():
        assert classes[at] == f"C{1 + (a[at] not in known) + (b[at] not in known)}"
        assert not {a[at], b[at]} & stops
    assert {"C1", "C2", "C3"} <= set(classes.tolist())
    joined = {frozenset((a[at], b[at])) for at in split.rows(TRAIN)}
    assert not any(frozenset((a[at], b[at])) in joined for at in split.rows(TEST))
    assert split.counts()[TRAIN] > 200 > split.counts()[LEFT_OUT]


@pytest.mark.parametrize(
    ("names", "flags", "sentence"),
    [
        (
            ("protein", "smiles"),
            {},
            "are pairs of a protein and a drug, from which a table of one's own cannot be learned",
        ),
        (("protein_a", "protein_b"), {}, "but the cells of 'protein_b' are no residues."),
        (("bait", "prey"), {"partner": "prey"}, "was named as the second partner, and no first."),
        (("bait", "prey"), {"column": "bait", "partner": "bait"}, "Both partners were named 'bait'."),
    ],
)
def test_what_is_no_pair_of_proteins_is_refused_with_a_way_on(
    names: tuple[str, str], flags: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    pairs, labels = charges(30, 40)
    columns = {names[0]: [pair[0] for pair in pairs], names[1]: ["P12345"] * 40, "label": labels}
    with pytest.raises(UsageError) as error:
        read_labelled(write(tmp_path / "t.csv", columns), TableConfig(**flags))  # type: ignore[arg-type]
    assert sentence in str(error.value) and error.value.remedy


def test_partners_are_found_named_and_mirrored_rows_count_once(tmp_path: Path) -> None:
    pairs, labels = charges(30, 60)
    pairs, labels = [*pairs, pairs[3][::-1], pairs[4][::-1]], [*labels, labels[3], "neither"]
    columns: dict[str, Sequence[object]] = {"id_a": [f"x{pair[0]}" for pair in pairs]}
    columns |= {"a": [pair[0] for pair in pairs], "b": [pair[1] for pair in pairs], "label": labels}
    config = TableConfig(rare="drop")
    found = read_labelled(write(tmp_path / "t.csv", columns), config)
    assert found.of_pairs and len(found) == 59
    assert found.examples[0].protein.id.startswith("x") and found.examples[0].partner is not None
    reasons = [error.reason for error in found.refused]
    assert any(reason.startswith("It repeats row 4 (x") for reason in reasons)
    assert sum(reason.startswith("It contradicts row") for reason in reasons) == 2
    lists = read_labelled(from_lists(pairs[:60], labels[:60]), TableConfig(kind="label"))
    assert lists.of_pairs and lists.noun == "pair"
    with pytest.raises(UsageError, match="a pair can be answered by a number or a class"):
        read_labelled(from_lists(pairs[:60], ["x;y"] * 60), TableConfig())

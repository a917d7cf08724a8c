"""The tables that a prediction leaves behind: flat, whole, safe to open, under names that are never paths."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anfinsen.errors import InputError
from anfinsen.inference.prediction import Prediction
from anfinsen.report.tables import safe_name, write_csv, write_refused, write_residues
from anfinsen.structure.protein import Message
from anfinsen.targets.base import Answer

REACH = {"far": True, "nearest_identity": 0.22, "nearest_id": "P1"}
ANSWERS: dict[str, Answer] = {
    "place": {
        "label": "Nucleus",
        "probability": 0.5,
        "set": ["Nucleus", "Cytoplasm"],
        "probabilities": {},
        "reach": REACH,
    },
    "change": {"value": -1.5, "low": -2.0, "high": 1.0, "unit": "kcal/mol", "reach": REACH},
    "shape": {"tokens": "HEC", "probabilities": {"H": [0.9, 0.1, 0.0], "E": [0.1, 0.8, 0.0], "C": [0.0, 0.1, 1.0]}},
    "function": {"labels": [{"label": "kinase", "probability": 0.91}, {"label": "binding", "probability": 0.3}]},
    "disorder": {"values": [0.25, None, 0.75]},
    "novelty": {"something": [1, 2]},
}


def a_prediction(name: str = "p", **changes: object) -> Prediction:
    given: dict[str, object] = {"sequence": "MKX", "sha256": "ab" * 32, "answers": ANSWERS}
    return Prediction(id=name, **(given | changes))  # type: ignore[arg-type]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_a_protein_with_columns_by_the_kind_of_answer(tmp_path: Path) -> None:
    told = (
        Message("mended", "Spaces were removed."),
        Message("warning", "X is unknown.", 3),
        Message("info", "Windows."),
    )
    few = a_prediction("q", answers={"change": ANSWERS["change"]}, conditions={"temperature": 37.0})
    write_csv(tmp_path / "predictions.csv", [a_prediction(messages=told), few])
    first, second = read(tmp_path / "predictions.csv")
    assert first == {
        "id": "p",
        "length": "3",
        "sha256": "ab" * 32,
        "temperature": "",
        "place": "Nucleus",
        "place_probability": "0.5",
        "place_set": "Nucleus; Cytoplasm",
        "place_far": "true",
        "place_nearest_identity": "0.22",
        "change": "-1.5",
        "change_low": "-2.0",
        "change_high": "1.0",
        "change_unit": "kcal/mol",
        "change_far": "true",
        "change_nearest_identity": "0.22",
        "shape": "HEC",
        "shape_far": "",
        "shape_nearest_identity": "",
        "function": "kinase; binding",
        "function_probability": "0.91; 0.3",
        "function_far": "",
        "function_nearest_identity": "",
        "disorder_mean": "0.5",
        "disorder_min": "0.25",
        "disorder_max": "0.75",
        "disorder_far": "",
        "disorder_nearest_identity": "",
        "novelty": '{"something": [1, 2]}',
        "novelty_far": "",
        "novelty_nearest_identity": "",
        "warnings": "mended: Spaces were removed. | warning at 3: X is unknown.",
    }
    assert (second["temperature"], second["place"], second["change"]) == ("37.0", "", "-1.5")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(tmp_path: Path, start: str) -> None:
    evil = f"{start}cmd|' /C calc'!A0"
    answers: dict[str, Answer] = {"place": ANSWERS["place"] | {"label": evil, "set": [evil]}, evil: ANSWERS["change"]}
    prediction = a_prediction(evil, answers=answers)
    write_csv(tmp_path / "a.csv", [prediction])
    (row,) = read(tmp_path / "a.csv")
    assert (row["id"], row["place"], row["place_set"], row[f"'{evil}"]) == (f"'{evil}", f"'{evil}", f"'{evil}", "-1.5")
    write_csv(tmp_path / "a.csv", [prediction], raw=True)
    assert read(tmp_path / "a.csv")[0]["id"] == evil
    write_refused(tmp_path / "r.csv", [InputError(evil, remedy=evil, file=evil, record=evil)])
    (refused,) = read(tmp_path / "r.csv")
    assert {refused[name] for name in ("file", "record", "reason", "remedy")} == {f"'{evil}"}


def test_one_row_a_residue_with_the_authors_number(tmp_path: Path) -> None:
    path = write_residues(tmp_path / "residues", a_prediction(numbering=("-1", "60A", "61")))
    assert path is not None
    rows = read(path)
    assert rows[0] == {
        "position": "1",
        "author_number": "-1",
        "residue": "M",
        "shape": "H",
        "shape_H": "0.9",
        "shape_E": "0.1",
        "shape_C": "0.0",
        "disorder": "0.25",
    }
    assert [row["author_number"] for row in rows] == ["-1", "60A", "61"]
    assert [row["disorder"] for row in rows] == ["0.25", "", "0.75"]


def test_a_protein_without_answers_per_residue_leaves_no_table(tmp_path: Path) -> None:
    assert write_residues(tmp_path / "residues", a_prediction(answers={"place": ANSWERS["place"]})) is None
    assert not list(tmp_path.iterdir())


DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
NASTY = (
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "\\\\?\\x",
    "CON",
    "con.txt",
    "NUL",
    "a\x00b",
    "x" * 400,
    "",
    "...",
    "-rf",
    "%2e%2e",
    "\u202ea",
)


@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_name_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    path = write_residues(tmp_path / "residues", a_prediction(name))
    assert path is not None
    assert path.resolve().parent == (tmp_path / "residues").resolve()
    assert [entry.name for entry in (tmp_path / "residues").iterdir()] == [path.name]


@given(st.text(), st.text())
def test_a_file_name_is_plain_and_belongs_to_one_protein(name: str, other: str) -> None:
    made = safe_name(name)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}", made)
    assert made.lower().split(".")[0] not in DEVICES
    assert (made.lower() == safe_name(other).lower()) == (name == other)


def test_a_line_of_json_is_the_prediction_and_one_line_for_every_reader() -> None:
    prediction = a_prediction(
        "line\u2028break\u0085and \ud800", conditions={"temperature": 37.0}, numbering=("1", "2", "3")
    )
    file = io.StringIO()
    file.write(prediction.to_line())
    file.write(prediction.to_line())
    lines = file.getvalue().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[0]) == prediction.to_json()
    assert Prediction.from_json(json.loads(lines[1])) == prediction
    with pytest.raises(ValueError, match="not JSON compliant"):
        a_prediction(answers={"change": {"value": float("nan")}}).to_line()


def test_the_refused_are_listed_with_place_reason_and_remedy(tmp_path: Path) -> None:
    write_refused(
        tmp_path / "refused.csv",
        [InputError("Too short.", remedy="Leave it out.", file="a.fasta", row=3, position=7, record="tag")],
    )
    assert (tmp_path / "refused.csv").read_text(encoding="utf-8") == (
        "file,record,row,position,reason,remedy\na.fasta,tag,3,7,Too short.,Leave it out.\n"
    )


def test_a_table_that_fails_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    write_csv(tmp_path / "predictions.csv", [a_prediction("old")])

    def torn() -> Iterator[Prediction]:
        yield a_prediction("new")
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_csv(tmp_path / "predictions.csv", torn())
    assert read(tmp_path / "predictions.csv")[0]["id"] == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]

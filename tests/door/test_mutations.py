"""`anfinsen scan` and `anfinsen propose`, from the command line to the files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.errors import AnfinsenError

INSULIN = "FVNQHLCGSHLVEALYLVCGERGFFYTPKT"


def call(verb: str, source: Path, out: Path, *flags: str) -> Result:
    return CliRunner().invoke(app, [verb, str(source), "--out", str(out), *flags])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "insulin.fasta"
    path.write_text(f">insulin B chain\n{INSULIN}\n")
    return path


def measured(folder: Path, *extra: str) -> Path:
    path = folder / "measured.csv"
    lines = [f"{residue}{at}A,{at / 10}" for at, residue in enumerate(INSULIN, 1) if residue != "A"]
    path.write_text("\n".join(["variant,score", *lines, *extra]) + "\n")
    return path


def test_a_scan_is_a_table_a_picture_and_a_sentence(fasta: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = call("scan", fasta, out)
    assert result.exit_code == 0, result.output
    assert "The residues that bear least change are" in result.output and "The scores come from" in result.output
    (table,) = (path for path in out.glob("*.csv") if path.name.count(".") == 1 and path.name != "refused.csv")
    found = rows(table)
    assert list(found[0]) == ["position", "wild_type", "mutant", "score"] and len(found) == 20 * len(INSULIN)
    assert all(float(row["score"]) == 0.0 for row in found if row["wild_type"] == row["mutant"])
    assert [row["wild_type"] for row in found[::20]] == list(INSULIN)
    picture = table.with_suffix(".svg").read_text()
    assert picture.startswith("<svg ") and "F1A" in picture and picture.count("<circle") == len(INSULIN)
    page = (out / "report.html").read_text()
    assert "<script" not in page and "default-src &#39;none&#39;" in page
    assert call("scan", fasta, tmp_path / "again").exit_code == 0
    assert (tmp_path / "again" / table.name).read_bytes() == table.read_bytes()


def test_measured_variants_give_ranges_and_bad_rows_are_listed(fasta: Path, tmp_path: Path) -> None:
    bad = ["V2C,high", "A2V,1", "V99A,1", "V2Z,1", "V2A,9", "V3C"]
    result = call("scan", fasta, tmp_path / "out", "--data", str(measured(tmp_path, *bad)))
    assert result.exit_code == 3, result.output
    refused = {row["record"]: f"{row['reason']} {row['remedy']}" for row in rows(tmp_path / "out" / "refused.csv")}
    assert refused["V2C"] == "The score 'high' is no number. Write a number such as -0.8."
    assert refused["A2V"].startswith("'A2V': residue 2 is V, not A.")
    assert refused["V99A"].startswith("'V99A' is outside the sequence, whose residues are numbered 1 to 30.")
    assert refused["V2Z"].startswith("'V2Z': Z is none of the twenty standard residues.")
    assert refused["V2A"] == (
        "'V2A' stands already in record 2 with the score 0.2, not 9. Keep one of the two, or write their mean once."
    )
    assert len(refused) == len(bad)
    (table,) = (path for path in (tmp_path / "out").glob("insulin*.csv") if path.name.count(".") == 1)
    for row in rows(table):
        assert float(row["low"]) <= float(row["score"]) <= float(row["high"])
    assert "Spearman with 95% interval" in " ".join(result.output.split())


def test_too_few_variants_and_two_proteins_are_refused(fasta: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("variant,score\nF1A,1\n")
    result = call("scan", fasta, tmp_path / "out", "--data", str(few))
    assert "1 variants can be read; 20 or more are needed" in str(result.exception)
    two = tmp_path / "two.fasta"
    two.write_text(f">a\n{INSULIN}\n>b\n{INSULIN}A\n")
    result = call("scan", two, tmp_path / "out", "--data", str(few))
    assert "The measured variants are of one protein" in str(result.exception)


def test_proposals_have_reason_range_risk_and_the_word_hypothesis(fasta: Path, tmp_path: Path) -> None:
    for toward in ("localization=Nucleus", "stability"):
        out = tmp_path / toward.partition("=")[0]
        result = call("propose", fasta, out, "--toward", toward, "--count", "4", "--changes", "2")
        assert result.exit_code == 0, result.output
        (table,) = (path for path in out.glob("insulin*.csv"))
        found = rows(table)
        assert len(found) == 4 and [":" in row["variant"] for row in found] == [False, False, True, True]
        for row in found:
            assert row["reason"].endswith(".") and "hypothesis" in row["claim"]
            for part in row["variant"].split(":"):
                assert INSULIN[int(part[1:-1]) - 1] == part[0]
            if toward == "stability":
                low, gain, high = (float(row[name]) for name in ("low", "gain", "high"))
                assert low <= gain <= high and "did gain" in row["claim"]
                assert ("larger than its uncertainty" in row["claim"]) == (low > 0)
                assert gain == pytest.approx(-float(row["ddg"]), abs=1e-3)
        assert "hypothesis" in (out / "report.html").read_text()


def test_an_unknown_goal_is_answered_with_those_there_are(fasta: Path, tmp_path: Path) -> None:
    result = call("propose", fasta, tmp_path / "out", "--toward", "stabilty")
    assert str(result.exception).startswith("'stabilty' is no goal here. Did you mean 'stability'? Known: ")
    result = call("propose", fasta, tmp_path / "out", "--toward", "localization")
    assert "does not say toward which label" in str(result.exception)


def kin(folder: Path, sequence: str = INSULIN) -> Path:
    """A collection in which the first four residues never change and the others seldom."""
    path = folder / "many.fasta"
    others = [sequence[:4] + sequence[4:].translate(str.maketrans("LVEK", new)) for new in ("IIDR", "MIQR", "IADN")]
    path.write_text("".join(f">p{number}\n{one}\n" for number, one in enumerate(others)))
    return path


@pytest.fixture
def without_families(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a package without the families that come with it."""
    monkeypatch.setattr("anfinsen.kinship.kin.LIBRARY", tmp_path / "none.safetensors")


def test_known_families_are_asked_unless_nobody_shall_be(fasta: Path, tmp_path: Path) -> None:
    asked, alone = call("scan", fasta, tmp_path / "a"), call("scan", fasta, tmp_path / "b", "--relatives", "none")
    assert asked.exit_code == alone.exit_code == 0, asked.output
    assert "families that come with Anfinsen" in " ".join(asked.output.split())
    assert "what its relatives have there" in " ".join(asked.output.split())
    assert "relatives" not in alone.output.replace("what relatives swap", "")


@pytest.mark.usefixtures("without_families")
def test_relatives_are_asked_where_there_are_some(fasta: Path, tmp_path: Path) -> None:
    alone, asked = call("scan", fasta, tmp_path / "a"), tmp_path / "b"
    told = call("scan", fasta, asked, "--relatives", str(kin(tmp_path)))
    assert told.exit_code == alone.exit_code == 0, told.output
    words = " ".join(told.output.split())
    assert "3 relatives among the 3 sequences of" in words and "what its relatives have there" in words
    assert "relatives among" not in alone.output
    (table,) = (path for path in asked.glob("*.csv") if path.name.count(".") == 1 and path.name != "refused.csv")
    scores = {(row["position"], row["mutant"]): float(row["score"]) for row in rows(table)}
    assert scores["6", "L"] == 0.0 and scores["11", "I"] > scores["11", "D"]  # L11 became I, M and I, never D
    assert "relatives among" in (asked / "report.html").read_text()
    propose = call("propose", fasta, tmp_path / "c", "--toward", "stability", "--relatives", str(kin(tmp_path)))
    assert propose.exit_code == 0, propose.output


@pytest.mark.usefixtures("without_families")
def test_a_collection_without_a_relative_changes_nothing(fasta: Path, tmp_path: Path) -> None:
    path = kin(tmp_path, "GHWPQNGHWPQNYTSGHWPQNCCWHGPQ")
    told = call("scan", fasta, tmp_path / "b", "--relatives", str(path))
    assert told.exit_code == 0 and "No relative among the 3 sequences" in " ".join(told.output.split())
    call("scan", fasta, tmp_path / "a")
    (one,), (other,) = (list((tmp_path / name).glob("insulin*[!y].csv")) for name in "ab")
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("verb", ["scan", "predict"])
def test_what_is_no_collection_is_refused_before_anything_is_asked(verb: str, fasta: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.fasta").write_text(">a\nMK7\n")
    for name, told in (("bad.fasta", "line 2"), ("none.fasta", "no file")):
        result = call(verb, fasta, tmp_path / "out", "--relatives", str(tmp_path / name))
        assert result.exit_code != 0 and isinstance(result.exception, AnfinsenError), result.output
        assert told in str(result.exception).lower() and not (tmp_path / "out").exists()

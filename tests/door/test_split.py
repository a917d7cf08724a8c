"""`anfinsen split`, from the command line to the files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy
import polars
import pytest
from click.testing import Result
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.data.alphabet import RESIDUES
from anfinsen.errors import AnfinsenError, UsageError
from anfinsen.tables.roles import SplitPlan

LETTERS = numpy.array(list(RESIDUES))
GENERATOR = numpy.random.default_rng(3)


def invent(length: int = 120) -> str:
    return "".join(GENERATOR.choice(LETTERS, size=length))


def vary(sequence: str) -> str:
    return sequence[:50] + invent(20) + sequence[70:]


def split(source: Path, out: Path, *flags: str) -> Result:
    return CliRunner().invoke(app, ["split", str(source), "--out", str(out), "--no-mmseqs", *flags])


def sentences(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """20 families of three; one row with a stop codon; cells that tempt a reader to change them."""
    rows = ["id,sequence,label,note"]
    for family in range(20):
        parent = invent()
        for member, chain in enumerate((parent, vary(parent), vary(parent).lower())):
            rows.append(f'f{family}m{member},{chain},{(family * 7 + member) % 3},"NA, =1+1 {family}"')
    rows.insert(5, "bad,MKV*LLAAGIVGLLLAAGIVG,1,x")
    path = tmp_path / "data.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_families_stay_together_and_cells_stay_as_they_are(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.csv"
    result = split(table, out, "--shares", "0.6,0.2,0.2")
    assert result.exit_code == 3, result.output
    with table.open() as before, out.open() as after:
        old, new = list(csv.DictReader(before)), list(csv.DictReader(after))
    del old[4]
    assert [{name: row[name] for name in old[0]} for row in new] == old
    assert list(new[0])[-1] == "split"
    where = {family: {row["split"] for row in new if row["id"].startswith(f"f{family}m")} for family in range(20)}
    assert {len(names) for names in where.values()} == {1}
    assert [row["split"] for row in new].count("test") == 12
    told = sentences(result)
    assert "cluster split of 60 rows: train 36, valid 12, test 12." in told
    assert "None of the 12 test proteins has a training relative of 30 % identity or more that was found." in told
    assert "20 sequences in column 'sequence' were mended to compare them; the cells stay." in told
    with (tmp_path / "refused.csv").open() as file:
        refused = list(csv.DictReader(file))
    assert [(row["record"], row["row"], row["position"]) for row in refused] == [("bad", "5", "4")]
    record = json.loads((tmp_path / "split.csv.json").read_text())
    assert (record["kind"], record["families"], record["largest family"]) == ("cluster", 20, 3)


def test_a_random_split_of_families_is_told_to_leak(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "split.parquet"
    result = split(table, out, "--by", "random")
    assert "have a training relative of 50 to 90 % identity" in sentences(result)
    assert polars.read_parquet(out)["split"].value_counts().sort("split").rows() == [
        ("test", 6), ("train", 48), ("valid", 6),
    ]  # fmt: skip


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    source, out = tmp_path / "data.parquet", tmp_path / "split.parquet"
    frame = polars.DataFrame({"seq": [invent() for _ in range(30)], "year": range(1990, 2020), "tags": [["a"]] * 30})
    frame.write_parquet(source)
    assert split(source, out, "--by", "time", "--column", "year").exit_code == 0
    found = polars.read_parquet(out)
    assert found.drop("split").equals(frame)
    assert found["split"].to_list() == ["train"] * 24 + ["valid"] * 3 + ["test"] * 3


def test_pairs_are_read_by_their_columns_and_their_leaks_told(tmp_path: Path) -> None:
    chains = [invent(60) for _ in range(12)]
    rows = [f"{one},drug {other},{int((at + other) % 2)}" for at, one in enumerate(chains) for other in range(12)]
    source = tmp_path / "pairs.csv"
    source.write_text("protein,drug,label\n" + "\n".join(rows) + "\n")
    cold = split(source, tmp_path / "a.csv", "--by", "cold-a")
    assert cold.exit_code == 0, cold.output
    found = polars.read_csv(tmp_path / "a.csv")
    assert found.group_by("protein").agg(polars.col("split").n_unique())["split"].max() == 1
    assert "0 have both partners in training (C1), 12 one (C2) and 0 none (C3)" in sentences(cold)
    assert split(source, tmp_path / "b.csv", "--by", "cold-b").exit_code == 0
    found = polars.read_csv(tmp_path / "b.csv")
    assert found.group_by("drug").agg(polars.col("split").n_unique())["split"].max() == 1
    both = split(source, tmp_path / "ab.csv", "--by", "cold-pair", "--column", "protein", "--column", "drug")
    assert both.exit_code == 0
    assert "left out" in polars.read_csv(tmp_path / "ab.csv")["split"].to_list()


def test_twins_across_the_columns_of_a_pair_table_are_told(tmp_path: Path) -> None:
    chains = [invent(100) for _ in range(40)]
    a, b = chains[:20], chains[20:]
    rows = [f"{one},{other},train" for one, other in zip(a[:16], b[:16], strict=True)]
    rows += [f"{b[0]},{a[0]},test", f"{a[16]},{b[1][:-3]},test", f"{a[18]},{b[18]},valid"]
    source = tmp_path / "pairs.csv"
    source.write_text("a,b,part\n" + "\n".join(rows) + "\n")
    told = sentences(split(source, tmp_path / "out.csv", "--by", "column", "--column", "part"))
    assert "1 of 2 test pairs (50%) stands in training with their partners exchanged: row 17 and row 1." in told
    assert "1 of 2 new test proteins (50%) has a training twin of 90 % identity or more: row 18 and row 2" in told


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--by", "cold-c"], "There is no split by 'cold-c'. Did you mean 'cold-b'? Known: cluster, random, "),
        (["--identity", "30"], "The identity came as 30; a share from 0.2 to 1 is expected. Write 30 % as --identity"),
        (["--by", "time"], "A split by time needs one column. Name it: --column NAME."),
        (["--by", "cold-a"], "A cold-a split needs two columns of partners, such as a and b, or protein and drug. Na"),
        (["--column", "sequenze"], "data.csv has no column 'sequenze'. Did you mean 'sequence'? Known: id, sequence"),
        (["--label", "lable"], "data.csv has no column 'lable'. Did you mean 'label'? Known: id, sequence, label, no"),
        (["--shares", "8,1,1"], "The shares came as '8,1,1'; three numbers between 0 and 1 that add up to 1 are expec"),
    ],
)
def test_a_wrong_flag_is_answered_with_the_right_one(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = split(Path(table.name), Path("out.csv"), *flags)
    assert isinstance(result.exception, AnfinsenError)
    assert result.exception.exit_code == 2
    assert str(result.exception).startswith(sentence)
    assert not Path("out.csv").exists()


def test_the_table_is_never_overwritten_and_a_split_is_never_lost(table: Path, tmp_path: Path) -> None:
    for out, sentence in (
        (table, f"'{table}' is the table itself. Give"),
        (tmp_path / "x.txt", f"'{tmp_path}/x.txt' is no"),
    ):
        result = split(table, out)
        assert isinstance(result.exception, UsageError)
        assert str(result.exception).startswith(sentence)
    first, again = tmp_path / "first.csv", tmp_path / "again.csv"
    split(table, first, "--by", "random")
    result = split(first, again)
    assert str(result.exception) == (
        f"{first} has a column 'split' already. Rename it, or keep to it with --by column --column split."
    )
    assert split(first, again, "--by", "column", "--column", "split").exit_code == 0
    assert again.read_bytes() == first.read_bytes()


def test_every_setting_has_a_help_text() -> None:
    assert all(field.description for field in SplitPlan.model_fields.values())

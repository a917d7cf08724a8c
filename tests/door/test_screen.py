"""Screening at the door: every kind of file gives the same scores, a kill costs nothing, refusals have their place."""

from __future__ import annotations

import csv
import gzip
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.drug.molecule import Formula, Molecule
from anfinsen.errors import InputError, UsageError
from anfinsen.inference.affinity import AffinityPredictor
from anfinsen.inference.screening import Screener, best, height, open_predictor, refused
from anfinsen.reading.kept import Shelf
from anfinsen.reading.library import count_rows, read_library, shards
from anfinsen.reading.readers import read_examples
from anfinsen.sets.known_binders import find_binders
from anfinsen.structure.protein import Protein

EXAMPLES = Path(__file__).parents[2] / "examples"
GEFITINIB = "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1"
ROWS = [
    (GEFITINIB, "gefitinib"),
    ("CC(=O)Oc1ccccc1C(=O)O", "aspirin"),
    ("C1CC", "broken"),
    ("CC(=O)[O-].[Na+]", "acetate"),
    ("C" * 20_000, "chain"),
    ("CCÖ", "foreign"),
    ("Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1", "imatinib"),
]


@pytest.fixture(scope="module")
def predictor() -> AffinityPredictor:
    return open_predictor()


@pytest.fixture(scope="module")
def target() -> Protein:
    (example,) = read_examples(str(EXAMPLES / "egfr.fasta"))
    return example.protein  # type: ignore[union-attr]


def write(path: Path) -> str:
    """The same rows in the kind of file that the ending names."""
    lines = "".join(f"{smiles} {name}\n" for smiles, name in ROWS)
    if path.suffix == ".parquet":
        columns = {"name": [name for _, name in ROWS], "SMILES": [smiles for smiles, _ in ROWS]}
        parquet.write_table(pyarrow.table(columns), path)
    elif path.suffix == ".csv":
        path.write_text("id,smiles\n" + "".join(f"{name},{smiles}\n" for smiles, name in ROWS), encoding="utf-8")
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(lines, encoding="utf-8")
    return str(path)


def run(screener: Screener, source: str, folder: Path, **how: Any) -> list[bytes]:
    list(screener.run(source, folder, **how))
    return [path.read_bytes() for path in sorted((folder / "scores").iterdir())]


def test_every_kind_of_file_gives_the_same_scores(
    predictor: AffinityPredictor, target: Protein, tmp_path: Path
) -> None:
    screener = Screener(predictor, target, Shelf(tmp_path / "kept"), size=4)
    found = {}
    for ending in (".smi", ".smi.gz", ".csv", ".parquet"):
        source = write(tmp_path / f"library{ending}")
        found[ending] = run(screener, source, tmp_path / ending)
        assert count_rows(source) in (len(ROWS), len(ROWS) + 1)
        (_, chain, foreign) = listed = list(refused(tmp_path / ending, f"library{ending}"))
        name = "molecule-5" if ".smi" in ending else "chain"  # a line is cut before its name is reached
        assert [(error.row, error.record) for error in listed] == [(3, "broken"), (5, name), (6, "foreign")]
        assert "20,0" in chain.reason and "2,000" in chain.reason
        place = {".csv": "line 7", ".parquet": "record 6"}.get(ending, "line 6")
        assert foreign.position == 3 and foreign.place() == f"library{ending}, {place} (foreign), position 3"
    assert found[".smi"] == found[".smi.gz"]
    ranked = best(tmp_path / ".smi", 10)
    assert ranked[0]["drug"] == "gefitinib" and ranked == best(tmp_path / ".parquet", 10)
    heights = [height(hit["pkd"], hit["low"], 5.0) for hit in ranked]
    assert [hit["score"] for hit in ranked] == sorted(heights, reverse=True) and screener.floor == pytest.approx(5.0)
    assert screener.shelf.found == 3 * 5, "chemistry was done again"


def test_a_killed_screen_goes_on_and_writes_the_same_bytes(
    predictor: AffinityPredictor, target: Protein, tmp_path: Path
) -> None:
    source = write(tmp_path / "library.smi")
    screener = Screener(predictor, target, Shelf(None), size=2)
    whole = run(screener, source, tmp_path / "whole")
    first = run(screener, source, tmp_path / "broken", most=2)
    torn = tmp_path / "broken" / "scores" / ".writing-1-000002.parquet"
    torn.write_bytes(b"half a shard")
    assert first == whole[:2]
    told = list(screener.run(source, tmp_path / "broken"))
    torn.unlink()
    assert [(one.rows, one.was_there) for one in told] == [(2, True), (2, True), (2, False), (1, False)]
    assert [path.read_bytes() for path in sorted((tmp_path / "broken" / "scores").iterdir())] == whole
    rows = [
        row
        for path in (tmp_path / "broken" / "scores").iterdir()
        for row in parquet.read_table(path)["row"].to_pylist()
    ]
    assert sorted(rows) == list(range(1, len(ROWS) + 1))
    other = Screener(predictor, target, Shelf(None), size=2, known=_known(), along=find_binders(target.sequence))
    with pytest.raises(
        UsageError,
        match=r"holds another screen \(library.smi against EGFR\); they differ in: by, known, binders_sha256",
    ):
        list(other.run(source, tmp_path / "broken"))


def test_binders_that_come_along_rank_and_a_stopped_screen_goes_on_with_them(
    predictor: AffinityPredictor, target: Protein, tmp_path: Path
) -> None:
    source = write(tmp_path / "library.smi")
    screener = Screener(predictor, target, Shelf(None), size=2, along=find_binders(target.sequence))
    assert screener.by == "likeness" and screener.choice.startswith("Ranked by likeness to ")
    assert screener.choice.endswith("proteins like EGFR, the nearest 100% identical.")
    whole = run(screener, source, tmp_path / "whole")
    run(screener, source, tmp_path / "broken", most=1)
    again = Screener(predictor, target, Shelf(None), size=2, along=find_binders(target.sequence))
    assert run(again, source, tmp_path / "broken") == whole
    first, second, *others = best(tmp_path / "whole", 10)
    assert (first["drug"], first["known_itself"], first["score"]) == ("gefitinib", True, 1.0)
    assert second["drug"] == "imatinib" and all(hit["known_likeness"] < 0.35 for hit in others)
    assert second["known_ligand"].startswith("a binder of a protein ")
    affine = Screener(predictor, target, Shelf(None), along=screener.along, by="affinity")
    assert affine.choice.startswith("Ranked by predicted affinity, as asked; a better guide would be")


def test_a_target_without_a_known_binder_is_ranked_by_affinity_and_this_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANFINSEN_CACHE", str(tmp_path / "cache"))
    stranger, library = tmp_path / "stranger.fasta", tmp_path / "two.smi"
    stranger.write_text(">stranger\n" + "MKTAYIAKQRQISFVKSHFSRQ" * 3 + "\n", encoding="utf-8")
    library.write_text(f"{GEFITINIB} gefitinib\nCC(=O)Oc1ccccc1C(=O)O aspirin\n", encoding="utf-8")
    told = {}
    for name, how in {"stranger": (), "egfr": ("--known", "none")}.items():
        asked = ["--target", str(stranger if name == "stranger" else EXAMPLES / "egfr.fasta"), "--out"]
        words = ["screen", *asked, str(tmp_path / name), "--library", str(library), "--threads", "1", *how]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        told[name] = " ".join(result.output.split())
        assert json.loads((tmp_path / name / "screen.json").read_text())["by"] == "affinity"
    sentence = "or of a relative is at hand, so the order by predicted affinity is a guess."
    assert f"No binder of stranger {sentence}" in told["stranger"] and f"No binder of EGFR {sentence}" in told["egfr"]
    assert sentence in (tmp_path / "stranger" / "report.html").read_text(encoding="utf-8")


def test_what_was_kept_is_what_was_read_and_a_damaged_file_is_read_anew(tmp_path: Path) -> None:
    rows = [Formula(smiles, name, row=at) for at, (smiles, name) in enumerate(ROWS[:4], 1)]
    fresh = Shelf(None).read(rows)
    shelf = Shelf(tmp_path)
    shelf.read(rows)
    again = shelf.read(rows)
    assert shelf.found == 4
    for one, other in zip(fresh, again, strict=True):
        if isinstance(one, InputError):
            assert isinstance(other, InputError) and str(other) == str(one)
            continue
        assert isinstance(other, Molecule) and vars(other).keys() == vars(one).keys()
        assert all(
            (value == getattr(other, name)).all() for name, value in vars(one).items() if hasattr(value, "shape")
        )
        assert (other.smiles, other.messages, other.heavy_atoms) == (one.smiles, one.messages, one.heavy_atoms)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-50])
    assert [str(one) for one in shelf.read(rows) if isinstance(one, InputError)] and shelf.found == 4


def test_a_library_streams_and_memory_does_not_grow_with_it(
    predictor: AffinityPredictor, target: Protein, tmp_path: Path
) -> None:
    peaks = []
    for count in (100, 400):
        source = tmp_path / f"{count}.smi"
        source.write_text("".join(f"C{'C' * (at % 9)}N m{at}\n" for at in range(count)), encoding="utf-8")
        screener = Screener(predictor, target, Shelf(tmp_path / "kept"), size=50)
        tracemalloc.start()
        done = sum(one.answered for one in screener.run(str(source), tmp_path / str(count)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert done == count
    assert peaks[1] < 1.3 * peaks[0]


def test_a_column_is_found_or_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "library.csv"
    path.write_text("name,formula\nx,CCO\n,CCN\n", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"has no column of formulas; it has name, formula. Call it smiles, or name it"
    ):
        next(read_library(path))
    found = list(read_library(path, column="Formula"))
    assert [(one.id, one.text) for one in found if isinstance(one, Formula)] == [("x", "CCO"), ("molecule-2", "CCN")]
    with pytest.raises(UsageError, match="Known: name, formula"):
        next(read_library(path, column="formla"))


def test_shards_are_cut_at_the_same_places_whatever_was_read() -> None:
    rows: Iterator[Formula] = (Formula("C", str(at)) for at in range(5))
    assert [len(shard) for shard in shards(rows, 2)] == [2, 2, 1]


def test_the_command_ranks_draws_and_asks_about_off_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANFINSEN_CACHE", str(tmp_path / "cache"))
    source, out = write(tmp_path / "library.csv"), tmp_path / "out"
    panel = tmp_path / "panel.fasta"
    panel.write_text(
        ">one\n" + "MKTAYIAKQRQISFVKSHFSRQ" * 3 + "\n>two\n" + "MGSSHHHHHHSSGLVPRGSHM" * 3 + "\n", encoding="utf-8"
    )
    words = [
        "screen",
        "--target",
        str(EXAMPLES / "egfr.fasta"),
        "--library",
        source,
        "--out",
        str(out),
        "--threads",
        "1",
    ]
    words += ["--known", str(EXAMPLES / "kinase_drugs.smi"), "--panel", str(panel), "--top", "3"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 3, result.output
    with (out / "ranking.csv").open(encoding="utf-8", newline="") as file:
        ranking = list(csv.DictReader(file))
    assert list(ranking[0])[:5] == ["protein", "drug", "pkd", "low", "high"]
    assert ranking[0]["drug"] == "gefitinib" and ranking[0]["known_ligand"] == "gefitinib"
    assert float(ranking[0]["known_likeness"]) == 1.0 and ranking[0]["known_itself"] == "true"
    acetate = next(row for row in ranking if row["drug"] == "acetate")
    assert acetate["messages"].startswith("A salt was removed") and acetate["far"] == "true"
    with (out / "panel.csv").open(encoding="utf-8", newline="") as file:
        assert [row["protein"] for row in csv.DictReader(file)] == ["one", "two"] * 3
    listed = (out / "refused.csv").read_text(encoding="utf-8")
    assert "library.csv,broken,3,4," in listed and "library.csv,foreign,6,7,3," in listed
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<figure><svg") == 3 and "<script" not in page
    assert "far from training" in page and "Other proteins they might hold" in page
    assert (
        "Ranked by likeness to 3 given ligands and " in page
        and "A known binder itself. Likeness 1.00 to gefitinib." in page
    )
    assert "How good such rankings are" in page and "DUD-E, kinases" in page and "likeness to 5 known 0." in page
    assert json.loads((out / "screen.json").read_text())["library"] == "library.csv"
    (out / "report.html").unlink()
    again = CliRunner().invoke(app, [f"file://{out}" if word == str(out) else word for word in words])
    assert again.exit_code == 3 and "7 rows were already answered" in again.output
    assert f"Written to file://{out}." in again.output and (out / "report.html").exists()


def test_ranking_by_likeness_wants_known_ligands(predictor: AffinityPredictor, target: Protein, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none of EGFR or of a relative is at hand\. Give some: --known FILE"):
        Screener(predictor, target, Shelf(None), by="likeness")
    screener = Screener(predictor, target, Shelf(None), by="likeness", known=_known())
    list(screener.run(write(tmp_path / "library.smi"), tmp_path / "out"))
    assert [(hit["drug"], hit["score"]) for hit in best(tmp_path / "out", 1)] == [("aspirin", 1.0)]


def _known() -> list[Molecule]:
    return [one for one in Shelf(None).read([Formula("CC(=O)Oc1ccccc1C(=O)O", "aspirin")]) if isinstance(one, Molecule)]

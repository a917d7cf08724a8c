"""`anfinsen explain`: tracks, substitutions, a coloured structure and a page that runs nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import gemmi
import pytest
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.models.network import Network
from anfinsen.tasks import TASKS

BAD = Path(__file__).parents[1] / "bad"
TASK = "localization"


@pytest.fixture
def bundle(tiny_network: Network, tmp_path: Path) -> Path:
    task = TASKS[TASK]
    record = TaskRecord(
        kind=task.shape.kind,
        size=task.shape.size,
        labels=task.target.labels,
        conditions=tuple(one.name for one in task.conditions),
    )
    folder = tmp_path / "bundle"
    Bundle("tiny", Network(tiny_network.body, {TASK: task.shape}).eval(), {TASK: record}).save(folder)
    return folder


def run(bundle: Path, source: Path, out: Path, *more: str) -> str:
    done = CliRunner().invoke(
        app, ["explain", str(source), "--task", TASK, "--out", str(out), "--bundle", str(bundle), *more]
    )
    assert done.exit_code == 0, done.output
    return done.output


def test_the_verb_writes_tracks_substitutions_lines_and_page(bundle: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.fasta", tmp_path / "out"
    sequence = "MKWVTFISLLFLFSSAYSRGVFRRDAHKSE"
    source.write_text(f">=<script>alert(1)</script>\n{sequence}\n", encoding="utf-8")
    told = run(bundle, source, out)
    assert "Explained is the answer " in told and "substitutions" in told
    (line,) = (json.loads(text) for text in (out / "explanation.jsonl").read_text(encoding="utf-8").splitlines())
    assert line["task"] == TASK and {len(track) for track in line["credits"].values()} == {len(sequence)}
    assert line["faithfulness"]["occlusion"]["n"] == 20
    credited = sum(line["credits"]["integrated gradients"])
    assert credited == pytest.approx(line["value"] - line["hidden"] + line["completeness_gap"], abs=1e-3)
    (track,) = (out / "residues").glob("*.csv")
    with track.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert "".join(row["residue"] for row in rows) == sequence
    (table,) = (out / "substitutions").glob("*.csv")
    assert table.read_text(encoding="utf-8").startswith("position,wild_type,mutant,score")
    (joined,) = (out / "attention").glob("*.csv")
    with joined.open(encoding="utf-8", newline="") as file:
        pairs = list(csv.DictReader(file))
    assert len(pairs) == len(line["attention"]["pairs"]) == len(sequence)
    assert all(sequence[int(one["first"]) - 1] + sequence[int(one["second"]) - 1] == one["residues"] for one in pairs)
    assert (
        not pairs[0]["touch"] and line["attention"]["contacts"] is None and line["attention"]["faithfulness"]["n"] == 20
    )
    page = (out / "explanation.html").read_text(encoding="utf-8")
    assert "<script" not in page and page.count('class="credits"') == 1 and page.count('class="arc"') == len(sequence)
    assert "was not measured: take it for little" in page
    assert not (out / "structures").exists()


def test_a_structure_comes_back_with_its_credits_as_b_factors(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(bundle, BAD / "good.pdb", out)
    (line,) = (json.loads(text) for text in (out / "explanation.jsonl").read_text(encoding="utf-8").splitlines())
    (made,) = (out / "structures").glob("*.pdb")
    (chain,) = gemmi.read_structure(str(made))[0]
    factors = [residue[0].b_iso for residue in chain.get_polymer()]
    view = max(line["faithfulness"], key=lambda name: line["faithfulness"][name]["score"])
    credits = line["credits"][view]
    largest = max(map(abs, credits))
    assert factors == pytest.approx([50 + 50 * credit / largest for credit in credits], abs=0.02)
    (joined,) = (out / "attention").glob("*.csv")
    with joined.open(encoding="utf-8", newline="") as file:
        touch = [row["touch"] for row in csv.DictReader(file)]
    found = line["attention"]["contacts"]
    assert set(touch) <= {"True", "False"} and found["share"] == pytest.approx(touch.count("True") / found["n"])


def test_a_wrong_task_lists_those_of_the_bundle(bundle: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["explain", str(BAD / "good.fasta"), "--task", "localisation", "--bundle", str(bundle)]
    )
    assert str(done.exception) == (
        "There is no task in the bundle 'tiny' called 'localisation'. Did you mean 'localization'? Known: localization."
    )

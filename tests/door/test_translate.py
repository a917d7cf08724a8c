"""Genes from the command line: --translate finds them, tells place and frame, and answers about their proteins."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.errors import UsageError

GENE = "ATG" + "GAACTGAAAGTTTTCCGTGCTGATTGGCAGAACTATCACATG" * 6 + "TAA"
PROTEIN = "M" + "ELKVFRADWQNYHM" * 6
FLAGS = ("--task", "localization")


def predict(source: Path, out: Path, *flags: str) -> Result:
    return CliRunner().invoke(app, ["predict", str(source), "--out", str(out), *FLAGS, *flags])


def test_a_file_of_genes_is_answered_and_what_holds_none_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "genes.fasta"
    source.write_text(f">plasmid\nTAACTAACTAA{GENE}TAACTAACTAA\n>empty\n{'TAACTAACTAA' * 20}\n")
    out = tmp_path / "out"
    result = predict(source, out, "--translate", "--code", "11")
    assert result.exit_code == 3, result.output
    (line,) = [json.loads(text) for text in (out / "predictions.jsonl").read_text().splitlines()]
    assert line["id"] == "plasmid:12-269:+3"
    assert line["length"] == len(PROTEIN)
    assert any("frame +3 with genetic code 11" in message["text"] for message in line["messages"])
    with (out / "refused.csv").open(encoding="utf-8") as file:
        (refused,) = csv.DictReader(file)
    assert refused["record"] == "empty"
    assert "No open reading frame" in refused["reason"]


def test_without_the_flag_genes_are_refused_and_the_flag_is_named(tmp_path: Path) -> None:
    source = tmp_path / "genes.fasta"
    source.write_text(f">gene\n{GENE}\n")
    result = predict(source, tmp_path / "out")
    assert result.exit_code == 1
    assert "--translate" in " ".join(result.output.split())
    # the remedy is the same command with that flag, into the same folder
    assert predict(source, tmp_path / "out", "--translate").exit_code == 0


def test_flags_of_genes_need_each_other(tmp_path: Path) -> None:
    source = tmp_path / "genes.fasta"
    source.write_text(f">gene\n{GENE}\n")
    wrong = predict(source, tmp_path / "out", "--code", "4")
    assert isinstance(wrong.exception, UsageError)
    assert "--translate" in str(wrong.exception)
    unknown = predict(source, tmp_path / "out", "--translate", "--code", "7")
    assert isinstance(unknown.exception, UsageError)
    assert "There is no genetic code 7." in str(unknown.exception)

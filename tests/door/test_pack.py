"""The verb `pack`: a table, FASTA or a task's public table becomes shards, and a training starts from them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy
import pytest
from click.testing import Result
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.errors import CorpusError, UsageError
from anfinsen.sets.shards import Shards

LETTERS = list("ACDEFGHIKLMNPQRSTVWY")
TINY = ("encoder.layers=1", "encoder.dim=16", "encoder.heads=2", "encoder.inner_dim=32")
SHORT = ("mode=full", "train.steps=2", "train.tokens=128", "train.judge_every=2", "validate_on=4")


def make_sequences(count: int) -> list[str]:
    generator = numpy.random.default_rng(9)
    return ["".join(generator.choice(LETTERS, size=int(generator.integers(12, 40)))) for _ in range(count)]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def text(result: Result) -> str:
    return " ".join(result.output.split())


def write_table(path: Path, sequences: list[str]) -> Path:
    rows = [["id", "split", "sequence"]]
    rows += [[f"p{n}", "valid" if n % 3 == 0 else "train", sequence] for n, sequence in enumerate(sequences)]
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    return path


def test_a_table_keeps_its_splits_and_a_training_starts_from_it(tmp_path: Path) -> None:
    sequences = make_sequences(40)
    source = write_table(tmp_path / "mine.csv", sequences)
    packed = run("pack", str(source), "--out", str(tmp_path / "corpus"))
    assert packed.exit_code == 0, packed.output
    valid = sum(len(sequence) for sequence in sequences[::3])
    assert text(packed).startswith(f"valid: 14 sequences with {valid:,} residues in 1 shard. train: 26 sequences with ")
    assert "Its hash is " + Shards.open(tmp_path / "corpus").sha256 in text(packed)
    assert [example.protein.sequence for example in Shards.open(tmp_path / "corpus", "valid")] == sequences[::3]

    settings = [
        word for change in (*TINY, *SHORT, f"task.masked.shards={tmp_path / 'corpus'}") for word in ("--set", change)
    ]
    trained = run("train", "masked", "--out", str(tmp_path / "run"), *settings)
    assert trained.exit_code == 0, (trained.output, trained.exception)
    record = json.loads((tmp_path / "run" / "events.jsonl").read_text().splitlines()[-1])
    assert record["step"] == 2 and numpy.isfinite(record["valid"])


def test_fasta_is_for_training_and_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    sequences = make_sequences(3)
    source = tmp_path / "in.fasta"
    source.write_text("".join(f">p{n}\n{sequence}\n" for n, sequence in enumerate([*sequences, "M@"])))
    packed = run("pack", str(source), "--out", str(tmp_path / "corpus"), "--ids")
    assert packed.exit_code == 3
    assert "Refused: " in packed.output
    corpus = Shards.open(tmp_path / "corpus")
    assert [(e.protein.id, e.protein.sequence) for e in corpus] == [(f"p{n}", s) for n, s in enumerate(sequences)]
    with (tmp_path / "refused.csv").open() as file:
        assert [row["record"] for row in csv.DictReader(file)] == ["p3"]


def test_wrong_usage_is_a_sentence(tmp_path: Path) -> None:
    source = write_table(tmp_path / "mine.csv", make_sequences(6))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    taken = run("pack", str(source), "--out", str(tmp_path / "full"))
    assert isinstance(taken.exception, UsageError)
    assert str(taken.exception) == (
        f"'{tmp_path / 'full'}' is there already. Give another folder with --out, or delete that one."
    )
    source.write_text(source.read_text().replace("valid", "../valid"))
    named = run("pack", str(source), "--out", str(tmp_path / "corpus"))
    assert isinstance(named.exception, UsageError)
    assert str(named.exception) == "'../valid' cannot name a split. Name it in letters, digits, '-' and '_'."
    nowhere = run("train", "masked", "--set", "encoder.layers=1", "--set", f"task.masked.shards={tmp_path}")
    assert isinstance(nowhere.exception, CorpusError)


@pytest.mark.parametrize("most", [200, 300])
def test_a_part_may_travel(most: int, tmp_path: Path) -> None:
    source = write_table(tmp_path / "mine.csv", make_sequences(40))
    assert run("pack", str(source), "--out", str(tmp_path / "corpus"), "--max-residues", str(most)).exit_code == 0
    assert most - 40 < Shards.open(tmp_path / "corpus").lengths.sum() <= most
    assert len(Shards.open(tmp_path / "corpus", "valid")) == 14

"""`anfinsen train TABLE --strategy S --processes 2`: from a table to a bundle that answers, whatever the strategy.

This file is also what the processes run: `python test_train_together.py FOLDER STRATEGY...` is one of two that give the
command once for each strategy, as the processes do that `--processes 2` starts.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy
import pytest
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.distributed.processes import COMMAND, start
from anfinsen.distributed.replicas import Replicas
from anfinsen.distributed.strategy import Strategy
from anfinsen.errors import UsageError
from anfinsen.hub.bundle import Bundle

STRATEGIES = ("ddp", "fsdp", *(("zero1", "zero2", "zero3") if find_spec("deepspeed") else ()))
STEPS = 6
ASKED = "AGLSTVFYHPQNKRKRKRKRAGLSTVFY"

pytestmark = pytest.mark.distributed


def command(folder: Path, name: str, *more: str) -> list[str]:
    short = ["--set", f"train.steps={STEPS}", "--threads", "1", "--yes"]
    return [
        "train",
        str(folder / "own.csv"),
        "--from",
        str(folder / "body"),
        "--out",
        str(folder / name),
        *short,
        *more,
    ]


def main(folder: Path, names: list[str]) -> None:
    Replicas.close = lambda self: None  # type: ignore[method-assign]  # the two stay together for the next command
    for name in names:
        app(command(folder, name, "--mode", "full", "--strategy", name), standalone_mode=False)


def losses(folder: Path) -> list[float]:
    records = (json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if "loss" in record]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, body: Path) -> Path:
    """A table of invented chains, half of them positive, of which one is refused."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "body").symlink_to(body)
    generator = numpy.random.default_rng(2)
    with (folder / "own.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sequence", "charge"])
        writer.writerow(["MKV*LLAAGIVGLL", "positive"])
        for at in range(40):
            letters = list("AGLSTVFYHPQN") + list("KR" if at % 2 else "DE") * 4
            chain = "".join(generator.choice(letters, size=int(generator.integers(24, 40))))
            writer.writerow([chain, "positive" if at % 2 else "negative"])
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    assert start([sys.executable, __file__, str(folder), *STRATEGIES], 2) == 0
    return folder


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_table_becomes_a_bundle_that_answers(trained: Path, name: str) -> None:
    bundle = Bundle.load(trained / name / "bundle")
    assert bundle.verify() == []
    assert {"anfinsen own", "composition", "frozen linear probe"} <= {row.model for row in bundle.records["own"].scores}
    out = trained / f"answers-{name}"
    asked = CliRunner().invoke(
        app, ["predict", ASKED, "--bundle", str(trained / name / "bundle"), "--out", str(out), "--threads", "1"]
    )
    assert asked.exit_code == 0, asked.output
    (line,) = (out / "predictions.jsonl").read_text().splitlines()
    assert json.loads(line)["answers"]["own"]["label"] in ("positive", "negative")


@pytest.mark.parametrize("name", STRATEGIES[1:])
def test_a_table_is_learnt_alike_by_every_strategy(trained: Path, name: str) -> None:
    # two processes hide the same by dropout, whatever their strategy
    assert losses(trained / name) == pytest.approx(losses(trained / "ddp"), rel=1e-5)
    assert len(losses(trained / name)) == STEPS


def test_the_whole_command_judges_in_rounds_and_speaks_once(folder: Path) -> None:
    words = command(folder, "rounds", "--processes", "2", "--set", "table.folds=2")
    ended = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    told = " ".join(ended.stdout.split())
    assert ended.returncode == 3, ended.stderr  # a row was refused
    assert told.count("40 rows to learn from, 1 refused.") == 1
    assert told.count("Round 2 of 2: learned from") == 1
    assert told.count("Ask it: anfinsen predict") == 1
    assert (folder / "rounds" / "refused.csv").exists()
    again = CliRunner().invoke(app, command(folder, "alone", "--set", "table.folds=2"))
    assert again.exit_code == 3, again.output
    # a resting body and a head: what dropout hides is the only difference
    ours, alone = (
        {
            (row.split, row.metric, row.model): row.n
            for row in Bundle.load(folder / name / "bundle").records["own"].scores
        }
        for name in ("rounds", "alone")
    )
    assert ours == alone


def test_what_cannot_be_cut_into_pieces_is_refused_before_anything_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Strategy, "shards", True)
    asked = CliRunner().invoke(app, command(folder, "frozen"))
    assert isinstance(asked.exception, UsageError)
    assert str(asked.exception).endswith("Take --strategy ddp, or --mode full or lora without --heat.")
    assert "rows to learn from" not in asked.output


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

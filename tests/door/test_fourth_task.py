"""A task is one file: a new one, from nowhere but this test, goes through train, predict, bench and report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy
import polars
import pytest
import torch
from transformers import BertConfig, BertModel
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.errors import ConfigError
from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer, Label
from anfinsen.tasks import TASKS, Task

RECIPE = """
name = "charge-model"
tasks = ["charge"]
mode = "full"
[encoder]
layers = 1
dim = 32
heads = 2
inner_dim = 64
[train]
steps = 40
tokens = 512
learning_rate = 5e-3
warmup = 5
judge_every = 20
"""


def _say(answer: Answer) -> str:
    return f"At neutral pH it is {answer['label']}."


CHARGE = Task(
    name="charge",
    title="Net charge",
    question="Is it positive or negative?",
    explanation="The net charge: what lysine and arginine give against what aspartate and glutamate take.",
    target=Label(("positive", "negative")),
    table=Table(
        "charge.parquet",
        value="charge",
        splits={"train": ("train",), "valid": ("valid",), "test": ("test",)},
        title="Invented peptides",
        source="this test",
        licence="CC0",
    ),
    metrics=("accuracy",),
    say=_say,
    terms={"net charge": "Positive residues minus negative ones."},
)


@pytest.fixture
def charge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    generator = numpy.random.default_rng(1)
    rows = []
    for index in range(240):
        letters = list("AGLSTV") + list("KR" if index % 2 else "DE") * 2
        sequence = "".join(generator.choice(letters, size=int(generator.integers(30, 60))))
        split = "train" if index < 140 else "valid" if index < 190 else "test"
        rows.append(
            {"id": f"c{index}", "sequence": sequence, "charge": "positive" if index % 2 else "negative", "split": split}
        )
    polars.DataFrame(rows).write_parquet(tmp_path / "charge.parquet")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    TASKS.add("charge", CHARGE)
    yield tmp_path
    TASKS.remove("charge")


def test_a_public_backbone_by_name_is_trained_on_frozen_and_only_named_in_the_bundle(charge: Path) -> None:
    checkpoint = save_protbert(charge / "protbert")
    recipe = (
        f'name = "on-protbert"\ntasks = ["charge"]\nmode = "frozen"\nbackbone = "{checkpoint}"\n'
        "[train]\nsteps = 6\ntokens = 512"
    )
    (charge / "recipe.toml").write_text(recipe)
    run = CliRunner().invoke
    trained = run(app, ["train", "--recipe", str(charge / "recipe.toml"), "--out", str(charge / "run")])
    assert trained.exit_code == 0, trained.output
    bundle = charge / "run" / "bundle"
    assert not (bundle / "model.safetensors").exists()
    assert json.loads((bundle / "bundle.json").read_text())["backbone"] == str(checkpoint)
    checked = run(app, ["verify", str(bundle)])
    assert checked.exit_code == 0, checked.output
    predicted = run(app, ["predict", "KRKKRAGKLSTKRKVAAKRGLKK", "--bundle", str(bundle), "--out", str(charge / "out")])
    assert predicted.exit_code == 0, predicted.output

    (charge / "recipe.toml").write_text(recipe.replace("frozen", "full"))
    refused = run(app, ["train", "--recipe", str(charge / "recipe.toml"), "--out", str(charge / "full")])
    assert isinstance(refused.exception, ConfigError)
    assert "cannot be trained in full: its weights are not stored in a bundle." in str(refused.exception)

    lora = recipe.replace("frozen", "lora")
    (charge / "recipe.toml").write_text(lora)
    learnt = run(app, ["train", "--recipe", str(charge / "recipe.toml"), "--out", str(charge / "lora")])
    assert learnt.exit_code == 0, learnt.output
    bundle = charge / "lora" / "bundle"
    assert (bundle / "corrections.safetensors").exists() and not (bundle / "model.safetensors").exists()
    checked = run(app, ["verify", str(bundle)])
    assert checked.exit_code == 0, checked.output
    (bundle / "corrections.safetensors").unlink()
    assert run(app, ["verify", str(bundle)]).exit_code == 1


def save_protbert(folder: Path) -> Path:
    """A ProtBERT with random weights, small enough for a test."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"LAGVESIKRDTPNQFYMHCWXUBZO"]
    config = BertConfig(
        vocab_size=len(words), hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    torch.manual_seed(1)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": false}')
    return folder


def test_a_fourth_task_goes_the_whole_way(charge: Path) -> None:
    run = CliRunner().invoke
    trained = run(app, ["train", "--recipe", str(charge / "recipe.toml"), "--out", str(charge / "run")])
    assert trained.exit_code == 0, trained.output
    bundle = str(charge / "run" / "bundle")

    listed = run(app, ["tasks"])
    assert "charge" in listed.output

    benched = run(app, ["bench", "charge", "--bundle", bundle, "--json", str(charge / "rows.jsonl"), "--write"])
    assert benched.exit_code == 0, benched.output
    rows = [json.loads(line) for line in (charge / "rows.jsonl").read_text().splitlines()]
    ours = [row for row in rows if row["model"] == "anfinsen charge-model" and row["metric"] == "accuracy"]
    assert len(ours) == 1 and ours[0]["value"] > 0.9 and ours[0]["n"] == 50
    assert ours[0]["low"] <= ours[0]["value"] <= ours[0]["high"]
    assert {"majority", "composition"} <= {row["model"].split(" (")[0] for row in rows}

    predicted = run(app, ["predict", "KRKKRAGKLSTKRKVAAKRGLKK", "--bundle", bundle, "--out", str(charge / "out")])
    assert predicted.exit_code == 0, predicted.output
    (line,) = (charge / "out" / "predictions.jsonl").read_text().splitlines()
    answer = json.loads(line)["answers"]["charge"]
    assert answer["label"] == "positive"
    assert set(answer) == {"label", "probability", "set", "probabilities", "reach"}

    report = (charge / "out" / "report.html").read_text()
    assert "At neutral pH it is positive." in report
    assert "Is it positive or negative?" in report
    assert "Positive residues minus negative ones." in report

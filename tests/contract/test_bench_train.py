"""The suite 'train' on a landscape and a network small enough to compute at once; seeds in words."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import polars
import pytest
import torch
from sklearn.linear_model import RidgeCV

from anfinsen.bench import train as bench
from anfinsen.bench.landscape import DOMAIN, PUBLISHED, RIDGE, begin_with_ridge, landscape, ridge, varied
from anfinsen.bench.suite import Study, sittings
from anfinsen.data.alphabet import RESIDUES
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score, TaskRecord
from anfinsen.models.network import Network
from anfinsen.sets.catalog import VARIABLE
from anfinsen.targets.metrics import Estimate
from anfinsen.tasks.ask import ask
from anfinsen.training.recipe import Recipe
from anfinsen.training.seeds import Spread, spread_over_seeds
from anfinsen.training.trial import Trials

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = (3, 10, 20, 40)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[polars.DataFrame]:
    """A landscape of 90 variants at four places, whose score is a sum over the places; a tail follows the domain."""
    generator = numpy.random.default_rng(1)
    worth = generator.normal(size=(4, len(RESIDUES)))
    rows = []
    for number in range(90):
        chosen = generator.integers(0, len(RESIDUES), size=4)
        sequence = list("MQYKLILNGK" * 6)[:DOMAIN]
        for place, residue in zip(PLACES, chosen, strict=True):
            sequence[place] = RESIDUES[residue]
        part = "train" if number < 50 else "valid" if number < 60 else "test"
        score = float(worth[numpy.arange(4), chosen].sum())
        rows.append({"sequence": "".join(sequence) + "GGSGG", "score": score} | dict.fromkeys(PUBLISHED, part))
    made = polars.DataFrame(rows)
    (tmp_path / "mutations").mkdir()
    made.write_parquet(tmp_path / "mutations" / "gb1_flip.parquet")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return made


def test_the_landscape_is_dealt_as_its_column_says_and_cut_to_the_domain(table: polars.DataFrame) -> None:
    task = landscape("sampled")
    parts = {part: {example.protein.sequence for example in task.examples(part)} for part in ("train", "valid", "test")}
    for part, sequences in parts.items():
        assert sequences == {one[:DOMAIN] for one in table.filter(polars.col("sampled") == part)["sequence"]}
    example = task.examples("train")[0]
    assert len(example.conditions) == 4 * len(RESIDUES)
    assert sum(example.conditions.values()) == 4
    assert all(example.conditions[f"{at + 1}{example.protein.sequence[at]}"] == 1 for at in PLACES)
    assert task.prepare(example, numpy.random.default_rng(1)) == example
    assert task.examples("calibrate") == task.examples("valid")
    assert len(landscape("sampled", limit=7).examples("test")) == 7


def test_the_ridge_is_scikit_learns(table: polars.DataFrame) -> None:
    task = landscape("sampled")
    train, test = task.examples("train"), task.examples("test")

    def rows(examples: object) -> numpy.ndarray:
        return numpy.array(
            [[one.protein.sequence[at] == residue for at in PLACES for residue in RESIDUES] for one in examples],  # type: ignore[attr-defined]
            dtype=numpy.float64,
        )

    model = RidgeCV(numpy.logspace(-2, 4, 13)).fit(rows(train), [one.value for one in train])
    assert [answer["value"] for answer in ridge(train, test)] == pytest.approx(model.predict(rows(test)).tolist())
    assert varied(["ACDE", "ACCE", "GCDE"]) == [0, 2]


def test_a_head_begins_as_the_ridge(table: polars.DataFrame, tiny_network: Network) -> None:
    task = landscape("sampled")
    network = Network(tiny_network.body, {"gb1": task.shape}).eval()
    begin_with_ridge(network.heads["gb1"], task)  # type: ignore[arg-type]
    test = task.examples("test")
    outputs = [one["gb1"] for one in ask(network, [task], test)]
    said = [task.target.answer(output, {})["value"] for output in outputs]
    assert said == pytest.approx([answer["value"] for answer in ridge(task.examples("train"), test)], abs=2e-3)


@pytest.mark.skipif(find_spec("peft") is None, reason="LoRA needs peft")
def test_every_mode_has_its_row_with_rivals_and_seconds(
    table: polars.DataFrame, tiny_network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "PUBLISHED", {"sampled": PUBLISHED["sampled"]})
    before = {name: weight.clone() for name, weight in tiny_network.body.state_dict().items()}
    told: list[str] = []
    rows = bench.landscape_rows(Bundle("anfinsen-tiny", tiny_network), limit=12, tell=told.append)
    assert told == ["train: gb1, sampled: learns from 12 variants, judged on 12 drawn at random."]
    names = ["anfinsen-tiny", RIDGE, *PUBLISHED["sampled"]]
    spearman = [row for row in rows if row.metric == "spearman"]
    assert [(row.suite, row.task, row.dataset, row.split, row.model) for row in spearman] == [
        ("train", "gb1", "gb1_flip", f"sampled {mode}", name) for mode in ("frozen", "lora", "full") for name in names
    ]
    measured = [row for row in spearman if not row.published]
    assert all(row.n == 12 and row.low is not None and row.low <= row.value for row in measured)
    assert [row.value for row in spearman if row.model == "CNN (FLIP)"] == [0.91] * 3
    seconds = [row.value for row in rows if row.metric == "seconds"]
    assert len(seconds) == 3
    assert seconds[0] < min(seconds[1:])  # the others begin with what frozen has learnt
    # a trial leaves no trace in the network that it began from
    for name, weight in tiny_network.body.state_dict().items():
        assert torch.equal(weight, before[name])


def test_the_suite_is_run_when_it_is_named_only() -> None:
    names = [one.name for one in sittings(["train"])]
    assert names == ["gb1", "localization-modes", "measured", "coverage", "distillation"]
    assert all(one.is_slow for one in sittings(["train"]) if isinstance(one, Study))
    assert not [one for one in sittings([]) if one.name == "gb1"]


def test_seeds_differ_in_the_seed_alone(table: polars.DataFrame, tiny_network: Network, tmp_path: Path) -> None:
    recipe = Recipe.build({"train": {"steps": 2, "tokens": 256, "judge_every": 2, "warmup": 0, "seed": 4}})
    start = Bundle("tiny", Network(tiny_network.body, {}).eval())
    told: list[str] = []
    (spread,) = spread_over_seeds(Trials([landscape("sampled")], start), recipe, tmp_path, 3, tell=told.append)
    assert spread.seeds == (4, 5, 6)
    assert len(set(spread.values)) == 3
    assert spread.mean == pytest.approx(numpy.mean(spread.values))
    assert [sentence[:6] for sentence in told] == ["Seed 4", "Seed 5", "Seed 6"]
    (again,) = spread_over_seeds(Trials([landscape("sampled")], start), recipe, tmp_path / "again", 3)
    assert again == spread


def test_a_spread_is_said_beside_the_interval_of_one_score() -> None:
    estimates = tuple(Estimate(value, value - 0.05, value + 0.05, 300) for value in (0.70, 0.72, 0.74))
    assert Spread("localization", "test", "accuracy", (1, 2, 3), estimates).sentence() == (
        "localization, test, n = 300: accuracy 0.720 with a standard deviation of 0.020 over 3 seeds (0.700 to 0.740). "
        "Another seed changes it less than other test proteins would: the 95 % interval of seed 1 alone is "
        "0.650 to 0.750."
    )


def test_rows_of_what_was_trained_stand_with_the_language_model_that_it_was_trained_on(tiny_network: Network) -> None:
    kept = {name: TaskRecord(kind="pooled", size=2) for name in ("masked", "localization", "solubility")}
    rows = [
        Score(suite=suite, task=task, dataset="d", split="s", metric="spearman", model="anfinsen-tiny", value=0.5)
        for suite, task in (("train", "gb1"), ("train", "localization"), ("structure", "fold"), ("speed", "embed"))
    ]

    def homes(records: dict[str, TaskRecord]) -> dict[str, list[str]]:
        bundle = Bundle("tiny", tiny_network, records).with_scores(rows)
        return {name: [row.task for row in record.scores] for name, record in bundle.records.items() if record.scores}

    assert homes(kept) == {"masked": ["gb1", "embed"], "localization": ["localization"]}
    assert homes({"contacts": kept["solubility"]}) == {"contacts": ["gb1", "localization", "fold"]}

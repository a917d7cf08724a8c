"""The benchmark from end to end on invented tables: rows, verdicts, what is missing, and what it must not show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy
import polars
import pytest
from numpy.typing import NDArray

from anfinsen.bench import suite
from anfinsen.bench.run import run, verdicts, write_rows
from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import STUDIES, Study, sittings, suites
from anfinsen.data.example import Example
from anfinsen.errors import MissingDataError, UnknownNameError, UsageError
from anfinsen.hub.bundle import TAUGHT, Bundle
from anfinsen.hub.card import write_card
from anfinsen.hub.record import Score, TaskRecord, renewed
from anfinsen.models.network import Network
from anfinsen.report.scores import all_scores, headlines
from anfinsen.sets.catalog import Table
from anfinsen.targets.base import Answer, Label, Number
from anfinsen.targets.metrics import METRICS, Estimate, Metric, Pairs
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.base import Published


def table(name: str, value: str) -> Table:
    splits = {split: (split,) for split in ("train", "test", "hard")}
    return Table(f"{name}.parquet", splits, f"{name} invented", "nowhere", "none", value=value)


SHADE = Task(
    name="shade",
    title="Shade",
    question="Dark or light?",
    explanation="Invented.",
    target=Label(("dark", "light")),
    table=table("shade", "shade"),
    metrics=("accuracy", "mcc"),
    say=str,
    tests=("test", "hard"),
    published=(Published("The Elders", "accuracy", 0.9, "test", "Lore"),),
)
WEIGHT = Task(
    name="weight",
    title="Weight",
    question="How heavy?",
    explanation="Invented.",
    target=Number("Da"),
    table=table("weight", "mass"),
    metrics=("rmse", "spearman"),
    say=str,
)


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two registered tasks, 'shade' told by tryptophan, with its table; 'weight' without."""
    generator = numpy.random.default_rng(2)
    rows = []
    for number in range(300):
        shade = ("dark", "light")[number % 2]
        letters = list("ACDEFGHIKLMNPQRSTVY") + ["W"] * (4 if shade == "dark" else 1)
        split = ("train", "test", "hard")[min(2, number // 120)]
        sequence = "".join(generator.choice(letters, size=50))
        rows.append(
            {"id": f"p{number}", "sequence": sequence, "shade": shade, "mass": len(set(sequence)) * 1.0, "split": split}
        )
    polars.DataFrame(rows).write_parquet(tmp_path / "shade.parquet")
    monkeypatch.setenv("ANFINSEN_DATA", str(tmp_path))
    for task in (SHADE, WEIGHT):
        TASKS.add(task.name, task)
    yield tmp_path
    for task in (SHADE, WEIGHT):
        TASKS.remove(task.name)


def perfect(task: Task, asked: Sequence[Example]) -> list[Answer]:
    """Counts what the table was made of; leaves one in ten sets without the truth."""
    answers = []
    for number, example in enumerate(asked):
        label = ("dark", "light")[int(example.protein.id[1:]) % 2]
        inside = [label] if number % 10 else []
        answers.append({"label": label, "probability": 0.9, "set": inside, "probabilities": {label: 0.9}})
    return answers


def test_our_rows_the_baselines_and_the_published_ones_stand_together(tables: Path) -> None:
    rows, missing = run(["shade"], perfect, model="anfinsen-trial")
    assert missing == []
    on_test = [row for row in rows if row.split == "test" and row.metric == "accuracy"]
    assert [row.model for row in on_test] == [
        "anfinsen-trial",
        "majority",
        "composition",
        "nearest neighbour",
        "The Elders",
    ]
    ours, elders = on_test[0], on_test[-1]
    assert (ours.suite, ours.dataset, ours.value, ours.high, ours.n) == ("sequence", "shade", 1.0, 1.0, 120)
    assert ours.low is not None
    assert 0.96 < ours.low < 1.0
    assert (elders.published, elders.low, elders.high, elders.n) == (True, None, None, None)
    assert all(row.n in (60, 120) and row.low is not None and row.high is not None for row in rows if not row.published)
    assert {row.split for row in rows} == {"test", "hard"}


def test_coverage_is_scored_for_our_model_alone(tables: Path) -> None:
    rows, _ = run(["shade"], perfect, model="anfinsen-trial")
    covered = [row for row in rows if row.metric == "coverage"]
    assert [(row.model, row.split) for row in covered] == [("anfinsen-trial", "test"), ("anfinsen-trial", "hard")]
    assert covered[0].value == pytest.approx(0.9)


def test_the_true_values_are_not_shown_to_who_answers(tables: Path) -> None:
    seen: list[Example] = []

    def nosy(task: Task, asked: Sequence[Example]) -> list[Answer]:
        seen.extend(asked)
        return perfect(task, asked)

    run(["shade"], nosy, model="anfinsen-trial")
    assert len(seen) == 180
    assert {(example.value, example.mask) for example in seen} == {(None, None)}


def test_a_table_that_is_not_here_stops_no_other_task(tables: Path) -> None:
    told: list[str] = []
    rows, missing = run(["weight", "shade"], perfect, model="anfinsen-trial", tell=told.append)
    assert {row.task for row in rows} == {"shade"}
    assert [type(error) for error in missing] == [MissingDataError]
    assert str(missing[0]) == (
        f"The table 'weight.parquet' (weight invented) is not in {tables}. "
        "Get it from nowhere (none) and set ANFINSEN_DATA to the folder that holds 'weight.parquet'."
    )
    assert told[0] == f"weight is passed over: {missing[0]}"


def test_a_task_that_the_model_does_not_answer_stops_no_other(tables: Path) -> None:
    def narrow(task: Task, asked: Sequence[Example]) -> list[Answer]:
        raise UnknownNameError("task in the bundle 'narrow'", task.name, ["solubility"])

    rows, missing = run(["shade"], narrow, model="anfinsen-trial")
    assert rows == []
    assert [str(error) for error in missing] == [
        "There is no task in the bundle 'narrow' called 'shade'. Known: solubility."
    ]


def test_a_score_that_does_not_exist_is_left_out_and_said(tables: Path) -> None:
    (tables / "shade.parquet").rename(tables / "weight.parquet")
    told: list[str] = []

    def alike(task: Task, asked: Sequence[Example]) -> list[Answer]:
        return [{"value": 18.0, "unit": "Da", "low": 15.0, "high": 21.0} for _ in asked]

    rows, _ = run(["weight"], alike, model="anfinsen-trial", tell=told.append)
    ranked = {row.model for row in rows if row.metric == "spearman"}
    assert ranked == {"composition", "nearest neighbour"}
    assert (
        "weight, test, anfinsen-trial: There is no spearman over these 120 proteins: "
        "all true or all answered values are the same."
    ) in told


def test_a_gain_is_ours_alone_over_the_baseline_that_it_names(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows_of(pairs: Pairs) -> NDArray[numpy.float64]:
        return numpy.array([[one["label"] != one["majority"]["label"], 1] for _, one in pairs], dtype=numpy.float64)

    gain = Metric("gain", "said otherwise", rows_of, lambda sums: sums[:, 0] / sums[:, 1], "", rival="majority")
    METRICS.add("gain", gain)
    monkeypatch.setitem(TASKS._things, "shade", replace(SHADE, metrics=("accuracy", "gain")))
    told: list[str] = []
    rows, _ = run(["shade"], perfect, model="anfinsen-trial", tell=told.append)
    METRICS.remove("gain")
    assert [(row.model, row.split, row.value) for row in rows if row.metric == "gain"] == [
        ("anfinsen-trial", "test", 0.5),
        ("anfinsen-trial", "hard", 0.5),
    ]
    assert all(" answers " in sentence for sentence in told)


def test_a_limit_draws_the_same_proteins_for_everyone(tables: Path) -> None:
    drawn: list[list[str]] = []

    def watched(task: Task, asked: Sequence[Example]) -> list[Answer]:
        drawn.append([example.protein.id for example in asked])
        return perfect(task, asked)

    for _ in range(2):
        rows, _ = run(["shade"], watched, model="anfinsen-trial", limit=20)
    assert drawn[0] == drawn[1]
    assert drawn[0][:20] != [f"p{number}" for number in range(120, 140)]
    assert {row.n for row in rows if not row.published} == {20}


def test_rows_are_written_one_a_line_with_the_fields_of_score(tables: Path, tmp_path: Path) -> None:
    rows, _ = run(["shade"], perfect, model="anfinsen-trial")
    write_rows(tmp_path / "rows.jsonl", rows)
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [Score(**json.loads(line)) for line in lines] == rows
    assert list(json.loads(lines[0])) == [
        "suite", "task", "dataset", "split", "metric", "model", "value", "low", "high", "n", "published",
    ]  # fmt: skip


def score(model: str, value: float, low: float | None, high: float | None, metric: str = "accuracy") -> Score:
    place = {"suite": "sequence", "task": "shade", "dataset": "shade", "split": "test"}
    return Score.build({**place, "metric": metric, "model": model, "value": value, "low": low, "high": high, "n": 9})


@pytest.mark.parametrize(
    ("metric", "ours", "sentence"),
    [
        ("accuracy", (0.8, 0.7, 0.9), "0.800 (0.700 to 0.900) is better than"),
        ("accuracy", (0.6, 0.5, 0.7), "0.600 (0.500 to 0.700) overlaps with"),
        ("accuracy", (0.2, 0.1, 0.3), "0.200 (0.100 to 0.300) is worse than"),
        ("rmse", (0.8, 0.7, 0.9), "0.800 (0.700 to 0.900) is worse than"),
        ("rmse", (0.1, 0.0, 0.15), "0.100 (0.000 to 0.150) is better than"),
        ("rmse", (0.1, None, None), "0.100 has no interval to compare with"),
    ],
)
def test_a_verdict_is_a_plain_sentence(metric: str, ours: tuple[float, float, float], sentence: str) -> None:
    rivals = [score("composition", 0.5, 0.4, 0.6, metric), score("majority", 0.3, 0.2, 0.4, metric)]
    best = {"accuracy": "composition 0.500 (0.400 to 0.600)", "rmse": "majority 0.300 (0.200 to 0.400)"}[metric]
    assert verdicts([score("anfinsen", *ours, metric), *rivals]) == [
        f"shade, test, {metric}, n = 9: anfinsen {sentence} the best baseline, {best}."
    ]


def test_there_is_no_verdict_without_a_baseline() -> None:
    assert verdicts([score("anfinsen", 0.8, 0.7, 0.9)]) == []


def test_a_new_task_appears_by_itself(tables: Path) -> None:
    assert {"shade", "weight"} <= {one.name for one in suites()["sequence"]}
    body = ["masked", "contacts", "variants", "perplexity", "probes"]
    assert [one.name for one in suites()["language-model"]] == body
    assert [one.name for one in sittings(["shade", "language-model", "shade"])][:2] == ["shade", "masked"]
    alone = {name for name in TASKS if TASKS[name].of_pairs}  # a table of pairs is dealt by its study
    assert {one.name for one in sittings([])} == set(TASKS) - alone | {one.name for one in STUDIES if not one.is_slow}
    assert [one.name for one in sittings(["transfer"])] == ["transfer"]


def test_every_study_is_there() -> None:
    assert all(callable(study.load()) for study in STUDIES)


@pytest.mark.parametrize(
    ("names", "model", "limit", "sentence"),
    [
        (["shad"], "anfinsen", None, "There is no suite, task or study called 'shad'. Did you mean 'shade'? Known: "),
        (
            ["shade"],
            "majority",
            None,
            "'majority' could be a baseline. Give the model a name that begins with 'anfinsen'.",
        ),
        (["shade"], "anfinsen", 0, "The limit came as 0. Give 1 protein or more, or leave it out for all."),
    ],
)
def test_a_wrong_call_is_answered(tables: Path, names: list[str], model: str, limit: int | None, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        run(names, perfect, model=model, limit=limit)
    assert str(error.value).startswith(sentence)


# Studies ------------------------------------------------------------------------------------------------------------


def gaze(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """A study of how a network looks at shades."""
    tell(f"gaze: limit {limit}.")
    question = Question("language-model", "shade", "shade", "test", "accuracy")
    rivals = {f"{bundle.label} linear probe": 0.7, "one-hot": 0.5}
    rows = [question.row(name, Estimate(value, value - 0.1, value + 0.1, 40)) for name, value in rivals.items()]
    return [*rows, question.published("The Elders", 0.9)]


@pytest.fixture
def studied(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "STUDIES", (Study("language-model", "gaze", "-:-"),))
    monkeypatch.setattr(Study, "load", lambda study: gaze)


def trial(network: Network) -> Bundle:
    """A bundle whose body has learnt shades."""
    return Bundle("anfinsen-trial", network, provenance={TAUGHT: "shade"})


def test_a_study_looks_at_the_bundle_and_says_what_the_body_was_taught(studied: None, tiny_network: Network) -> None:
    told: list[str] = []
    rows, missing = run(
        ["gaze"], perfect, model="anfinsen-trial", bundle=trial(tiny_network), limit=12, tell=told.append
    )
    assert missing == []
    assert [row.model for row in rows] == ["anfinsen-trial linear probe", "one-hot", "The Elders"]
    assert told == [
        "gaze: limit 12.",
        "gaze: the body of anfinsen-trial learnt from labels of 'shade' too, so it did not find this out alone.",
    ]
    assert verdicts(rows) == [
        "shade, test, accuracy, n = 40: anfinsen-trial linear probe 0.700 (0.600 to 0.800) overlaps with "
        "the best baseline, one-hot 0.500 (0.400 to 0.600)."
    ]


def test_a_study_and_an_exam_of_one_task_are_judged_apart(studied: None, tiny_network: Network) -> None:
    rows, _ = run(["shade", "gaze"], perfect, model="anfinsen-trial", bundle=trial(tiny_network))
    accuracy = [sentence for sentence in verdicts(rows) if "test, accuracy" in sentence]
    assert ["majority" in sentence or "composition" in sentence for sentence in accuracy] == [True, False]


def test_rows_about_the_body_stand_with_the_language_model_and_nothing_else_is_lost(
    studied: None, tiny_network: Network, tmp_path: Path
) -> None:
    kept = score("anfinsen", 0.8, 0.7, 0.9)
    records = {
        "masked": TaskRecord(kind="masked", size=33),
        "shade": TaskRecord(kind="pooled", size=2, scores=(kept,)),
    }
    bundle = Bundle("anfinsen", tiny_network, records)
    rows, _ = run(["gaze"], perfect, model="anfinsen", bundle=bundle)
    for _ in range(2):
        bundle.with_scores(rows)
    assert bundle.records["masked"].scores == tuple(rows)
    assert bundle.records["shade"].scores == (kept,)
    asked = "| shade | test | 9 | accuracy ↑ | 0.800 (0.700 to 0.900) | none |  | none |"
    alone = "| shade | test | 40 | accuracy ↑ | 0.700 (0.600 to 0.800), linear probe | 0.500 (0.400 to 0.600), one-hot "
    assert all_scores([bundle]).splitlines()[2:] == [asked, f"{alone}| level | 0.900, The Elders |"]
    assert headlines([bundle]).splitlines()[2:] == [asked]
    write_card(tmp_path / "card.md", bundle.name, bundle.records, {})
    card = (tmp_path / "card.md").read_text()
    assert "| shade, test | accuracy | one-hot | 0.500 | 0.400 to 0.600 | 40 |  |" in card
    assert "| 0.600 to 0.800 | 40 | level, one-hot |" in card


def test_new_rows_take_the_place_of_old_ones_and_the_order_stays() -> None:
    def row(split: str, value: float, model: str = "anfinsen mine") -> Score:
        told = {"suite": "sequence", "task": "ec", "dataset": "d", "split": split, "metric": "F1", "model": model}
        return Score.build({**told, "value": value, "low": value, "high": value, "n": 3})

    old = [row("test", 0.1), row("test", 0.2, "mean"), row("other", 0.3)]
    new = [row("new", 0.4), row("test", 0.5)]
    assert [(one.split, one.value) for one in renewed(old, new)] == [("test", 0.5), ("other", 0.3), ("new", 0.4)]

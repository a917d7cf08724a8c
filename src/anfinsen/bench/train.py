"""What training is worth: the three modes side by side, with their prices.

    GB1, five FLIP splits   frozen, lora, full   Spearman and seconds   beside a ridge and published figures
    localization            frozen, lora, full   accuracy and seconds   beside the usual baselines

Each mode has a small budget, so that all of it takes minutes: a lower bound of what a mode can do, and a fair
comparison of their prices. lora and full go on from the head that frozen has trained, as the heat stages do, so their
seconds include its own; what they change is kept only where it is better on validation. The test variants and proteins
are looked at once by each mode, and nothing is chosen by them. Seconds are of this machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

from anfinsen.bench.baselines import baselines_for
from anfinsen.bench.landscape import NAME, PUBLISHED, RIDGE, begin_with_ridge, landscape, ridge
from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import TRAIN
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.errors import UndefinedScoreError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.predictor import answer
from anfinsen.models.heads import PooledHead
from anfinsen.models.network import Network
from anfinsen.targets.base import Answer
from anfinsen.targets.metrics import Estimate, measure
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.custom import HeldTable
from anfinsen.training.engine import TrainConfig
from anfinsen.training.recipe import Mode, Recipe
from anfinsen.training.trial import Trials, resting

MODES: tuple[Mode, ...] = ("frozen", "lora", "full")
RATES: dict[Mode, float] = {"frozen": 1e-3, "lora": 1e-3, "full": 2e-4}
STEPS: dict[Mode, int] = {"frozen": 200, "lora": 60, "full": 60}
LOOKS = 6
"""Looks at the validation split while a mode trains."""
RESAMPLES = 400
SHORT = 500
"""Residues of the longest protein of localization that takes part; longer ones would cost most of the time."""
PROTEINS = {"train": 800, "valid": 150, "test": 500}
"""Proteins of localization that take part, drawn at random from each split."""
_SEED = 1


def landscape_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """GB1: Spearman of each mode on each FLIP split, the ridge and the published figures beside it."""
    rows: list[Score] = []
    body = _start(bundle)
    for split, quoted in PUBLISHED.items():
        task = landscape(split, limit)
        train, test = task.examples("train"), task.examples("test")
        tell(f"train: {NAME}, {split}: learns from {len(train):,} variants, judged on {len(test):,} drawn at random.")
        start = replace(body, network=Network(body.network.body, {NAME: task.shape}).eval())
        begin_with_ridge(cast(PooledHead, start.network.heads[NAME]), task)
        simple = [(RIDGE, ridge(train, test))]
        rows += _mode_rows(
            task, start, f"{split} {{}}", bundle.label, simple, quoted, tokens=2048, limit=limit, tell=tell
        )
    return rows


def localization_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """Localization on a part of its table: accuracy of each mode, and the usual baselines, fitted on that part."""
    task = part_of(TASKS["localization"], limit)
    train, test = task.examples("train"), task.examples("test")
    tell(
        f"train: localization: learns from {len(train):,} proteins, judged on {len(test):,}, drawn at random from "
        f"those of at most {SHORT} residues."
    )
    asked = [replace(example, value=None) for example in test]
    simple = [(one.name, one.answer(train, asked, task)) for one in baselines_for(task)]
    return _mode_rows(task, _start(bundle), "test {}", bundle.label, simple, {}, tokens=4096, limit=limit, tell=tell)


def part_of(task: Task, limit: int | None = None) -> Task:
    """The task on a random part of its table's own splits, without proteins of more than `SHORT` residues."""
    held: dict[str, Sequence[Example]] = {}
    for split, count in PROTEINS.items():
        short = [example for example in task.table.load(split) if len(example.protein) <= SHORT]
        held[split] = draw(short, min(count, limit or count), in_order=False)
    known = {field.name: getattr(task, field.name) for field in fields(Task)}
    table = {field.name: getattr(task.table, field.name) for field in fields(task.table)}
    return Task(**known | {"table": HeldTable(**table | {"splits": {name: (name,) for name in held}, "held": held})})


# The three modes ----------------------------------------------------------------------------------------------------


def _mode_rows(
    task: Task,
    start: Bundle,
    split: str,
    model: str,
    simple: Sequence[tuple[str, Sequence[Answer]]],
    quoted: Mapping[str, float],
    *,
    tokens: int,
    limit: int | None,
    tell: Tell,
) -> list[Score]:
    """For each mode its score and its seconds, and beside it what the simple ones and the literature reach."""
    rows: list[Score] = []
    metric, test = task.metrics[0], list(task.examples("test"))
    with tempfile.TemporaryDirectory() as folder:
        for mode, answers, seconds in in_modes(task, start, Path(folder), tokens=tokens, limit=limit):
            question = Question(TRAIN, task.name, task.table.name, split.format(mode), metric)
            for name, said in [(model, answers), *simple]:
                try:
                    estimate = measure(metric, test, said, resamples=RESAMPLES)
                except UndefinedScoreError as error:
                    tell(f"train: {task.name}, {question.split}, {name}: {error}")
                    continue
                rows.append(question.row(name, estimate))
            rows += [question.published(name, value) for name, value in quoted.items()]
            took = Estimate(seconds, None, None, len(task.examples("train")))
            rows.append(replace(question, metric="seconds").row(model, took))
    return rows


def in_modes(
    task: Task, start: Bundle, folder: Path, *, tokens: int, limit: int | None = None
) -> Iterator[tuple[Mode, list[Answer], float]]:
    """Train in each mode; its answers to the test split and the seconds of its training, that of its head included."""
    test = [replace(example, value=None) for example in task.examples("test")]
    began, before = start, 0.0
    for mode in MODES:
        trial = Trials([task], began).run(recipe(mode, tokens, limit), folder / mode)
        if mode == "frozen":
            began, before = trial.bundle, trial.seconds
            remembering = Network(start.network.body, trial.bundle.network.shapes)
            remembering.heads.load_state_dict(trial.bundle.network.heads.state_dict())
            yield mode, answer(replace(trial.bundle, network=remembering.eval()), task, test), before
        else:
            yield mode, answer(trial.bundle, task, test), before + trial.seconds


def recipe(mode: Mode, tokens: int, limit: int | None = None) -> Recipe:
    """The budget of one mode."""
    steps = STEPS[mode] if limit is None else min(STEPS[mode], LOOKS)
    return Recipe(
        name=f"bench-{mode}",
        mode=mode,
        validate_on=150,
        train=TrainConfig(
            steps=steps,
            tokens=tokens,
            learning_rate=RATES[mode],
            warmup=steps // 10,
            decay=0.5,
            weight_decay=0.1,
            judge_every=max(1, steps // LOOKS),
            save_every=steps,
            seed=_SEED,
        ),
    )


def _start(bundle: Bundle) -> Bundle:
    """The body alone, without heads; it remembers its states, so that frozen trials of several splits share them."""
    return Bundle(bundle.label, Network(resting(bundle.network.body), {}).eval())

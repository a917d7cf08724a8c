"""The benchmark: our answers, simple baselines and published figures, scored by one ruler and written as rows.

    names -> exams -> for each test split: the model and the baselines answer -> measured -> rows of `Score`
          -> studies -> the bundle itself is looked at                                -> rows of `Score`

No figure stands alone: every row of ours has n, a 95 % interval and its split, and the baselines' rows beside it.
What answers is given by the caller; the bundle is only handed on to the studies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from anfinsen.bench.baselines import Baseline, baselines_for
from anfinsen.bench.study import Tell
from anfinsen.bench.suite import Exam, Study, sittings
from anfinsen.data.draw import draw_places
from anfinsen.data.example import Example
from anfinsen.errors import AnfinsenError, MissingDataError, UndefinedScoreError, UnknownNameError, UsageError
from anfinsen.hub.bundle import MASKED, Bundle
from anfinsen.hub.record import OURS, Score
from anfinsen.targets.base import Answer
from anfinsen.targets.metrics import METRICS, measure
from anfinsen.tasks.base import Task

AnswerAll = Callable[[Task, Sequence[Example]], list[Answer]]
"""A task and some examples without their values -> one JSON answer for each."""

COVERAGE_METRIC = "coverage"


def run(
    names: Sequence[str],
    answer: AnswerAll,
    *,
    model: str,
    bundle: Bundle | None = None,
    limit: int | None = None,
    tell: Tell = lambda sentence: None,
) -> tuple[list[Score], list[AnfinsenError]]:
    """Score a model on suites, tasks or studies (all but slow ones if none is named): rows, and what was passed over.

    `answer` sits the exams, `bundle` is looked at by the studies, which are left out where there is none. What has no
    table here, or is refused with an UnknownNameError, is passed over; the others go on. `limit` draws so many test
    proteins at random, always the same ones. `tell` also hears why a row is missing.
    """
    if not model.startswith(OURS):
        raise UsageError(f"'{model}' could be a baseline.", remedy=f"Give the model a name that begins with '{OURS}'.")
    if limit is not None and limit < 1:
        raise UsageError(f"The limit came as {limit}.", remedy="Give 1 protein or more, or leave it out for all.")
    rows: list[Score] = []
    missing: list[AnfinsenError] = []
    for sitting in sittings(names):
        try:
            if isinstance(sitting, Exam):
                rows += _sit(sitting, answer, model, limit, tell)
            elif bundle is not None:
                rows += _look(sitting, bundle, limit, tell)
        except (MissingDataError, UnknownNameError) as error:
            tell(f"{sitting.name} is passed over: {error}")
            missing.append(error)
    return rows, missing


def _look(study: Study, bundle: Bundle, limit: int | None, tell: Tell) -> list[Score]:
    """The rows of one study, and a word about labels that the body has seen before it was asked to guess them."""
    rows = study.load()(bundle, limit=limit, tell=tell)
    for task in sorted({row.task for row in rows} & set(bundle.taught) - {MASKED}):
        tell(
            f"{study.name}: the body of {bundle.label} learnt from labels of '{task}' too, so it did not find this out "
            "alone."
        )
    return rows


def write_rows(path: str | Path, rows: Sequence[Score]) -> None:
    """One JSON row a line, with exactly the fields of `Score`."""
    lines = [json.dumps(row.model_dump(), allow_nan=False, ensure_ascii=False) + "\n" for row in rows]
    Path(path).write_text("".join(lines), encoding="utf-8")


def verdicts(rows: Sequence[Score]) -> list[str]:
    """For each of our figures that has a baseline beside it, a sentence: better, worse, or intervals that overlap.

    Intervals that do not overlap are a strict test: two models whose intervals overlap may still differ.
    """
    sentences = []
    for ours in (row for row in rows if row.is_ours):
        if rivals := ours.rivals(rows):
            verdict = f"{_figure(ours)} {_compare(ours, rivals[0])} the best baseline, {_figure(rivals[0])}"
            sentences.append(f"{ours.task}, {ours.split}, {ours.metric}, n = {ours.n}: {verdict}.")
    return sentences


def _compare(ours: Score, best: Score) -> str:
    if ours.low is None or best.low is None:
        return "has no interval to compare with"
    return {"ahead": "is better than", "level": "overlaps with", "behind": "is worse than"}[ours.against(best)]


def _figure(row: Score) -> str:
    interval = "" if row.low is None or row.high is None else f" ({row.low:.3f} to {row.high:.3f})"
    return f"{row.model} {row.value:.3f}{interval}"


# One exam -----------------------------------------------------------------------------------------------------------


def _sit(exam: Exam, answer: AnswerAll, model: str, limit: int | None, tell: Tell) -> list[Score]:
    """Let the model and the baselines answer every test split of one task at once, then quote the published figures."""
    train, tests = _load(exam, limit)
    questions = [_question(exam.task, example) for examples in tests.values() for example in examples]

    def answers(name: str, asked: AnswerAll) -> list[Answer]:
        tell(f"{exam.task.name}: {name} answers {len(questions)} proteins.")
        return asked(exam.task, questions)

    def scored(name: str, said: Iterable[Answer], metrics: Iterable[str]) -> list[Score]:
        left, found = iter(said), []
        for split, examples in tests.items():
            part = list(islice(left, len(examples)))
            asked = [*metrics, *(_calibration(exam, part) if name == model else ())]
            found += [row for metric in asked if (row := _measure(exam, split, metric, name, examples, part, tell))]
        return found

    ours = answers(model, answer)
    alone = [metric for metric in exam.metrics if not METRICS[metric].rival]
    compared = {METRICS[metric].rival for metric in exam.metrics}
    rivals: dict[str, Sequence[Answer]] = {}
    rows = []
    for baseline in baselines_for(exam.task):
        said = answers(baseline.name, _fitted(baseline, train))
        rows += scored(baseline.name, said, alone)
        if baseline.name in compared:
            rivals[baseline.name] = said
    return scored(model, _beside(ours, rivals), exam.metrics) + rows + _published(exam)


def _beside(ours: Sequence[Answer], rivals: Mapping[str, Sequence[Answer]]) -> Iterator[Answer]:
    """Our answers, each with what the rivals answered."""
    for at, answer in enumerate(ours):
        yield {**answer, **{name: answers[at] for name, answers in rivals.items()}}


def _fitted(baseline: Baseline, train: Sequence[Example]) -> AnswerAll:
    return lambda task, test: baseline.answer(train, test, task)


def _calibration(exam: Exam, answers: Sequence[Answer]) -> tuple[str, ...]:
    """Coverage, for answers that name a set or an interval."""
    has_range = any("set" in answer or "sets" in answer or "low" in answer for answer in answers)
    return (COVERAGE_METRIC,) if has_range and COVERAGE_METRIC not in exam.metrics else ()


def _measure(
    exam: Exam, split: str, metric: str, model: str, truths: Sequence[Example], answers: Sequence[Answer], tell: Tell
) -> Score | None:
    try:
        estimate = measure(metric, truths, answers)
    except UndefinedScoreError as error:
        tell(f"{exam.task.name}, {split}, {model}: {error}")
        return None
    if estimate.note:
        tell(f"{exam.task.name}, {split}, {metric}, {model}: {estimate.note}")
    figures = {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}
    return _row(exam, split, metric, model, **figures)


def _load(exam: Exam, limit: int | None) -> tuple[Sequence[Example], dict[str, list[Example]]]:
    """The training examples, and the posed examples of each test split."""
    tests = {split: _some(exam.task.examples(split), limit) for split in exam.splits}
    return exam.task.examples("train"), {
        split: [exam.task.pose(example, index) for index, example in chosen] for split, chosen in tests.items()
    }


def _some(examples: Sequence[Example], limit: int | None) -> list[tuple[int, Example]]:
    """At most `limit` examples with their place in the split."""
    return [(place, examples[place]) for place in draw_places(len(examples), limit)]


def _question(task: Task, example: Example) -> Example:
    """What an answerer may see: no true value, except where the question is about hidden residues."""
    return example if task.target.head == "masked" else replace(example, value=None, mask=None)


def _published(exam: Exam) -> list[Score]:
    return [
        _row(exam, quoted.split, quoted.metric, quoted.model, value=quoted.value, published=True)
        for quoted in exam.task.published
    ]


def _row(exam: Exam, split: str, metric: str, model: str, **figures: object) -> Score:
    place = {"suite": exam.suite, "task": exam.task.name, "dataset": exam.task.table.name, "split": split}
    return Score.build({**place, "metric": metric, "model": model, **figures})

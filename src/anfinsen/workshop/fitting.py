"""From a plan to a judged bundle: train each round, let all contenders answer its test, calibrate, train the last one.

    one round     train -> answers to the test, calibrated on half of the validation rows -> the bundle is this one
    five rounds   train five times -> answers to every row by a network that has not seen it (each calibrated on the
                  other rounds) -> train once more on all rows, for as many steps as were best; the calibration is
                  fitted on the answers of the five, so the bundle is calibrated on proteins that nobody had seen

All rivals see the same rows: what is not in the test. The scores stay in the bundle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy
from numpy.typing import NDArray

from anfinsen import runtime
from anfinsen.data.example import Example
from anfinsen.distributed.strategy import Strategy
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.kinship.leaks import BANDS
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.network import Network
from anfinsen.targets.base import Answer, Floats, Label, Number, Tokens
from anfinsen.tasks.ask import ask, validation_loss
from anfinsen.tasks.base import Task
from anfinsen.training.engine import Watch
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import train
from anfinsen.workshop.plan import Plan, score
from anfinsen.workshop.probe import Floats as Features
from anfinsen.workshop.probe import Line, features, fit_line, probe_answers

PROBE = "frozen linear probe"
FEWEST_IN_A_BAND = 5
"""Proteins of an identity band below which its score is not told."""

Say = Callable[[str], None]
Before = Callable[[Network, Task, Sequence[Example]], None]


@dataclass(frozen=True)
class Fitted:
    """A trained bundle with the rows of its card; ours first, then the rivals."""

    plan: Plan
    bundle: Bundle
    scores: tuple[Score, ...]
    bands: tuple[Score, ...]


@dataclass(frozen=True)
class _Run:
    """Where a plan is carried out, on how many processes, and who is told."""

    out: Path
    watch: Sequence[Watch]
    say: Say
    before: Before | None
    strategy: Strategy

    def train(self, task: Task, recipe: Recipe, start: Bundle) -> Bundle:
        """The training whose network is kept."""
        return train(
            [task], recipe, self.out, start=start, watch=self.watch, before=self.before, strategy=self.strategy
        )

    def train_round(self, number: int, task: Task, recipe: Recipe, start: Bundle, best: _Best) -> Bundle:
        """A training whose network is judged and let go."""
        place = self.out / "rounds" / str(number)
        return train([task], recipe, place, start=start, watch=[best], strategy=self.strategy)


def fit(
    plan: Plan,
    out: Path,
    *,
    watch: Sequence[Watch] = (),
    say: Say = lambda sentence: None,
    before: Before | None = None,
    strategy: Strategy | None = None,
) -> Fitted:
    """Train and judge as planned, in the folder `out`; a run that was stopped goes on where it was.

    `before` is shown the network that is kept, before it learns. Of several processes (`strategy`) each calls this with
    the same plan, they train together, and one writes.
    """
    run = _Run(out, watch, say, before, strategy or Strategy())
    lines = list(_lines(plan))
    rivals = list(plan.scores)
    if all(line is not None for line, _ in lines):
        found = iter(probe_answers(line, rows, plan.task()) for line, rows in lines if line is not None)
        rivals += plan.rivals(lambda one: next(found), PROBE)
    if plan.deal.is_folded:
        bundle, answers = _in_rounds(plan, [line for line, _ in lines], run)
    else:
        bundle, answers = _once(plan, lines[0][0], run)
    task = plan.task()
    mine = plan.scored(bundle.label, answers, (*task.metrics, *_calibration_metrics(task)))
    bands = [] if task.of_pairs else _by_band(plan, task, bundle.label, answers)
    record = bundle.records.pop(plan.name).replaced(
        custom=plan.custom.model_dump(), scores=[row.model_dump() for row in (*mine, *rivals)]
    )
    bundle.records = {plan.name: record, **bundle.records}  # its card begins with it
    bundle.provenance |= {"split": plan.deal.sentence, "body": plan.start.name}
    run.strategy.save(partial(bundle.save, out / "bundle"))
    if run.strategy.leads:  # what is told is told of what was written
        bundle = Bundle.load(out / "bundle")
    return Fitted(plan, bundle, (*mine, *rivals), tuple(bands))


def _lines(plan: Plan) -> Iterator[tuple[Line | None, Features]]:
    """The probe of each round, None for answers a residue, with its features of the round's test."""
    task = plan.task()
    if task.target.head != "pooled":
        yield from [(None, numpy.zeros((0, 0)))] * len(plan.deal.rounds)
        return
    body = plan.start.network.body
    resting = body if isinstance(body, FrozenBody) else FrozenBody(deepcopy(body))
    rows = features(Network(resting, {}).eval(), task, plan.found.examples)
    for one in plan.deal.rounds:
        yield fit_line(rows[one.train], plan.examples(one.train), task), rows[one.test]


def _begun(plan: Plan, task: Task, line: Line | None, *, with_heads: bool) -> Bundle:
    """The bundle to continue: the body, the heads that it brings where they are to stay, and our own from the probe."""
    runtime.seed_everything(plan.recipe.train.seed)
    start = plan.start
    kept = {name: shape for name, shape in start.network.shapes.items() if with_heads and name != task.name}
    # a body that moves is copied, or what one round has taught it would be known to the next
    body = start.network.body if plan.rests else deepcopy(bare(start.network.body))
    network = Network(body, {**kept, task.name: task.shape})
    for name in kept:
        network.heads[name].load_state_dict(start.network.heads[name].state_dict())
    network.listeners.update({name: one for name, one in start.network.listeners.items() if name in kept})
    if line is not None:
        line.into(network.heads[task.name])
    records, reaches = (dict(start.records), dict(start.reaches)) if with_heads else ({}, {})
    return Bundle(start.name, network, records, reaches, sha256=start.sha256)


def _once(plan: Plan, line: Line | None, run: _Run) -> tuple[Bundle, list[Answer]]:
    (one,) = plan.deal.rounds
    task = plan.task(one)
    bundle = run.train(task, plan.recipe, _begun(plan, task, line, with_heads=True))
    test = plan.examples(one.test)
    outputs = [answer[task.name] for answer in ask(bundle.network.eval(), [task], test)]
    return bundle, task.answers(outputs, test, bundle.records[task.name].calibration)


def _in_rounds(plan: Plan, lines: Sequence[Line | None], run: _Run) -> tuple[Bundle, list[Answer]]:
    outputs: list[list[Floats]] = []
    best_steps = []
    for number, (one, line) in enumerate(zip(plan.deal.rounds, lines, strict=True), 1):
        task = plan.task(one)
        begun = _begun(plan, task, line, with_heads=False)
        best = _Best(validation_loss(begun.network.eval(), task, plan.examples(one.stop)))
        bundle = run.train_round(number, task, plan.recipe, begun, best)
        if plan.rests:  # it remembers what it has read
            bundle.network.body = plan.start.network.body
        test = plan.examples(one.test)
        outputs.append([answer[task.name] for answer in ask(bundle.network.eval(), [task], test)])
        best_steps.append(round(run.strategy.agree(best.step)))  # one process is told of the steps
        run.say(f"Round {number} of {len(lines)}: learned from {len(one.train):,} proteins, {best}.")
    kept, recipe = plan.last(), plan.recipe
    task = plan.task(kept)
    known = plan.examples(kept.train) if kept is not None else plan.found.examples
    if kept is None:
        steps = max(1, int(numpy.median(best_steps)))
        run.say(
            f"Now once more on all {len(known):,} proteins, for {steps:,} steps, as many as were best in the middle."
        )
        # it learns from every row, so none is left that could judge it
        loop = recipe.train.replaced(steps=steps, judge_every=steps, patience=0)
        recipe = recipe.replaced(train=loop.model_dump(), validate_on=0)
    else:
        run.say(f"Now once more on {len(known):,} proteins; the other {len(kept.stop):,} tell when a heat is over.")
    resting = Network(plan.start.network.body, {}).eval()
    line = fit_line(features(resting, task, known), known, task) if lines[0] is not None else None
    begun = _begun(plan, task, line, with_heads=True)
    bundle = run.train(task, recipe, begun)
    return bundle, _calibrated(plan, bundle, outputs)


def _calibrated(plan: Plan, bundle: Bundle, outputs: Sequence[list[Floats]]) -> list[Answer]:
    """The rounds' answers, each calibrated on the others; the bundle gets the calibration of all."""
    task = plan.task()
    examples = [plan.examples(one.test) for one in plan.deal.rounds]
    answers: list[Answer] = []
    for number in range(len(outputs)):
        others = [at for at in range(len(outputs)) if at != number]
        calibration = task.target.calibrate(
            [output for at in others for output in outputs[at]], [one for at in others for one in examples[at]]
        )
        answers += task.answers(outputs[number], examples[number], calibration)
    every = task.target.calibrate(
        [output for part in outputs for output in part], [one for part in examples for one in part]
    )
    bundle.records[plan.name] = bundle.records[plan.name].replaced(calibration=every)
    return answers


class _Best:
    """Watches a training: at which step it did best on the proteins that stop it."""

    def __init__(self, before: float) -> None:
        self.loss, self.step, self.before = before, 0, before

    def __call__(self, record: dict[str, object]) -> None:
        valid = record.get("valid")
        if isinstance(valid, float) and math.isfinite(valid) and valid < self.loss:
            self.loss, self.step = valid, int(str(record["step"]))

    def __str__(self) -> str:
        if not self.step:
            return f"nothing was better than the straight line it began with (loss {self.before:.3f})"
        return f"best after {self.step:,} steps (loss on unseen proteins {self.before:.3f}, then {self.loss:.3f})"


def _calibration_metrics(task: Task) -> tuple[str, ...]:
    target = task.target
    if isinstance(target, Label):
        return ("coverage", "ece")
    return ("coverage",) if isinstance(target, Number) else ("ece",) if isinstance(target, Tokens) else ()


def _by_band(plan: Plan, task: Task, model: str, answers: Sequence[Answer]) -> list[Score]:
    """Our headline score by identity to what was learned from, the most remote first."""
    tested = plan.deal.tested()
    bands: NDArray[numpy.str_] = numpy.array([plan.deal.band.get(row, BANDS[0]) for row in tested.tolist()])
    rows = []
    for band in BANDS:
        inside = numpy.flatnonzero(bands == band)
        if FEWEST_IN_A_BAND <= len(inside) < len(tested):
            truths = plan.examples(tested[inside])
            split = f"{plan.deal.name}, identity {band} %"
            chosen = [answers[at] for at in inside.tolist()]
            rows += score(task, plan.custom.table, split, model, truths, chosen, task.metrics[:1])
    return rows

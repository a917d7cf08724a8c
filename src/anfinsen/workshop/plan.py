"""The plan of a training, made before anything is spent: what is learned from, what leaks, what must be beaten.

    table -> Labelled -> Deal -> baselines' scores -> recipe, settled by the table's size -> pace on this machine

Nothing is trained here but the simple baselines. What the recipe leaves open is chosen from the table's size alone,
never from the clock, so that the same table gives the same training on any machine.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy

from anfinsen.bench.degree import rules_for
from anfinsen.data.alphabet import TOKENS
from anfinsen.data.batch import lengths_of
from anfinsen.data.example import Example
from anfinsen.errors import UndefinedScoreError
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.hub.record import Score
from anfinsen.kinship.leaks import TWIN
from anfinsen.models.backbones import load_body
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.network import HeadShape, Network
from anfinsen.tables.labelled import Labelled, read_labelled
from anfinsen.tables.rows import Whole
from anfinsen.targets.base import Answer
from anfinsen.targets.metrics import measure
from anfinsen.tasks.base import Task
from anfinsen.tasks.custom import Custom, balanced, describe, task_name
from anfinsen.training.recipe import Recipe
from anfinsen.workshop.dealing import Deal, Places, Round, Tell, deal
from anfinsen.workshop.partners import deal_pairs

SUITE = "own table"
RESIDUES = {"frozen": 500_000, "lora": 300_000, "full": 300_000}
"""Residues that all trainings of one table read together, by mode: a minute or two on two cores."""
FEWEST_HALVED = 20
"""Validation rows from which one half stops the training and the other half calibrates; below, all do both."""
_EPOCHS = (4.0, 30.0)
_RATES = {"frozen": 1e-3, "lora": 1e-3, "full": 2e-4}
_SAMPLE = 3_000
_LOOKS = 12


@dataclass(frozen=True)
class Pace:
    """What a training costs here: seconds in all, bytes of memory, and residues a second while learning."""

    seconds: float
    bytes: int
    speed: int


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the training."""

    found: Labelled
    custom: Custom
    name: str
    deal: Deal
    recipe: Recipe
    start: Bundle
    scores: tuple[Score, ...]
    pace: Pace
    seen: int = 0
    """Proteins whose answers to other questions the body has learned from."""
    seen_for: tuple[tuple[str, int], ...] = ()
    """Of each of those questions, of how many of the proteins; the most first."""

    @property
    def rests(self) -> bool:
        """Whether the body stays as it is."""
        return rests(self.recipe)

    def task(self, one: Round | None = None) -> Task:
        """The task as one round trains it; without a round, on all rows."""
        every = numpy.arange(len(self.found))
        train = self.examples(one.train if one else every)
        parts = {"train": train, "valid": self.examples(one.stop) if one else train}
        if one and not self.deal.is_folded:
            parts["test"] = self.examples(one.test)
        if self.deal.is_folded or len(parts["valid"]) < FEWEST_HALVED:
            # folds are calibrated on what other rounds have judged; and a handful cannot be halved
            parts["calibrate"] = parts["valid"]
        return self.custom.task(self.name, parts, balanced(self.custom, train))

    def last(self) -> Round | None:
        """Who the network that is kept learns from; None for all rows, by as many steps as were best in the rounds.

        Heats need proteins that are not trained on to know when to rise, so under stages a part of the rows is kept.
        """
        if not self.deal.is_folded:
            return self.deal.rounds[0]
        if not self.recipe.stages:
            return None
        stop = self.deal.rounds[0].stop
        return Round(numpy.setdiff1d(numpy.arange(len(self.found)), stop), stop, stop[:0])

    def examples(self, rows: Places) -> list[Example]:
        """The examples of some rows."""
        return [self.found.examples[row] for row in rows.tolist()]

    def rivals(self, answer: Callable[[Round], list[Answer]], model: str) -> list[Score]:
        """The scores of whoever answers the test of each round."""
        return self.scored(model, [one for each in self.deal.rounds for one in answer(each)])

    def scored(self, model: str, answers: Sequence[Answer], metrics: Sequence[str] = ()) -> list[Score]:
        """The scores of answers to all judged rows, part by part, the headline first."""
        truths, rows = self.examples(self.deal.tested()), []
        for name, places in self.deal.scored():
            chosen = places.tolist()
            part = [truths[at] for at in chosen], [answers[at] for at in chosen]
            rows += score(self.task(), self.custom.table, name, model, *part, metrics)
        return rows


def make_plan(
    source: str | Path | Whole,
    recipe: Recipe,
    *,
    start: str | Path | None = None,
    may_drop: bool = False,
    tell: Tell = lambda what, done, total: None,
) -> Plan:
    """Read, deal and judge a table; `start` is the bundle whose body is used, the embedded one if none is given."""
    found, dealt = read_and_deal(source, recipe, may_drop=may_drop, tell=tell)
    name = task_name("my-task" if isinstance(source, Whole) else str(source))
    opened = _open(recipe, start)
    settled = _settled(recipe, found, dealt, name)
    plan = Plan(found, describe(found), name, dealt, settled, opened, (), Pace(0.0, 0, 0))
    scores: list[Score] = []
    for baseline in rules_for(plan.task()):

        def answer(one: Round, fit: Callable[..., list[Answer]] = baseline.answer) -> list[Answer]:
            asked = [replace(example, value=None, mask=None) for example in plan.examples(one.test)]
            return fit(plan.examples(numpy.concatenate([one.train, one.stop])), asked, plan.task(one))

        scores += plan.rivals(answer, baseline.name)
    seen, seen_for = _seen(opened, found)
    return replace(plan, scores=tuple(scores), pace=_pace(plan), seen=seen, seen_for=seen_for)


def read_and_deal(
    source: str | Path | Whole,
    recipe: Recipe,
    *,
    may_drop: bool,
    tell: Tell = lambda what, done, total: None,
) -> tuple[Labelled, Deal]:
    """The rows of a table and who of them is trained on: the same for the same table and recipe, at any time."""
    found = read_labelled(source, recipe.table, may_drop=may_drop)
    if recipe.table.shuffle:
        order = numpy.random.default_rng(recipe.train.seed).permutation(len(found))
        values = [found.examples[at].value for at in order]
        found = replace(
            found, examples=tuple(replace(one, value=v) for one, v in zip(found.examples, values, strict=True))
        )
    if found.of_pairs:
        return found, deal_pairs(found, recipe.table, seed=recipe.train.seed, tell=tell)
    return found, deal(found, recipe.table, seed=recipe.train.seed, once=not rests(recipe), tell=tell)


def score(
    task: Task,
    dataset: str,
    split: str,
    model: str,
    truths: Sequence[Example],
    answers: Sequence[Answer],
    metrics: Sequence[str] = (),
) -> list[Score]:
    """One row a metric, with its interval; a score that does not exist for these answers is left out."""
    rows = []
    for metric in metrics or task.metrics:
        try:
            found = measure(metric, truths, answers)
        except UndefinedScoreError:
            continue
        rows.append(
            Score(
                suite=SUITE,
                task=task.name,
                dataset=dataset,
                split=split,
                metric=metric,
                model=model,
                value=found.value,
                low=found.low,
                high=found.high,
                n=found.n,
            )
        )
    return rows


def rests(recipe: Recipe) -> bool:
    """Whether a recipe leaves the body as it is."""
    return recipe.mode == "frozen" and not recipe.stages


def _open(recipe: Recipe, start: str | Path | None) -> Bundle:
    """The body that is trained on, with the heads that it brings; a resting body remembers what it has read."""
    if recipe.backbone and start is None:
        bundle = Bundle(recipe.backbone, Network(load_body(recipe.backbone, TOKENS), {}), sha256=recipe.backbone)
    else:
        bundle = Bundle.load(start or default_bundle())
    if rests(recipe):
        bundle.network.body = FrozenBody(bundle.network.body)
    return bundle


def _seen(start: Bundle, found: Labelled) -> tuple[int, tuple[tuple[str, int], ...]]:
    """How many proteins, or near twins of them, the body was trained on with answers: in all, and by its tasks."""
    chains = found.chains() if not found.of_pairs else sorted(set(found.chains()))
    known = {
        name: numpy.array([(reach.nearest(chain)[0] or 0.0) >= TWIN for chain in chains])
        for name, reach in start.reaches.items()
    }
    by_task = {name: int(some.sum()) for name, some in known.items() if some.any()}
    most_first = tuple(sorted(by_task.items(), key=lambda one: (-one[1], one[0])))
    return int(numpy.any(list(known.values()), axis=0).sum()) if known else 0, most_first


def _settled(recipe: Recipe, found: Labelled, dealt: Deal, name: str) -> Recipe:
    """The recipe with what was left open chosen from the table's size; what was said stays."""
    rounds = len(dealt.rounds)
    lengths = lengths_of(found.examples)
    residues = int(numpy.mean([lengths[one.train].sum() for one in dealt.rounds]))
    trainings = rounds + (rounds > 1)
    least, most = _EPOCHS
    epochs = recipe.epochs or min(most, max(least, RESIDUES[recipe.mode] / (trainings * max(1, residues))))
    tokens = recipe.train.tokens if "tokens" in recipe.train.model_fields_set else min(8192, max(512, residues // 6))
    steps = max(1, math.ceil(epochs * max(1, residues / tokens)))
    chosen = {
        "tokens": tokens,
        "steps": steps,
        "learning_rate": _RATES[recipe.mode],
        "warmup": max(1, steps // 10),
        "decay": 0.6,
        "judge_every": max(1, steps // _LOOKS),
        "save_every": max(1, steps // 2),
        "patience": 5,
    }
    said = recipe.train.model_dump(include=recipe.train.model_fields_set)
    train = recipe.train.replaced(**{**chosen, **said})
    changes = {"train": train.model_dump(), "tasks": (name,), "backbone": ""}
    if "name" not in recipe.model_fields_set:
        changes["name"] = name
    return recipe.replaced(**changes)


def _pace(plan: Plan) -> Pace:
    """Two batches on this machine, and what they say of the whole."""
    task, train = plan.task(), plan.recipe.train
    sample: list[Example] = []
    for example in plan.found.examples:
        sample.append(example)
        if sum(one.residues for one in sample) >= _SAMPLE:
            break
    batch = task.collate(sample)
    residues = sum(one.residues for one in sample)
    network = Network(plan.start.network.body, {task.name: HeadShape(*task.shape)})
    began = time.perf_counter()
    network.states(batch.tokens, batch.lengths)
    read = time.perf_counter()
    for _ in range(2):
        loss, _ = task.loss(network(batch, task.name), batch)
        loss.backward()
        network.zero_grad()
    done = time.perf_counter()
    whole = sum(map(len, set(plan.found.chains())))  # each protein is read once
    learning = (done - read) / 2 / residues
    trainings = len(plan.deal.rounds) + plan.deal.is_folded
    seconds = trainings * train.steps * train.tokens * learning * 1.2
    seconds += whole * (read - began) / residues if plan.rests else 0.0
    dim = int(getattr(plan.start.network.body, "dim", 0))
    memory = _resident() + (2 * dim * whole if plan.rests else 0)
    return Pace(seconds, memory, round(1 / max(learning, 1e-9)))


def _resident() -> int:
    """The most memory that this process has used, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024

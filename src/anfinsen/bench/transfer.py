"""The transfer curve: how many labels does pre-training save?

    1, 3, 10, 30, 100 % of the labels  x  { our body, the same architecture from scratch }  ->  score on the test split

Both arms train the whole network with a new head by our own loop, on the very same proteins (each share holds the one
before it), with the same number of steps, and keep the weights that did best on validation proteins; the test split is
looked at once, at the end. Only the learning rate differs: that of the recipes by which a body is pre-trained from
nothing or taught further. 100 % are `PROTEINS` training proteins, cropped to `WINDOW` residues, so that the curve can
be drawn without an accelerator. Where an arm was still gaining when its steps were over, that is told.

The factor is how many times fewer labels our body needs to do as well as the other arm does with all of them, on a line
through the points over the logarithm of the share; where our body does as well with the least share, it is 'at least'.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import torch
from numpy.typing import NDArray
from torch import nn

from anfinsen.bench.probes import ends_of
from anfinsen.bench.study import Question, Tell, untrained
from anfinsen.bench.suite import TRANSFER
from anfinsen.data.batch import Stream, crop
from anfinsen.data.example import Example
from anfinsen.distributed.strategy import Strategy
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.models.network import Network
from anfinsen.targets.base import Answer
from anfinsen.targets.metrics import LEVEL, METRICS, Estimate, measure
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.ask import ask, validation_loss
from anfinsen.training.engine import Course, TrainConfig, Trainer

Floats = NDArray[numpy.float64]

SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)
PROTEINS, WINDOW = 1000, 256
"""Training proteins that are 100 % of the labels, and the most residues that are read of one."""
VALID, TEST = 100, 1000
"""Proteins of the validation split that choose, and at most so many of the test split."""
EPOCHS, FEWEST_STEPS = 3, 60
"""Passes over a share, or so many steps where that is more."""
LOOP = TrainConfig(
    tokens=2048, warmup=20, decay=0.5, optimizer="muon", judge_every=20, save_every=1_000_000, patience=4, seed=1
)
RATES = {True: 1.5e-3, False: 3e-3}
"""Highest learning rate of a pre-trained body and of one from scratch, as in the recipes."""
SCRATCH = "from scratch"
FACTOR = "label factor"
_SEED = 1
_RESAMPLES = 1000


@dataclass(frozen=True)
class Ladder:
    """One task of the curve: its score and what its test proteins are called."""

    task: str
    metric: str
    test: str

    def question(self, share: float) -> Question:
        """What the rows at one share of the labels answer."""
        task = TASKS[self.task]
        place = f"{self.test} at {share:.0%} of {PROTEINS:,} labels".replace("%", " %")
        return Question(TRANSFER, task.name, task.table.name, place, self.metric)


LADDERS = (Ladder("secondary-structure", "Q3", "casp12-14"), Ladder("localization", "Q10", "test"))


@dataclass(frozen=True)
class Proteins:
    """The examples of one task: all that may be learnt from, in a random order, and those that choose and judge."""

    train: Sequence[Example]
    valid: Sequence[Example]
    test: Sequence[Example]


def transfer_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """Both arms at every share of the labels of two tasks, and the factor; `limit` draws so many of each split."""
    scratch = untrained(bundle.network)
    if scratch is None:
        tell("transfer: only an encoder of our own can be trained from scratch, so there is no curve.")
        return []
    arms = {bundle.label: bare(bundle.network.body), SCRATCH: bare(scratch.body)}
    rows: list[Score] = []
    for ladder in LADDERS:
        task = TASKS[ladder.task]
        proteins = _proteins(task, limit)
        curves: dict[str, list[list[Answer]]] = {name: [] for name in arms}
        for share in SHARES:
            few = proteins.train[: max(2, round(share * len(proteins.train)))]
            for name, body in arms.items():
                learnt, is_gaining = learn(task, body, few, proteins.valid, RATES[name == bundle.label])
                curves[name].append(_answers(task, learnt, proteins.test))
                estimate = measure(ladder.metric, proteins.test, curves[name][-1])
                rows.append(ladder.question(share).row(name, estimate))
                more = "; it was still gaining" if is_gaining else ""
                tell(f"transfer: {task.name}, {len(few)} proteins, {name}: {ladder.metric} {estimate.value:.3f}{more}.")
        rows.append(_factor_row(ladder, proteins.test, curves[bundle.label], curves[SCRATCH], bundle.label, tell))
    return rows


def learn(
    task: Task, body: nn.Module, train: Sequence[Example], valid: Sequence[Example], rate: float
) -> tuple[Network, bool]:
    """A copy of a body with a new head, trained on some examples, and whether it was still gaining at the end."""
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        network = Network(copy.deepcopy(body).requires_grad_(True), {task.name: task.shape})
    device = next(body.parameters()).device
    residues = sum(min(len(example.protein), WINDOW) + 2 for example in train)
    steps = max(FEWEST_STEPS, math.ceil(EPOCHS * residues / LOOP.tokens))
    stream = Stream(train, budget=LOOP.tokens, seed=LOOP.seed, prepare=_cropped, window=WINDOW)
    with TemporaryDirectory() as folder:
        trainer = Trainer(
            network,
            [Course(task, stream)],
            LOOP.replaced(steps=steps, learning_rate=rate),
            Path(folder),
            judge=partial(_loss, task, valid),
            strategy=Strategy(device),
        )
        trainer.fit()
    return network, trainer.best_step == trainer.step


def factor_of(ours: Sequence[float], scratch: Sequence[float], shares: Sequence[float] = SHARES) -> float:
    """How many times fewer labels our curve needs to reach the last point of the other; at most 1 / the least share.

    Below 1 it would need more labels than there are: then it is NaN.

    >>> factor_of([0.4, 0.5, 0.6], [0.3, 0.4, 0.5], [0.01, 0.1, 1.0])
    10.0
    """
    goal = scratch[-1]
    reached = [place for place, value in enumerate(ours) if value >= goal]
    if not reached:
        return math.nan
    place = reached[0]
    if place == 0:
        return 1 / shares[0]
    low, high = math.log(shares[place - 1]), math.log(shares[place])
    way = (goal - ours[place - 1]) / (ours[place] - ours[place - 1])
    return round(math.exp(-(low + way * (high - low))), 9)


def _factor_row(
    ladder: Ladder,
    test: Sequence[Example],
    ours: Sequence[Sequence[Answer]],
    scratch: Sequence[Sequence[Answer]],
    model: str,
    tell: Tell,
) -> Score:
    """The factor with its interval: each resample of the test proteins draws both curves anew."""
    how = METRICS[ladder.metric]
    tables = [how.rows(list(zip(test, answers, strict=True))) for answers in (*ours, *scratch)]
    count = len(test)
    generator = numpy.random.default_rng(_SEED)
    weights = [numpy.ones(count), *generator.multinomial(count, numpy.full(count, 1 / count), _RESAMPLES)]
    values = [how.read(numpy.stack(weights) @ table) for table in tables]
    curves = numpy.stack(values, axis=1)  # (1 + resamples, 2 * shares)
    factors = numpy.array([factor_of(list(row[: len(SHARES)]), list(row[len(SHARES) :])) for row in curves])
    value, most = float(numpy.nan_to_num(factors[0], nan=0.0)), 1 / SHARES[0]
    low, high = numpy.quantile(numpy.nan_to_num(factors[1:], nan=0.0), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    if value >= most:
        said = f"saves at least {most:.0f} times the labels: the curves do not cross"
    elif value:
        said = f"saves {value:.1f} times the labels"
    else:
        said = "saves no labels: with all of them it stays below"
    tell(f"transfer: {ladder.task}: pre-training {said}.")
    question = replace(ladder.question(1.0), metric=FACTOR)
    return question.row(model, Estimate(value, float(low), float(high), count))


def _proteins(task: Task, limit: int | None) -> Proteins:
    generator = numpy.random.default_rng(_SEED)

    def drawn(splits: Sequence[str], count: int) -> list[Example]:
        examples = [example for split in splits for example in task.table.load(split)]
        chosen = generator.permutation(len(examples))[: min(count, limit or count)]
        some = [examples[index] for index in chosen]
        return some if task.target.per_residue else [ends_of(example, WINDOW) for example in some]

    return Proteins(drawn(["train"], PROTEINS), drawn(["valid"], VALID), drawn(task.tests, TEST))


def _cropped(example: Example, generator: numpy.random.Generator) -> Example:
    return crop(example, WINDOW, generator)


def _loss(task: Task, valid: Sequence[Example], network: nn.Module) -> float:
    assert isinstance(network, Network)
    return validation_loss(network, task, valid)


def _answers(task: Task, network: Network, test: Sequence[Example]) -> list[Answer]:
    asked = [replace(example, value=None, mask=None) for example in test]
    outputs = [output[task.name] for output in ask(network, [task], asked)]
    return task.answers(outputs, asked, {})

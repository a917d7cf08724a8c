"""One training out of many: the same start, another recipe or another seed, judged where it may be judged.

    start + recipe -> train -> Trial: bundle, loss on the validation proteins, seconds

A comparison needs trials that do not disturb each other: each begins from the same weights, whatever the others did
to theirs. Frozen trials share one body, which reads every protein once for all of them; the others get a copy. What
is chosen is chosen by `Trial.valid`; `look` opens the test split, and is for what has been chosen already.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy
from torch import nn

from anfinsen.errors import UndefinedScoreError
from anfinsen.hub.body import bare, round_weights
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.predictor import answer
from anfinsen.models.backbones import PublicBody
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.network import Network
from anfinsen.targets.metrics import Estimate, measure
from anfinsen.tasks.ask import validation_loss
from anfinsen.tasks.base import Task
from anfinsen.training.engine import Watch
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import Lesson, adjusted, train


@dataclass(frozen=True)
class Trial:
    """What one recipe came to: its bundle, its mean loss over the proteins that decide when to stop, its time."""

    recipe: Recipe
    bundle: Bundle
    valid: float
    seconds: float


class Trials:
    """Makes trials of some tasks from one start; `start` is None where every recipe brings a body of its own."""

    def __init__(self, tasks: Sequence[Task], start: Bundle | None, watch: Sequence[Watch] = ()) -> None:
        self.tasks = tasks
        self.start = start
        self.watch = watch
        self._lessons: dict[str, list[Lesson]] = {}
        if start is not None:
            body = start.network.body
            # a start that remembers its states already is asked by the frozen trials of several tables
            self._shared = body if isinstance(body, FrozenBody) else resting(body)

    def run(self, recipe: Recipe, folder: Path) -> Trial:
        """Train in `folder`, going on with what was begun there."""
        began = time.perf_counter()
        bundle = train(self.tasks, recipe, folder, start=self._start(recipe), watch=self.watch)
        seconds = time.perf_counter() - began
        losses = [validation_loss(bundle.network, one.task, one.stop_by) for one in self._lessons_of(recipe)]
        return Trial(recipe, bundle, float(numpy.mean(losses)), seconds)

    def _lessons_of(self, recipe: Recipe) -> list[Lesson]:
        """The examples of each task, read once for all recipes that read them alike."""
        key = recipe.model_dump_json(include={"task", "validate_on"})
        if key not in self._lessons:
            self._lessons[key] = [Lesson(task, recipe) for task in adjusted(self.tasks, recipe)]
        return self._lessons[key]

    def _start(self, recipe: Recipe) -> Bundle | None:
        if self.start is None:
            return None
        network = self.start.network
        body = self._shared if recipe.mode == "frozen" else copy.deepcopy(bare(network.body))
        twin = Network(body, network.shapes)
        twin.heads.load_state_dict(network.heads.state_dict())
        return replace(self.start, network=twin)


def resting(body: nn.Module) -> FrozenBody:
    """A body that rests and remembers; rounded as a bundle rounds it, in a copy, so that no trial changes it any more.

    A public body, which no bundle stores and nothing rounds, is taken as it is.
    """
    if isinstance(bare(body), PublicBody):
        return FrozenBody(bare(body))
    rounded = copy.deepcopy(bare(body))
    round_weights(rounded)
    return FrozenBody(rounded)


def look(bundle: Bundle, task: Task) -> Mapping[tuple[str, str], Estimate]:
    """The scores of a bundle on each test split, by (split, score); a score that does not exist is left out."""
    scores: dict[tuple[str, str], Estimate] = {}
    for split in task.tests:
        examples = [task.pose(example, index) for index, example in enumerate(task.examples(split))]
        answers = answer(bundle, task, [replace(example, value=None, mask=None) for example in examples])
        for metric in task.metrics:
            try:
                scores[split, metric] = measure(metric, examples, answers)
            except UndefinedScoreError:
                continue
    return scores

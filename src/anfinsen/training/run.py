"""From a recipe to a bundle: load, train, calibrate on proteins that training never saw, write.

The validation split is cut in two by the proteins' hashes: one half decides when to stop, the other half
fits the calibration. The test split is not touched here; only the benchmark looks at it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy
from torch import nn

from anfinsen import runtime
from anfinsen.data.alphabet import TOKENS
from anfinsen.data.batch import Stream
from anfinsen.data.example import Example
from anfinsen.data.neighbours import Reach
from anfinsen.errors import ConfigError, UsageError, suggest
from anfinsen.hub.body import bare, round_weights
from anfinsen.hub.bundle import MASKED, Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.models.backbones import PublicBody, load_body
from anfinsen.models.encoder import Encoder
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.network import HeadShape, NativeBody, Network
from anfinsen.tasks import Task
from anfinsen.tasks.ask import ask, validation_loss
from anfinsen.training.engine import Course, Trainer, Watch
from anfinsen.training.recipe import Recipe


def train(
    tasks: Sequence[Task], recipe: Recipe, out: Path, *, start: Bundle | None = None, watch: Sequence[Watch] = ()
) -> Bundle:
    """Train `tasks` as the recipe says in the folder `out`, resuming what was begun, and save `out/bundle`."""
    if not tasks:
        raise UsageError(
            "No task was named.", remedy="Name one, for example: anfinsen train localization --out runs/mine"
        )
    runtime.seed_everything(recipe.train.seed)
    tasks = _adjusted(tasks, recipe)
    network, records, reaches = _assemble(tasks, recipe, start)
    lessons = {task.name: _Lesson(task, recipe) for task in tasks}
    begun = start.sha256 if start is not None else ""
    if recipe.mode == "frozen":
        for task in tasks:
            _learn(network, [lessons[task.name]], recipe, begun, out / task.name, watch)
    else:
        _learn(network, list(lessons.values()), recipe, begun, out, watch)
    network.body = bare(network.body)
    round_weights(network.heads if isinstance(network.body, PublicBody) else network)
    for name, lesson in lessons.items():
        records[name] = lesson.record(network)
        if name != MASKED:
            reaches[name] = Reach.fit([example.protein for example in lesson.train])
    bundle = Bundle(recipe.name, network, records, reaches, _provenance(recipe, start))
    bundle.remember()
    bundle.save(out / "bundle")
    return bundle


class _Lesson:
    """One task's examples: to train on, to stop by, to calibrate on."""

    def __init__(self, task: Task, recipe: Recipe) -> None:
        self.task = task
        self.train = task.examples("train")
        self.data_sha256 = data_hash(self.train)
        posed = [_shown(task, example, index) for index, example in enumerate(task.examples("valid"))]
        # tables are sorted by class or organism; by its hash each protein has a place that means nothing
        valid = sorted(posed, key=_lot)
        self.stop_by = [example for example in valid if _lot(example) % 2][: recipe.validate_on]
        self.calibrate_on = [example for example in valid if not _lot(example) % 2]
        if not self.train or not self.stop_by or not self.calibrate_on:
            raise UsageError(
                f"The table of '{task.name}' has too few examples to train on.",
                remedy="Give at least a few dozen, some of them in the validation split.",
            )

    def course(self, recipe: Recipe) -> Course:
        stream = Stream(
            self.train,
            budget=recipe.train.tokens,
            seed=recipe.train.seed,
            prepare=self.task.prepare,
            window=getattr(self.task, "window", None),
        )
        return Course(self.task, stream, recipe.shares.get(self.task.name, 1.0))

    def record(self, network: Network) -> TaskRecord:
        shape, table = self.task.shape, self.task.table
        calibration: dict[str, float] = {}
        if shape.kind != "masked":
            outputs = [answer[self.task.name] for answer in ask(network, [self.task], self.calibrate_on)]
            calibration = self.task.target.calibrate(outputs, self.calibrate_on)
        return TaskRecord(
            kind=shape.kind,
            size=shape.size,
            labels=self.task.target.labels,
            conditions=tuple(condition.name for condition in self.task.conditions),
            calibration=calibration,
            dataset=f"{table.title} ({table.name}, split train)",
            licence=table.licence,
            data_sha256=self.data_sha256,
            trained_on=len(self.train),
        )


def data_hash(examples: Sequence[Example]) -> str:
    """SHA-256 of examples in their order: residues, values, masks and conditions."""
    digest = hashlib.sha256()
    for example in examples:
        row = [example.protein.sequence, example.value, example.mask, sorted(example.conditions.items())]
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()


def _assemble(
    tasks: Sequence[Task], recipe: Recipe, start: Bundle | None
) -> tuple[Network, dict[str, TaskRecord], dict[str, Reach]]:
    """The network to be trained, with what is known about the heads that it already has."""
    shapes: dict[str, HeadShape] = {task.name: task.shape for task in tasks}
    if start is None:
        return Network(_prepared(_new_body(recipe), recipe), shapes), {}, {}
    if recipe.encoder is not None or recipe.backbone:
        raise ConfigError(
            "The recipe names a new body, and --from a bundle that brings its own.", remedy="Take one of the two out."
        )
    # in full mode the body moves away under the heads that are not trained with it: they are left behind
    stays = recipe.mode == "frozen"
    kept = {name: shape for name, shape in start.network.shapes.items() if stays and name not in shapes}
    network = Network(_prepared(start.network.body, recipe), {**kept, **shapes})
    for name, head in start.network.heads.items():
        # a head whose shape has not changed goes on from where it was
        if network.shapes.get(name) == start.network.shapes[name]:
            network.heads[name].load_state_dict(head.state_dict())
    return network, {name: start.records[name] for name in kept}, {n: r for n, r in start.reaches.items() if n in kept}


def _new_body(recipe: Recipe) -> nn.Module:
    if recipe.encoder is not None:
        return NativeBody(Encoder(recipe.encoder), recipe.encoder.dim, recipe.encoder.longest)
    if not recipe.backbone:
        raise ConfigError(
            "Neither a bundle to continue, nor a backbone, nor the shape of a new encoder is given.",
            remedy="Use --from BUNDLE, or put backbone or an [encoder] table into the recipe.",
        )
    return load_body(recipe.backbone, TOKENS)


def _prepared(body: nn.Module, recipe: Recipe) -> nn.Module:
    if recipe.mode == "frozen":
        return FrozenBody(body)
    if isinstance(body, PublicBody):
        raise ConfigError(
            f"'{body.name}' can be used frozen only: its weights are not stored in a bundle.",
            remedy='Set mode = "frozen", or take an ESM-2 checkpoint.',
        )
    return bare(body).requires_grad_(True)


def _learn(
    network: Network, lessons: Sequence[_Lesson], recipe: Recipe, begun: str, folder: Path, watch: Sequence[Watch]
) -> None:
    names = {lesson.task.name for lesson in lessons}
    for name, head in network.heads.items():
        head.requires_grad_(name in names)

    def judge(judged: nn.Module) -> float:
        assert isinstance(judged, Network)
        return float(numpy.mean([validation_loss(judged, lesson.task, lesson.stop_by) for lesson in lessons]))

    courses = [lesson.course(recipe) for lesson in lessons]
    data = {lesson.task.name: lesson.data_sha256 for lesson in lessons}
    # steps and the looks may change on the way; anything else makes it another training
    settings = recipe.model_dump(mode="json", exclude={"name", "tasks"})
    for name in ("steps", "judge_every", "save_every", "patience"):
        del settings["train"][name]
    origin = hashlib.sha256(json.dumps([settings, data, begun], sort_keys=True).encode()).hexdigest()
    Trainer(
        network, courses, recipe.train, folder, origin=origin, judge=judge, watch=watch, device=runtime.pick_device()
    ).fit()


def _adjusted(tasks: Sequence[Task], recipe: Recipe) -> list[Task]:
    """The tasks with the recipe's changes to their own settings."""
    names = [task.name for task in tasks]
    for name in (*recipe.task, *recipe.shares):
        if name not in names:
            raise ConfigError(f"The recipe speaks of '{name}', which is not trained.", remedy=suggest(name, names))
    adjusted = []
    for task in tasks:
        own = sorted({field.name for field in fields(task)} - {field.name for field in fields(Task)})
        for key in recipe.task.get(task.name, {}):
            if key not in own:
                raise ConfigError(f"The task '{task.name}' has no setting '{key}'.", remedy=suggest(key, own))
        adjusted.append(replace(task, **recipe.task.get(task.name, {})))
    return adjusted


def _shown(task: Task, example: Example, index: int) -> Example:
    """A validation example as users will ask it: with conditions only now and then."""
    if task.conditions:
        return task.prepare(example, numpy.random.default_rng(index))
    return task.pose(example, index)


def _lot(example: Example) -> int:
    return int(hashlib.sha256(example.protein.id.encode()).hexdigest(), 16)


def _provenance(recipe: Recipe, start: Bundle | None) -> dict[str, str]:
    made: dict[str, Any] = {"recipe": recipe.model_dump_json(), **runtime.describe()}
    if start is not None:
        made["continued_from"] = f"{start.name} {start.sha256}"
    # what a machine has to do with it is its versions, not how many cores it had
    return {key: str(value) for key, value in made.items() if key not in ("cores", "system")}

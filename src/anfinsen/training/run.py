"""From a recipe to a bundle: load, train, calibrate on proteins that training never saw, write.

The validation split is cut in two by the proteins' hashes: one half decides when to stop, the other half
fits the calibration. The test split is not touched here; only the benchmark looks at it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import numpy
from torch import nn

from anfinsen import runtime
from anfinsen.data.alphabet import TOKENS
from anfinsen.data.batch import Stream
from anfinsen.data.example import Example, proteins_of
from anfinsen.distributed.strategy import Strategy
from anfinsen.errors import ConfigError, UsageError, suggest
from anfinsen.hub.body import bare, round_weights
from anfinsen.hub.bundle import MASKED, TAUGHT, Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.kinship.neighbours import Reach
from anfinsen.models.adapters import adapted, merged
from anfinsen.models.backbones import PublicBody, load_body
from anfinsen.models.encoder import Encoder
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.growth import grown
from anfinsen.models.network import HeadShape, NativeBody, Network
from anfinsen.sets.shards import Shards
from anfinsen.tasks import Task
from anfinsen.tasks.ask import ask, familiarity, validation_loss
from anfinsen.training.engine import Course, Trainer, Watch
from anfinsen.training.events import Record
from anfinsen.training.heat import Heat
from anfinsen.training.recipe import Recipe
from anfinsen.training.stages import Result, at_heat, climb, ladder

Before = Callable[[Network, Task, Sequence[Example]], None]
"""Shown the network and the examples of a task before anything is learnt."""
CALIBRATE = "calibrate"
"""A split that a table may have for the calibration alone; without it half of the validation split serves."""


def train(
    tasks: Sequence[Task],
    recipe: Recipe,
    out: Path,
    *,
    start: Bundle | None = None,
    watch: Sequence[Watch] = (),
    before: Before | None = None,
    strategy: Strategy | None = None,
) -> Bundle:
    """Train `tasks` as the recipe says in the folder `out`, resuming what was begun, and save `out/bundle`.

    `before` is shown the network and the examples of each task before anything is learnt. `strategy` says on how many
    processes it is computed: each calls this function, and one of them writes.
    """
    strategy = strategy or Strategy()
    if not tasks:
        raise UsageError(
            "No task was named.", remedy="Name one, for example: anfinsen train localization --out runs/mine"
        )
    refuse(strategy, len(tasks), recipe)
    runtime.seed_everything(recipe.train.seed)
    tasks = adjusted(tasks, recipe)
    # with stages the hottest one decides what may be kept and what cannot be trained at all
    network, records, reaches = _assemble(tasks, at_heat(recipe, recipe.stages[-1]) if recipe.stages else recipe, start)
    lessons = {task.name: Lesson(task, recipe) for task in tasks}
    begun = start.sha256 if start is not None else ""
    if before is not None:
        for lesson in lessons.values():
            before(network, lesson.task, lesson.train)
    if recipe.stages:
        _rise(network, list(lessons.values()), recipe, begun, out, watch, strategy)
    elif recipe.mode == "frozen":
        for task in tasks:
            _learn(network, [lessons[task.name]], recipe, begun, out / task.name, watch, strategy)
    else:
        _learn(network, list(lessons.values()), recipe, begun, out, watch, strategy)
    network.body = merged(bare(network.body))
    made = provenance(recipe, start)
    return finished(recipe.name, network, lessons, made, out, records, reaches, writes=strategy.leads)


def finished(
    name: str,
    network: Network,
    lessons: Mapping[str, Lesson],
    made: Mapping[str, str],
    out: Path,
    records: Mapping[str, TaskRecord] | None = None,
    reaches: Mapping[str, Reach] | None = None,
    *,
    writes: bool = True,
) -> Bundle:
    """Round, calibrate and save a trained network; `records` and `reaches` are of heads that were trained before.

    Of several processes that hold the same network one `writes`.
    """
    known, near = dict(records or {}), dict(reaches or {})
    round_weights(network.heads if isinstance(network.body, PublicBody) else network)
    for task, lesson in lessons.items():
        known[task] = lesson.record(network)
        if task != MASKED:
            looks = familiarity(network, lesson.train, lesson.calibrate_on)
            near[task] = Reach.fit(proteins_of(lesson.train), familiarity=looks)
    bundle = Bundle(name, network, known, near, dict(made))
    bundle.remember()
    if writes:
        bundle.save(out / "bundle")
    return bundle


class Lesson:
    """One task's examples: to train on, to stop by, to calibrate on."""

    def __init__(self, task: Task, recipe: Recipe) -> None:
        self.task = task
        self.train = task.examples("train")
        self.data_sha256 = data_hash(self.train)
        posed = [_shown(task, example, index) for index, example in enumerate(task.examples("valid"))]
        # tables are sorted by class or organism; by its hash each protein has a place that means nothing
        valid = sorted(posed, key=_lot)
        if CALIBRATE in task.table.splits:
            self.stop_by, self.calibrate_on = valid[: recipe.validate_on], list(task.examples(CALIBRATE))
        else:
            self.stop_by = [example for example in valid if _lot(example) % 2][: recipe.validate_on]
            self.calibrate_on = [example for example in valid if not _lot(example) % 2]
        if not self.train or not self.calibrate_on or (recipe.validate_on and not self.stop_by):
            raise UsageError(
                f"The table of '{task.name}' has too few examples to train on.",
                remedy="Give at least a few dozen, some of them in the validation split.",
            )

    @property
    def split_sha256(self) -> str:
        """SHA-256 of who trains, who decides when to stop, and who calibrates."""
        parts = [self.data_sha256, data_hash(self.stop_by), data_hash(self.calibrate_on)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def course(self, recipe: Recipe, more: Sequence[Example] = ()) -> Course:
        """The training examples, and `more` of which no value is known, in the recipe's order."""
        stream = Stream(
            [*self.train, *more] if more else self.train,
            budget=recipe.train.tokens,
            seed=recipe.train.seed,
            prepare=self.task.prepare,
            window=getattr(self.task, "window", None),
        )
        return Course(self.task, stream, recipe.shares.get(self.task.name, 1.0))

    def record(self, network: Network) -> TaskRecord:
        """What the bundle keeps of the task, with the calibration of this network."""
        shape, table = self.task.shape, self.task.table
        calibration: dict[str, float] = {}
        self.task.remember(network.heads[self.task.name], self.train)
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
            split_sha256=self.split_sha256,
            trained_on=len(self.train),
            trunk=getattr(network.heads[self.task.name], "config", None),
        )


def data_hash(examples: Sequence[Example]) -> str:
    """SHA-256 of examples in their order: residues, values, masks and conditions; of a corpus, its own hash."""
    if isinstance(examples, Shards):
        return examples.sha256
    digest = hashlib.sha256()
    for example in examples:
        row = [example.protein.sequence, example.value, example.mask, sorted(example.conditions.items())]
        row += [example.partner.sequence] if example.partner is not None else []
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()


def refuse(strategy: Strategy, tasks: int, recipe: Recipe) -> None:
    """Refuse what a strategy cannot train as one process would; `tasks` is how many."""
    if not strategy.shards:
        return
    if recipe.mode == "frozen" or recipe.stages:
        raise UsageError(
            "Heads on a body that rests are too small to be cut into pieces.",
            remedy="Take --strategy ddp, or --mode full or lora without --heat.",
        )
    if not strategy.whole_matrices and recipe.train.optimizer == "muon":
        raise ConfigError(
            f"Muon needs whole matrices, and {strategy.name} lays weights end to end.",
            remedy="Take --strategy fsdp, or --set train.optimizer=adamw.",
        )
    if not strategy.whole_matrices and tasks > 1:
        raise UsageError(
            f"With {strategy.name} a step would move the heads of all tasks and not only of the one it asks.",
            remedy="Take --strategy fsdp, or train one task.",
        )


def _assemble(
    tasks: Sequence[Task], recipe: Recipe, start: Bundle | None
) -> tuple[Network, dict[str, TaskRecord], dict[str, Reach]]:
    """The network to be trained, with what is known about the heads that it already has."""
    shapes: dict[str, HeadShape] = {task.name: task.shape for task in tasks}
    if start is None:
        return Network(_prepared(_new_body(recipe), recipe), shapes), {}, {}
    if recipe.backbone:
        raise ConfigError(
            "The recipe names a backbone, and --from a bundle that brings its own.", remedy="Take one of the two out."
        )
    body, is_grown = _body_of(start, recipe)
    # in full mode the body moves away under the heads that are not trained with it: they are left behind
    stays = recipe.mode == "frozen" and not is_grown
    kept = {name: shape for name, shape in start.network.shapes.items() if stays and name not in shapes}
    network = Network(_prepared(body, recipe), {**kept, **shapes})
    for name, head in start.network.heads.items():
        # a head whose shape has not changed goes on from where it was
        if network.shapes.get(name) == start.network.shapes[name] and not is_grown:
            network.heads[name].load_state_dict(head.state_dict())
    # who listened to a head that stays, listens on
    network.listeners.update({name: one for name, one in start.network.listeners.items() if name in kept})
    return network, {name: start.records[name] for name in kept}, {n: r for n, r in start.reaches.items() if n in kept}


def _body_of(start: Bundle, recipe: Recipe) -> tuple[nn.Module, bool]:
    """The bundle's body, or a larger one grown from it if the recipe has an [encoder]; and whether it was grown."""
    if recipe.encoder is None:
        return start.network.body, False
    body = bare(start.network.body)
    if not isinstance(body, NativeBody):
        raise ConfigError("Only an encoder of our own can grow.", remedy="Take the table [encoder] out of the recipe.")
    encoder = grown(cast(Encoder, body.encoder), recipe.encoder)
    return NativeBody(encoder, recipe.encoder.dim, recipe.encoder.longest), True


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
        # several trainings on one table read each protein once if they are given the same frozen body
        return body if isinstance(body, FrozenBody) else FrozenBody(body)
    body = bare(body)
    if isinstance(body, PublicBody) and recipe.mode == "full":
        raise ConfigError(
            f"'{body.name}' cannot be trained in full: its weights are not stored in a bundle.",
            remedy='Set mode = "lora", whose corrections are stored, or "frozen"; with stages, cold and warm.',
        )
    body = body.requires_grad_(True)
    return adapted(body, recipe.adapters) if recipe.mode == "lora" else body


def _rise(
    network: Network,
    lessons: Sequence[Lesson],
    recipe: Recipe,
    begun: str,
    out: Path,
    watch: Sequence[Watch],
    strategy: Strategy,
) -> None:
    """Heat by heat, each stage a training of its own; the network ends bare, with the best weights."""
    stages = ladder(len(lessons), recipe.stages)
    network.body = merged(bare(network.body))

    def learn(heat: Heat, place: Path) -> Result:
        at = at_heat(recipe, heat)
        network.body = _prepared(network.body, at)
        trainer = _learn(network, lessons, at, begun, place, watch, strategy)
        network.body = merged(bare(network.body))
        return Result(trainer.best, trainer.best_step)

    def tell(record: Record) -> None:
        for each in watch:
            each(record)

    origin = origin_of(lessons, recipe, begun)
    climb(network, stages, out / "heat", learn, seed=recipe.train.seed, origin=origin, tell=tell)


def _learn(
    network: Network,
    lessons: Sequence[Lesson],
    recipe: Recipe,
    begun: str,
    folder: Path,
    watch: Sequence[Watch],
    strategy: Strategy,
) -> Trainer:
    names = {lesson.task.name for lesson in lessons}
    for name, head in network.heads.items():
        head.requires_grad_(name in names)

    has_judges = all(lesson.stop_by for lesson in lessons)

    def judge(judged: nn.Module) -> float:
        assert isinstance(judged, Network)
        return float(numpy.mean([validation_loss(judged, lesson.task, lesson.stop_by) for lesson in lessons]))

    courses = [lesson.course(recipe) for lesson in lessons]
    origin = origin_of(lessons, recipe, begun)
    trainer = Trainer(
        network,
        courses,
        recipe.train,
        folder,
        origin=origin,
        judge=judge if has_judges else None,
        watch=watch,
        strategy=strategy,
    )
    trainer.fit()
    return trainer


def origin_of(lessons: Sequence[Lesson], recipe: Recipe, begun: str) -> str:
    """What makes two trainings the same one: settings, data and start, as one hash."""
    data = {lesson.task.name: lesson.data_sha256 for lesson in lessons}
    # steps and the looks may change on the way; anything else makes it another training
    idle = set() if recipe.mode == "lora" else {"adapters"}
    settings = recipe.model_dump(mode="json", exclude={"name", "tasks", "stages", "table", "epochs", "sweep"} | idle)
    for name in ("steps", "judge_every", "save_every", "patience", "plateau", "plateau_looks"):
        del settings["train"][name]
    for own in settings["task"].values():
        own.pop("shards", None)  # a corpus is known by its hash, wherever it lies
    return hashlib.sha256(json.dumps([settings, data, begun], sort_keys=True).encode()).hexdigest()


def adjusted(tasks: Sequence[Task], recipe: Recipe) -> list[Task]:
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
    return int(hashlib.sha256(" ".join(chain.id for chain in example.chains).encode()).hexdigest(), 16)


def provenance(recipe: Recipe, start: Bundle | None) -> dict[str, str]:
    """What is needed to make a model again: the recipe, the versions, and the bundle it was continued from."""
    made: dict[str, Any] = {"recipe": recipe.model_dump_json(), **runtime.describe()}
    if start is not None:
        made["continued_from"] = f"{start.name} {start.sha256}"
    moves = recipe.mode != "frozen" or bool(recipe.stages)
    made[TAUGHT] = ", ".join(sorted({*(start.taught if start else ()), *(recipe.tasks if moves else ())}))
    # what a machine has to do with it is its versions, not how many cores it had
    return {key: str(value) for key, value in made.items() if key not in ("cores", "system")}

"""The training loop, to be read from top to bottom.

    fit -> [ train_step -> (judge) -> tell -> (save) ] until the last step, or until validation stops improving,
                                                        or until somebody asks to stop

A step takes one group of examples, splits it into `accumulate` parts to save memory, and moves the weights
once; the loss of every part is divided by the count of known values in the whole group, so splitting changes
nothing but the draws of dropout. Everything that decides the future of a run (weights, averages, optimiser,
step, place in the stream, random streams, all looks at validation) is in a checkpoint: a run that was killed goes
on bit for bit on one CPU thread (with more, sums may be added in another order and differ in the last digits).
Ctrl-C and SIGTERM save before they end a run.

On how many processes a run is computed is the strategy's affair (see `distributed`): each reads its share of a group,
all move the same weights, one writes.

It knows tasks only as something that collates examples and gives a loss. A run may mix several tasks; then
each step belongs to one of them, in fixed shares. What happened at a step is one record (see `events`), to which
the narrator adds a sentence where there is something to say.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from anfinsen.config import Config
from anfinsen.data.batch import Batch, Stream
from anfinsen.data.example import Example
from anfinsen.distributed.strategy import Strategy
from anfinsen.errors import AnfinsenError, UsageError
from anfinsen.runtime import Precision, precision, random_streams, restore_random_streams, seed_everything
from anfinsen.training import checkpoint
from anfinsen.training.events import Events, Record
from anfinsen.training.gradients import Gradients
from anfinsen.training.heat import heat_of, plateau
from anfinsen.training.interruption import Interruption
from anfinsen.training.narrator import Narrator
from anfinsen.training.optim import OptimizerName, make_optimizers, schedule
from anfinsen.training.witness import Witness


class TrainConfig(Config):
    """How a network is trained."""

    steps: int = Field(2000, ge=1)
    """Optimiser steps in all."""
    tokens: int = Field(8192, ge=64)
    """Tokens (residues and two special tokens a protein) in one step."""
    accumulate: int = Field(1, ge=1)
    """Into how many parts a step is split to save memory; but for dropout the result is the same."""
    learning_rate: float = Field(1e-3, gt=0)
    """The highest learning rate."""
    warmup: int = Field(100, ge=0)
    """Steps over which the learning rate rises."""
    decay: float = Field(0.3, ge=0, le=1)
    """Share of all steps over which the learning rate falls to zero at the end."""
    weight_decay: float = Field(0.05, ge=0)
    """Pull of the weights towards zero."""
    clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient."""
    average: float = Field(0.0, ge=0, lt=1)
    """Decay of the moving average of weights that is judged and kept (EMA); 0 keeps the weights themselves."""
    optimizer: OptimizerName = "adamw"
    """adamw, or muon for the hidden matrices of an encoder."""
    precision: Precision = "fp32"
    """fp32, or bf16 for a mixed-precision forward pass."""
    seed: int = Field(1, ge=0)
    """Seed of every random stream."""
    judge_every: int = Field(200, ge=1)
    """Steps between two looks at the validation split."""
    save_every: int = Field(200, ge=1)
    """Steps between two checkpoints."""
    patience: int = Field(0, ge=0)
    """Stop after so many looks without improvement; 0 never stops early."""
    plateau: float = Field(0.0, ge=0, lt=100)
    """Stop where the last looks gained less than so many percent of the whole gain; 0 never does."""
    plateau_looks: int = Field(3, ge=1)
    """How many looks at the validation split a plateau is long."""


class Learnable(Protocol):
    """What the loop asks of a task."""

    @property
    def name(self) -> str: ...

    def collate(self, examples: Sequence[Example]) -> Batch: ...

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, int]: ...


@dataclass
class Course:
    """One task to be learnt from one stream; a run may mix several, each with its share of the steps."""

    task: Learnable
    stream: Stream
    share: float = 1.0
    taken: int = 0


Part = TypeVar("Part")
Judge = Callable[[nn.Module], float]
"""The validation loss of a network; lower is better."""
Watch = Callable[[Record], None]
"""Told the record of every step: progress bars, gauges and logs."""


class Trainer:
    """One run in one folder: `fit` starts it or goes on where it was stopped."""

    def __init__(
        self,
        network: nn.Module,
        courses: Sequence[Course],
        config: TrainConfig,
        folder: Path,
        *,
        origin: str = "",
        judge: Judge | None = None,
        watch: Sequence[Watch] = (),
        strategy: Strategy | None = None,
    ) -> None:
        self.strategy = strategy or Strategy(torch.device("cpu"))
        self.device = self.strategy.device
        seed_everything(config.seed + self.strategy.rank)  # dropout must not hide the same everywhere
        self.standing = _standing(network, len(courses))
        make = partial(
            make_optimizers,
            name=config.optimizer,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self.forward, self.optimizers = self.strategy.wrap(network, make)
        self.network = getattr(self.forward, "module", self.forward)
        self.courses = courses
        self.config = config
        self.folder = folder
        self.origin = origin
        self.judge = judge
        self.watch = watch
        self.rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        self.gradients = Gradients(self.network)
        self.events = Events(folder)
        self.narrator = Narrator()
        self.step = 0
        self.best, self.best_step = math.inf, 0
        self.looks: list[float] = []
        self.average = _copies(self._moving()) if config.average else {}
        self.best_weights: dict[str, Tensor] = {}

    def fit(self) -> nn.Module:
        """Train to the end and return the network with the best (or last) weights."""
        with Interruption() as asked:
            if not self.resume() and self.judge is not None:
                # a network that was good before must not come out worse
                self.look()
            if said := self.strategy.sentence(self.standing["moving"]):
                self._tell({"step": self.step, "note": said})
            self.network.train()
            while not self.reason_to_stop() and not asked.number:
                record = self.train_step()
                is_last = self.step == self.config.steps
                if self.judge is not None and (self.step % self.config.judge_every == 0 or is_last):
                    record |= self.look()
                if reason := self.reason_to_stop():
                    record |= {"stopped": reason, **self._plateau()}
                self._tell(record)
                if self.step % self.config.save_every == 0 or reason:
                    self.save()
                asked.agree(self.strategy.highest)
            if asked.number:
                self.save()
                raise asked.stop(self.step, self.folder)
        self.strategy.put(self.network, {**self.average, **self.best_weights})
        return self.strategy.release(self.network).eval()

    def train_step(self) -> Record:
        """One group of examples, one move of the weights."""
        began = time.perf_counter()
        course = self._next_course()
        loss, known, read, witness = self._read_and_pull(course)
        share = schedule(self.step, steps=self.config.steps, warmup=self.config.warmup, decay=self.config.decay)
        for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * share
        norm, layers = self.strategy.clip(self.gradients, self.config.clip, divide_by=known)
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise AnfinsenError(
                f"At step {self.step + 1} the loss is no longer a number: the training has run away.",
                remedy="Lower train.learning_rate or raise train.warmup, and use a new --out.",
            )
        self._move()
        return {
            "step": self.step,
            "steps": self.config.steps,
            "task": course.task.name,
            "loss": loss,
            **witness.facts(),
            "learning_rate": self.config.learning_rate * share,
            "rate_share": share,
            "gradient_norm": norm,
            "gradients": layers,
            **({"clipped": self.config.clip} if norm > self.config.clip else {}),
            **self.standing,
            "proteins": read[0],
            "tokens": read[1],
            "seconds": time.perf_counter() - began,
            "epoch": course.stream.epoch,
            **({"start": self.looks[0]} if self.step == 1 and self.looks else {}),
        }

    def _read_and_pull(self, course: Course) -> tuple[float, int, tuple[int, int], Witness]:
        """Forward and backward pass of each part of a group, on all processes together.

        The mean loss, the count of known values, proteins and tokens read, what was seen.
        """
        task = course.task
        group: list[int] = course.stream.draw().tolist()
        own = list(self.strategy.share(split(group, self.config.accumulate * self.strategy.size)))
        total, known, proteins, tokens, witness = 0.0, 0, 0, 0, Witness()
        for index, (part, counts) in enumerate(own):
            self.strategy.ready(is_last=index == len(own) - 1)
            examples = course.stream.prepared(part)
            batch = task.collate(examples).to(self.device)
            with precision(self.config.precision, self.device):
                outputs = self.forward(batch, task.name)
            loss, values = task.loss(outputs, batch)
            self.strategy.backward(loss if counts else loss * 0)
            if counts:
                total, known = total + float(loss.detach()), known + values
                proteins += sum(len(example.chains) for example in examples)
                tokens += sum(example.residues + 2 * len(example.chains) for example in examples)
                witness.see(getattr(task, "target", None), outputs, batch.target)
        total, *sums = self.strategy.total([total, known, proteins, tokens, *witness.row()])
        witness.take(sums[3:])
        known = max(1, round(sums[0]))
        return total / known, known, (round(sums[1]), round(sums[2])), witness

    def _move(self) -> None:
        """One step of the optimisers, and of the moving average."""
        self.strategy.step(self.optimizers)
        self.step += 1
        now = self._moving() if self.average else {}
        for name, current in now.items():
            self.average[name].lerp_(current, 1 - self.config.average)

    def look(self) -> Record:
        """Judge the averaged weights on validation, remember them if they are the best so far: `valid` and `best`."""
        assert self.judge is not None
        own = _copies(self._moving())
        if self.average:
            self.strategy.put(self.network, self.average)
        streams = random_streams(self.device)
        self.network.eval()
        loss = self.strategy.agree(self.judge(self.network))
        self.looks.append(loss)
        if loss < self.best:
            self.best, self.best_step = loss, self.step
            self.best_weights = _copies(self._moving())
        self.strategy.put(self.network, own)
        self.network.train()
        restore_random_streams(streams, self.device)
        return {"valid": loss, "best": self.best, "best_step": self.best_step}

    def save(self) -> None:
        """Write everything that decides the future of this run."""
        tensors = {f"weights.{name}": weight for name, weight in self._moving().items()}
        tensors |= {f"average.{name}": weight for name, weight in self.average.items()}
        tensors |= {f"best.{name}": weight for name, weight in self.best_weights.items()}
        tensors = self.strategy.gather(tensors)
        streams = self.strategy.streams(random_streams(self.device))
        tensors |= {f"random.{name}": stream for name, stream in streams.items()}
        groups = []
        for index, optimizer in enumerate(self.optimizers):
            moments, plain = checkpoint.flatten_optimizer(self.strategy.state_of(optimizer), f"optimizer{index}")
            tensors |= moments
            groups.append(plain)
        state = {
            "step": self.step,
            "origin": self.origin,
            "courses": [{"taken": course.taken, **course.stream.state()} for course in self.courses],
            "best": None if math.isinf(self.best) else self.best,
            "best_step": self.best_step,
            "looks": self.looks,
            "optimizers": groups,
            "config": self.config.model_dump(),
        }
        self.strategy.save(partial(checkpoint.save, self.folder / "checkpoints", self.step, tensors, state))

    def resume(self) -> bool:
        """Go on from the newest whole checkpoint; whether there was one."""
        path, passed = checkpoint.newest(self.folder / "checkpoints")
        for sentence in passed:
            self._tell({"step": self.step, "note": sentence})
        if path is None:
            return False
        tensors, state = checkpoint.load(path)
        if state["origin"] != self.origin:
            raise UsageError(
                f"'{self.folder}' holds another training: other data, settings or another start.",
                remedy="Give a new folder with --out, or repeat the old command to go on with the old training.",
            )
        now = self._moving()
        weights, self.average, self.best_weights = (
            {name: self.strategy.spread(tensor, now[name]) for name, tensor in _named(tensors, kind).items()}
            for kind in ("weights.", "average.", "best.")
        )
        self.strategy.put(self.network, weights)
        for index, optimizer in enumerate(self.optimizers):
            saved = checkpoint.unflatten_optimizer(f"optimizer{index}", tensors, state["optimizers"][index])
            self.strategy.restore(optimizer, saved)
        self.step = state["step"]
        self.best = math.inf if state["best"] is None else state["best"]
        self.best_step, self.looks = state["best_step"], state["looks"]
        for course, place in zip(self.courses, state["courses"], strict=True):
            course.taken = place["taken"]
            course.stream.restore(place)
        if streams := self.strategy.own_streams(_named(tensors, "random.")):
            restore_random_streams(streams, self.device)
        # the narrator's memory is what it was told, so it goes on as if nothing had happened
        for record in self.events.keep_until(self.step) if self.strategy.leads else ():
            self.narrator.tell(record)
        return True

    def reason_to_stop(self) -> str:
        """Why the run is over: 'steps', 'patience' or 'plateau'; empty while it is not."""
        if self.step >= self.config.steps:
            return "steps"
        since_best = len(self.looks) - 1 - self.looks.index(self.best) if self.best in self.looks else len(self.looks)
        if self.config.patience and since_best >= self.config.patience:
            return "patience"
        return "plateau" if self._plateau() else ""

    def _plateau(self) -> Record:
        found = plateau(self.looks, looks=self.config.plateau_looks, percent=self.config.plateau)
        return {"plateau": found._asdict()} if found else {}

    def _next_course(self) -> Course:
        """The course that is furthest behind its share of the steps."""
        whole = sum(course.share for course in self.courses)
        behind = [course.share / whole * (self.step + 1) - course.taken for course in self.courses]
        course = self.courses[behind.index(max(behind))]
        course.taken += 1
        return course

    def _moving(self) -> dict[str, Tensor]:
        """The weights that this run may change, by name."""
        return self.strategy.weights(self.network)

    def _tell(self, record: Record) -> None:
        if "note" not in record and (sentences := self.narrator.tell(record)):
            record["sentences"] = sentences
        if not self.strategy.leads:
            return
        self.events.add(record)
        for watch in self.watch:
            watch(record)


def split(examples: Sequence[Part], parts: int) -> list[Sequence[Part]]:
    """At most `parts` groups of about equal count, in order, none of them empty."""
    size = math.ceil(len(examples) / parts)
    return [examples[start : start + size] for start in range(0, len(examples), size)]


def _standing(network: nn.Module, courses: int) -> Record:
    """How much of the network may move: the heat, and the weights that it concerns."""
    sizes = {name: weight.numel() for name, weight in network.named_parameters() if weight.requires_grad}
    whole = sum(weight.numel() for weight in network.parameters())
    return {"heat": heat_of(sizes, courses), "moving": sum(sizes.values()), "weights": whole}


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}

"""The training loop, to be read from top to bottom.

    fit -> [ train_step -> (judge) -> (save) ] until the last step or until validation stops improving

A step takes one group of examples, splits it into `accumulate` parts to save memory, and moves the weights
once; the loss of every part is divided by the count of known values in the whole group, so splitting changes
nothing but the draws of dropout. Everything that decides the future of a run (weights, averages, optimiser,
step, place in the stream, random streams, best score, patience) is in a checkpoint: a run that was killed goes
on bit for bit on one CPU thread (with more, sums may be added in another order and differ in the last digits).

It knows tasks only as something that collates examples and gives a loss. A run may mix several tasks; then
each step belongs to one of them, in fixed shares.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from anfinsen.config import Config
from anfinsen.data.batch import Batch, Stream
from anfinsen.data.example import Example
from anfinsen.errors import AnfinsenError, UsageError
from anfinsen.runtime import Precision, precision, random_streams, restore_random_streams, seed_everything
from anfinsen.training import checkpoint
from anfinsen.training.optim import OptimizerName, make_optimizers, schedule


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


Judge = Callable[[nn.Module], float]
"""The validation loss of a network; lower is better."""
Watch = Callable[[dict[str, Any]], None]
"""Told the record of every step: progress bars, narrators and logs."""


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
        device: torch.device | None = None,
    ) -> None:
        seed_everything(config.seed)
        self.device = device or torch.device("cpu")
        self.network = network.to(self.device)
        self.courses = courses
        self.config = config
        self.folder = folder
        self.origin = origin
        self.judge = judge
        self.watch = watch
        self.optimizers = make_optimizers(network, config.optimizer, config.learning_rate, config.weight_decay)
        self.rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        self.step = 0
        self.best = math.inf
        self.looks_without_gain = 0
        self.average = _copies(self._moving()) if config.average else {}
        self.best_weights: dict[str, Tensor] = {}

    def fit(self) -> nn.Module:
        """Train to the end and return the network with the best (or last) weights."""
        if not self.resume() and self.judge is not None:
            # a network that was good before must not come out worse
            self.look()
        self.network.train()
        while self.step < self.config.steps and not self._is_out_of_patience():
            record = self.train_step()
            is_last = self.step == self.config.steps
            if self.judge is not None and (self.step % self.config.judge_every == 0 or is_last):
                record["valid"] = self.look()
            if self.step % self.config.save_every == 0 or is_last or self._is_out_of_patience():
                self.save()
            self._tell(record)
        self.network.load_state_dict({**self.network.state_dict(), **self.average, **self.best_weights})
        return self.network.eval()

    def train_step(self) -> dict[str, Any]:
        """One group of examples, one move of the weights."""
        began = time.perf_counter()
        course = self._next_course()
        task = course.task
        examples = course.stream.next()
        parts = [task.collate(part).to(self.device) for part in split(examples, self.config.accumulate)]
        counts = [0] * len(parts)
        total = 0.0
        for index, batch in enumerate(parts):
            with precision(self.config.precision, self.device):
                outputs = self.network(batch, task.name)
            loss, counts[index] = task.loss(outputs, batch)
            loss.backward()
            total += float(loss.detach())
        known = max(1, sum(counts))
        weights = [weight for weight in self.network.parameters() if weight.grad is not None]
        for weight in weights:
            weight.grad = None if weight.grad is None else weight.grad / known
        norm = float(nn.utils.clip_grad_norm_(weights, self.config.clip))
        if not math.isfinite(total) or not math.isfinite(norm):
            raise AnfinsenError(
                f"At step {self.step + 1} the loss is no longer a number: the training has run away.",
                remedy="Lower train.learning_rate or raise train.warmup, and use a new --out.",
            )
        share = schedule(self.step, steps=self.config.steps, warmup=self.config.warmup, decay=self.config.decay)
        for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * share
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        now = self._moving() if self.average else {}
        for name, current in now.items():
            self.average[name].lerp_(current, 1 - self.config.average)
        seconds = time.perf_counter() - began
        return {
            "step": self.step,
            "task": task.name,
            "loss": total / known,
            "learning_rate": self.config.learning_rate * share,
            "gradient_norm": norm,
            "tokens": sum(len(example.protein) + 2 for example in examples),
            "seconds": seconds,
            "epoch": course.stream.epoch,
        }

    def look(self) -> float:
        """Judge the averaged weights on validation, remember them if they are the best so far."""
        assert self.judge is not None
        own = _copies(self._moving())
        if self.average:
            self.network.load_state_dict(self.average, strict=False)
        streams = random_streams(self.device)
        self.network.eval()
        loss = self.judge(self.network)
        if loss < self.best:
            self.best, self.looks_without_gain = loss, 0
            self.best_weights = _copies(self._moving())
        else:
            self.looks_without_gain += 1
        self.network.load_state_dict(own, strict=False)
        self.network.train()
        restore_random_streams(streams, self.device)
        return loss

    def save(self) -> None:
        """Write everything that decides the future of this run."""
        tensors = {f"weights.{name}": weight for name, weight in self._moving().items()}
        tensors |= {f"average.{name}": weight for name, weight in self.average.items()}
        tensors |= {f"best.{name}": weight for name, weight in self.best_weights.items()}
        tensors |= {f"random.{name}": stream for name, stream in random_streams(self.device).items()}
        groups = []
        for index, optimizer in enumerate(self.optimizers):
            moments, plain = checkpoint.flatten_optimizer(optimizer, f"optimizer{index}")
            tensors |= moments
            groups.append(plain)
        state = {
            "step": self.step,
            "origin": self.origin,
            "courses": [{"taken": course.taken, **course.stream.state()} for course in self.courses],
            "best": None if math.isinf(self.best) else self.best,
            "looks_without_gain": self.looks_without_gain,
            "optimizers": groups,
            "config": self.config.model_dump(),
        }
        checkpoint.save(self.folder / "checkpoints", self.step, tensors, state)

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
        self.network.load_state_dict(_named(tensors, "weights."), strict=False)
        self.average = _named(tensors, "average.", self.device)
        self.best_weights = _named(tensors, "best.", self.device)
        for index, optimizer in enumerate(self.optimizers):
            checkpoint.restore_optimizer(optimizer, f"optimizer{index}", tensors, state["optimizers"][index])
        self.step = state["step"]
        self.best = math.inf if state["best"] is None else state["best"]
        self.looks_without_gain = state["looks_without_gain"]
        for course, place in zip(self.courses, state["courses"], strict=True):
            course.taken = place["taken"]
            course.stream.restore(place)
        restore_random_streams(_named(tensors, "random."), self.device)
        self._forget_events_after(self.step)
        return True

    def _forget_events_after(self, step: int) -> None:
        """Drop the records of steps that are done again, and a line that a kill has torn."""
        path = self.folder / "events.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        whole = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in whole), encoding="utf-8")

    def _next_course(self) -> Course:
        """The course that is furthest behind its share of the steps."""
        whole = sum(course.share for course in self.courses)
        behind = [course.share / whole * (self.step + 1) - course.taken for course in self.courses]
        course = self.courses[behind.index(max(behind))]
        course.taken += 1
        return course

    def _moving(self) -> dict[str, Tensor]:
        """The weights that this run may change, by name."""
        return {name: weight.detach() for name, weight in self.network.named_parameters() if weight.requires_grad}

    def _is_out_of_patience(self) -> bool:
        return bool(self.config.patience) and self.looks_without_gain >= self.config.patience

    def _tell(self, record: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        for watch in self.watch:
            watch(record)


def split(examples: Sequence[Example], parts: int) -> list[Sequence[Example]]:
    """At most `parts` groups of about equal count, in order, none of them empty."""
    size = math.ceil(len(examples) / parts)
    return [examples[start : start + size] for start in range(0, len(examples), size)]


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _named(tensors: dict[str, Tensor], prefix: str, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor.to(device) for name, tensor in tensors.items() if name.startswith(prefix)}

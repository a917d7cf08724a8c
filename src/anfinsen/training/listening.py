"""Teaching a listener: proteins whose answers are known, what a head says of them, and what their families tell.

    held-out proteins -> head -> outputs --+
                      -> kin -> evidence --+-> Listener -> outputs, nearer to the truth

They must be proteins that the head has not learnt: of those it has learnt, it needs no relatives to be right. How much
a listener is worth is asked in folds: each protein is answered by one that was taught without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy
import torch
from torch import nn

from anfinsen.data.example import Example
from anfinsen.kinship.family import EVIDENCE, Family
from anfinsen.models.listening import Listener, PlaceListener, new_listener
from anfinsen.targets.base import Floats
from anfinsen.tasks.base import Task

FOLDS = 5
STEPS = 1000
"""Steps of teaching; more gain nothing on validation (docs/LOG.md)."""
GROUP = 8
"""Proteins in a step."""
RATE, DECAY = 2e-3, 0.02
_SEED = 1


@dataclass(frozen=True)
class Heard:
    """One protein to learn from: the true answer, what the head said of it (L, size), and its family."""

    example: Example
    said: Floats
    family: Family

    @cached_property
    def evidence(self) -> Floats:
        """What the family tells, (L, EVIDENCE)."""
        return self.family.evidence


def teach(task: Task, lessons: Sequence[Heard], *, steps: int = STEPS) -> Listener | PlaceListener:
    """A listener taught by those of the proteins that have relatives."""
    known = [lesson for lesson in lessons if lesson.family.relatives]
    generator = numpy.random.default_rng(_SEED)
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        listener = new_listener(task.target.head, task.target.size, EVIDENCE).train()
        optimizer = torch.optim.AdamW(listener.parameters(), RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for _ in range(steps):
            drawn = [known[at] for at in generator.integers(len(known), size=GROUP)]
            batch = task.collate([lesson.example for lesson in drawn])
            outputs = _hear(listener, drawn)
            loss, count = task.loss(outputs if batch.chosen is None else outputs[batch.chosen], batch)
            optimizer.zero_grad()
            (loss / max(1, count)).backward()
            optimizer.step()
            schedule.step()
    return listener.eval()


def heard(listener: nn.Module, lessons: Sequence[Heard]) -> list[Floats]:
    """What a listener makes of each protein; of one without relatives, what the head said."""
    with torch.inference_mode():
        return [_hear(listener, [one]).numpy() if one.family.relatives else one.said for one in lessons]


def in_folds(task: Task, lessons: Sequence[Heard], *, steps: int = STEPS) -> list[Floats]:
    """What is heard of each protein by a listener that was taught by the others."""
    outputs: list[Floats] = [lesson.said for lesson in lessons]
    for fold in range(FOLDS):
        others = [lesson for at, lesson in enumerate(lessons) if at % FOLDS != fold]
        own = range(fold, len(lessons), FOLDS)
        answers = heard(teach(task, others, steps=steps), [lessons[at] for at in own])
        for at, answer in zip(own, answers, strict=True):
            outputs[at] = answer
    return outputs


def _hear(listener: nn.Module, lessons: Sequence[Heard]) -> torch.Tensor:
    said = torch.from_numpy(numpy.concatenate([lesson.said for lesson in lessons]))
    evidence = torch.from_numpy(numpy.concatenate([lesson.evidence for lesson in lessons]))
    found: torch.Tensor = listener(said, evidence, [len(lesson.said) for lesson in lessons])
    return found

"""Lesson 3: what a pre-trained body is worth, as a curve against one that starts from nothing.

Both have the same shape, the same head, the same proteins in the same order, the same steps; only the first weights
differ. Each half of the table is learnt from and judged on the other, so that all thirty-two proteins are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
from scipy.stats import binomtest
from torch import nn

from anfinsen.data.batch import Stream
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle
from anfinsen.learn.pictures import Page, curves
from anfinsen.learn.table import TASK, halves
from anfinsen.models.encoder import Encoder
from anfinsen.models.network import NativeBody, Network
from anfinsen.runtime import seed_everything
from anfinsen.targets.base import softmax
from anfinsen.tasks.ask import ask
from anfinsen.training.engine import Course, TrainConfig, Trainer

STEPS, EVERY = 12, 3
FIRST = 60
"""Residues that are read of each protein: the address that sends a protein out stands at its beginning."""
PRETRAINED, SCRATCH = "pre-trained", "from scratch"


@dataclass
class Curve:
    """At each look, over all judged proteins: the mean probability of the right answer and how many are right."""

    right: list[float] = field(default_factory=list)
    hits: list[int] = field(default_factory=list)
    judged: int = 0


def teach(page: Page, bundle: Bundle, *, fast: bool = False) -> None:
    """Two bodies, one task, one curve each."""
    steps = 1 if fast else STEPS
    every = 1 if fast else EVERY
    body = bundle.network.body
    assert isinstance(body, NativeBody)
    assert isinstance(body.encoder, Encoder)
    shape = body.encoder.config
    page.say(
        f"Two networks of the same build, {sum(weight.numel() for weight in body.parameters()) / 1e6:.1f} million "
        f"weights each. One begins with what it learnt from some hundred thousand proteins without labels and from "
        f"three tasks; the other begins with random weights. Both now learn from sixteen proteins: {TASK.question}"
    )
    curves_of = {
        PRETRAINED: learn(lambda: deepcopy(body), steps, every),
        SCRATCH: learn(lambda: NativeBody(Encoder(shape), shape.dim, shape.longest), steps, every),
    }
    looks = list(range(0, steps + 1, every))
    page.heading("The probability of the right answer, on proteins they did not learn from")
    page.draw(*curves({name: curve.right for name, curve in curves_of.items()}, looks))
    page.say("")
    for name, curve in curves_of.items():
        page.say(
            f"{name.capitalize():<13} {_hits(curve)}, a probability of {curve.right[-1]:.2f} for the right answer."
        )
    page.note(
        f"Split: each half of the table is judged by networks that learnt from the other half; relatives lie in one "
        f"half. Baseline: always saying the same is right for 16 of 32. Read are the first {FIRST} residues. To be "
        f"fair: one of the three tasks was the place in the cell, of other proteins, so this question is close to "
        f"what the body knows."
    )
    ahead = curves_of[PRETRAINED].right[-1] > curves_of[SCRATCH].right[-1]
    page.say(
        "The gap between the curves is what transfer is worth here: knowledge that sixteen proteins could not have "
        "given. The more proteins are labelled, the smaller it becomes. Next: anfinsen learn 4"
        if ahead
        else "This time transfer was worth nothing: it happens, and only a curve shows it. Next: anfinsen learn 4"
    )


def learn(body: Callable[[], nn.Module], steps: int, every: int) -> Curve:
    """Train a fresh body on each half, judge it on the other at every look, and join the two."""
    first, second = ([_begin(example) for example in half] for half in halves())
    whole = Curve()
    for train, rest in ((first, second), (second, first)):
        seed_everything(1)
        network = Network(body().requires_grad_(True), {TASK.name: TASK.shape})
        part = _train(network, train, rest, steps, every)
        weight, judged = whole.judged, whole.judged + len(rest)
        old_right, old_hits = whole.right or [0.0] * len(part.right), whole.hits or [0] * len(part.hits)
        whole.right = [(weight * a + len(rest) * b) / judged for a, b in zip(old_right, part.right, strict=True)]
        whole.hits = [a + b for a, b in zip(old_hits, part.hits, strict=True)]
        whole.judged = judged
    return whole


def _train(network: Network, train: Sequence[Example], rest: Sequence[Example], steps: int, every: int) -> Curve:
    truth = [int(TASK.target.encode(example)) for example in rest]
    curve = Curve()

    def judge(judged: nn.Module) -> float:
        shares = softmax(numpy.stack([answer[TASK.name] for answer in ask(network, [TASK], rest)]))
        right = shares[numpy.arange(len(rest)), truth]
        curve.right.append(float(right.mean()))
        curve.hits.append(int((shares.argmax(1) == truth).sum()))
        return float(-numpy.log(right).mean())

    settings = TrainConfig(
        steps=steps, tokens=2048, learning_rate=5e-4, warmup=3, decay=0.5, judge_every=every, save_every=1000
    )
    with TemporaryDirectory() as folder:
        Trainer(network, [Course(TASK, Stream(train, budget=2048, seed=1))], settings, Path(folder), judge=judge).fit()
    return curve


def _begin(example: Example) -> Example:
    return replace(example, protein=replace(example.protein, sequence=example.protein.sequence[:FIRST]))


def _hits(curve: Curve) -> str:
    interval = binomtest(curve.hits[-1], curve.judged).proportion_ci(method="wilson")
    return (
        f"{curve.hits[-1]} of {curve.judged} right ({curve.hits[-1] / curve.judged:.0%}; 95 % interval "
        f"{interval.low:.0%} to {interval.high:.0%})"
    )

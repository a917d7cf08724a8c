"""Lesson 2: forward, loss, backward, step; first one of them slowly, then some at full speed."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

from anfinsen.data.batch import Stream
from anfinsen.hub.bundle import Bundle
from anfinsen.learn.pictures import Page, bars
from anfinsen.learn.table import TASK, halves
from anfinsen.learn.walk import take, tell
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.network import Network
from anfinsen.runtime import seed_everything
from anfinsen.tasks.ask import validation_loss
from anfinsen.training.engine import Course, TrainConfig, Trainer
from anfinsen.training.events import Record

STEPS = 24
SLOW = 6
"""Proteins in the batch that is walked slowly."""


def teach(page: Page, bundle: Bundle, *, fast: bool = False) -> None:
    """A new head on the embedded body: one step in slow motion, then a short training of the head alone."""
    seed_everything(1)
    train, rest = halves()
    network = Network(deepcopy(bundle.network.body).requires_grad_(True), {TASK.name: TASK.shape})
    page.say(
        f"The question: {TASK.question} A head that knows nothing yet is put on the body of lesson 1, and is shown "
        f"proteins whose answer is known. Everything that follows is measured while you wait."
    )
    tell(take(network, TASK, train[-2 if fast else -SLOW :]), TASK, page)
    steps = 4 if fast else STEPS
    page.heading(f"The same {steps} times, at full speed")
    records = _run(network, steps)
    page.say(
        f"Now the body rests (this is called a cold training) and only the head learns, {records[0]['moving']:,} of "
        f"{records[0]['weights']:,} weights. The loss on the sixteen proteins that it learns from:"
    )
    shown = records[:: max(1, steps // 6)]
    page.draw(*bars({f"step {record['step']:>2}": record["loss"] for record in shown}, digits=3))
    last = records[-1]
    page.say(
        f"And on the {len(rest)} proteins that it never learns from: {records[0]['start']:.2f} before, "
        f"{last['best']:.2f} at best, at step {last['best_step']}. Only this second figure counts: anybody can learn "
        f"sixteen answers by heart. Next: anfinsen learn 3"
    )


def _run(network: Network, steps: int) -> list[Record]:
    """A cold training by the real engine, in a folder that is thrown away; its records."""
    train, rest = halves()
    network.body = FrozenBody(network.body)
    records: list[Record] = []
    settings = TrainConfig(steps=steps, tokens=4096, learning_rate=1e-3, warmup=3, judge_every=2, save_every=1000)
    with TemporaryDirectory() as folder:
        Trainer(
            network,
            [Course(TASK, Stream(train, budget=4096, seed=1))],
            settings,
            Path(folder),
            judge=lambda judged: validation_loss(network, TASK, rest),
            watch=[records.append],
        ).fit()
    return records

"""What a fold and what a language model bring to ligand sites, each alone and together, at one equal budget.

    sequence            states of the language model, convolutions along the chain, no fold
    graph               the fold as a graph, with the kinds of residues and what can be counted, no language model
    joined              the graph, its nodes carrying each residue's state
    joined-multiscale   the graph, its nodes carrying each residue's state, the mean of its surroundings along the chain
                        and the mean of the whole protein

All learn from the same chains in the same order for the same number of steps, from the same seed, with the body at
rest; of the looks at the validation chains each keeps the weights of its best, and thresholds are chosen there too.
'Gain' rows are differences between the last arm and another on the same proteins (paired bootstrap): above zero it is
better.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from anfinsen.bench.sites import SUITE, alone, blind, drawn, only
from anfinsen.bench.study import Question, Tell
from anfinsen.data.batch import Stream
from anfinsen.data.example import Example
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.graph import GraphHead, Net
from anfinsen.models.heads import ResidueHead
from anfinsen.models.network import Network
from anfinsen.runtime import seed_everything
from anfinsen.sets.holo import load_holo
from anfinsen.targets.base import Answer
from anfinsen.targets.metrics import difference, measure
from anfinsen.tasks.ask import ask, validation_loss
from anfinsen.tasks.base import Task
from anfinsen.tasks.ligand_sites import DRUG, TASK, example_of
from anfinsen.training.engine import Course, TrainConfig, Trainer

LONGEST = 350
"""Residues of the longest chain that is learnt from."""
CONFIG = TrainConfig(
    steps=400,
    tokens=2048,
    learning_rate=2e-3,
    warmup=30,
    decay=0.8,
    weight_decay=0.05,
    average=0.98,
    save_every=1000,
    judge_every=80,
)
"""The budget of every arm: about seven times all chains."""
SPLIT = "test, equal budgets"
"""The test structures; so named that no arm is taken for a rival of the model, which learnt more kinds."""
_SEED = 1


class Wordless(nn.Module):
    """A graph network that is shown no states: what the fold and the kinds of residues tell."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.head = GraphHead(dim, 1)

    def forward(self, states: Tensor, lengths: Sequence[int], conditions: Tensor, net: Net | None = None) -> Tensor:
        """(R, C) and the graph -> (R, 1)."""
        return cast(Tensor, self.head(torch.zeros_like(states), lengths, conditions, net))


class Chainwise(nn.Module):
    """Convolutions along the chain that are shown no graph."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.head = ResidueHead(dim, 1)

    def forward(self, states: Tensor, lengths: Sequence[int], conditions: Tensor, net: Net | None = None) -> Tensor:
        """(R, C) -> (R, 1)."""
        return cast(Tensor, self.head(states, lengths, conditions))


ARMS: Mapping[str, Callable[[int], nn.Module]] = {
    "sequence": Chainwise,
    "graph": Wordless,
    "joined": lambda dim: GraphHead(dim, 1, scales=1),
    "joined-multiscale": lambda dim: GraphHead(dim, 1, scales=3),
}
"""The arms by name; each takes the width of the states."""


def scale_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """AUPR and MCC of the four arms on the test structures. About a quarter of an hour on one core."""
    task, train = alone(DRUG, [example_of(one) for one in load_holo("train") if len(one.protein) <= LONGEST])
    train = drawn(train, limit)
    valid, test = ([only(example_of(one), DRUG) for one in load_holo(split)] for split in ("valid", "test"))
    test = drawn(test, limit)
    body = FrozenBody(bare(bundle.network.body))
    config = CONFIG if limit is None else CONFIG.replaced(steps=CONFIG.steps // 20)  # a quick look
    told: dict[str, list[Answer]] = {}
    for name, make in ARMS.items():
        tell(f"{name}: {config.steps} steps on {len(train)} chains.")
        told[name] = learn(task, make, body, train, valid, test, config)
    return compared(test, told)


def compared(test: Sequence[Example], told: Mapping[str, list[Answer]]) -> list[Score]:
    """The scores of all arms, and what the last has over each other."""
    rows = []
    *others, last = told
    for metric in ("AUPR", "MCC"):
        score = f"{DRUG} {metric}"
        question = Question(SUITE, TASK.name, "ligand_sites", SPLIT, metric)
        rows += [question.row(name, measure(score, test, answers)) for name, answers in told.items()]
        for name in others:
            gain = Question(SUITE, TASK.name, "ligand_sites", SPLIT, f"{metric} gain over {name}")
            rows.append(gain.row(last, difference(score, test, told[last], told[name])))
    return rows


def learn(
    task: Any,
    make: Callable[[int], nn.Module],
    body: FrozenBody,
    train: Sequence[Example],
    valid: Sequence[Example],
    test: Sequence[Example],
    config: TrainConfig,
) -> list[Answer]:
    """One arm's answers to the test after its training."""
    seed_everything(_SEED)
    arm = Network(body, {task.name: cast(Task, task).shape})
    arm.heads[task.name] = make(body.dim)
    stream = Stream(train, budget=config.tokens, seed=_SEED)

    def judge(judged: nn.Module) -> float:
        assert isinstance(judged, Network)
        return validation_loss(judged, cast(Task, task), valid)

    with tempfile.TemporaryDirectory() as folder:
        Trainer(arm, [Course(task, stream)], config, Path(folder), judge=judge).fit()
    arm.eval()
    held = [one[task.name] for one in ask(arm, [task], blind(valid))]
    calibration = task.target.calibrate(held, valid)
    outputs = [one[task.name] for one in ask(arm, [task], blind(test))]
    answers: list[Answer] = task.answers(outputs, [replace(one, value=None) for one in test], calibration)
    return answers

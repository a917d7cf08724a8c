"""What a fold and a language model bring to ligand sites, each alone and together, at one equal budget.

    sequence                 states of the language model, convolutions along the chain, no fold
    graph                    the fold: a graph network with the kinds of residues and what can be counted, the hollows
                             that a residue faces, and the first pocket; no language model
    joined                   both: the graph, and what the sequence says of the residue itself
    joined-multiscale        both: that, and what the sequence says of its surroundings, averaged over some 10 Å
    graph, network alone     of the graph nothing but its network
    joined(...) in one network   the graph's nodes carry the states: each residue's own; beside it the mean of its
                             surroundings along the chain and that of the whole protein

All networks learn from the same chains in the same order for the same number of steps, from the same seed, with the
body at rest; of the looks at the validation chains each keeps the weights of its best. What is joined late is joined
by a logistic line through the residues of the validation chains, and thresholds are chosen there too. 'Gain' rows are
differences between joined-multiscale and another on the same proteins (paired bootstrap): above zero it is better.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import numpy
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from anfinsen.bench.sites import SUITE, alone, blind, only
from anfinsen.bench.study import Question, Tell
from anfinsen.data.batch import Stream
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.site_residues import VOICES, Floats, evidence, log_odds, voices
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.graph import GraphHead, Net
from anfinsen.models.heads import ResidueHead
from anfinsen.models.network import Network
from anfinsen.runtime import seed_everything
from anfinsen.sets.holo import load_holo
from anfinsen.structure.pockets import find_cavities, gather
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
SEQUENCE, GRAPH, JOINED, MULTISCALE = "sequence", "graph", "joined", "joined-multiscale"
SPLIT = "test, equal budgets"
"""The test structures; so named that no arm is taken for a rival of the model, which learnt more kinds."""
_SEED = 1
_COLUMNS = (*VOICES, "own")

Told = dict[str, list[Answer]]


class Said(NamedTuple):
    """What somebody says of each chain, as log-odds (L, 1)."""

    valid: list[Floats]
    test: list[Floats]


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
    SEQUENCE: Chainwise,
    GRAPH: Wordless,
    f"{JOINED} in one network": lambda dim: GraphHead(dim, 1, scales=1),
    f"{MULTISCALE} in one network": lambda dim: GraphHead(dim, 1, scales=3),
}
"""The networks by name; each takes the width of the states."""
LATE: Mapping[str, tuple[str, ...]] = {
    GRAPH: VOICES[:4],
    JOINED: (*VOICES[:4], "own"),
    MULTISCALE: (*VOICES[:4], "own", VOICES[4]),
}
"""What is joined late: the columns that each line hears."""


def scale_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """AUPR and MCC of all arms on the test structures. About a quarter of an hour on one core."""
    task, train = alone(DRUG, [example_of(one) for one in load_holo("train") if len(one.protein) <= LONGEST])
    train = draw(train, limit)
    valid, test = ([only(example_of(one), DRUG) for one in load_holo(split)] for split in ("valid", "test"))
    test = draw(test, limit)
    body = FrozenBody(bare(bundle.network.body))
    config = CONFIG if limit is None else CONFIG.replaced(steps=CONFIG.steps // 20)  # a quick look
    said: dict[str, Said] = {}
    for name, make in ARMS.items():
        tell(f"{name}: {config.steps} steps on {len(train)} chains.")
        said[name] = learn(task, make, body, train, valid, test, config)
    return compared(test, late(task, said, valid, test))


def late(task: Task, said: Mapping[str, Said], valid: Sequence[Example], test: Sequence[Example]) -> Told:
    """The answers to the test of every network by itself, and of those joined late, the last one that hears all."""
    told = {name: answered(task, one, valid, test) for name, one in said.items()}
    told[f"{GRAPH}, network alone"] = told.pop(GRAPH)
    shares = {
        name: answered(task, Said(said[name].valid, said[name].valid), valid, valid) for name in (SEQUENCE, GRAPH)
    }
    here, there = (
        [columns(*three) for three in zip(some, one, other, strict=True)]
        for some, one, other in (
            (valid, shares[GRAPH], shares[SEQUENCE]),
            (test, told[f"{GRAPH}, network alone"], told[SEQUENCE]),
        )
    )
    truth = numpy.concatenate([task.target.encode(one)[:, 0] for one in valid])
    for name, heard in LATE.items():
        rows, asked = ([one[:, [_COLUMNS.index(voice) for voice in heard]] for one in some] for some in (here, there))
        line = LogisticRegression(C=1.0).fit(numpy.concatenate(rows), truth)
        odds = Said(*([line.decision_function(one)[:, None] for one in some] for some in (rows, asked)))
        told[name] = answered(task, odds, valid, test)
    return told


def columns(example: Example, graph: Answer, sequence: Answer) -> Floats:
    """All that is heard of each residue, (L, 6), in the order of `_COLUMNS`."""
    backbone, alone = example.protein.backbone, evidence(sequence)
    assert backbone is not None  # chains with ligands are structures
    hollows = find_cavities(example.protein.sequence, backbone)
    if hollows is None:
        return numpy.zeros((len(alone), len(_COLUMNS)))
    first = next(iter(gather(hollows, evidence(graph), most=1)), None)
    return numpy.column_stack([voices(evidence(graph), alone, backbone, hollows, first), log_odds(alone)])


def answered(task: Task, said: Said, valid: Sequence[Example], test: Sequence[Example]) -> list[Answer]:
    """Log-odds as answers to the test, calibrated on the validation chains."""
    calibration = task.target.calibrate(said.valid, valid)
    return task.answers(said.test, [replace(one, value=None) for one in test], calibration)


def compared(test: Sequence[Example], told: Told) -> list[Score]:
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
    task: Task,
    make: Callable[[int], nn.Module],
    body: FrozenBody,
    train: Sequence[Example],
    valid: Sequence[Example],
    test: Sequence[Example],
    config: TrainConfig,
) -> Said:
    """What one network says of both after its training."""
    arm = taught(task, make, body, train, valid, config)
    return Said(*([one[task.name] for one in ask(arm, [task], blind(some))] for some in (valid, test)))


def taught(
    task: Task,
    make: Callable[[int], nn.Module],
    body: FrozenBody,
    train: Sequence[Example],
    valid: Sequence[Example],
    config: TrainConfig = CONFIG,
) -> Network:
    """One network after its training, with the weights of its best look at the validation chains."""
    seed_everything(_SEED)
    arm = Network(body, {task.name: task.shape})
    arm.heads[task.name] = make(body.dim)
    stream = Stream(train, budget=config.tokens, seed=_SEED)

    def judge(judged: nn.Module) -> float:
        assert isinstance(judged, Network)
        return validation_loss(judged, task, valid)

    with tempfile.TemporaryDirectory() as folder:
        Trainer(arm, [Course(task, stream)], config, Path(folder), judge=judge).fit()
    return arm.eval()

"""The waist of the house: everything the platform can do is a Task, and a Task is one file.

    words (for a newcomer) + target (what an answer is) + table (where examples come from) + conditions

From these alone come the training batches, the command line's choices, the report's card, the benchmark's
rows and a place in the contract tests. A task file opens with a plain paragraph, ends with `TASK = Task(...)`,
and is found by lying in this folder (or by the entry-point group `anfinsen.tasks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy
import torch
from torch import Tensor, nn

from anfinsen.data.batch import Batch, pack_examples
from anfinsen.data.example import Example
from anfinsen.data.nets import Net, make_net
from anfinsen.models.heads import HeadKind
from anfinsen.models.network import HeadShape
from anfinsen.registry import Registry
from anfinsen.sets.catalog import Table
from anfinsen.structure.graph import ground_of
from anfinsen.structure.surroundings import NODES
from anfinsen.targets.base import Answer, Calibration, Floats, Target

GROUPS: Mapping[str, str] = {
    "function": "What it does",
    "place": "Where it works",
    "structure": "Structure and residues",
    "behaviour": "How it behaves",
}
"""The parts of a report in their order, with their titles; a task that names none stands where its kind belongs."""
FORGET = 0.5
"""How often a known condition is hidden in training and calibration."""


@dataclass(frozen=True)
class Condition:
    """A number that an answer depends on, such as a temperature; the network sees (x - center) / spread."""

    name: str
    unit: str
    meaning: str
    center: float
    spread: float


@dataclass(frozen=True)
class Published:
    """A figure from the literature, printed beside ours and marked as published."""

    model: str
    metric: str
    value: float
    split: str
    source: str


@dataclass(frozen=True)
class Task:
    """One thing the platform can do.

    `question` is what a user asks ("Where in the cell does it work?"); `say` turns an answer into a
    sentence; `metrics` names the scores, the headline first; `terms` explains the task's own words.
    """

    name: str
    title: str
    question: str
    explanation: str
    target: Target
    table: Table
    metrics: tuple[str, ...]
    say: Callable[[Answer], str]
    conditions: tuple[Condition, ...] = ()
    tests: tuple[str, ...] = ("test",)
    published: tuple[Published, ...] = ()
    terms: Mapping[str, str] = field(default_factory=dict)
    limits: str = ""
    group: str = ""
    """The part of a report that it belongs to, of `GROUPS`; if empty, that of its kind of answer."""
    leads: bool = False
    """Whether it comes first in its group and speaks for it in a summary."""
    of_pairs: bool = False
    """Whether it asks about two proteins at once, whichever comes first."""
    of_structures: bool = False
    """Whether it reads where the residues are in space, in proteins that come with a structure."""
    asks_relatives: bool = False
    """Whether it answers better where relatives of a protein are heard: a listener is then taught for its head."""
    members: int = 1
    """Of a task that reads structures: how many networks learn apart and answer together."""

    @property
    def shape(self) -> HeadShape:
        """The head that this task needs."""
        kind: HeadKind = "pair" if self.of_pairs else "graph" if self.of_structures else self.target.head
        nodes = NODES if self.of_structures else 0
        return HeadShape(kind, self.target.size, len(self.conditions), None, self.members, nodes)

    def examples(self, split: str) -> Sequence[Example]:
        """The examples of one split; a task that must filter its table says so here."""
        return self.table.load(split)

    def prepare(self, example: Example, generator: numpy.random.Generator) -> Example:
        """One training view of an example; a task that crops, masks or augments says so here.

        Conditions are forgotten now and then, so that the network also learns to answer where nobody knows them.
        """
        kept = {name: value for name, value in example.conditions.items() if generator.random() >= FORGET}
        return example if len(kept) == len(example.conditions) else replace(example, conditions=kept)

    def pose(self, example: Example, index: int) -> Example:
        """The example as a benchmark or a validation poses it: always the same for the same index."""
        return example

    def remember(self, head: nn.Module, train: Sequence[Example]) -> None:
        """What a trained head keeps of its training proteins word for word; most keep nothing."""

    def consult(self, head: nn.Module, examples: Sequence[Example], outputs: Sequence[Floats]) -> list[Floats]:
        """The outputs with what the head remembers about these examples; as they are where it remembers nothing."""
        return list(outputs)

    def answers(self, outputs: Sequence[Floats], examples: Sequence[Example], calibration: Calibration) -> list[Answer]:
        """Outputs as JSON answers, one for each example; of structures each says what it stands on."""
        answers = [self.target.answer(output, calibration) for output in outputs]
        if not self.of_structures:
            return answers
        grounds = [ground_of(example.protein.backbone, example.protein.contacts) for example in examples]
        return [{**answer, "ground": ground} for answer, ground in zip(answers, grounds, strict=True)]

    def beside(self, answer: Answer) -> str:
        """Who was heard beside the network in an answer, for one who explains the network alone; empty where nobody."""
        return "No relatives were asked: the network's own view is explained here." if self.asks_relatives else ""

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Examples as one packed row with targets and conditions."""
        tokens, lengths = pack_examples(examples)
        targets = [numpy.atleast_1d(self.target.encode(example)) for example in examples]
        return Batch(
            tokens=tokens,
            lengths=lengths,
            conditions=self.condition_rows([example.conditions for example in examples]),
            target=torch.from_numpy(numpy.concatenate(targets)),
            keys=tuple(" ".join(chain.sha256 for chain in example.chains) for example in examples),
            net=self.net(examples),
        )

    def net(self, examples: Sequence[Example]) -> Net | None:
        """The residue graphs of some examples; None for a task that reads sequences alone."""
        return make_net(example.protein for example in examples) if self.of_structures else None

    def condition_rows(self, rows: Sequence[Mapping[str, float]]) -> Tensor:
        """Conditions as the network sees them, (B, K), NaN where unknown."""
        values = [[(row.get(c.name, float("nan")) - c.center) / c.spread for c in self.conditions] for row in rows]
        return torch.tensor(values, dtype=torch.float32).reshape(len(rows), len(self.conditions))

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, int]:
        """The summed loss of a batch and the number of known values in it."""
        assert batch.target is not None  # collate always sets it; a batch without a target has no loss
        return self.target.loss(outputs, batch.target)


TASKS: Registry[Task] = Registry("task", "anfinsen.tasks")
"""Every task by name."""

"""Teacher and student side by side: both read the same proteins, and the student is told how far apart they are.

    outputs   the teacher's whole answer, not only its best guess, shows what it finds alike (Hinton et al. 2015,
              arXiv 1503.02531)
    states    what each block of the student makes should resemble what the teacher has at that stage (Romero et al.
              2015, arXiv 1412.6550): one minus the correlation of the channels, residue by residue
    truth     where a value is known, the task's own loss

The loop trains `Apprentice` like any other network; the teacher's weights rest. A protein without a known value has
the first two parts and no third, so unlabelled sequences teach as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from anfinsen.config import Config
from anfinsen.data.batch import Batch
from anfinsen.data.example import Example
from anfinsen.models.encoder import Encoder
from anfinsen.models.folding import RESIDUE_NUMBERS
from anfinsen.models.heads import segment_sum
from anfinsen.models.network import Body, NativeBody, Network, residue_places
from anfinsen.models.windows import read_in_windows
from anfinsen.tasks import Task


class MatchConfig(Config):
    """How much each part of a student's loss counts."""

    outputs: float = Field(1.0, ge=0)
    """Weight of the distance between the student's answers and the teacher's."""
    states: float = Field(1.0, ge=0)
    """Weight of the distance between their states."""
    truth: float = Field(0.5, ge=0)
    """Weight of the true values, where they are known."""
    temperature: float = Field(2.0, gt=0)
    """Softens the answers that are compared, so that small probabilities count too."""


@dataclass(frozen=True)
class Tuition:
    """One task as the loop sees it: the same batches, and a loss that `Apprentice` has already reckoned."""

    task: Task
    match: MatchConfig

    @property
    def name(self) -> str:
        """The task's own name."""
        return self.task.name

    def collate(self, examples: Sequence[Example]) -> Batch:
        """The task's own batches."""
        return self.task.collate(examples)

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, int]:
        """The weighted sum of the parts and the number of answers."""
        weights = outputs.new_tensor([self.match.outputs, self.match.states, self.match.truth])
        return outputs[:3] @ weights, int(outputs[3])


class Apprentice(nn.Module):
    """A student with its teacher at its side.

    `stages` say after how many of the teacher's blocks each of the student's should resemble it; `lift` (C, D) leads
    from the student's channels to the teacher's and is learnt on, where the two are of different width.
    """

    def __init__(
        self, teacher: Network, student: Network, tasks: Sequence[Task], match: MatchConfig, stages: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.teacher = teacher.eval().requires_grad_(False)
        self.student = student
        self.tasks: Mapping[str, Task] = {task.name: task for task in tasks}
        self.match = match
        self.stages = tuple(stages)
        wide, narrow = cast(Body, teacher.body).dim, cast(Body, student.body).dim
        self.lift = nn.Linear(narrow, wide, bias=False)
        nn.init.orthogonal_(self.lift.weight)
        self.lift.weight.requires_grad_(wide != narrow)
        if wide == narrow:
            nn.init.eye_(self.lift.weight)

    def train(self, mode: bool = True) -> Apprentice:
        """The teacher never goes into training mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: Batch, task: str) -> Tensor:
        """Distance of the answers, of the states, the loss against the truth, and the number of answers: (4,)."""
        with torch.no_grad():
            goals, theirs = self._answer(self.teacher, batch, task, self.stages)
        own = range(1, len(self.stages) + 1)
        steps, ours = self._answer(self.student, batch, task, list(own))
        count, target = len(ours), self.tasks[task].target
        lengths = [length - 2 for length in batch.lengths]
        if target.per_pair:
            distance = _of_folds(ours.float(), theirs.float(), self.match.temperature, lengths)
        else:
            distance = _match(target.kind)(ours.float(), theirs.float(), self.match.temperature)
        if self.stages:  # the last of them is the last state before its norm
            steps, goals = steps[:-1], goals[:-1]
        apart = torch.stack([self._apart(one, goal) for one, goal in zip(steps, goals, strict=True)]).mean(0)  # (R,)
        if not target.per_residue:
            apart = segment_sum(apart[:, None], lengths)[:, 0] / apart.new_tensor(lengths)
        truth, _ = self.tasks[task].loss(ours, batch)
        assert batch.target is not None  # collate always sets it
        # a row of a fold is one value, of labels each is one
        truth = truth * (count / max(1, len(batch.target) if target.per_pair else batch.target.numel()))
        return torch.stack((distance, apart.mean() * count, truth, truth.new_tensor(float(count))))

    def _apart(self, states: Tensor, goal: Tensor) -> Tensor:
        """One minus the correlation of the channels, 0 to 2: (R,)."""
        return 1 - correlation(self.lift(states).float(), goal.float())

    def _answer(self, network: Network, batch: Batch, task: str, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """The states after some blocks and the last ones, each (R, C), and the outputs of the task's head."""
        body = cast(Body, network.body)
        every, lengths = read_in_windows(partial(_staged, body, layers), batch.tokens, batch.lengths, body.longest)
        stages = list(every.split(body.dim, dim=1))
        last = stages[-1] if batch.chosen is None else stages[-1][batch.chosen]
        maps = network.states_and_maps(batch.tokens, batch.lengths)[2] if network.reads_maps([task]) else None
        return stages, network.ask(task, last, lengths, batch.conditions, batch.net, maps)


def _staged(body: Body, layers: Sequence[int], tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int]]:
    """The residues' states after some blocks and the last ones, side by side: (R, (len(layers) + 1) * C)."""
    if not isinstance(body, NativeBody) or not layers:
        return body.residues(tokens, lengths)
    encoder = cast(Encoder, body.encoder)
    states = encoder.layers(tokens, lengths)
    wide = torch.cat([*(states[layer] for layer in layers), encoder.last_norm(states[-1])], dim=1)
    return wide[residue_places(lengths, wide.device)], [length - 2 for length in lengths]


def correlation(states: Tensor, goal: Tensor) -> Tensor:
    """How alike two states are, whatever their mean and length, -1 to 1: (R, C), (R, C) -> (R,)."""
    states, goal = states - states.mean(-1, keepdim=True), goal - goal.mean(-1, keepdim=True)
    return functional.cosine_similarity(states, goal, dim=-1)


# Distances of answers, each summed over the answers of a batch ------------------------------------------------------

Distance = Callable[[Tensor, Tensor, float], Tensor]


def _match(kind: str) -> Distance:
    """The distance for one kind of answer; a kind that is not known here is compared as plain numbers."""
    return {"label": _of_classes, "tokens": _of_classes, "labels": _of_labels, "number": _of_bells}.get(
        kind, _of_numbers
    )


def _of_classes(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback and Leibler's divergence of the softened probabilities, times the temperature squared."""
    goal = functional.log_softmax(teacher / temperature, dim=-1)
    said = functional.log_softmax(student / temperature, dim=-1)
    return functional.kl_div(said, goal, reduction="sum", log_target=True) * temperature**2


def _of_labels(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The same for labels of which each is a yes or a no, as the mean over labels."""
    both = [torch.stack((part, -part), dim=-1) / temperature for part in (student, teacher)]
    goal, said = functional.logsigmoid(both[1]), functional.logsigmoid(both[0])
    total = functional.kl_div(said, goal, reduction="sum", log_target=True)
    return total * (temperature**2 / student.shape[-1])


def _of_bells(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The divergence of two bell curves, each given by its place and the logarithm of its spread."""
    place, spread = student[:, 0], student[:, 1].clamp(-3.0, 3.0)
    goal, goal_spread = teacher[:, 0], teacher[:, 1].clamp(-3.0, 3.0)
    share = ((2 * goal_spread).exp() + (goal - place) ** 2) * (-2 * spread).exp() / 2
    return (spread - goal_spread + share - 0.5).sum()


def _of_folds(student: Tensor, teacher: Tensor, temperature: float, lengths: Sequence[int]) -> Tensor:
    """Of each two residues the divergence of their distances; of each by itself how far its own numbers are apart.

    Rows of a residue with itself (see `models.folding`) are few, so their mean counts as the mean of the pairs does.
    """
    is_self = torch.cat([torch.eye(length, dtype=torch.bool).flatten() for length in lengths]).to(student.device)
    between = _of_classes(student[~is_self], teacher[~is_self], temperature)
    own, goal = (rows[is_self, :RESIDUE_NUMBERS] for rows in (student, teacher))
    return between + functional.smooth_l1_loss(own, goal) * len(student)


def _of_numbers(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Half the squared distance, as the mean over the numbers of an answer."""
    return ((student - teacher) ** 2).sum() / (2 * math.prod(student.shape[1:]))

"""Ask a network: any tasks, any number of proteins, one pass through the body, answers in the order asked.

Training asks to judge and to calibrate, prediction to answer, the benchmark to score: all by this one way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy
import torch
from numpy.typing import NDArray

from anfinsen.data.batch import bucket, lengths_of, pack_examples
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.kinship.familiarity import Familiarity
from anfinsen.models.fast import quicken
from anfinsen.models.network import Network
from anfinsen.tasks.base import Task

BUDGET = 8192
"""Tokens in one packed row; more costs memory and gains nothing on a CPU."""
AHEAD, AHEAD_RESIDUES = 256, 131_072
"""Examples, or their residues, that are sorted by length together; answers come out in blocks of so many."""
LOOKED_AT = 500
"""Proteins whose states are looked at to know what is familiar."""
STATE = "mean state"
"""Under what name a protein's own state stands among the outputs of its tasks."""

Outputs = dict[str, NDArray[numpy.floating[Any]]]
T = TypeVar("T")


def ask(
    network: Network,
    tasks: Sequence[Task],
    examples: Iterable[Example],
    *,
    budget: int = BUDGET,
    with_state: bool = False,
) -> Iterator[Outputs]:
    """One dictionary an example: task name -> the head's outputs, (size,), (L, size) or (L * L, size).

    `with_state` adds the mean over the protein's residue states, (C,), under the name `STATE`; of a pair, the middle
    of the two.
    """
    device = next(network.parameters()).device
    return in_groups(examples, partial(_ask_group, network, tasks, with_state, device=device), budget=budget)


def in_groups(
    examples: Iterable[Example], answer: Callable[[Sequence[Example]], Sequence[T]], *, budget: int = BUDGET
) -> Iterator[T]:
    """What `answer` says of each example, in the order asked; it is asked in groups, each alike in length.

    A group fills one packed row of about `budget` tokens. At most one block of answers is held at a time.
    """
    for block in blocks(examples):
        lengths = lengths_of(block)
        answered: dict[int, T] = {}
        for group in bucket(lengths, budget, numpy.arange(len(block))):
            chosen = [block[index] for index in group]
            answered |= dict(zip(map(int, group), answer(chosen), strict=True))
        yield from (answered.pop(index) for index in range(len(block)))


def blocks(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """The examples in order, so many together as are sorted by length and answered at once."""
    block: list[Example] = []
    residues = 0
    for example in examples:
        block.append(example)
        residues += example.residues
        if len(block) == AHEAD or residues >= AHEAD_RESIDUES:
            yield block
            block, residues = [], 0
    if block:
        yield block


@torch.inference_mode()
def _ask_group(
    network: Network, tasks: Sequence[Task], with_state: bool, group: Sequence[Example], *, device: torch.device
) -> list[Outputs]:
    tokens, lengths = pack_examples(group)
    maps = None
    if network.reads_maps([task.name for task in tasks]):
        states, residues, maps = network.states_and_maps(tokens.to(device), lengths)
    else:
        states, residues = network.states(tokens.to(device), lengths)
    answers: list[Outputs] = [{} for _ in group]
    if with_state:
        of_each = numpy.cumsum([0, *(len(example.chains) for example in group)])
        means = [part.float().mean(0).cpu().numpy() for part in states.split(residues)]
        answers = [{STATE: numpy.mean(means[a:b], axis=0)} for a, b in pairwise(of_each)]
    for task in tasks:
        conditions = task.condition_rows([example.conditions for example in group]).to(device)
        net = task.net(group)
        outputs = network.ask(task.name, states, residues, conditions, net and net.to(device), maps).float().cpu()
        parts = _parts(outputs, residues, task)
        told = task.consult(network.heads[task.name], group, [part.numpy() for part in parts])
        for answer, one in zip(answers, told, strict=True):
            answer[task.name] = one
    return answers


def _parts(outputs: torch.Tensor, residues: Sequence[int], task: Task) -> Sequence[torch.Tensor]:
    """The outputs of each protein: (size,), (L, size), or (L * L, size)."""
    if task.target.per_pair:
        counts = [length**2 for length in residues]
    elif task.target.per_residue:
        counts = list(residues)
    else:
        return list(outputs)
    parts: Sequence[torch.Tensor] = outputs.split(counts)
    return parts


def familiarity(network: Network, train: Sequence[Example], held_out: Sequence[Example]) -> Familiarity | None:
    """How training proteins look to a network, from at most `LOOKED_AT` of them and of held-out ones; None if few."""
    network = quicken(network)
    drawn = draw(train, LOOKED_AT, in_order=False)
    seen = [numpy.stack(list(_states(network, part))) for part in (drawn, held_out[:LOOKED_AT]) if len(part)]
    return Familiarity.fit(*seen) if len(seen) == 2 else None


def _states(network: Network, examples: Sequence[Example]) -> Iterator[NDArray[numpy.floating[Any]]]:
    return (one[STATE] for one in ask(network, [], examples, with_state=True))


def validation_loss(network: Network, task: Task, examples: Sequence[Example], *, budget: int = BUDGET) -> float:
    """The mean loss over the known values of some examples."""
    device = next(network.parameters()).device
    lengths = lengths_of(examples)
    total, known = 0.0, 0
    # no inference mode: a network in pieces goes on training with buffers that were made here
    with torch.no_grad():
        for group in bucket(lengths, budget, numpy.arange(len(examples))):
            batch = task.collate([examples[index] for index in group]).to(device)
            loss, count = task.loss(network(batch, task.name), batch)
            total, known = total + float(loss), known + count
    return total / max(1, known)

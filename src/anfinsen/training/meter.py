"""The meter of a distillation: what a smaller model saves, and what it loses, side by side.

    compute    operations for the same proteins, counted from the shapes of the products: exact, the same everywhere
    seconds    on this machine: both models in turn, several rounds, the middle round counts
    memory     the most bytes that tensors held at one time, weights included
    accuracy   the task's first score on the same proteins, and the loss with a 95 % interval: proteins are drawn
               together for both models, so what is hard for both does not blur the difference (paired bootstrap)

No saving is told without its loss, and no loss without its interval.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, cast

import numpy
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.predictor import answer
from anfinsen.models.encoder import Encoder
from anfinsen.models.heads import MaskedHead, PooledHead, ResidueHead
from anfinsen.models.network import NativeBody, Network
from anfinsen.models.windows import windows_of
from anfinsen.structure.geometry import CONTACT, distances
from anfinsen.targets.base import Answer
from anfinsen.targets.distances import LONG, Distances, betas_of
from anfinsen.targets.metrics import Estimate, difference, measure
from anfinsen.tasks import Task
from anfinsen.tasks.ask import ask

ROUNDS = 5
"""Rounds of the stopwatch; each model runs once a round."""
TIMED = 64
"""At most so many proteins are run against the stopwatch."""


@dataclass(frozen=True)
class Reading:
    """What one model needs for the proteins that were measured, and how good its answers are."""

    compute: int
    """Operations (a multiplication or an addition each) for all measured proteins."""
    seconds: float
    """The middle one of the rounds, for the timed proteins."""
    peak_bytes: int
    """The most memory that tensors held at one time."""
    score: Estimate


@dataclass(frozen=True)
class Comparison:
    """Teacher and student on one task and one set of proteins."""

    task: str
    metric: str
    teacher: Reading
    student: Reading
    loss: Estimate
    """How much the student's score is worse, with its interval; below zero where it is better."""
    rounds: int

    @property
    def compute_ratio(self) -> float:
        """The student's operations as a share of the teacher's."""
        return self.student.compute / self.teacher.compute

    @property
    def seconds_ratio(self) -> float:
        """The student's time as a share of the teacher's."""
        return self.student.seconds / self.teacher.seconds

    @property
    def memory_ratio(self) -> float:
        """The student's peak memory as a share of the teacher's."""
        return self.student.peak_bytes / self.teacher.peak_bytes

    def sentence(self) -> str:
        """The saving and its price, for a reader who sees no table."""
        change = "loses" if self.loss.value > 0 else "gains"
        interval = (
            f" (95 % interval of the loss {self.loss.low:+.3f} to {self.loss.high:+.3f})"
            if self.loss.low is not None and self.loss.high is not None
            else ""
        )
        return (
            f"{self.task}: the student needs {self.compute_ratio:.0%} of the teacher's compute, "
            f"{self.seconds_ratio:.0%} of its time on this machine and {self.memory_ratio:.0%} of its memory, and "
            f"{change} {abs(self.loss.value):.3f} {self.metric}{interval}, {self.loss.n:,} proteins."
        )


def compare(
    teacher: Bundle,
    student: Bundle,
    task: Task,
    examples: Sequence[Example],
    *,
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Measure both bundles on the same proteins, whose values are known."""
    timed = examples[:TIMED]
    seconds: dict[str, list[float]] = {"teacher": [], "student": []}
    bundles: Mapping[str, Bundle] = {"teacher": teacher, "student": student}
    for bundle in bundles.values():
        list(ask(bundle.network, [task], timed[:2]))  # the first run of a product is not its speed
    for _ in range(rounds):
        for name, bundle in bundles.items():
            began = clock()
            list(ask(bundle.network, [task], timed))
            seconds[name].append(clock() - began)
    metric = task.metrics[0]
    if task.target.per_pair:
        answers = {name: _contacts_found(bundle, task, examples, metric) for name, bundle in bundles.items()}
        examples = [replace(example, value=0.0) for example in examples]  # the truth is in the backbone
    else:
        answers = {name: answer(bundle, task, examples) for name, bundle in bundles.items()}
    readings = {
        name: Reading(
            compute=sum(compute(bundle.network, task.name, *map(len, example.chains)) for example in examples),
            seconds=median(seconds[name]),
            peak_bytes=peak_bytes(bundle.network, lambda bundle=bundle: list(ask(bundle.network, [task], timed))),  # type: ignore[misc]
            score=measure(metric, examples, answers[name]),
        )
        for name, bundle in bundles.items()
    }
    loss = difference(metric, examples, answers["teacher"], answers["student"])
    return Comparison(task.name, metric, readings["teacher"], readings["student"], loss, rounds)


def _contacts_found(bundle: Bundle, task: Task, examples: Sequence[Example], metric: str) -> list[Answer]:
    """Of each protein the share of its L surest long-range pairs that touch."""
    target, calibration = cast(Distances, task.target), bundle.records[task.name].calibration
    found: list[Answer] = []
    for example, outputs in zip(examples, ask(bundle.network, [task], examples), strict=True):
        assert example.protein.backbone is not None  # no other chain is an example of a fold
        one, other = numpy.triu_indices(len(example.protein), LONG)
        apart = distances(betas_of(example.protein.backbone))[one, other]
        is_known = ~numpy.isnan(apart)
        sure = target.distogram(outputs[task.name], calibration).contacts[one, other][is_known]
        surest = numpy.argsort(-sure, kind="stable")[: len(example.protein)]
        found.append({metric: float((apart[is_known][surest] < CONTACT).sum() / len(example.protein))})
    return found


# Compute ------------------------------------------------------------------------------------------------------------


def compute(network: Network, task: str, *lengths: int) -> int:
    """Operations of one answer about one protein, or a pair, of so many residues: two for each weight that is used.

    Products and attention are counted, as PyTorch's own counter does; norms and activations are below one per cent.
    A body or head that is not one of our own is counted by PyTorch while it runs.
    """
    body = network.body
    if not isinstance(body, NativeBody) or not isinstance(network.heads[task], MaskedHead | ResidueHead | PooledHead):
        return _counted(network, task, *lengths)
    encoder = cast(Encoder, body.encoder)
    (length,) = lengths
    windows = [end - start + 2 for start, end in windows_of(length, body.longest)]
    return sum(_encoder_compute(encoder, tokens) for tokens in windows) + _head_compute(network.heads[task], length)


def _encoder_compute(encoder: Encoder, tokens: int) -> int:
    shape = encoder.config
    products = 2 * tokens * shape.dim * (4 * shape.dim + 2 * shape.inner_dim)
    attention = 4 * tokens**2 * shape.dim  # queries with keys, probabilities with values
    return shape.layers * (products + attention)


def _head_compute(head: nn.Module, residues: int) -> int:
    """A convolution runs over the residues and the zeros that keep chains apart."""
    total = 0
    for name, module in head.named_modules():
        if isinstance(module, nn.Conv1d):
            total += 2 * (residues + module.kernel_size[0] // 2) * module.weight.numel()
        elif isinstance(module, nn.Linear):
            is_once = isinstance(head, PooledHead) and name.startswith(("judge", "direct"))
            total += 2 * (1 if is_once else residues) * module.weight.numel()
    return total


def _counted(network: Network, task: str, *residues: int) -> int:
    """By PyTorch's counter, which has to be told how much attention costs on a CPU."""
    tokens, lengths = pack(["A" * length for length in residues])
    known = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_compute}
    conditions = torch.full((1, network.shapes[task].conditions), float("nan"))
    with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping=known) as counter:
        if network.reads_maps([task]):
            states, _, maps = network.states_and_maps(tokens, lengths)
        else:
            states, maps = network.states(tokens, lengths)[0], None
        network.ask(task, states, list(residues), conditions, maps=maps)
    return int(counter.get_total_flops())


def _attention_compute(query: torch.Size, key: torch.Size, value: torch.Size, *rest: Any, **named: Any) -> int:
    batch, heads, length, width = map(int, query)
    cost: int = 2 * batch * heads * length * int(key[-2]) * (width + int(value[-1]))
    return cost


# Memory -------------------------------------------------------------------------------------------------------------


def peak_bytes(network: nn.Module, work: Callable[[], object]) -> int:
    """The most bytes that the weights and all tensors of `work` held at one time."""
    weights: int = sum(weight.untyped_storage().nbytes() for weight in [*network.parameters(), *network.buffers()])
    scale = _Scale()
    with scale:
        work()
    return weights + scale.most


class _Scale(TorchDispatchMode):
    """Weighs every tensor that is made while it is on, and notices when one is let go."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor):
                self._weigh(tensor.untyped_storage())
        return made

    def _weigh(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._let_go, key, size)

    def _let_go(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size

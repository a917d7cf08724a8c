"""From examples to batches: crop, bucket by length, pack into one row, and an order that can be resumed.

The order of batches is a pure function of (seed, epoch), and every random choice inside an example is a
pure function of (seed, epoch, example). So a stream is resumed by two numbers, and a batch split into
parts for memory holds the very same examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from anfinsen.data.alphabet import CLS, EOS, encode
from anfinsen.data.example import Example, Value
from anfinsen.data.nets import Net

Prepare = Callable[[Example, numpy.random.Generator], Example]
Collate = Callable[[Sequence[Example]], "Batch"]


@runtime_checkable
class Measured(Protocol):
    """Examples whose lengths are known without making one of them, as those of a packed corpus."""

    @property
    def lengths(self) -> NDArray[numpy.int64]:
        """Residues of each example, (N,)."""


@dataclass
class Batch:
    """B examples as one packed row of T = sum(lengths) tokens holding R = T - 2B residues; of pairs, 2B chains.

    `target` is (B,), (B, K) or (R,) as the task's target says; an unknown value is NaN or -100.
    """

    tokens: Tensor
    lengths: list[int]
    conditions: Tensor
    target: Tensor | None = None
    chosen: Tensor | None = None
    keys: tuple[str, ...] = ()
    """One hash of the residues for each example."""
    net: Net | None = None
    """The residue graphs, for tasks that ask about structures."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        moved = replace(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor | Net):
                setattr(moved, name, value.to(device))
        return moved


def pack(sequences: Sequence[str]) -> tuple[Tensor, list[int]]:
    """Sequences as one row of tokens (T,), each between <cls> and <eos>, and their lengths in tokens."""
    parts: list[NDArray[numpy.uint8]] = []
    first, last = numpy.array([CLS], dtype=numpy.uint8), numpy.array([EOS], dtype=numpy.uint8)
    for sequence in sequences:
        parts += [first, encode(sequence), last]
    row = numpy.concatenate(parts).astype(numpy.int64)
    return torch.from_numpy(row), [len(sequence) + 2 for sequence in sequences]


def pack_examples(examples: Sequence[Example]) -> tuple[Tensor, list[int]]:
    """The chains of examples as one row of tokens; the two of a pair stand side by side."""
    return pack([chain.sequence for example in examples for chain in example.chains])


def crop(example: Example, window: int, generator: numpy.random.Generator) -> Example:
    """At most `window` residues at a random place, with the answers of those residues."""
    length = len(example.protein)
    if length <= window:
        return example
    start = int(generator.integers(0, length - window + 1))
    end = start + window
    contacts = example.protein.contacts
    return replace(
        example,
        protein=replace(
            example.protein,
            sequence=example.protein.sequence[start:end],
            numbering=None,
            backbone=example.protein.backbone and example.protein.backbone.cut(start, end),
            contacts=None if contacts is None else contacts[start:end, start:end],
        ),
        value=_cut(example.value, length, start, end),
        mask=example.mask[start:end] if example.mask is not None else None,
    )


def _cut(value: Value | None, length: int, start: int, end: int) -> Value | None:
    """The part of an answer from `start` to `end` if it says something of each of the `length` residues; else all."""
    if isinstance(value, str):
        return value[start:end] if len(value) == length else value
    if not isinstance(value, tuple):
        return value
    # several tracks: a string of letters for each
    texts = tuple(one for one in value if isinstance(one, str))
    if texts:
        return tuple(one[start:end] for one in texts) if all(len(one) == length for one in texts) else value
    return value[start:end] if len(value) == length else value


def bucket(lengths: NDArray[numpy.int64], budget: int, order: NDArray[numpy.int64]) -> list[NDArray[numpy.int64]]:
    """Groups of indices whose tokens sum to at most `budget`, alike in length, near their place in `order`.

    A sequence longer than the budget is a group of its own.
    """
    groups: list[NDArray[numpy.int64]] = []
    pool = max(1, 64 * budget // max(1, int(lengths.mean()) if len(lengths) else 1))
    for begin in range(0, len(order), pool):
        part = order[begin : begin + pool]
        part = part[numpy.argsort(lengths[part], kind="stable")]
        filled, start = 0, 0
        for at, length in enumerate(lengths[part] + 2):
            if filled and filled + length > budget:
                groups.append(part[start:at])
                filled, start = 0, at
            filled += int(length)
        groups.append(part[start:])
    return groups


def lengths_of(examples: Sequence[Example]) -> NDArray[numpy.int64]:
    """Residues of each example, (N,)."""
    if isinstance(examples, Measured):
        return examples.lengths
    return numpy.array([example.residues for example in examples], dtype=numpy.int64)


class Stream:
    """An endless, reproducible and resumable order of examples, in groups of about `budget` tokens."""

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        budget: int,
        seed: int,
        prepare: Prepare | None = None,
        window: int | None = None,
    ) -> None:
        self.examples = examples
        self.budget = budget
        self.seed = seed
        self.prepare = prepare
        self._lengths = numpy.minimum(lengths_of(examples), window or numpy.iinfo(numpy.int64).max)
        self.epoch = 0
        self.position = 0
        self._plan = self._plan_epoch()

    def __len__(self) -> int:
        """Groups in the present epoch."""
        return len(self._plan)

    def next(self) -> list[Example]:
        """The next group of examples, prepared for training."""
        return self.prepared(self.draw())

    def draw(self) -> NDArray[numpy.int64]:
        """The next group, as the places of its examples; nothing is read yet."""
        if self.position == len(self._plan):
            self.epoch, self.position = self.epoch + 1, 0
            self._plan = self._plan_epoch()
        group = self._plan[self.position]
        self.position += 1
        return group

    def prepared(self, group: Sequence[int] | NDArray[numpy.int64]) -> list[Example]:
        """The examples at some places of the present epoch, prepared for training."""
        if self.prepare is None:
            return [self.examples[index] for index in group]
        return [
            self.prepare(self.examples[index], numpy.random.default_rng((self.seed, self.epoch, int(index))))
            for index in group
        ]

    def state(self) -> dict[str, int]:
        """All that is needed to go on from here."""
        return {"epoch": self.epoch, "position": self.position}

    def restore(self, state: dict[str, int]) -> None:
        """Go on from a state; the same examples, seed and budget are the caller's duty."""
        self.epoch = state["epoch"]
        self._plan = self._plan_epoch()
        self.position = state["position"]

    def _plan_epoch(self) -> list[NDArray[numpy.int64]]:
        generator = numpy.random.default_rng((self.seed, self.epoch))
        groups = bucket(self._lengths, self.budget, generator.permutation(len(self.examples)))
        return [groups[index] for index in generator.permutation(len(groups))]

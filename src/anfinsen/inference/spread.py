"""Where a long job is computed: here, or on the workers of a cluster; who writes the answers need not know.

    blocks -> `Over` -> each block with its answer, in the order of the blocks

A block is answered at once and by itself, so its answer depends neither on where it is read nor on what else is under
way: a job on a cluster writes the file that the same job would write here. What a worker makes to answer with stands
beside the job: `embedding`, `predicting`, `screening`, `meeting`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from anfinsen.distributed.ray import Cluster

Block = TypeVar("Block")
Answer = TypeVar("Answer")
Over = Callable[[Iterable[Block]], Iterator[tuple[Block, Answer]]]
"""Answers blocks, here or elsewhere."""


def here(answer: Callable[[Block], Answer]) -> Over[Block, Answer]:
    """In this process, one block after the other."""

    def over(blocks: Iterable[Block]) -> Iterator[tuple[Block, Answer]]:
        return ((block, answer(block)) for block in blocks)

    return over


def spread(cluster: Cluster | None, make: Callable[[], Callable[[Block], Answer]]) -> Over[Block, Answer] | None:
    """Over the workers of a cluster, each with what it has made itself; None where there is no cluster."""
    return None if cluster is None else partial(cluster.map, make)

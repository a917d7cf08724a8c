"""Where a long job is computed: here, or on the workers of a cluster; who writes the answers need not know.

    blocks of examples -> `Over` -> each block with its answers, in the order of the blocks

A block is what is sorted by length and answered at once (see `tasks.ask`), so its answers do not depend on where it is
read nor on what else is under way: a job on a cluster writes the file that the same job would write here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from anfinsen.data.example import Example

if TYPE_CHECKING:
    from anfinsen.data.store import Values
    from anfinsen.distributed.ray import Cluster
    from anfinsen.inference.embedder import Embedder
    from anfinsen.inference.prediction import Prediction

Answers = TypeVar("Answers", covariant=True)
Block = list[Example]
One = TypeVar("One")


class Over(Protocol[Answers]):
    """Answers blocks, here or elsewhere."""

    def __call__(self, blocks: Iterable[Block]) -> Iterator[tuple[Block, Answers]]: ...


def here(answer: Callable[[Block], Iterable[One]]) -> Over[Iterable[One]]:
    """In this process, one block after the other."""

    def over(blocks: Iterable[Block]) -> Iterator[tuple[Block, Iterable[One]]]:
        return ((block, answer(block)) for block in blocks)

    return over


def embedding_on(cluster: Cluster, load: Callable[[], Embedder]) -> Over[list[Values]]:
    """States, by embedders that the workers `load` for themselves."""
    return partial(cluster.map, partial(_embedding, load))


def predicting_on(cluster: Cluster, bundle: str | Path | None, tasks: Sequence[str]) -> Over[list[Prediction]]:
    """Predictions, by predictors that the workers load for themselves."""
    return partial(cluster.map, partial(_predicting, bundle, tuple(tasks)))


def _embedding(load: Callable[[], Embedder]) -> Callable[[Block], list[Values]]:
    embedder = load()
    return lambda block: list(embedder.embed(block))


def _predicting(bundle: str | Path | None, tasks: Sequence[str]) -> Callable[[Block], list[Prediction]]:
    from anfinsen.inference.predictor import Predictor

    predictor = Predictor.load(bundle, tasks)
    return lambda block: list(predictor.predict(block))

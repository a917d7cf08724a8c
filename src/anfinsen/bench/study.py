"""A study: a question about the language model itself, which is no task with a head of its own.

    bundle -> rows of `Score`: ours, simple rivals, the same network untrained, published figures

An exam asks a task's head; a study looks at what the body knows before any head has learnt. Here stands what studies
share: their shape, how a row is made, and the untrained twin that shows what the architecture alone is worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import torch

from anfinsen.hub.body import bare
from anfinsen.hub.bundle import MASKED, Bundle
from anfinsen.hub.record import Score
from anfinsen.models.encoder import Encoder
from anfinsen.models.network import NativeBody, Network
from anfinsen.targets.metrics import Estimate

Tell = Callable[[str], None]
"""Told in a sentence what is being done."""
UNTRAINED = "random weights"
"""How the untrained twin is called."""
_SEED = 1


class StudyRows(Protocol):
    """What a study is: a bundle -> rows, its own under its label; `limit` makes it a quick look."""

    def __call__(self, bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]: ...


@dataclass(frozen=True)
class Question:
    """What the rows of one table have in common."""

    suite: str
    task: str
    dataset: str
    split: str
    metric: str

    def row(self, model: str, estimate: Estimate) -> Score:
        """A measured figure."""
        figures = {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}
        return Score.build({**vars(self), "model": model, **figures})

    def published(self, model: str, value: float) -> Score:
        """A figure from the literature."""
        return Score.build({**vars(self), "model": model, "value": value, "published": True})


def untrained(network: Network, seed: int = _SEED) -> Network | None:
    """The same architecture with new random weights, in evaluation mode; none for a body that is not our encoder."""
    body = bare(network.body)
    if not isinstance(body, NativeBody):
        return None
    shapes = {name: shape for name, shape in network.shapes.items() if name == MASKED}
    config = cast(Encoder, body.encoder).config
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        twin = Network(NativeBody(Encoder(config), config.dim, config.longest), shapes)
    return twin.to(next(network.parameters()).device).eval()

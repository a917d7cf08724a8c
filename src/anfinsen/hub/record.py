"""What a bundle says about itself in words and numbers: the rows of its scores and the record of each task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from anfinsen.config import Config
from anfinsen.models.heads import HeadKind
from anfinsen.models.network import HeadShape
from anfinsen.models.pair_trunk import TrunkConfig
from anfinsen.targets.metrics import lower_is_better
from anfinsen.tasks.custom import Custom

OURS = "anfinsen"
"""How the names of our own models begin."""
BODY_SUITES = ("language-model", "speed", "transfer", "scale")
"""Benchmarks of the language model itself; their rows stay with it, whatever task they ask."""
TRAINING_SUITE = "train"
"""The benchmark of what can be trained; its rows may be about a task that a bundle does not hold."""

Lead = Literal["ahead", "level", "behind"]
"""Where a figure stands beside another; level where their 95 % intervals overlap, which is a strict test of a lead."""


class Score(Config):
    """One measured or published figure: a row of `bench --json`, of a card and of a report."""

    suite: str
    """Name of the benchmark that printed it."""
    task: str
    """Name of the task."""
    dataset: str
    """Name of the table."""
    split: str
    """Name of the split that was scored."""
    metric: str
    """Name of the score."""
    model: str
    """Who answered: our bundle, a baseline, or a published model."""
    value: float
    """The figure itself."""
    low: float | None = None
    """Lower end of the 95 % interval."""
    high: float | None = None
    """Upper end of the 95 % interval."""
    n: int | None = None
    """Over how many proteins; where mutations of one protein are ranked, over how many variants."""
    published: bool = False
    """Whether it is quoted from the literature rather than measured here."""

    @property
    def is_ours(self) -> bool:
        """Whether a model of ours was measured."""
        return self.model.startswith(OURS) and not self.published

    @property
    def question(self) -> tuple[str, str, str, str]:
        """What rows that can be compared have in common: suite, task, split and metric."""
        return self.suite, self.task, self.split, self.metric

    @property
    def merit(self) -> float:
        """The figure, turned so that more is better."""
        return -self.value if lower_is_better(self.metric) else self.value

    def against(self, rival: Score) -> Lead:
        """Where this stands beside a rival's answer to the same question; a figure without interval counts as exact."""
        ours, theirs = self._reach, rival._reach
        if ours[0] <= theirs[1] and theirs[0] <= ours[1]:
            return "level"
        return "ahead" if self.merit > rival.merit else "behind"

    def rivals(self, rows: Iterable[Score]) -> list[Score]:
        """The simple baselines among `rows` that answer the same question, the best first."""
        beside = [row for row in rows if row.question == self.question and not row.published and not row.is_ours]
        return sorted(beside, key=lambda row: row.merit, reverse=True)

    @property
    def _reach(self) -> tuple[float, float]:
        return (self.value if self.low is None else self.low, self.value if self.high is None else self.high)


def renewed(kept: Sequence[Score], rows: Sequence[Score]) -> tuple[Score, ...]:
    """Rows in their order, new ones in the place of those that answer the same question, other new ones at the end."""
    fresh: dict[tuple[str, str, str, str], list[Score]] = {}
    for row in rows:
        fresh.setdefault(row.question, []).append(row)
    asked = {row.question for row in rows}
    found: list[Score] = []
    for row in kept:
        found += fresh.pop(row.question, []) if row.question in asked else [row]
    return (*found, *(row for left in fresh.values() for row in left))


class TaskRecord(Config):
    """What a bundle keeps of one task."""

    kind: HeadKind
    """The head's kind."""
    size: int
    """Width of the head's output."""
    labels: tuple[str, ...] = ()
    """Names of the classes or letters, in the order of the head's outputs."""
    conditions: tuple[str, ...] = ()
    """Names of the conditions that the head reads, in order."""
    calibration: dict[str, float] = {}
    """Temperature, threshold or quantile, fitted on proteins that training never saw."""
    dataset: str = ""
    """The table that the head was trained on, with its split."""
    licence: str = ""
    """Licence of that table."""
    data_sha256: str = ""
    """Hash of the training examples, in order."""
    split_sha256: str = ""
    """Hash of who was trained on, who decided when to stop, and who calibrated."""
    trained_on: int = 0
    """How many proteins the head was trained on."""
    trunk: TrunkConfig | None = None
    """The shape of the trunk of a head for pairs of residues."""
    members: int = Field(1, ge=1)
    """Of a head on residue graphs: how many networks answer together."""
    nodes: int = Field(0, ge=0)
    """Of a head on residue graphs: the numbers that it reads of each residue."""
    custom: Custom | None = None
    """What a task of one's own is; none for a task that ships with the platform."""
    scores: tuple[Score, ...] = ()
    """Our figures, the baselines' and the published ones."""

    @property
    def shape(self) -> HeadShape:
        """What is needed to build its head again."""
        return HeadShape(self.kind, self.size, len(self.conditions), self.trunk, self.members, self.nodes)

    def shaped(self, shape: HeadShape | None) -> TaskRecord:
        """The record with what only a head itself knows of its shape; as it is where there is no head."""
        return self if shape is None else self.replaced(members=shape.members, nodes=shape.nodes)

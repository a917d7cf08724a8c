"""What a bundle says about itself in words and numbers: the rows of its scores and the record of each task."""

from __future__ import annotations

from typing import Literal

from anfinsen.config import Config


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
    """Over how many proteins."""
    published: bool = False
    """Whether it is quoted from the literature rather than measured here."""


class TaskRecord(Config):
    """What a bundle keeps of one task."""

    kind: Literal["masked", "residue", "pooled"]
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
    trained_on: int = 0
    """How many proteins the head was trained on."""
    scores: tuple[Score, ...] = ()
    """Our figures, the baselines' and the published ones."""

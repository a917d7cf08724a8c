"""How good the answers to one task usually are: our headline score, and what stands beside it.

From the rows that a bundle keeps (`hub.record.Score`): ours are those whose model begins with 'anfinsen', the
rest are baselines unless they are marked as published. Whether the model beats its best baseline is said either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anfinsen.drawing.small import Dot, Mark, score_figure
from anfinsen.hub.record import Lead, Score
from anfinsen.targets.metrics import lower_is_better
from anfinsen.tasks.base import Task


@dataclass(frozen=True)
class Standing:
    """The headline score of one task on one split, with its rivals, best first."""

    score: Score
    baselines: tuple[Score, ...]
    published: tuple[Score, ...]
    lower_is_better: bool

    @property
    def headline(self) -> str:
        """The score with everything that a score must carry."""
        return f"{metric_title(self.score.metric)} {figure_with_interval(self.score)}"

    @property
    def circumstance(self) -> str:
        """Over what the score was measured."""
        proteins = f"n = {self.score.n:,} proteins, " if self.score.n is not None else ""
        return f"{proteins}split {self.score.split} of {self.score.dataset}"

    @property
    def lead(self) -> Lead | None:
        """Where the score stands beside its best baseline."""
        return self.score.against(self.baselines[0]) if self.baselines else None

    @property
    def verdict(self) -> str:
        """Whether the model beats its best baseline, said either way."""
        if not self.baselines:
            return "No baseline was measured beside it, so the score alone says little."
        best = self.baselines[0]
        rival = f"its best baseline ({best.model}, {score_figure(best.value)})"
        if self.score.merit <= best.merit:
            return f"It does not beat {rival}: trust that simple rule at least as much."
        if self.is_weak:
            return f"It is ahead of {rival}, but the 95% intervals overlap: the lead may be chance."
        return f"It beats {rival}."

    @property
    def brief(self) -> str:
        """The verdict in a few words, for a card or a line of a terminal."""
        if not self.baselines:
            return "no baseline measured"
        if not self.is_weak:
            return "better than its best baseline"
        is_ahead = self.score.merit > self.baselines[0].merit
        return "hardly better than a baseline" if is_ahead else "no better than a baseline"

    @property
    def is_weak(self) -> bool:
        """Whether the verdict is a caution."""
        return self.lead != "ahead"

    def dots(self, baselines: int = 2, published: int = 1) -> list[Dot]:
        """The rows of the small picture: this model, its best baselines, the best published figures."""
        rows = [_dot(self.score, "This model", "ours")]
        rows += [_dot(score, score.model, "baseline") for score in self.baselines[:baselines]]
        return rows + [_dot(score, score.model, "published") for score in self.published[:published]]


def find_standing(scores: Sequence[Score], task: Task | None) -> Standing | None:
    """The headline score among `scores`: the task's first metric on its first test split; None if we have none."""
    ours = [score for score in scores if score.is_ours]
    if not ours:
        return None
    metrics = list(task.metrics) if task is not None else []
    splits = list(task.tests) if task is not None else []
    chosen = min(ours, key=lambda score: (_rank(score.metric, metrics), _rank(score.split, splits)))
    rivals = [score for score in scores if score.question == chosen.question and not score.is_ours]
    rivals.sort(key=lambda score: score.merit, reverse=True)
    return Standing(
        chosen,
        tuple(score for score in rivals if not score.published),
        tuple(score for score in rivals if score.published),
        lower_is_better(chosen.metric),
    )


def figure_with_interval(score: Score) -> str:
    """A score and its 95 % interval, or the statement that there is none."""
    if score.low is None or score.high is None:
        return f"{score_figure(score.value)} (no interval given)"
    return f"{score_figure(score.value)} (95% interval {score_figure(score.low)} to {score_figure(score.high)})"


def metric_title(metric: str) -> str:
    """A score's name as it is written in print."""
    return {
        "mcc": "MCC",
        "rmse": "RMSE",
        "mae": "MAE",
        "r2": "R²",
        "ece": "ECE",
        "spearman": "Spearman",
        "macro_f1": "macro F1",
        "micro_f1": "micro F1",
    }.get(metric, metric if metric[1:2].isupper() else metric[:1].upper() + metric[1:])


def _rank(name: str, order: list[str]) -> int:
    return order.index(name) if name in order else len(order)


def _dot(score: Score, label: str, mark: Mark) -> Dot:
    return Dot(label, score.value, mark, score.low, score.high)

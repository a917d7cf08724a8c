"""How good the bundles are, as two Markdown tables: a row a task for the README, every test split for docs/scores.md.

    bundles, the default first -> each task by the bundle where it stands first -> rows

What users ask comes first; after it the body by itself. n counts proteins, or the variants of one. Scores of
speed and transfer stand on the cards alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from anfinsen.hub.affinity import AffinityBundle
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import BODY_SUITES, TRAINING_SUITE, Lead, Score
from anfinsen.report.standing import find_standing
from anfinsen.targets.metrics import lower_is_better
from anfinsen.tasks import TASKS

_HEAD = [
    "| task | test split | n | score | ours (95 % interval) | best simple baseline | lead | best published |",
    "|---|---|---|---|---|---|---|---|",
]
Scored = Bundle | AffinityBundle
"""What keeps scores."""
_LEADS: dict[Lead | None, str] = {"ahead": "**ahead**", "level": "level", "behind": "behind", None: ""}


def headlines(bundles: Sequence[Scored]) -> str:
    """One row a task: its first score on its first test split, as reports and pages show it."""
    rows = list(_HEAD)
    for label, scores in _answered(bundles):
        for task in dict.fromkeys(score.task for score in scores if score.suite not in (*BODY_SUITES, TRAINING_SUITE)):
            asked = [score for score in scores if score.task == task]
            known = task in TASKS  # a fold has scores and is no task of its own
            standing = find_standing(asked, TASKS[task] if known else None)
            if standing is not None:
                rows.append(_row(label, standing.score, asked))
    return "\n".join(rows)


def all_scores(bundles: Sequence[Scored]) -> str:
    """One row a test split: a task's first score, or every score of a study of its own; the body's rows last."""
    rows = list(_HEAD)
    body: list[str] = []
    for label, scores in _answered(bundles):
        for score in _told(label, scores):
            (body if score.suite in BODY_SUITES else rows).append(_row(label, score, scores))
    return "\n".join([*rows, *body])


def _answered(bundles: Sequence[Scored]) -> Iterator[tuple[str, Sequence[Score]]]:
    """The label of a bundle and the scores of each record that no bundle before it has."""
    seen: set[str] = set()
    for bundle in bundles:
        for name, record in bundle.records.items():
            if name not in seen:
                seen.add(name)
                yield bundle.label, record.scores


def _told(label: str, scores: Sequence[Score]) -> Iterator[Score]:
    """Of our own scores, those that a table shows."""
    seen: set[tuple[str, str]] = set()
    plain = {mine.question for mine in scores if mine.is_ours and not _how(label, mine)}
    for mine in scores:
        if not mine.is_ours or mine.metric == "coverage" or mine.suite in BODY_SUITES[1:]:
            continue
        if mine.suite == "sequence":
            if (mine.task, mine.split) in seen:
                continue
            seen.add((mine.task, mine.split))
        elif mine.suite not in BODY_SUITES and _how(label, mine) and mine.question in plain:
            continue  # a study may ask the same model in several ways
        yield mine


def _how(label: str, mine: Score) -> str:
    """What the model's name says beyond the bundle's: the way in which it was asked."""
    return mine.model.removeprefix(label).strip(", ")


def _row(label: str, mine: Score, scores: Sequence[Score]) -> str:
    others = [score for score in scores if score.question == mine.question and not score.is_ours]
    baseline = _best([score for score in others if not score.published])
    published = _best([score for score in others if score.published])
    how = _how(label, mine)
    cells = [mine.task, mine.split, f"{mine.n:,}" if mine.n is not None else "not given"]
    cells.append(f"{mine.metric} {'↓' if lower_is_better(mine.metric) else '↑'}")
    cells.append(_figure(mine) + (f", {how}" if how else ""))
    cells.append(f"{_figure(baseline)}, {baseline.model}" if baseline else "none")
    cells.append(_LEADS[mine.against(baseline) if baseline else None])
    cells.append(f"{_figure(published)}, {published.model}" if published else "none")
    return f"| {' | '.join(cells)} |"


def _best(scores: Sequence[Score]) -> Score | None:
    return max(scores, key=lambda score: score.merit, default=None)


def _figure(score: Score) -> str:
    interval = f" ({score.low:.3f} to {score.high:.3f})" if score.low is not None and score.high is not None else ""
    return f"{score.value:.3f}{interval}"

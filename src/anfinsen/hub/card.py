"""The model card: what a bundle is, how good it is, and where it must not be trusted, from its own records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from anfinsen.hub.record import Score, TaskRecord
from anfinsen.tasks.metrics import METRICS


def write_card(path: Path, name: str, records: Mapping[str, TaskRecord], provenance: Mapping[str, str]) -> None:
    """Write the card as Markdown with the header that model hubs read."""
    lines = ["---", "license: apache-2.0", "library_name: anfinsen", "tags: [biology, protein]", "---", f"# {name}", ""]
    lines += [
        "A protein language model with calibrated heads, made by Anfinsen. The language model opens with plain "
        "`transformers` (`AutoModel.from_pretrained`); the whole opens with `anfinsen predict --bundle`.",
        "",
    ]
    for task, record in records.items():
        lines += [
            f"## {task}",
            "",
            f"Training table: {record.trained_on:,} proteins of {record.dataset}. Data licence: {record.licence}. "
            f"SHA-256 of the examples: `{record.data_sha256}`.",
            "",
        ]
        if record.scores:
            lines += ["| split | score | who | value | 95 % interval | proteins |", "|---|---|---|---|---|---|"]
            lines += [_row(score) for score in record.scores]
            lines.append("")
    lines += ["## Provenance", ""] + [f"- {key}: {value}" for key, value in provenance.items()] + [""]
    path.write_text("\n".join(lines), encoding="utf-8")


def summary(label: str, records: Mapping[str, TaskRecord]) -> str:
    """One Markdown row a test split and score: ours (`label`), the best simple baseline, the best published."""
    lines = [
        "| task | test split | proteins | score | ours (95 % interval) | best simple baseline | best published |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, record in records.items():
        for mine in record.scores:
            if mine.model != label or mine.metric == "coverage":
                continue
            others = [s for s in record.scores if (s.split, s.metric) == (mine.split, mine.metric) and s is not mine]
            baseline = _best([score for score in others if not score.published])
            published = _best([score for score in others if score.published])
            better = METRICS[mine.metric].higher_is_better
            cells = [task, mine.split, f"{mine.n:,}", f"{mine.metric} {'↑' if better else '↓'}", f"**{_figure(mine)}**"]
            cells += [f"{_figure(other)}, {other.model}" if other else "none" for other in (baseline, published)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _best(scores: Sequence[Score]) -> Score | None:
    def merit(score: Score) -> float:
        return score.value if METRICS[score.metric].higher_is_better else -score.value

    return max(scores, key=merit, default=None)


def _figure(score: Score) -> str:
    interval = f" ({score.low:.3f} to {score.high:.3f})" if score.low is not None and score.high is not None else ""
    return f"{score.value:.3f}{interval}"


def _row(score: Score) -> str:
    interval = (
        f"{score.low:.3f} to {score.high:.3f}" if score.low is not None and score.high is not None else "not given"
    )
    who = f"{score.model} (published)" if score.published else score.model
    return f"| {score.split} | {score.metric} | {who} | {score.value:.3f} | {interval} | {score.n or 'not given'} |"

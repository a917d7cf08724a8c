"""The model card: what a bundle is, how good it is, and where it must not be trusted, from its own records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from anfinsen.hub.record import Score, TaskRecord

LEADS = (
    "The last column of a table names, for each figure of ours, the best simple baseline. *Ahead* or *behind*: the two "
    "intervals do not overlap. *Level*: they do, so the difference may be chance: trust the simple rule as much."
)
"""What the last column of a table means."""


def write_card(path: Path, name: str, records: Mapping[str, TaskRecord], provenance: Mapping[str, str]) -> None:
    """Write the card as Markdown with the header that model hubs read."""
    lines = ["---", "license: apache-2.0", "library_name: anfinsen", "tags: [biology, protein]", "---", f"# {name}", ""]
    lines += [
        "A protein language model with calibrated heads, made by Anfinsen. The language model opens with plain "
        "`transformers` (`AutoModel.from_pretrained`); the whole opens with `anfinsen predict --bundle`.",
        "",
        LEADS,
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
        lines += score_table(record.scores, task)
    lines += ["## Provenance", ""] + [f"- {key}: {value}" for key, value in provenance.items()] + [""]
    path.write_text("\n".join(lines), encoding="utf-8")


def score_table(scores: Sequence[Score], task: str) -> list[str]:
    """The lines of a table of the scores that the record of `task` keeps; none where there is no score."""
    if not scores:
        return []
    head = ["| split | score | who | value | 95 % interval | n | beside the best baseline |", f"|{'---|' * 7}"]
    return [*head, *(_row(score, task, scores) for score in scores), ""]


def _row(score: Score, task: str, beside: Sequence[Score]) -> str:
    """A row of the record of `task`; the language model's record also holds what it was asked about other tasks."""
    interval = (
        f"{score.low:.3f} to {score.high:.3f}" if score.low is not None and score.high is not None else "not given"
    )
    split = score.split if score.task == task else f"{score.task}, {score.split}"
    who = f"{score.model} (published)" if score.published else score.model
    rivals = score.rivals(beside) if score.is_ours else []
    cells = [split, score.metric, who, f"{score.value:.3f}", interval, str(score.n or "not given")]
    return f"| {' | '.join([*cells, f'{score.against(rivals[0])}, {rivals[0].model}' if rivals else ''])} |"

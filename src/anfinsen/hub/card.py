"""The model card: what a bundle is, how good it is, and where it must not be trusted, from its own records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from anfinsen.hub.record import BODY_SUITES, Score, TaskRecord
from anfinsen.tasks.metrics import lower_is_better


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
            lines += ["| split | score | who | value | 95 % interval | n |", "|---|---|---|---|---|---|"]
            lines += [_row(score, task) for score in record.scores]
            lines.append("")
    lines += ["## Provenance", ""] + [f"- {key}: {value}" for key, value in provenance.items()] + [""]
    path.write_text("\n".join(lines), encoding="utf-8")


def summary(*bundles: tuple[str, Mapping[str, TaskRecord]]) -> str:
    """One Markdown row a test split: ours, the best simple baseline, the best published; of each task by one bundle.

    `bundles` are labels with their records, the default first: a task counts where it stands first. What users ask
    comes first, each task by its headline score, or by every score of a study of its own; after it the body by itself.
    n counts proteins, or the variants of one. Other scores, of speed and transfer too, stand on the cards alone.
    """
    lines = [
        "| task | test split | n | score | ours (95 % interval) | best simple baseline | best published |",
        "|---|---|---|---|---|---|---|",
    ]
    told: set[str] = set()
    body: list[str] = []
    for label, records in bundles:
        for name, record in records.items():
            if name in told:
                continue
            told.add(name)
            # the body's own figures stay in the record of masked residues
            (body if name == "masked" else lines).extend(_summary_rows(label, record.scores))
    return "\n".join([*lines, *body])


def _summary_rows(label: str, scores: Sequence[Score]) -> Iterator[str]:
    shown: set[tuple[str, str]] = set()
    for mine in scores:
        if not mine.is_ours or mine.metric == "coverage" or mine.suite in BODY_SUITES[1:]:
            continue
        how = mine.model.removeprefix(label).strip(", ")
        if mine.suite == "sequence":
            if (mine.task, mine.split) in shown:
                continue
            shown.add((mine.task, mine.split))
        elif mine.suite not in BODY_SUITES and how:
            continue  # a study may ask the same model in several ways
        others = [score for score in scores if score.question == mine.question and not score.is_ours]
        baseline = _best([score for score in others if not score.published])
        published = _best([score for score in others if score.published])
        arrow = "↓" if lower_is_better(mine.metric) else "↑"
        cells = [mine.task, mine.split, f"{mine.n:,}" if mine.n is not None else "not given"]
        cells += [f"{mine.metric} {arrow}", f"**{_figure(mine)}**" + (f", {how}" if how else "")]
        cells += [f"{_figure(other)}, {other.model}" if other else "none" for other in (baseline, published)]
        yield f"| {' | '.join(cells)} |"


def _best(scores: Sequence[Score]) -> Score | None:
    def merit(score: Score) -> float:
        return -score.value if lower_is_better(score.metric) else score.value

    return max(scores, key=merit, default=None)


def _figure(score: Score) -> str:
    interval = f" ({score.low:.3f} to {score.high:.3f})" if score.low is not None and score.high is not None else ""
    return f"{score.value:.3f}{interval}"


def _row(score: Score, task: str) -> str:
    """A row of the record of `task`; the language model's record also holds what it was asked about other tasks."""
    interval = (
        f"{score.low:.3f} to {score.high:.3f}" if score.low is not None and score.high is not None else "not given"
    )
    split = score.split if score.task == task else f"{score.task}, {score.split}"
    who = f"{score.model} (published)" if score.published else score.model
    return f"| {split} | {score.metric} | {who} | {score.value:.3f} | {interval} | {score.n or 'not given'} |"

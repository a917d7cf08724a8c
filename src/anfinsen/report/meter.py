"""The meter of a distillation and the findings of an audit, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from anfinsen.targets.metrics import Estimate
from anfinsen.training.audit import Finding
from anfinsen.training.meter import Comparison, Reading

_MARKS = {True: "[green]holds   [/]", False: "[bold red]differs [/]", None: "[dim]not said[/]"}


def show_comparisons(comparisons: Sequence[Comparison], split: str, console: Console) -> None:
    """Teacher and student side by side, then a sentence for each task."""
    for each in comparisons:
        console.print(f"[bold]{escape(each.task)}[/]  {each.loss.n:,} proteins of {split}")
        grid = Grid("", "operations", "seconds", "memory", "score (95 % interval)", box=None, header_style="dim")
        for who, reading in (("teacher", each.teacher), ("student", each.student)):
            grid.add_row(who, *_cells(reading, each.metric))
        console.print(grid)
        console.print(escape(each.sentence()))


def show_findings(findings: Sequence[Finding], console: Console) -> None:
    """One line a finding: whether it holds, what was looked at, and the sentence."""
    for finding in findings:
        console.print(f"{_MARKS[finding.holds]}  {escape(finding.about)}: {escape(finding.sentence)}")


def _cells(reading: Reading, metric: str) -> tuple[str, ...]:
    return (
        f"{reading.compute / 1e9:,.1f} billion",
        f"{reading.seconds:.2f}",
        f"{reading.peak_bytes / 2**20:,.0f} MiB",
        f"{metric} {_figure(reading.score)}",
    )


def _figure(score: Estimate) -> str:
    interval = "" if score.low is None or score.high is None else f" ({score.low:.3f} to {score.high:.3f})"
    return f"{score.value:.3f}{interval}"

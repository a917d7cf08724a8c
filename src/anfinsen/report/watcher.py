"""What a person sees while a file is being answered: a moving bar, the first answers, and where everything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from anfinsen.hub.record import TaskRecord
from anfinsen.inference.jobs import JobResult
from anfinsen.inference.prediction import Prediction
from anfinsen.report.paragraph import paragraph
from anfinsen.report.terminal import MOST_SENTENCES, show, show_many
from anfinsen.tasks import Task
from anfinsen.wording import counted, refusals

SHOWN = 5
"""So many proteins are shown in the terminal; the report shows all."""
LISTED = 15
"""So many where each is one row of a table."""


class Watcher:
    """Told each answer as it comes; use it as a context."""

    def __init__(
        self,
        console: Console,
        tasks: Sequence[Task],
        total: int | None = None,
        records: Mapping[str, TaskRecord] | None = None,
    ) -> None:
        self.console = console
        self.tasks = {task.name: task for task in tasks}
        self.records = records or {}
        self._first: list[Prediction] = []
        self._bar = Progress(
            TextColumn("answering"),
            BarColumn(),
            TextColumn("{task.completed:,} proteins, {task.fields[residues]:,} residues"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._row = self._bar.add_task("answering", total=total, residues=0)
        self._residues = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, prediction: Prediction | None) -> None:
        """One more protein is done; None if it was done before this run."""
        if prediction is not None:
            self._residues += prediction.residues
            if len(self._first) < LISTED:
                self._first.append(prediction)
        self._bar.update(self._row, advance=1, residues=self._residues)

    def conclude(self, result: JobResult, folder: Path) -> None:
        """The first answers, what was refused, and where the files are."""
        shown = self._show_first()
        if result.answered > shown:
            paragraph(self.console, f"and {result.answered - shown:,} more in the report.")
        if result.resumed:
            done = counted(result.resumed, "record was", "records were")
            paragraph(self.console, f"{done} answered in an earlier run and not done again.")
        for merged in result.merged[:SHOWN]:
            paragraph(self.console, str(merged))
        for sentence in refusals(result.refused, folder / "refused.csv"):
            paragraph(self.console, sentence, style="red")
        if result.answered + result.resumed:
            paragraph(self.console, f"Report: {folder / 'report.html'}")

    def _show_first(self) -> int:
        """Show the first proteins, as a table where all their answers would fill the screen; how many were shown."""
        if len(self._first) > 1 and max(len(one.answers) for one in self._first) > MOST_SENTENCES:
            show_many(self._first, self.tasks, self.console)
            return len(self._first)
        for prediction in self._first[:SHOWN]:
            show(prediction, self.tasks, self.console, self.records)
        return len(self._first[:SHOWN])

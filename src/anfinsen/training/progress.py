"""What a person sees while a network learns: one moving line and, now and then, a sentence."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """A watch for the engine: a progress bar, and a sentence at each look at the validation proteins."""

    def __init__(self, steps: int, console: Console) -> None:
        self.steps = steps
        self.console = console
        self.best: dict[str, float] = {}
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]:,} residues/s"),
            TimeRemainingColumn(),
            console=console,
        )
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def __call__(self, record: dict[str, Any]) -> None:
        """Told by the engine after every step."""
        if "note" in record:
            self.console.print(f"[yellow]{record['note']}[/]")
            return
        task = str(record["task"])
        if task not in self._rows:
            self._rows[task] = self.bar.add_task(f"learning {task}", total=self.steps, loss="", speed=0)
        speed = round(record["tokens"] / max(record["seconds"], 1e-9))
        self.bar.update(self._rows[task], completed=record["step"], loss=f"{record['loss']:.3f}", speed=speed)
        if "valid" in record:
            self.console.print(self._sentence(task, record))

    def _sentence(self, task: str, record: dict[str, Any]) -> str:
        best = self.best.get(task, math.inf)
        self.best[task] = min(best, record["valid"])
        trend = "the best so far" if record["valid"] < best else f"no gain; the best was {best:.4f}"
        return f"step {record['step']}: on proteins it has not trained on the loss is {record['valid']:.4f} ({trend})."

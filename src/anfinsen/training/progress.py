"""What a person sees while a network learns: a thermometer, one moving line and, now and then, sentences.

The thermometer shows how much of the network may move. Its colour says nothing that a word beside it does not say.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from anfinsen.training.events import Record
from anfinsen.training.heat import HEATS, MEANING, Heat

COLOURS: dict[Heat, str] = {"cold": "blue", "warm": "yellow", "hot": "red", "blazing": "magenta"}
ZONE = 9
"""Cells of the thermometer that belong to one heat."""


def thermometer(record: Record) -> Text:
    """How hot a training is at a record, and how far through the steps of this heat: two lines."""
    heat: Heat = record["heat"]
    below = HEATS.index(heat)
    filled = below * ZONE + max(1, round(ZONE * record["step"] / record["steps"]))
    gauge = Text.assemble(("heat ", "bold"), ("▐", "dim"))
    for number, name in enumerate(HEATS):
        inside = max(0, min(ZONE, filled - number * ZONE))
        gauge.append("█" * inside, style=COLOURS[name]).append("░" * (ZONE - inside), style="dim")
    gauge.append("▌", style="dim").append(f" {100 * record['moving'] / record['weights']:.1f} % of the weights move")
    gauge.append("\n      ")
    for name in HEATS:
        word = name.upper() if name == heat else name
        gauge.append(f"{word:<{ZONE}}", style=f"bold {COLOURS[name]}" if name == heat else "dim")
    return gauge.append(f"  {MEANING[heat]}", style="dim")


class TrainingProgress:
    """A watch for the engine: the thermometer, a bar for each task, and the narrator's sentences as they come."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]:,} residues/s"),
            TimeRemainingColumn(),
            console=console,
        )
        self.live = Live(Text(""), console=console, refresh_per_second=8)
        self._rows: dict[str, TaskID] = {}
        self._heat = ""

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()
        if not self.console.is_terminal:
            self.console.line()

    def __call__(self, record: Record) -> None:
        """Told by the engine after every step."""
        if "note" in record:
            self.console.print(Text(record["note"], style="yellow"))
        if "loss" in record:
            self._move(record)
        if record.get("sentences"):
            self.console.print(_told(record))

    def _move(self, record: Record) -> None:
        task = str(record["task"])
        if record["heat"] != self._heat:
            # a new heat is a new training: its bars begin at zero
            for row in self._rows.values():
                self.bar.remove_task(row)
            self._rows, self._heat = {}, record["heat"]
            if not self.console.is_terminal:
                self.console.print(thermometer(record))
        if task not in self._rows:
            self._rows[task] = self.bar.add_task(task, total=record["steps"], loss="", speed=0)
        speed = round(record["tokens"] / max(record["seconds"], 1e-9))
        self.bar.update(self._rows[task], completed=record["step"], loss=f"{record['loss']:.3f}", speed=speed)
        self.live.update(Group(thermometer(record), self.bar))


def _told(record: Record) -> Table:
    """The sentences of a record beside its step; a heading such as 'Loss:' stands out."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, style="dim", width=11)
    grid.add_column()
    for number, sentence in enumerate(record["sentences"]):
        head, colon, rest = sentence.partition(": ")
        is_heading = colon and len(head) < 30
        text = Text.assemble((head + colon, "bold"), rest) if is_heading else Text(sentence)
        grid.add_row("" if number or "loss" not in record else f"step {record['step']:,}", text)
    return grid

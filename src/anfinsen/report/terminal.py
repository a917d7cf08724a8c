"""Predictions and scores on a terminal: a few lines a protein, one table for a benchmark.

Names come from strangers' files: they are shown as plain text, so neither markup nor control sequences in them
reach the terminal. It knows no model and reads no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from anfinsen.hub.record import Score
from anfinsen.inference.prediction import Prediction
from anfinsen.report.answer import confidence, kind_of, nearness, plain, sentence
from anfinsen.report.draw import score_figure
from anfinsen.report.standing import is_better, is_ours, metric_title
from anfinsen.tasks.base import Task
from anfinsen.tasks.metrics import lower_is_better

_STYLES = {"info": "dim", "mended": "cyan", "warning": "yellow"}
_INDENT = 2


def show(prediction: Prediction, tasks: Mapping[str, Task], console: Console) -> None:
    """One protein: its name, what was mended, and for each task a sentence and its confidence; a warning if far."""
    residues = len(prediction.sequence)
    console.print(
        Text.assemble((plain(prediction.id), "bold"), (f"  {residues:,} residue{'' if residues == 1 else 's'}", "dim"))
    )
    for message in prediction.messages:
        place = f" (residue {message.position})" if message.position is not None else ""
        _indented(console, Text(f"{message.level}: {plain(message.text)}{place}", style=_STYLES[message.level]))
    for name, answer in prediction.answers.items():
        task = tasks.get(name)
        text = Text.assemble(
            (f"{task.title if task is not None else plain(name)}  ", "cyan"), plain(sentence(name, answer, task))
        )
        sure, near = confidence(answer, task), nearness(answer)
        if sure is not None:
            word = sure.word if kind_of(answer) == "number" else f"{sure.word} confidence"
            text.append(f"  [{word}, {sure.figure}]", style="bold")
        _indented(console, text)
        if near is not None and near.far:
            _indented(
                console, Text(f"{near.title}: {near.reason} Treat this answer as a guess.", style="yellow"), 2 * _INDENT
            )


def show_scores(rows: Sequence[Score], console: Console) -> None:
    """The benchmark's table: a block for each task, split and score; best bold, ours coloured, published marked."""
    table = Table(box=None, pad_edge=False, header_style="dim", row_styles=None)
    for title in ("task", "dataset", "split", "metric", "model"):
        table.add_column(title, overflow="fold")
    for title in ("value", "95% interval", "n"):
        table.add_column(title, justify="right", no_wrap=True)
    blocks: dict[tuple[str, ...], list[Score]] = {}
    for row in rows:
        blocks.setdefault((row.task, row.dataset, row.split, row.metric), []).append(row)
    for block in blocks.values():
        lower = lower_is_better(block[0].metric)
        block.sort(key=lambda score: score.value, reverse=not lower)
        for number, score in enumerate(block):
            best = not is_better(block[0].value, score.value, lower=lower)
            table.add_row(*_cells(score, first=number == 0, best=best), end_section=number == len(block) - 1)
    console.print(table)
    console.print(
        Text(
            "Bold: best of its block. n: proteins, or the variants of one. "
            "Published: quoted from a paper, not measured here.",
            style="dim",
        )
    )


def _cells(score: Score, *, first: bool, best: bool) -> list[Text]:
    """One row; the words that a block shares stand in its first row only."""
    style = "bold cyan" if is_ours(score) and best else "cyan" if is_ours(score) else "bold" if best else ""
    shared = [score.task, score.dataset, score.split, metric_title(score.metric)] if first else ["", "", "", ""]
    model = f"{score.model} (published)" if score.published else score.model
    known = score.low is not None and score.high is not None
    interval = f"{score_figure(score.low or 0.0)} to {score_figure(score.high or 0.0)}" if known else "not given"
    count = f"{score.n:,}" if score.n is not None else "not given"
    return [
        *(Text(plain(word)) for word in shared),
        *(Text(plain(word), style=style) for word in (model, score_figure(score.value), interval, count)),
    ]


def _indented(console: Console, text: Text, indent: int = _INDENT) -> None:
    console.print(Padding(text, (0, 0, 0, indent), expand=False))

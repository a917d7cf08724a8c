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

from anfinsen.drawing.small import score_figure
from anfinsen.hub.record import Score, TaskRecord
from anfinsen.inference.prediction import Prediction
from anfinsen.report.answer import brief, confidence, kind_of, nearness, plain, sentence
from anfinsen.report.grouping import arranged, leaders
from anfinsen.report.paragraph import INDENT, paragraph
from anfinsen.report.standing import find_standing, metric_title
from anfinsen.tasks.base import Task

_STYLES = {"info": "dim", "mended": "cyan", "warning": "yellow"}
MOST_SENTENCES = 4
"""Answers a protein that are told as sentences; more become a table."""
_COLUMNS = (25, 27, 15, 8)
"""Signs of a title, an answer, how sure it is and its marks: with gaps and indent 80."""
_NAMED = 14
"""Signs of a protein's name, where it stands at the head of a row."""
_WIDTHS = (9, 18, 9)
"""Signs of a value, an interval and a count."""


def show(
    prediction: Prediction,
    tasks: Mapping[str, Task],
    console: Console,
    records: Mapping[str, TaskRecord] | None = None,
) -> None:
    """One protein: its name, what was mended, its answers: as sentences where they are few, else a row each.

    `records` hold the scores from which it is said that an answer is usually no better than a simple rule.
    """
    residues = prediction.residues
    counted = f"  {residues:,} residue{'' if residues == 1 else 's'}"
    console.print(Text.assemble((plain(prediction.title), "bold"), (counted, "dim")))
    for message in prediction.messages:
        place = f" (residue {message.position})" if message.position is not None else ""
        told = f"{message.level}: {plain(message.text)}{place}"
        paragraph(console, told, indent=INDENT, style=_STYLES[message.level])
    if len(prediction.answers) > MOST_SENTENCES:
        _show_rows(prediction, tasks, console, records or {})
        return
    for name, answer in prediction.answers.items():
        task = tasks.get(name)
        text = Text.assemble(
            (f"{task.title if task is not None else plain(name)}  ", "cyan"), plain(sentence(name, answer, task))
        )
        sure, near = confidence(answer, task), nearness(answer)
        if sure is not None:
            word = sure.word if kind_of(answer) in ("number", "values", "tracks") else f"{sure.word} confidence"
            text.append(f"  [{word}, {sure.figure}]", style="bold")
        paragraph(console, text, indent=INDENT)
        if near is not None and near.far:
            doubt = f"{near.title}: {near.reason} Treat this answer as a guess."
            paragraph(console, doubt, indent=2 * INDENT, style="yellow")


def _show_rows(
    prediction: Prediction, tasks: Mapping[str, Task], console: Console, records: Mapping[str, TaskRecord]
) -> None:
    """A row an answer, in the order of the report, on 80 columns; the marks are explained below."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for width in _COLUMNS:
        table.add_column(width=width, overflow="fold")
    far = weak = 0
    for name in (name for names in arranged(prediction.answers, tasks).values() for name in names):
        answer, task = prediction.answers[name], tasks.get(name)
        sure, near = confidence(answer, task), nearness(answer)
        standing = find_standing(records[name].scores, task) if name in records else None
        is_far, is_weak = near is not None and near.far, standing is not None and standing.is_weak
        far, weak = far + is_far, weak + is_weak
        marks = Text.assemble(("far " if is_far else "    ", "yellow"), ("weak" if is_weak else "", "red"))
        title = Text(_headed(name, task), style="cyan")
        # of sites the sentence and the page say what is not ruled out; here it would be mistaken for certainty
        figure = sure.figure if sure is not None and kind_of(answer) != "tracks" else ""
        table.add_row(title, Text(plain(brief(answer, task)), style="bold"), figure, marks)
    console.print(Padding(table, (0, 0, 0, INDENT), expand=False))
    if far:
        note = "far: unlike the proteins that this answer was learned from; a guess"
        paragraph(console, note, indent=INDENT, style="dim")
    if weak:
        note = "weak: usually no clear gain over a simple rule; see the report"
        paragraph(console, note, indent=INDENT, style="dim")


def show_many(predictions: Sequence[Prediction], tasks: Mapping[str, Task], console: Console) -> None:
    """A row a protein with one answer of each group, so that many proteins with many answers stay readable."""
    asked = {name: answer for prediction in reversed(predictions) for name, answer in prediction.answers.items()}
    shown = leaders(asked, tasks)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("protein", max_width=_NAMED)
    for name in shown:
        table.add_column(_headed(name, tasks.get(name)))
    for prediction in predictions:
        cells = [_cell(plain(prediction.title), "bold")]
        for name in shown:
            answer = prediction.answers.get(name)
            near = nearness(answer) if answer is not None else None
            style = "yellow" if near is not None and near.far else ""
            cells.append(_cell(plain(brief(answer, tasks.get(name))) if answer is not None else "", style))
        table.add_row(*cells)
    console.print(table)
    note = f"One answer of each kind of {len(asked)}; yellow: far from training, a guess. All stand in the report."
    console.print(Text(note, style="dim"))
    for prediction in predictions:
        for message in prediction.messages:
            if message.level != "info":
                told = f"{plain(prediction.title)}: {message.level}: {plain(message.text)}"
                paragraph(console, told, indent=INDENT, style=_STYLES[message.level])


def _headed(name: str, task: Task | None) -> str:
    """What heads an answer where room is scarce: the title without its bracket."""
    return plain(name) if task is None else task.title.partition(" (")[0]


def _cell(text: str, style: str) -> Text:
    """One line of a table: what has no room ends with an ellipsis."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def show_scores(rows: Sequence[Score], console: Console) -> None:
    """The benchmark: a block for each task, split and score; best bold, ours coloured, published marked.

    What a block shares stands above it, so that names and figures fit beside each other on 80 columns.
    """
    blocks: dict[tuple[str, ...], list[Score]] = {}
    for row in rows:
        blocks.setdefault((row.task, row.dataset, row.split, row.metric), []).append(row)
    room = console.width - sum(_WIDTHS) - 2 * len(_WIDTHS) - INDENT
    named = max(16, min(room, max((len(_named(row)) for row in rows), default=0)))
    for number, ((task, dataset, split, metric), block) in enumerate(blocks.items()):
        if number:
            console.line()
        title = f"{metric_title(metric)}  split {split} of {dataset}"
        console.print(Text.assemble((plain(task), "bold"), f"  {plain(title)}"))
        part = Table(box=None, pad_edge=False, header_style="dim", show_header=not number)
        part.add_column("model", width=named, overflow="fold")
        for title, width in zip(("value", "95% interval", "n"), _WIDTHS, strict=True):
            part.add_column(title, justify="right", no_wrap=True, width=width)
        block.sort(key=lambda score: score.merit, reverse=True)
        for score in block:
            part.add_row(*_cells(score, best=score.merit == block[0].merit))
        console.print(Padding(part, (0, 0, 0, INDENT), expand=False))
    note = "Bold: best of its block. n: proteins, or the variants of one. "
    console.print(Text(f"{note}Published: quoted from a paper, not measured here.", style="dim"))


def _named(score: Score) -> str:
    return f"{score.model} (published)" if score.published else score.model


def _cells(score: Score, *, best: bool) -> list[Text]:
    style = "bold cyan" if score.is_ours and best else "cyan" if score.is_ours else "bold" if best else ""
    known = score.low is not None and score.high is not None
    interval = f"{score_figure(score.low or 0.0)} to {score_figure(score.high or 0.0)}" if known else "not given"
    count = f"{score.n:,}" if score.n is not None else "not given"
    return [Text(plain(word), style=style) for word in (_named(score), score_figure(score.value), interval, count)]

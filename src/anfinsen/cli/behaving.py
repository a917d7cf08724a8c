"""The verb that puts proteins through heat, acid, denaturants and pressure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anfinsen.cli.scaling import anywhere
from anfinsen.cli.screen import ASK, Bundled, Column, Given, Raw, Source, Threads, app, leave, say

if TYPE_CHECKING:
    from anfinsen.data.example import Example
    from anfinsen.inference.jobs import JobResult, Record

_EVERYDAY = (("temperature", "20:90"), ("ph", "3:10"))
"""What is asked where nothing is asked."""


@app.command(rich_help_panel=ASK)
@anywhere
def behave(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for the curves, the table and the page.")] = Path("behaviour"),
    temperature: Annotated[str | None, typer.Option(help="From where to where in °C, such as 20:90.")] = None,
    ph: Annotated[str | None, typer.Option("--ph", help="From where to where, such as 3:10.")] = None,
    denaturant: Annotated[
        list[str] | None,
        typer.Option("--denaturant", help="urea or guanidinium in mol/L, such as urea:0:8; may be given again."),
    ] = None,
    pressure: Annotated[str | None, typer.Option(help="From where to where in MPa, such as 0.1:400.")] = None,
    at: Annotated[
        list[str] | None, typer.Option("--at", help="What holds meanwhile, such as temperature=37 or urea=2.")
    ] = None,
    tm: Annotated[float | None, typer.Option("--tm", help="A measured melting temperature in °C, of one protein.")] = (
        None
    ),
    condition: Given = None,
    column: Column = None,
    raw_csv: Raw = False,
    bundle: Bundled = None,
    threads: Threads = None,
) -> None:
    """Draw how each protein in FILE holds out against heat, acid, denaturants and pressure."""
    from anfinsen import runtime
    from anfinsen.hub.bundle import Bundle, default_bundle
    from anfinsen.inference.behaviour import Observer
    from anfinsen.inference.jobs import JobResult, under_conditions
    from anfinsen.reading.readers import read_examples
    from anfinsen.report.curves import write_behaviours
    from anfinsen.report.origin import origin
    from anfinsen.report.phrases import sentences
    from anfinsen.report.tables import write_refused
    from anfinsen.structure.conditions import read_setting, read_sweep

    asked = [("temperature", temperature), ("ph", ph), *(("denaturant", one) for one in denaturant or ())]
    asked.append(("pressure", pressure))
    sweeps = [read_sweep(flag, text) for flag, text in asked if text is not None]
    sweeps = sweeps or [read_sweep(flag, text) for flag, text in _EVERYDAY]
    resting = {found.name: value for found, value in map(read_setting, at or ())}
    runtime.use_threads(threads)
    opened = Bundle.load(bundle or default_bundle())
    observer = Observer(opened, sweeps, resting, tm=tm)
    tasks, result = {task.name: task for task in observer.tasks}, JobResult()
    records = under_conditions(read_examples(source, column=column), condition or (), observer.tasks)
    behaviours = []
    for behaviour in observer.observe(_accepted(records, result)):
        behaviours.append(behaviour)
        result.answered += 1
        say("", name=behaviour.prediction.id)
        for sentence in sentences(behaviour, tasks):
            say(sentence)
        for message in behaviour.messages:
            say(f"{message.level}: {message.text}", style="yellow")
    about = origin(opened)
    write_behaviours(out, behaviours, tasks, about=about, refused=result.refused, raw_csv=raw_csv)
    write_refused(out / "refused.csv", result.refused, raw=raw_csv)
    where = f"The page is {out / 'behaviour.html'}, every point is in {out / 'curves.csv'}."
    leave(result.refused, out / "refused.csv", answered=result.answered, where=where)


def _accepted(records: Iterator[Record], result: JobResult) -> Iterator[Example]:
    """The examples; what was refused or merged is kept in the result."""
    from anfinsen.data.example import Example
    from anfinsen.errors import InputError

    for record in records:
        if isinstance(record, Example):
            yield record
        elif isinstance(record, InputError):
            result.refused.append(record)
        else:
            result.merged.append(record)

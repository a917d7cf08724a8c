"""The verb that says why: which residues an answer rests on, and what would change it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anfinsen.cli.scaling import anywhere
from anfinsen.cli.screen import ASK, Bundled, Column, Given, Raw, Source, Threads, app, leave, notices, say


@app.command(rich_help_panel=ASK)
@anywhere
def explain(
    source: Source,
    task: Annotated[str, typer.Option("--task", help="Whose answer is explained. See `anfinsen tasks`.")],
    out: Annotated[Path, typer.Option(help="Folder for tracks, substitutions, structures and the page.")] = Path(
        "explanation"
    ),
    residue: Annotated[
        int | None, typer.Option("--residue", min=1, help="Of a task with an answer a residue: only this residue's.")
    ] = None,
    condition: Given = None,
    column: Column = None,
    raw_csv: Raw = False,
    bundle: Bundled = None,
    threads: Threads = None,
) -> None:
    """Show what an answer rests on: residues, pairs that attention joins, substitutions; and whether to believe it."""
    from anfinsen import runtime
    from anfinsen.data.example import Example
    from anfinsen.errors import InputError
    from anfinsen.explain.attention import measured
    from anfinsen.explain.door import explain_answer, task_of
    from anfinsen.hub.bundle import Bundle, default_bundle
    from anfinsen.inference.jobs import JobResult, under_conditions
    from anfinsen.reading.readers import read_examples
    from anfinsen.report.explanation import write_explanations
    from anfinsen.report.origin import origin
    from anfinsen.report.tables import write_refused

    runtime.use_threads(threads)
    opened = Bundle.load(bundle or default_bundle())
    asked = task_of(opened, task)
    found, result = [], JobResult()
    for record in under_conditions(read_examples(source, column=column), condition or (), [asked]):
        if isinstance(record, InputError):
            result.refused.append(record)
        elif isinstance(record, Example):
            try:
                with notices.status(f"explaining {escape(record.protein.id)}"):
                    one = explain_answer(opened, asked, record, residue=residue)
            except InputError as error:
                result.refused.append(error)
                continue
            found.append(one)
            result.answered += 1
            say("", name=record.protein.id)
            joined = one.attention.sentences(record.protein.sequence) if one.attention else ()
            for sentence in (*one.sentences(), *joined):
                say(sentence)
    said = measured([score for kept in opened.records.values() for score in kept.scores])
    if any(one.attention for one in found):
        say(said)
    write_explanations(out, found, about=origin(opened), known=said, raw_csv=raw_csv)
    write_refused(out / "refused.csv", result.refused, raw=raw_csv)
    where = f"The page is {out / 'explanation.html'}."
    leave(result.refused, out / "refused.csv", answered=result.answered, where=where)

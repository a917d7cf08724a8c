"""Verbs that look at what is there: scores, tasks, this installation, its limits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as Grid

from anfinsen.cli.screen import LOOK, Bundled, Threads, app, screen, tell
from anfinsen.errors import UsageError

if TYPE_CHECKING:
    from anfinsen.hub.bundle import Bundle
    from anfinsen.hub.record import Score


@app.command(rich_help_panel=LOOK)
def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Suites (such as sequence or language-model), tasks or studies; all but the slow ones if left out.",
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write one row a line to this file.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=10, help="Score only so many proteins of each split, drawn at random: a quick look, not a result."
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Keep the rows in the bundle, for its card and its reports.")
    ] = False,
    bundle: Bundled = None,
    threads: Threads = None,
) -> None:
    """Reprint every number, with its interval, its split and the baselines beside it."""
    from anfinsen import runtime
    from anfinsen.bench.run import run, verdicts, write_rows
    from anfinsen.hub.bundle import Bundle, default_bundle
    from anfinsen.inference.predictor import answer
    from anfinsen.kinship.kin import Kin
    from anfinsen.report.terminal import show_scores

    if write and limit is not None:
        raise UsageError("--write keeps results and --limit gives only a quick look.", remedy="Leave one of them out.")
    runtime.use_threads(threads)
    folder = bundle or default_bundle()
    opened = Bundle.load(folder)
    opened.network.to(runtime.pick_device()).eval()
    rows, missing = run(
        names or (),
        partial(answer, opened, kin=Kin.find()),
        model=opened.label,
        bundle=opened,
        limit=limit,
        tell=tell,
    )
    show_scores(rows, screen)
    for sentence in verdicts(rows) + [str(error) for error in missing]:
        screen.print(sentence)
    if json_file is not None:
        write_rows(json_file, rows)
    if write:
        opened.with_scores(rows).save(folder)
        _keep_drug_rows(opened, rows)
    raise typer.Exit(0 if rows else 1)


def _keep_drug_rows(opened: Bundle, rows: Sequence[Score]) -> None:
    """Rows about drugs stand with the affinity model that comes along, if it reads the states of the same body."""
    from anfinsen.hub.affinity import EMBEDDED, SUITE, AffinityBundle
    from anfinsen.hub.body import body_hash

    if any(row.suite == SUITE for row in rows):
        model = AffinityBundle.load()
        if model.record.backbone_sha256 == body_hash(opened.network.body):
            model.with_scores(rows).save(EMBEDDED)


@app.command(rich_help_panel=LOOK)
def tasks() -> None:
    """List what can be asked."""
    from anfinsen.tasks import TASKS

    grid = Grid("task", "question", "answer", "data")
    for name in TASKS:
        task = TASKS[name]
        grid.add_row(name, task.question, task.target.kind, task.table.title)
    screen.print(grid)


@app.command(rich_help_panel=LOOK)
def doctor() -> None:
    """Say what this installation is made of, and whether the model that came with it still says what it said."""
    from anfinsen import runtime
    from anfinsen.hub.bundle import Bundle, default_bundle
    from anfinsen.training.audit import golden

    for name, value in runtime.describe().items():
        screen.print(f"{name:>14}  {value}")
    bundle = Bundle.load(default_bundle())
    finding = golden(bundle)
    screen.print(f"{'bundle':>14}  {bundle.name}: {finding.sentence}")
    raise typer.Exit(1 if finding.holds is False else 0)


@app.command(rich_help_panel=LOOK)
def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of a trained model.")],
    table: Annotated[
        str | None, typer.Argument(metavar="[TABLE]", help="With --data, the table of your own that it learnt from.")
    ] = None,
    data: Annotated[
        bool, typer.Option("--data", help="Also read the tables again and compare them with those it learnt from.")
    ] = False,
) -> None:
    """Look whether a bundle is still what it was: its files, answers, code, body and, on request, its data."""
    from anfinsen.report.meter import show_findings
    from anfinsen.training.audit import audit
    from anfinsen.workshop.audit import look_at

    if table is not None and not data:
        raise UsageError(f"'{table}' was named, and --data was not.", remedy=f"Say: verify {bundle} --data {table}")
    findings = audit(bundle, with_data=data, own=partial(look_at, table) if table is not None else None)
    show_findings(findings, screen)
    raise typer.Exit(1 if any(finding.holds is False for finding in findings) else 0)


@app.command(rich_help_panel=LOOK)
def limits() -> None:
    """Show every limit, with its reason."""
    from anfinsen.limits import LIMITS

    grid = Grid("limit", "value", "meaning")
    for name, field in type(LIMITS).model_fields.items():
        grid.add_row(name, f"{getattr(LIMITS, name):,}", field.description or "")
    screen.print(grid)

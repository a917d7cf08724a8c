"""Verbs that learn: honest splits and trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anfinsen.cli.screen import Threads, app, notices, screen


@app.command()
def train(
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="[TASK]...", help="What to learn; the recipe's tasks if left out.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="A TOML recipe; see the folder recipes.")] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the run; the same folder again goes on where it stopped.")
    ] = Path("runs/mine"),
    start: Annotated[
        Path | None, typer.Option("--from", help="Bundle to continue; a new network if the recipe has an [encoder].")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting, such as train.steps=500.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Train tasks on their tables, calibrate them, and write a bundle."""
    from anfinsen import runtime
    from anfinsen.hub.bundle import Bundle, default_bundle
    from anfinsen.tasks import TASKS
    from anfinsen.training.progress import TrainingProgress
    from anfinsen.training.recipe import Recipe
    from anfinsen.training.run import train as run

    runtime.use_threads(threads)
    plan = Recipe.read(recipe, tuple(change or ()))
    plan = plan.replaced(tasks=tuple(tasks)) if tasks else plan
    is_new = start is None and (plan.encoder is not None or bool(plan.backbone))
    begun = None if is_new else Bundle.load(start or default_bundle())
    with TrainingProgress(plan.train.steps, screen) as progress:
        run([TASKS[name] for name in plan.tasks], plan, out, start=begun, watch=[progress])
    made = out / "bundle"
    screen.print(f"The model is in {made}. How good it is: anfinsen bench {' '.join(plan.tasks)} --bundle {made}")


@app.command()
def split(
    source: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV, TSV or Parquet with sequences or pairs.")],
    out: Annotated[Path, typer.Option(help="The same table with a column 'split'; .csv, .tsv or .parquet.")],
    by: Annotated[str, typer.Option(help="cluster, random, column, time, cold-a, cold-b or cold-pair.")] = "cluster",
    identity: Annotated[float, typer.Option(help="Identity, 0.2 to 1, at which proteins stay together.")] = 0.3,
    column: Annotated[
        list[str] | None, typer.Option(help="Column of the sequences, groups or times; twice for two partners.")
    ] = None,
    label: Annotated[str, typer.Option(help="Column of the answers, if its name is unusual.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="The same number deals the same.")] = 1,
    shares: Annotated[str, typer.Option(help="Shares of train, valid and test.")] = "0.8,0.1,0.1",
    mmseqs: Annotated[bool, typer.Option(help="Ask MMseqs2 too, where it is installed.")] = True,
) -> None:
    """Deal a table into train, valid and test so that a score is honest, and tell what leaks."""
    from anfinsen.data.partition import part
    from anfinsen.data.roles import SplitPlan
    from anfinsen.data.splits import read_shares
    from anfinsen.report.partition import SplitProgress, refuse_place, show_parted, write_parted

    refuse_place(out, source)
    plan = SplitPlan(
        by=by,
        identity=identity,
        columns=tuple(column or ()),
        label=label,
        seed=seed,
        shares=read_shares(shares),
        mmseqs=mmseqs,
    )
    with SplitProgress(notices) as progress:
        parted = part(source, plan, tell=progress)
    write_parted(out, parted)
    show_parted(parted, out, screen)
    raise typer.Exit(3 if parted.table.refused else 0)

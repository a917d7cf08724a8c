"""Verbs that learn: honest splits and trainings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from anfinsen.cli.own import (
    Answers,
    Backbone,
    Column,
    Conditions,
    Epochs,
    Kind,
    Mode,
    Partner,
    PlanOnly,
    Seed,
    Yes,
    as_changes,
    train_table,
)
from anfinsen.cli.scaling import On, Processes, StrategyName, Workers, anywhere, train_elsewhere
from anfinsen.cli.screen import OWN, Threads, app, notices, screen, tell
from anfinsen.cli.teaching import Heated, Slowly, walk_slowly

if TYPE_CHECKING:
    from anfinsen.distributed.strategy import Strategy
    from anfinsen.training.recipe import Recipe
    from anfinsen.training.run import Before


@app.command(rich_help_panel=OWN)
def train(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE|TASK]...",
            help="A table of your own (CSV, TSV, Parquet, FASTA), or tasks; the recipe's if left out.",
        ),
    ] = None,
    label: Answers = None,
    column: Column = None,
    partner: Partner = None,
    kind: Kind = None,
    condition: Conditions = None,
    mode: Mode = None,
    backbone: Backbone = None,
    epochs: Epochs = None,
    seed: Seed = None,
    plan_only: PlanOnly = False,
    yes: Yes = False,
    heat: Heated = False,
    slow: Slowly = False,
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
    strategy: StrategyName = None,
    processes: Processes = None,
    on: On = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Train on a table of your own, or tasks on theirs; judge, calibrate, and write a bundle."""
    from anfinsen import runtime
    from anfinsen.distributed.processes import take_part
    from anfinsen.tables.offered import is_file_name
    from anfinsen.training.recipe import Recipe
    from anfinsen.training.stages import ladder

    runtime.use_threads(threads)
    flags: dict[str, object] = {"table.label": label, "table.column": column, "table.partner": partner}
    flags["table.kind"] = kind
    flags |= {"table.conditions": condition, "mode": mode, "backbone": backbone, "epochs": epochs, "train.seed": seed}
    plan = Recipe.read(recipe, (*as_changes(flags), *(change or ())))
    named = tuple(tasks or ()) or plan.tasks
    plan = plan.model_copy(update={"stages": ladder(len(named))}) if heat and not plan.stages else plan
    before = walk_slowly if slow else None
    if plan_only:  # which one process makes
        on = workers = strategy = processes = None
    train_elsewhere(on, workers)
    together = take_part(strategy, processes)
    screen.quiet = notices.quiet = not together.leads
    if len(named) == 1 and is_file_name(named[0]):
        train_table(named[0], plan, out, start, together, plan_only=plan_only, yes=yes, before=before)
    _train_tasks(plan.replaced(tasks=named) if tasks else plan, out, start, before, together)


def _train_tasks(plan: Recipe, out: Path, start: Path | None, before: Before | None, strategy: Strategy) -> None:
    """Train the tasks of a recipe, in this process or as one of several, and say where the model is."""
    from anfinsen.hub.bundle import Bundle, default_bundle
    from anfinsen.tasks import TASKS
    from anfinsen.training.mirror import Mirror
    from anfinsen.training.progress import TrainingProgress
    from anfinsen.training.run import train as run

    is_new = start is None and (plan.encoder is not None or bool(plan.backbone))
    begun = None if is_new else Bundle.load(start or default_bundle())
    tasks = [TASKS[name] for name in plan.tasks]
    with Mirror(out, strategy=strategy) as mirror, TrainingProgress(screen) as progress:
        run(tasks, plan, mirror.folder, start=begun, watch=[progress, mirror], before=before, strategy=strategy)
    strategy.close()
    made = f"{mirror.address or out}/bundle"
    screen.print(f"The model is in {made}. How good it is: anfinsen bench {' '.join(plan.tasks)} --bundle {made}")


@app.command(rich_help_panel=OWN)
@anywhere
def distill(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of the teacher, a trained model.")],
    table: Annotated[
        str | None, typer.Argument(metavar="[TABLE]", help="The table of your own that the teacher learnt from.")
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(help="LAYERSxDIM such as 4x128, 'half' of the compute, or a bundle or checkpoint by name."),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Only this task; may be given again. All of the teacher's else.")
    ] = None,
    unlabelled: Annotated[
        str | None, typer.Option(help="FASTA or another file of sequences that the teacher explains to the student.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="A TOML recipe, as for train.")] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the run; the same folder again goes on where it stopped.")
    ] = Path("runs/student"),
    change: Annotated[list[str] | None, typer.Option("--set", help="Change a setting, such as match.truth=1.")] = None,
    threads: Threads = None,
) -> None:
    """Teach a cheaper model to answer like BUNDLE, and show what that saves and what it costs."""
    from anfinsen import runtime
    from anfinsen.report.meter import show_comparisons
    from anfinsen.training.distill import Distillation, run
    from anfinsen.training.progress import TrainingProgress
    from anfinsen.workshop.audit import task_again

    runtime.use_threads(threads)
    plan = Distillation.read(recipe, tuple(change or ()))
    plan = plan.replaced(student=student or plan.student, tasks=tuple(task or ()) or plan.tasks)
    own = None if table is None else partial(task_again, table)
    with TrainingProgress(screen) as progress:
        comparisons = run(bundle, plan, out, unlabelled=unlabelled, own=own, watch=[progress], tell=tell)
    show_comparisons(comparisons, "validation", screen)
    screen.print(f"The student is in {out / 'bundle'}. How good it is: anfinsen bench --bundle {out / 'bundle'}")


@app.command(rich_help_panel=OWN)
@anywhere
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
    from anfinsen.kinship.splits import read_shares
    from anfinsen.report.partition import SplitProgress, refuse_place, show_parted, write_parted
    from anfinsen.tables.partition import part
    from anfinsen.tables.roles import SplitPlan

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


@app.command(rich_help_panel=OWN)
@anywhere
def pack(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A task, such as masked, whose table is packed; or FASTA, CSV, Parquet."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the shards; a new one.")],
    shard_residues: Annotated[int, typer.Option(min=1, help="Residues of one shard.")] = 16_000_000,
    max_residues: Annotated[
        int | None, typer.Option(min=1, help="Draw at random so many residues of the training sequences.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same number draws the same.")] = 1,
    ids: Annotated[bool, typer.Option("--ids", help="Keep the ids; training needs none.")] = False,
    column: Annotated[str | None, typer.Option(help="The column with the sequences, if its name is unusual.")] = None,
) -> None:
    """Pack sequences into shards of five bits a residue, which travel, stream and are trained from."""
    from anfinsen.report.tables import write_refused
    from anfinsen.sets.corpus import FileRows, TableRows
    from anfinsen.sets.packing import conclusion, write_shards
    from anfinsen.tasks import TASKS

    rows = TableRows(TASKS[source].table) if source in TASKS else FileRows.read(source, column)
    manifest = write_shards(
        rows, out, shard_residues=shard_residues, max_residues=max_residues, seed=seed, keep_ids=ids
    )
    write_refused(out.with_name("refused.csv"), rows.refused)
    for sentence in conclusion(manifest, rows.refused, out):
        screen.print(escape(sentence))
    raise typer.Exit(3 if rows.refused else 0)

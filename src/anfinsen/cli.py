"""The command line: each verb reads its flags, calls one room of the house, and shows what came back.

Heavy rooms are imported inside the verbs, so that `anfinsen --help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table as Grid

from anfinsen import __version__
from anfinsen.errors import AnfinsenError, InputError, UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
DISK = 74
"""Exit code where a file or folder cannot be read or written."""
screen = Console()
notices = Console(stderr=True)

Bundled = Annotated[
    Path | None, typer.Option("--bundle", help="Folder of a trained model; the embedded one if left out.")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Compute threads; all cores if left out.")]


@app.command()
def predict(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="FASTA (also .gz, or - for standard input), CSV, Parquet, PDB, mmCIF, or a bare sequence.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the answers; the same folder again goes on where it stopped.")
    ] = Path("predictions"),
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Only this task; may be given again. See `anfinsen tasks`.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="The column with the sequences, if its name is unusual.")] = None,
    condition: Annotated[
        list[str] | None, typer.Option("--condition", help="For all proteins, such as growth_temperature=37.")
    ] = None,
    remove_gaps: Annotated[bool, typer.Option("--remove-gaps", help="Take '-' and '.' out of the sequences.")] = False,
    raw_csv: Annotated[bool, typer.Option("--raw-csv", help="Write CSV cells as they are, for machines only.")] = False,
    bundle: Bundled = None,
    threads: Threads = None,
) -> None:
    """Answer every question about every protein in FILE; write tables and a report."""
    from anfinsen import runtime
    from anfinsen.data.readers import count_records, read_examples
    from anfinsen.inference.jobs import run_job, under_conditions
    from anfinsen.inference.predictor import Predictor
    from anfinsen.report.folder import write_folder
    from anfinsen.report.watcher import Watcher

    runtime.use_threads(threads)
    predictor = Predictor.load(bundle, task or ())
    records = under_conditions(
        read_examples(source, column=column, remove_gaps=remove_gaps), condition or (), predictor.tasks
    )
    with Watcher(screen, predictor.tasks, count_records(source, column=column)) as watcher:
        result = run_job(records, predictor, out, source=source, on_answer=watcher)
    write_folder(out, result, predictor, raw_csv=raw_csv)
    watcher.conclude(result, out)
    raise typer.Exit(result.exit_code)


@app.command()
def embed(
    source: Annotated[str, typer.Argument(metavar="FILE", help="The same kinds of files as for predict.")],
    out: Annotated[
        Path,
        typer.Option(help="File for the states: .h5, .parquet or .zarr. The same file again goes on, or is added to."),
    ],
    per: Annotated[
        Literal["residue", "window", "protein"],
        typer.Option(help="One state a residue, the mean of each window of 32 residues, or the mean of each protein."),
    ] = "protein",
    layer: Annotated[str, typer.Option(help="'last', or the number of a layer; 0 is the embedding.")] = "last",
    dtype: Annotated[
        Literal["fp16", "fp32"], typer.Option(help="Half precision takes half the room, and is exact to three digits.")
    ] = "fp16",
    column: Annotated[str | None, typer.Option(help="The column with the sequences, if its name is unusual.")] = None,
    bundle: Bundled = None,
    backbone: Annotated[
        str | None, typer.Option(help="A public checkpoint instead, such as facebook/esm2_t12_35M_UR50D.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Write the states that the model makes of every protein in FILE: numbers for models of your own."""
    from anfinsen import runtime
    from anfinsen.data.readers import count_records, read_examples
    from anfinsen.inference.embedder import Embedder, conclusion, embed_file
    from anfinsen.report.tables import write_refused

    runtime.use_threads(threads)
    embedder = Embedder.load(bundle, backbone, per=per, layer=layer, dtype=dtype)
    total = count_records(source, column=column)
    records = track(read_examples(source, column=column), "embedding", total, console=notices, transient=True)
    result = embed_file(records, embedder, out)
    write_refused(out.with_name("refused.csv"), result.refused)
    for sentence in conclusion(result, embedder.about, out):
        screen.print(escape(sentence))
    raise typer.Exit(result.exit_code)


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


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Suites or tasks; all if left out.")
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
    from anfinsen.inference.predictor import Predictor
    from anfinsen.report.terminal import show_scores

    if write and limit is not None:
        raise UsageError("--write keeps results and --limit gives only a quick look.", remedy="Leave one of them out.")
    runtime.use_threads(threads)
    folder = bundle or default_bundle()
    opened = Bundle.load(folder)
    rows, missing = run(names or (), Predictor(opened).answer, model=opened.label, limit=limit, tell=notices.print)
    show_scores(rows, screen)
    for sentence in verdicts(rows) + [str(error) for error in missing]:
        screen.print(sentence)
    if json_file is not None:
        write_rows(json_file, rows)
    if write:
        opened.with_scores(rows).save(folder)
    raise typer.Exit(0 if rows else 1)


@app.command()
def tasks() -> None:
    """List what can be asked."""
    from anfinsen.tasks import TASKS

    grid = Grid("task", "question", "answer", "data")
    for name in TASKS:
        task = TASKS[name]
        grid.add_row(name, task.question, task.target.kind, task.table.title)
    screen.print(grid)


@app.command()
def doctor(
    verify: Annotated[
        Path | None, typer.Option("--verify", help="Run the golden proteins of this bundle again.")
    ] = None,
) -> None:
    """Say what this installation is made of, and whether a bundle still says what it said."""
    from anfinsen import runtime
    from anfinsen.hub.bundle import Bundle, default_bundle

    for name, value in runtime.describe().items():
        screen.print(f"{name:>14}  {value}")
    bundle = Bundle.load(verify or default_bundle())
    differences = bundle.verify()
    screen.print(
        f"{'bundle':>14}  {bundle.name}: "
        + ("its golden proteins give the answers they gave." if not differences else "")
    )
    for sentence in differences:
        screen.print(f"{'':>16}{sentence}")
    raise typer.Exit(1 if differences else 0)


@app.command()
def limits() -> None:
    """Show every limit, with its reason."""
    from anfinsen.limits import LIMITS

    grid = Grid("limit", "value", "meaning")
    for name, field in type(LIMITS).model_fields.items():
        grid.add_row(name, f"{getattr(LIMITS, name):,}", field.description or "")
    screen.print(grid)


def _version(asked: bool) -> None:
    if asked:
        screen.print(f"anfinsen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Anfinsen: from a protein's sequence to what it is, what it does and how it behaves."""


def main() -> None:
    """Run the command line; a user's error is a sentence and an exit code, never a traceback."""
    try:
        app()
    except InputError as error:
        # a record that is refused is listed; an InputError that arrives here is about the whole source
        notices.print(f"[bold red]Sorry:[/] {escape(str(error))}")
        sys.exit(1)
    except AnfinsenError as error:
        notices.print(f"[bold red]Sorry:[/] {escape(str(error))}")
        sys.exit(error.exit_code)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        notices.print(
            f"[bold red]Sorry:[/] {escape(f'{error.strerror}{place}.')} Check the path and the room on the disk."
        )
        sys.exit(DISK)
    except KeyboardInterrupt:
        notices.print("Stopped. The same command goes on from here.")
        sys.exit(130)

"""Verbs that train more than once: other settings, other seeds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.markup import escape
from rich.table import Table as Grid

from anfinsen.cli.scaling import On, Workers, anywhere, crew, everywhere
from anfinsen.cli.screen import OWN, Threads, app, notices, screen, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anfinsen.hub.record import Score
    from anfinsen.training.recipe import Recipe
    from anfinsen.training.study import Swept, Tried
    from anfinsen.training.sweep import Look, TryWatched
    from anfinsen.training.trial import Trials
    from anfinsen.workshop.plan import Plan

Named = Annotated[list[str], typer.Argument(metavar="TASK... or TABLE", help="What to learn; or a table of your own.")]
Recipes = Annotated[Path | None, typer.Option("--recipe", help="A TOML recipe; see the folder recipes.")]
Begun = Annotated[Path | None, typer.Option("--from", help="Bundle to start from; the embedded one if left out.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="Change a setting, such as train.steps=500.")]


@app.command(rich_help_panel=OWN)
@anywhere
def sweep(
    names: Named,
    trials: Annotated[int, typer.Option(min=1, help="Trainings in all, those of an earlier call included.")] = 10,
    out: Annotated[Path, typer.Option(help="Folder of the sweep; the same folder again goes on.")] = Path("runs/sweep"),
    recipe: Recipes = None,
    start: Begun = None,
    change: Changes = None,
    on: On = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Try settings, choose by validation, look at the test split once; the recipe's [sweep] says what may be tried."""
    from anfinsen.report.terminal import show_scores
    from anfinsen.training.sweep import sweep as run
    from anfinsen.training.sweep import sweep_on

    ready = _prepared(names, recipe, start, change, threads)
    with crew(on, workers) as cluster:
        if cluster is None:
            swept = run(ready.recipe, out, trials, lambda one, folder: ready.trials.run(one, folder).valid, tell=_tell)
        else:
            making = partial(_trying, _found(names), everywhere(recipe), everywhere(start), change)
            swept = sweep_on(cluster, ready.recipe, out, trials, making, tell=_tell)
    screen.print(_table(swept.trials))
    screen.print(swept.sentence())
    made, rows = _judged(names, ready, swept, out)
    show_scores(rows, screen)
    screen.print(f"The best model is in {made}.")


@app.command(rich_help_panel=OWN)
@anywhere
def seeds(
    names: Named,
    count: Annotated[int, typer.Option(min=2, help="How many seeds, from the recipe's on.")] = 5,
    out: Annotated[Path, typer.Option(help="Folder of the trainings; the same folder again goes on.")] = Path(
        "runs/seeds"
    ),
    recipe: Recipes = None,
    start: Begun = None,
    change: Changes = None,
    threads: Threads = None,
) -> None:
    """Train with several seeds and tell how much of a score is the throw of the dice."""
    from anfinsen.training.seeds import spread_over_seeds

    ready = _prepared(names, recipe, start, change, threads)
    for spread in spread_over_seeds(ready.trials, ready.recipe, out, count, tell=tell):
        screen.print(spread.sentence())


class _Ready(NamedTuple):
    recipe: Recipe
    trials: Trials
    plan: Plan | None
    """What is known of a table of one's own; none for tasks of the platform."""


def _prepared(
    names: list[str], file: Path | None, start: Path | None, change: list[str] | None, threads: int | None
) -> _Ready:
    from anfinsen import runtime
    from anfinsen.hub.bundle import Bundle, default_bundle
    from anfinsen.tables.offered import is_file_name
    from anfinsen.tasks import TASKS
    from anfinsen.training.recipe import Recipe
    from anfinsen.training.trial import Trials
    from anfinsen.workshop.plan import make_plan
    from anfinsen.workshop.trying import DEAL_ONCE, trials_of

    runtime.use_threads(threads)
    if len(names) == 1 and is_file_name(names[0]):
        plan = make_plan(names[0], Recipe.read(file, (DEAL_ONCE, *(change or ()))), start=start)
        return _Ready(plan.recipe, trials_of(plan), plan)
    recipe = Recipe.read(file, tuple(change or ())).replaced(tasks=tuple(names))
    is_new = start is None and (recipe.encoder is not None or bool(recipe.backbone))
    begun = None if is_new else Bundle.load(start or default_bundle())
    return _Ready(recipe, Trials([TASKS[name] for name in names], begun), None)


def _found(names: list[str]) -> list[str]:
    """Tasks by their names, a table by a path that means the same in another working folder."""
    return [str(Path(name).absolute()) if Path(name).is_file() else name for name in names]


def _trying(names: list[str], file: Path | None, start: Path | None, change: list[str] | None) -> TryWatched:
    """On a worker: what trains by a recipe as `sweep` would, and tells its looks where they can be compared."""
    ready = _prepared(names, file, start, change, 1)

    def attempt(recipe: Recipe, folder: Path, look: Look) -> float:
        # frozen heads of several tasks learn one after the other, as stages do: their looks cannot be compared
        is_one = not recipe.stages and (len(ready.trials.tasks) == 1 or recipe.mode != "frozen")
        ready.trials.watch = [lambda record: look(record["best"]) if is_one and "valid" in record else None]
        return ready.trials.run(recipe, folder).valid

    return attempt


def _judged(names: list[str], ready: _Ready, swept: Swept, out: Path) -> tuple[Path, Sequence[Score]]:
    """Where the best model lies, and its scores with those of its rivals: the one look at the test split."""
    from anfinsen.bench.run import run
    from anfinsen.hub.bundle import Bundle
    from anfinsen.inference.predictor import Predictor
    from anfinsen.workshop.trying import fit_best

    if ready.plan is not None:
        return out / "best" / "bundle", fit_best(ready.plan, swept, out).scores
    made = out / swept.best.folder / "bundle"
    best = Bundle.load(made)
    rows, _ = run(names, Predictor(best).answer, model=best.label, tell=tell)
    return made, rows


def _tell(tried: Tried) -> None:
    loss = "ran away" if tried.valid is None else f"loss {tried.valid:.4f} on the validation proteins"
    notices.print(
        f"Trial {tried.number}: {loss}{'' if tried.is_whole else ', and was stopped, far behind the others'}."
    )


def _table(trials: Sequence[Tried]) -> Grid:
    """Every trial, the best first."""
    keys = list(trials[0].settings)
    grid = Grid("trial", *map(escape, keys), "validation loss", box=None)
    for one in sorted(trials, key=lambda tried: float("inf") if tried.valid is None else tried.valid):
        values = [one.settings[key] for key in keys]
        shown = [f"{value:.3g}" if isinstance(value, float) else escape(str(value)) for value in values]
        loss = "ran away" if one.valid is None else f"{one.valid:.4f}{'' if one.is_whole else ', stopped early'}"
        grid.add_row(str(one.number), *shown, loss)
    return grid

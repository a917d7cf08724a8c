"""What `anfinsen train data.csv` does: the plan is shown before anything is spent, then the training, then the card."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from anfinsen.cli.screen import notices, screen
from anfinsen.errors import UsageError

if TYPE_CHECKING:
    from anfinsen.distributed.strategy import Strategy
    from anfinsen.training.recipe import Recipe
    from anfinsen.workshop.fitting import Before

Answers = Annotated[
    list[str] | None, typer.Option("--label", help="Column with the answers; again for several 0/1 columns.")
]
Column = Annotated[str | None, typer.Option(help="Column with the sequences.")]
Partner = Annotated[str | None, typer.Option(help="A second column with sequences: each row is a pair.")]
Kind = Annotated[str | None, typer.Option(help="Kind of answer: number, label, labels, tokens or values.")]
Conditions = Annotated[
    list[str] | None, typer.Option("--condition", help="Column with numbers that the answer depends on.")
]
Mode = Annotated[str | None, typer.Option(help="What moves: frozen (a head), lora (adapters too), full.")]
Backbone = Annotated[str | None, typer.Option(help="A public checkpoint as the body, by name or folder.")]
Epochs = Annotated[float | None, typer.Option(help="Passes over the rows of your table.")]
Seed = Annotated[int | None, typer.Option(min=0, help="The same number gives the same training.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Show the plan of your table, and train nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; leave out rows without answer.")]

_STYLES = {"error": "[bold red]Error:[/] ", "warning": "[yellow]Mind:[/] ", "refused": "[red]Refused:[/] "}


def as_changes(flags: Mapping[str, object]) -> tuple[str, ...]:
    """Flags that were given as changes of a recipe's keys, in TOML.

    >>> as_changes({"mode": "lora", "table.label": ["a"], "epochs": None})
    ('mode="lora"', 'table.label=["a"]')
    """
    return tuple(f"{key}={json.dumps(value)}" for key, value in flags.items() if value is not None and value != [])


def train_table(
    source: str,
    recipe: Recipe,
    out: Path,
    start: Path | None,
    strategy: Strategy,
    *,
    plan_only: bool,
    yes: bool,
    before: Before | None = None,
) -> None:
    """Plan, ask, train, judge; exits with 3 where rows were refused; `before` is shown the network first.

    Several processes plan alike and train together; nobody is asked, for they cannot wait for one keyboard.
    """
    from anfinsen.data.elsewhere import at_hand
    from anfinsen.report.partition import REFUSED, SplitProgress
    from anfinsen.report.tables import write_refused
    from anfinsen.training.mirror import Mirror
    from anfinsen.training.progress import TrainingProgress
    from anfinsen.training.run import refuse
    from anfinsen.workshop.fitting import fit
    from anfinsen.workshop.plan import make_plan
    from anfinsen.workshop.words import card_lines, plan_lines

    source = at_hand(source)
    if not Path(source).is_file():
        raise UsageError(f"There is no file '{source}'.", remedy="Give the path of a table.")
    refuse(strategy, 1, recipe)
    mirror = Mirror(out, strategy=strategy)
    with SplitProgress(notices) as told:
        plan = make_plan(source, recipe, start=start, may_drop=yes, tell=told)
    _show("The plan", list(plan_lines(plan)))
    if plan.found.refused and strategy.leads:
        write_refused(mirror.folder / REFUSED, plan.found.refused)
        screen.print(f"What was refused, and why: {mirror.folder / REFUSED}")
    code = 3 if plan.found.refused else 0
    if plan_only:
        raise typer.Exit(code)
    if not yes and strategy.size == 1 and sys.stdin.isatty():
        typer.confirm("Train now?", default=True, abort=True)
    screen.print("\n[bold]Learning[/]")
    with mirror, TrainingProgress(screen) as progress:
        fitted = fit(
            plan,
            mirror.folder,
            watch=[progress, mirror],
            say=lambda sentence: screen.print(escape(sentence)),
            before=before,
            strategy=strategy,
        )
    strategy.close()
    _show("How good it is", list(card_lines(fitted)))
    made = f"{mirror.address or out}/bundle"
    screen.print(f"All scores are in {made}/README.md.")
    asked = "PAIRS.csv" if plan.found.of_pairs else "PROTEINS.fasta"
    screen.print(f"The model is in {made}. Ask it: anfinsen predict {asked} --bundle {made}")
    raise typer.Exit(code if strategy.leads else 0)  # the first one speaks for all


def _show(title: str, lines: Sequence[tuple[str, str]]) -> None:
    screen.print(f"\n[bold]{title}[/]")
    for level, sentence in lines:
        style = _STYLES.get(level, "")
        text = escape(sentence)
        screen.print(f"[green]{text}[/]" if level == "good" else style + text)

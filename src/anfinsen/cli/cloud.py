"""Verbs about rented machines; they print what would be done, and do nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from anfinsen.cli.screen import SHARE, Bundled, app, screen

cloud = typer.Typer(no_args_is_help=True, help="What a job would cost on rented machines, and the commands for it.")
app.add_typer(cloud, name="cloud", rich_help_panel=SHARE)


@cloud.callback()
def _about() -> None:
    """What a job would cost on rented machines, and the commands for it."""


@cloud.command("plan")
def plan_job(
    job: Annotated[
        Literal["embed", "predict", "train"],
        typer.Argument(metavar="VERB", help="embed, predict or train: what would be run."),
    ],
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Address of the table, such as s3://bucket/proteins.fasta; a task.")
    ],
    out: Annotated[str, typer.Option(help="Address for what comes of it.")] = "s3://YOUR-BUCKET/out",
    residues: Annotated[float, typer.Option(min=1, help="Residues to read; of a training, in all steps.")] = 2e10,
    machine: Annotated[str, typer.Option(help="Kind of machine, one of the table of prices.")] = "g6.xlarge",
    count: Annotated[int, typer.Option(min=1, help="How many machines.")] = 1,
    spot: Annotated[bool, typer.Option(help="Spot machines: cheaper, and taken back now and then.")] = True,
    rate: Annotated[
        float | None, typer.Option(min=1, help="Residues a second that you measured on one machine.")
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="A table of prices of your own instead of the package's.")] = None,
    bundle: Bundled = None,
) -> None:
    """Print cost, time and the exact commands; needs no account and no network."""
    from anfinsen.distributed.cloud import Work, plan, read_prices
    from anfinsen.hub.bundle import Bundle, default_bundle

    weights = sum(one.numel() for one in Bundle.load(bundle or default_bundle()).network.body.parameters())
    made = plan(Work(job, residues, weights, source, out), machine, count, read_prices(prices), spot=spot, rate=rate)
    for sentence in made.sentences:
        screen.print(sentence, highlight=False)
    screen.print("\nThe commands, after the bucket, the rights and the queue of recipes/aws/README.md:")
    for command in made.commands:
        screen.print(f"  {command}", highlight=False, soft_wrap=True, markup=False)

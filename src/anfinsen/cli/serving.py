"""The verb that serves: the same questions over HTTP, with a page for the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anfinsen.cli.scaling import On, Workers, crew, everywhere
from anfinsen.cli.screen import SHARE, Bundled, Relatives, Threads, app, tell
from anfinsen.errors import MissingExtraError


@app.command(rich_help_panel=SHARE)
def serve(
    host: Annotated[
        str, typer.Option(help="The address to answer at; anything but this machine's own asks for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port to answer at; 0 for any that is free.")] = 8765,
    token: Annotated[
        str,
        typer.Option(envvar="ANFINSEN_TOKEN", help="What who asks must know; made and shown where one is needed."),
    ] = "",
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Only this task; may be given again. See `anfinsen tasks`.")
    ] = None,
    state: Annotated[Path, typer.Option(help="Folder for jobs and their results.")] = Path("anfinsen-jobs"),
    relatives: Relatives = None,
    bundle: Bundled = None,
    on: On = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Answer over HTTP: a page for the browser, and REST for programs. Nothing leaves this machine."""
    try:
        from anfinsen.serve.run import Settings, run
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from None

    model = everywhere(bundle)
    settings = Settings(
        host=host,
        port=port,
        token=token,
        tasks=tuple(task or ()),
        state=state,
        bundle=model,
        relatives=relatives,
        threads=threads,
    )
    with crew(on, workers) as cluster:
        run(settings, tell=tell, cluster=cluster)

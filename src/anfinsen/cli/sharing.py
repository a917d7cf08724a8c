"""Verbs that share a model: to a hub, and from one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anfinsen.cli.screen import SHARE, app, notices, screen

Place = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="owner/name on the Hugging Face hub, or owner/name@commit.")
]


@app.command(rich_help_panel=SHARE)
def push(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of a trained model.")],
    address: Place,
    private: Annotated[bool, typer.Option("--private", help="Where the repository is new: for you alone.")] = False,
) -> None:
    """Put a trained model on a hub with its card, and say the address that pins it."""
    from anfinsen.errors import UsageError
    from anfinsen.hub.remote import Address
    from anfinsen.hub.remote import push as push_bundle

    target = Address.read(address)
    if target.revision:
        raise UsageError("A push makes a new commit.", remedy=f"Leave the commit out: {target.repository}")
    with notices.status(f"pushing to {escape(target.repository)}"):
        made = push_bundle(bundle, target, private=private)
    screen.print(escape(f"It is there. Others get this very model with: anfinsen pull {made}"), soft_wrap=True)


@app.command(rich_help_panel=SHARE)
def pull(
    address: Place,
    out: Annotated[Path | None, typer.Option(help="A new folder for the model; its name here if left out.")] = None,
) -> None:
    """Get a model from a hub, its hashes checked, pinned to one commit; nothing in it is ever run."""
    from anfinsen.hub.remote import Address
    from anfinsen.hub.remote import pull as pull_bundle

    wanted = Address.read(address)
    folder = out or Path(wanted.repository.rpartition("/")[2])
    with notices.status(f"pulling {escape(str(wanted))}"):
        pinned = pull_bundle(wanted, folder)
    screen.print(escape(f"It is in {folder}. Ask it with: anfinsen predict FILE --bundle {folder}"), soft_wrap=True)
    if not wanted.is_pinned:
        screen.print(escape(f"This was the newest. To get this very one again: anfinsen pull {pinned}"), soft_wrap=True)

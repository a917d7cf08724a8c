"""Flags of the verbs that can be computed on more than one machine, and places that are none of this one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from inspect import Parameter, signature
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from anfinsen.cli.screen import tell
from anfinsen.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from anfinsen.distributed.ray import Cluster

On = Annotated[str | None, typer.Option("--on", help="'ray' to compute on a Ray cluster, or on one of this machine.")]
Part = Annotated[str | None, typer.Option("--part", help="Only the part 0/16, 1/16 ... of the records, for arrays.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="With --on ray, so many workers; 2 else.")]

StrategyName = Annotated[
    str | None, typer.Option("--strategy", help="ddp, fsdp, zero1, zero2 or zero3, where more than one process trains.")
]
Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="Train on so many processes of this machine; or use torchrun.")
]
One = TypeVar("One")


def crew(on: str | None, workers: int | None) -> AbstractContextManager[Cluster | None]:
    """The workers that were asked for, or nobody."""
    if on is None:
        if workers is not None:
            raise UsageError("--workers says how many, and not where.", remedy="Say --on ray too.")
        return nullcontext()
    if on != "ray":
        raise UnknownNameError("place to compute", on, ["ray"])
    from anfinsen.distributed.ray import Cluster

    return Cluster(workers or 2)


def everywhere(path: Path | None) -> Path | None:
    """A path that means the same in another working folder: whole, or an address."""
    from anfinsen.data.elsewhere import address_of

    return path if path is None or address_of(path) else path.absolute()


def train_elsewhere(on: str | None, workers: int | None) -> None:
    """Run this command on the workers of a cluster and end with it; does nothing on a worker or where none are asked.

    Workers that are different machines need `--out` at an address, or a folder that all of them see.
    """
    if "RANK" in os.environ:
        return
    with crew(on, workers) as cluster:
        if cluster is not None:
            from anfinsen.distributed.processes import COMMAND

            code = cluster.start([*COMMAND, *sys.argv[1:]], tell=tell)
            raise typer.Exit(code)


def part_of(records: Iterable[One], part: str | None) -> Iterable[One]:
    """Every N-th record from the K-th on, where `part` is 'K/N'; all where it is None."""
    if part is None:
        return records
    first, stroke, count = part.partition("/")
    if not (stroke and first.isdecimal() and count.isdecimal() and int(first) < int(count)):
        raise UsageError(f"'{part}' is no part.", remedy="Write it as 0/16 for the first of 16, up to 15/16.")
    return islice(records, int(first), None, int(count))


def anywhere(verb: Callable[..., None]) -> Callable[..., None]:
    """Let the `out` of a verb be an address: it writes on this machine, and what it wrote is sent when it has ended.

    A verb that ends with an error sends nothing; the same command goes on from what lies here (see `working_copy`).
    Whoever writes a folder has a usual one; where a file has its name, that is told before anything is computed.
    """
    writes_folder = signature(verb).parameters["out"].default is not Parameter.empty

    @wraps(verb)
    def ready(*, out: Path, **flags: Any) -> None:
        from anfinsen.data.elsewhere import address_of, working_copy

        if writes_folder and out.is_file():
            raise UsageError(
                f"'{out}' is a file, and a folder is to be written.", remedy="Give another name with --out."
            )
        ended = None
        with working_copy(out) as here:
            try:
                verb(out=here, **flags)
            except typer.Exit as exit:
                ended = exit
        if here != out:
            tell(f"Written to {address_of(out)}.")
        if ended is not None:
            raise ended

    return ready

"""N processes of one command on this machine, which find each other as those that `torchrun` starts do.

    anfinsen train ... --processes 2  ->  the same command twice, with RANK 0 and 1  ->  `take_part` in each of them

The first process speaks; what the others say is kept back unless one of them fails alone. A signal to the parent goes
to all of them, and if one dies the others are stopped: a run that lacks a process would wait for it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from types import FrameType

from anfinsen.distributed.strategy import Strategy
from anfinsen.errors import UnknownNameError, UsageError

STRATEGIES = ("one", "ddp", "fsdp", "zero1", "zero2", "zero3")
"""What `--strategy` can be."""
COMMAND = (sys.executable, "-m", "anfinsen")
"""This program, whatever it was started as."""
_GRACE = 20.0
"""Seconds in which the processes may save before they are ended."""


def take_part(name: str | None, processes: int | None) -> Strategy:
    """This process's strategy; where several are asked for and this is none of them, they are started and waited for.

    Leaves by SystemExit with their exit code when it was the one that started them.
    """
    is_member = "RANK" in os.environ and "WORLD_SIZE" in os.environ
    several = is_member or (processes or 1) > 1
    name = name or ("ddp" if several else "one")
    if name not in STRATEGIES:
        raise UnknownNameError("strategy", name, STRATEGIES)
    if name == "one" and several:
        raise UsageError("'one' is one process.", remedy=f"Take one of {', '.join(STRATEGIES[1:])}.")
    if name != "one" and not several and processes is None:
        raise UsageError(f"'{name}' needs to know on how many processes.", remedy="Say --processes 2, or use torchrun.")
    if is_member or name == "one":
        return _strategy(name)
    raise SystemExit(start([*COMMAND, *sys.argv[1:]], processes or 1))


def _strategy(name: str) -> Strategy:
    if name == "ddp":
        from anfinsen.distributed.replicas import Replicas

        return Replicas()
    if name == "fsdp":
        from anfinsen.distributed.sharding import Sharding

        return Sharding()
    if name.startswith("zero"):
        from anfinsen.distributed.deepspeed import Zero

        return Zero(int(name[-1]))
    return Strategy()


def start(command: Sequence[str], count: int) -> int:
    """Run `count` processes of a command until all have ended; the first exit code that is not 0."""
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "OMP_NUM_THREADS": threads}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    # DDP remarks at every step that asks all heads that it need not have looked for others
    shared["TORCH_CPP_LOG_LEVEL"] = os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR")
    running: list[subprocess.Popen[bytes]] = []
    said = [tempfile.TemporaryFile() for _ in range(count)]  # noqa: SIM115  # closed below
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in running:
            process.send_signal(number)

    for number in before:
        signal.signal(number, pass_on)
    try:
        for rank in range(count):
            environment = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            silent = {} if rank == 0 else {"stdout": subprocess.DEVNULL, "stderr": said[rank]}
            # a group of its own, so that Ctrl-C comes once, by way of this process
            running.append(subprocess.Popen(command, env=environment, start_new_session=True, **silent))  # type: ignore[call-overload]
        codes = _wait(running)
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
        for number, handler in before.items():
            signal.signal(number, handler)
    failed = next((rank for rank, code in enumerate(codes) if code), None)
    if failed is not None and codes[0] == 0:
        said[failed].seek(0)
        sys.stderr.buffer.write(said[failed].read())
    for file in said:
        file.close()
    code = 0 if failed is None else codes[0] or codes[failed]
    return 128 - code if code < 0 else code


def _wait(running: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """The exit codes; once one process has failed the others have a while to end by themselves."""
    failed_at: float | None = None
    while any(process.poll() is None for process in running):
        if failed_at is None and any(process.poll() for process in running):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() - failed_at > _GRACE:
            for process in running:
                process.kill()
        time.sleep(0.05)
    return [process.returncode for process in running]


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])

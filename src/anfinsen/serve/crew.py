"""The parent's end of the child that computes: start it, ask it, notice its death, start another.

It may be asked by one thread at a time. A call that takes too long ends with the child's end, since nothing else stops
a computation for certain. It knows no job.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anfinsen.errors import AnfinsenError

START_SECONDS = 300
"""Seconds in which a child must have loaded its model; a cold disk or a busy machine is slow."""
COMMAND = (sys.executable, "-c", "from anfinsen.serve.worker import main; main()")


class WorkerDied(Exception):
    """The child is gone; the text says how, `is_late` whether it was ended for taking too long."""

    def __init__(self, text: str, *, is_late: bool = False) -> None:
        super().__init__(text)
        self.is_late = is_late


class Crew:
    """One child; `opening` is the first message to it."""

    hands = 1
    """How many compute at the same time."""

    def __init__(self, opening: Mapping[str, Any], command: Sequence[str] = COMMAND) -> None:
        self._opening, self._command = {"kind": "open", **opening}, command
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self) -> dict[str, Any]:
        """A fresh child's menu; raises the refusal of a bundle that cannot be used."""
        self.stop()
        paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | paths
        )
        self.starts += 1
        try:
            (menu,) = self._exchange(self._opening, 1, START_SECONDS)
        except WorkerDied as death:
            raise AnfinsenError(
                f"The process that computes could not be started: {death}.", remedy="Look at what it wrote to the log."
            ) from None
        if menu["kind"] == "refused":
            self.stop()
            raise AnfinsenError(menu["reason"], remedy=menu["remedy"])
        return menu

    @property
    def is_alive(self) -> bool:
        """Whether there is a child to ask."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._process.pid if self._process is not None else None

    def ask(self, message: Mapping[str, Any], count: int, seconds: float) -> Iterator[dict[str, Any]]:
        """`count` replies, as they come; raises `WorkerDied` where the child dies or takes longer than `seconds`."""
        if not self.is_alive:
            self.start()
        yield from self._exchange(message, count, seconds)

    def _exchange(self, message: Mapping[str, Any], count: int, seconds: float) -> Iterator[dict[str, Any]]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None  # noqa: PT018
        late = threading.Event()
        timer = threading.Timer(max(0.1, seconds), _end, [process, late])
        timer.daemon = True
        timer.start()
        left = count
        try:
            with suppress(BrokenPipeError):  # a dead child is told below, by the end of what it says
                process.stdin.write(json.dumps(message).encode() + b"\n")
                process.stdin.flush()
            while left:
                line = process.stdout.readline()
                if not line.endswith(b"\n"):
                    raise _death(process, late.is_set())
                yield json.loads(line)
                left -= 1
        finally:
            timer.cancel()
            if left:
                self.stop()  # what it still says belongs to a question that nobody waits for

    def kill(self) -> None:
        """End what the child computes now; whoever waits for it is told that it died."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """End everything that computes, for good."""
        self.stop()

    def stop(self) -> None:
        """End the child, if it lives, and close its pipes."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _death(process: subprocess.Popen[bytes], is_late: bool) -> WorkerDied:
    process.kill()
    code = process.wait()
    how = f"signal {-code}, {_signal_name(-code)}" if code < 0 else f"exit code {code}"
    return WorkerDied("it took too long" if is_late else f"it died ({how})", is_late=is_late)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"

"""Ctrl-C and SIGTERM: the step that runs is finished, the run is saved, and a sentence says how to go on.

A cluster that takes a machine back sends SIGTERM, a person presses Ctrl-C; both get the same care. Who asks a
second time is obeyed at once: the checkpoint before is whole, so at most the steps since then are done again.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from anfinsen.errors import StoppedError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While it is open, a request to stop is remembered instead of obeyed; outside the main thread it does nothing."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._remember) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    def agree(self, highest: Callable[[int], int]) -> None:
        """Hear whether any process of this run was asked: all of them stop after the same step."""
        self.number = highest(self.number)

    def stop(self, step: int, folder: Path) -> StoppedError:
        """The error that ends a run whose state at `step` has just been saved in `folder`."""
        return StoppedError(
            f"Stopped after step {step}, as asked. Everything learnt so far is saved in '{folder}'.",
            remedy="The same command goes on from there.",
            exit_code=128 + self.number,
        )

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._let_go()

    def _let_go(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before if before is not None else signal.SIG_DFL)
        self._before = {}

"""The child process that holds the model: it reads questions from a pipe, answers, and may die without harm.

    {"kind": "open", ...}    -> the menu, or a refusal         once, at the start
    {"kind": "answer", ...}  -> one line a protein, in order   {"line", "card"} or {"fault", "remedy", "row", "record"}
    {"kind": "report", ...}  -> {"html"}
    {"kind": "look", ...}    -> {"told"} or {"fault", "remedy"}: see `closer`

One message a line, as JSON: nothing is unpickled. It speaks to no network; of files it reads the bundle, and the store
that its parent named at the start. Its memory is limited to a share of what is free (on Linux), so that a protein that
needs more is refused in words instead of the whole machine going down.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any

from anfinsen import __version__, runtime
from anfinsen.data.example import Example
from anfinsen.errors import AnfinsenError, InputError
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.inference.prediction import Prediction
from anfinsen.inference.predictor import Predictor, tasks_of
from anfinsen.kinship.kin import Kin
from anfinsen.reading.raw import printable
from anfinsen.report.html import write_report
from anfinsen.report.origin import origin
from anfinsen.serve.closer import Closer
from anfinsen.serve.menu import card, entry
from anfinsen.serve.reading import unpacked
from anfinsen.serve.store import read_lines

Message = dict[str, Any]


def main() -> None:
    """Answer messages from standard input until it ends; what a library prints goes nowhere."""
    with os.fdopen(os.dup(0), "rb") as source, os.fdopen(os.dup(1), "wb") as sink:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1):
            os.dup2(nowhere, stream)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end ends this loop
        answering: Answering | None = None
        with suppress(BrokenPipeError):
            for line in source:
                asked = json.loads(line)
                if asked["kind"] == "open":
                    answering, replies = _open(asked)
                else:
                    assert answering is not None
                    replies = answering.replies(asked)
                for reply in replies:
                    sink.write(json.dumps(reply).encode() + b"\n")
                    sink.flush()


def _open(asked: Message) -> tuple[Answering | None, Iterator[Message]]:
    try:
        runtime.use_threads(asked["threads"])
        bundle = Bundle.load(asked["bundle"] or default_bundle())
        kin = Kin.find(asked["relatives"])
        answering = Answering(bundle, asked["tasks"], asked["store"], kin)
    except AnfinsenError as error:
        return None, iter([{"kind": "refused", "reason": error.reason, "remedy": error.remedy}])
    _limit_memory(asked["memory_share"])
    return answering, iter([answering.menu()])


class Answering:
    """One bundle, asked by one predictor; `store` is where finished jobs lie, for their reports.

    Relatives are looked for where somebody knows some.
    """

    def __init__(self, bundle: Bundle, tasks: Sequence[str], store: str, kin: Kin | None = None) -> None:
        self._predictor = Predictor(bundle, tasks or tuple(tasks_of(bundle)), kin=kin)
        self._tasks = {task.name: task for task in self._predictor.tasks}
        self._store = store
        self._closer = Closer(bundle, self._tasks, kin)

    def replies(self, asked: Message) -> Iterator[Message]:
        """What is said to one message."""
        kinds = {"answer": self.answer, "report": self.report, "look": self.look}
        return kinds[asked["kind"]](asked)

    def menu(self) -> Message:
        """Who answers, and what can be asked."""
        bundle = self._predictor.bundle
        return {
            "kind": "menu",
            "model": {"name": bundle.name, "sha256": bundle.sha256, "version": __version__},
            "looks": self._closer.names,
            "fold_seconds": self._closer.fold_seconds,
            "tasks": [entry(task, bundle.records.get(task.name)) for task in self._tasks.values()],
        }

    def answer(self, asked: Message) -> Iterator[Message]:
        """One reply a protein; where they cannot be answered together, each is tried by itself."""
        predictor = copy(self._predictor)
        predictor.tasks = tuple(self._tasks[name] for name in asked["tasks"])
        examples = [unpacked(one) for one in asked["proteins"]]
        try:
            told = [self._told(prediction) for prediction in predictor.predict(examples)]
        except Exception:  # noqa: BLE001 - a row that breaks the others is found below
            told = []
        if told:
            yield from told
            return
        for example in examples:
            try:
                (prediction,) = predictor.predict([example])
                yield self._told(prediction)
            except AnfinsenError as error:
                yield {"fault": error.reason, "remedy": error.remedy} | _place(example)
            except Exception as error:  # one row of a job: the others go on
                logging.getLogger(__name__).exception("a protein of %d residues failed", example.residues)
                yield _fault(error, example.residues) | _place(example)

    def _told(self, prediction: Prediction) -> Message:
        bundle = self._predictor.bundle
        longest = int(getattr(bundle.network.body, "longest", prediction.residues))
        return {"line": prediction.to_line(), "card": card(prediction, self._tasks, bundle.records, longest)}

    def look(self, asked: Message) -> Iterator[Message]:
        """One closer look; a fault is told in words, and the next one goes on."""
        try:
            examples = [unpacked(one) for one in asked["proteins"]]
            yield {"told": self._closer.look(asked["what"], examples, asked["about"])}
        except AnfinsenError as error:
            yield {"fault": error.reason, "remedy": error.remedy}
        except Exception as error:  # one look: the others go on
            logging.getLogger(__name__).exception("a look failed")
            yield _fault(error, sum(len(one["chains"][0]["sequence"]) for one in asked["proteins"]))

    def report(self, asked: Message) -> Iterator[Message]:
        """The report of a finished job, as HTML."""
        bundle = self._predictor.bundle
        with tempfile.TemporaryDirectory(prefix="anfinsen-") as folder:
            path = Path(folder) / "report.html"
            write_report(
                path,
                (Prediction.from_json(json.loads(line)) for line in read_lines(Path(self._store), asked["job"])),
                tasks=self._tasks,
                records=bundle.records,
                about=origin(bundle) | {"Job": asked["job"]},
                refused=[_refusal(problem) for problem in asked["refused"]],
            )
            yield {"html": path.read_text(encoding="utf-8")}


def _refusal(problem: Mapping[str, Any]) -> InputError:
    return InputError(
        problem["reason"],
        remedy=problem["remedy"],
        row=problem["row"],
        position=problem["position"],
        record=problem["record"] or "",
    )


def _place(example: Example) -> Message:
    return {"row": example.protein.row, "record": printable(example.protein.id)}


def _fault(error: Exception, residues: int) -> Message:
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        reason = f"With {residues:,} residues it needs more memory than is free here."
        return {"fault": reason, "remedy": "Ask about a part of it, or use a machine with more memory."}
    reason = f"Something broke here that should not ({type(error).__name__})."
    return {"fault": reason, "remedy": "Tell whoever runs this server; its log tells more."}


def _limit_memory(share: float) -> None:
    """Let this process take `share` of what is free on the machine now; nothing is limited where Linux is not."""
    free = Path("/proc/meminfo")
    if sys.platform != "linux" or not free.exists():
        return
    import resource

    told = dict(line.split(":") for line in free.read_text(encoding="ascii").splitlines())
    available = int(told["MemAvailable"].split()[0]) * 1024
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = held + int(share * available)
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

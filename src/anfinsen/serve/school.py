"""The school: trainings and lessons, each a child process of the command line in a folder of its own.

    <state>/trainings/ID/my-table.csv     the table as it came
                         request.json     how it is to be read, and its name
                         plan.txt         what `anfinsen train --plan` said
                         told.txt         what `anfinsen train` said; its last part is the card
                         run/             the run: events.jsonl, checkpoints, bundle (see `training`)

What a training is and how it stands is read from its folder, so a page can be closed, and a server started again: the
same folder again goes on where it stopped. Nothing here knows a network, and the training room is never imported.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from anfinsen.errors import AnfinsenError
from anfinsen.limits import LIMITS, Limits
from anfinsen.serve.problem import refuse

TABLE, REQUEST, PLAN, TOLD, RUN = "my-table.csv", "request.json", "plan.txt", "told.txt", "run"
FLAGS = {"label": "--label", "column": "--column", "partner": "--partner", "kind": "--kind", "mode": "--mode"}
Stage = Literal["planning", "planned", "refused", "training", "done", "failed", "stopped"]
ROUNDS, LAST = "rounds", 10**9
"""Where the rounds that judge lie, and where the training that is kept stands behind them."""
_COMMAND = (sys.executable, "-m", "anfinsen")
_MARKS = {"Error:": "error", "Mind:": "warning", "Refused:": "refused", "Usage": "error"}
_ID = re.compile(r"[0-9a-f]{32}")
_WIDE = "4000"
_LESSON_WIDTH = "78"
LESSON_SECONDS = 300
STOP_SECONDS = 20
_SOME_REFUSED = 3
"""Exit code of the command line where rows were refused and the rest was done."""


@dataclass(frozen=True)
class Training:
    """How one training stands, read from its folder."""

    id: str
    stage: Stage
    request: Mapping[str, Any]
    plan: list[dict[str, str]]
    told: list[dict[str, str]]
    command: str
    made: str


class School:
    """The trainings in `folder`; `bundle` is the model that they begin from, the embedded one if None."""

    def __init__(self, folder: Path, limits: Limits = LIMITS, *, bundle: Path | None = None) -> None:
        self.folder, self.limits = folder.absolute(), limits
        self._bundle = None if bundle is None else bundle.absolute()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._key = threading.Lock()
        self._lessons: dict[str, str] = {}

    # Trainings -------------------------------------------------------------------------------------------------------

    def enter(self, table: str, request: Mapping[str, Any]) -> Training:
        """Keep a table and begin to plan its training."""
        id = secrets.token_hex(16)
        place = self.folder / id
        place.mkdir(parents=True, mode=0o700)
        (place / TABLE).write_text(table, encoding="utf-8", newline="")
        (place / REQUEST).write_text(json.dumps(dict(request)), encoding="utf-8")
        self._begin(id, "--plan")
        return self.find(id)

    def start(self, id: str) -> Training:
        """Train as planned, or go on where it stopped."""
        if self.find(id).stage not in ("planned", "stopped", "failed"):
            raise refuse(409, "not_ready", "the training", "It cannot be started now.", "Look at how it stands.")
        self._begin(id, "--yes")
        return self.find(id)

    def stop(self, id: str) -> Training:
        """Stop a training; what it has learned is kept, and it can go on."""
        self.find(id)
        with self._key:
            child = self._children.get(id)
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.wait(STOP_SECONDS)
        return self.find(id)

    def find(self, id: str) -> Training:
        """One training by its id."""
        place = self.folder / id
        if not _ID.fullmatch(id) or not (place / REQUEST).is_file():
            raise refuse(404, "no_training", "the address", "There is no such training.", "Look at the address.")
        request = json.loads((place / REQUEST).read_text(encoding="utf-8"))
        with self._key:
            child = self._children.get(id)
        code = None if child is None else child.poll()
        return Training(
            id=id,
            stage=_stage(place, is_alive=child is not None and code is None, code=code),
            request=request,
            plan=lines_of(place / PLAN, table=request["name"]),
            told=lines_of(place / TOLD),
            command=" ".join(["anfinsen train", request["name"] or TABLE, *_flags(request)]),
            made=str(place / RUN / "bundle") if (place / RUN / "bundle").is_dir() else "",
        )

    def events(self, id: str, after: int) -> list[dict[str, Any]]:
        """The records of a training's steps after the first so many; of rounds each says which it belongs to."""
        run = self.folder / id / RUN
        paths = [path.relative_to(run) for path in run.glob("**/events.jsonl")]

        def order(path: Path) -> tuple[int, str]:
            return (int(path.parts[1]) if path.parts[0] == ROUNDS else LAST, str(path))

        found = [
            (record, path.parts[1] if path.parts[0] == ROUNDS else "")
            for path in sorted(paths, key=order)
            for record in _records(run / path)
        ]
        return [{**record, "round": name} for record, name in found[after:]]

    def _begin(self, id: str, how: str) -> None:
        place = self.folder / id
        request = json.loads((place / REQUEST).read_text(encoding="utf-8"))
        with self._key:
            running = sum(child.poll() is None for child in self._children.values())
            if running >= self.limits.trainings:
                raise refuse(
                    429,
                    "busy",
                    "the server",
                    f"{running} training runs already, which is the limit.",
                    "Wait until it is done, or stop it.",
                    headers={"Retry-After": "60"},
                )
            words = [
                "train",
                TABLE,
                "--out",
                RUN,
                how,
                *_flags(request),
            ]  # from inside its folder, so that no path is told
            words += ["--from", str(self._bundle)] if self._bundle is not None else []
            with (place / (PLAN if how == "--plan" else TOLD)).open("wb") as file:
                self._children[id] = subprocess.Popen(
                    [*_COMMAND, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=_surroundings(COLUMNS=_WIDE, NO_COLOR="1"),
                    cwd=place,
                )

    def close(self) -> None:
        """Stop every child; they save what they have, and go on when they are started again."""
        with self._key:
            alive = [child for child in self._children.values() if child.poll() is None]
        for child in alive:
            child.send_signal(signal.SIGTERM)
        for child in alive:
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()

    # Lessons ---------------------------------------------------------------------------------------------------------

    def lesson(self, number: int | None) -> list[dict[str, str]]:
        """What a lesson of `anfinsen learn` says, in parts; the list of lessons without a number."""
        words = ["learn"] if number is None else ["learn", str(number)]
        name = " ".join(words)
        if name not in self._lessons:
            shown = {"COLUMNS": _LESSON_WIDTH, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
            try:
                done = subprocess.run(
                    [*_COMMAND, *words],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    env=_surroundings(**shown),
                    timeout=LESSON_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise AnfinsenError("The lesson took too long.", remedy="Ask again when the machine rests.") from None
            if done.returncode:
                raise AnfinsenError("The lesson could not be given.", remedy=f"Try it: anfinsen {name}")
            self._lessons[name] = done.stdout.decode("utf-8", "replace")
        return parts_of(self._lessons[name])


def _surroundings(**more: str) -> dict[str, str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return kept | {"PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8"} | more


def _flags(request: Mapping[str, Any]) -> list[str]:
    """The request as flags; a value that looks like a flag stays a value."""
    found = [f"{flag}={request[name]}" for name, flag in FLAGS.items() if request.get(name)]
    return found + [f"--{name}={request[name]}" for name in ("epochs", "seed") if request.get(name) is not None]


def _stage(place: Path, *, is_alive: bool, code: int | None) -> Stage:
    has_begun = (place / TOLD).exists()
    if is_alive:
        return "training" if has_begun else "planning"
    if (place / RUN / "bundle").is_dir():
        return "done"
    if has_begun:
        return "stopped" if code is None or code < 0 or code >= 128 else "failed"
    if code is None:  # an earlier server planned it
        return "planned" if any(line["level"] == "" for line in lines_of(place / PLAN)[1:]) else "refused"
    return "planned" if code in (0, _SOME_REFUSED) else "refused"


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of events.jsonl; a line that is still being written comes next time."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.endswith("}"):
            return
        yield json.loads(line)


def lines_of(path: Path, *, table: str = "") -> list[dict[str, str]]:
    """What the command line said, a line a sentence, each with its level; `table` is what the user calls the table."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not (text := line.strip()):
            continue
        text = text.replace(TABLE, table or TABLE)
        first, _, rest = text.partition(" ")
        level = _MARKS.get(first, "heading" if text in ("The plan", "Learning", "How good it is") else "")
        found.append({"level": level, "text": rest if first in _MARKS else text})
    return found


_STYLED = re.compile(r"\x1b\[([\d;]*)m")


def parts_of(text: str) -> list[dict[str, str]]:
    """A lesson as parts: title, heading, say, note or draw; drawn lines keep their places.

    >>> parts_of("\\x1b[1mOne\\x1b[0m\\nIt is\\nso.\\n  a b\\n  c")
    [{'kind': 'title', 'text': 'One'}, {'kind': 'say', 'text': 'It is so.'}, {'kind': 'draw', 'text': 'a b\\nc'}]
    """
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        bare = _STYLED.sub("", line)
        if not bare.strip() or set(bare.strip()) == {"─"}:
            found.append({"kind": "", "text": ""})
            continue
        kind = _kind(line, bare)
        text_ = bare[2:].rstrip() if kind == "draw" else bare.strip()
        last = found[-1] if found else {"kind": ""}
        if last["kind"] == kind and kind in ("say", "note", "draw"):
            last["text"] += ("\n" if kind == "draw" else " ") + text_
        else:
            found.append({"kind": kind, "text": text_})
    return [part for part in found if part["kind"]]


def _kind(line: str, bare: str) -> str:
    if bare.startswith("  "):
        return "draw"
    style = set((match[1] if (match := _STYLED.match(line)) else "").split(";"))
    if {"1", "36"} <= style:
        return "heading"
    return "title" if "1" in style else "note" if "2" in style else "say"

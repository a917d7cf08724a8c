"""The audit of a bundle: is it still what it was when it was made, and could it be made again?

    files     every file is the one that bundle.json vouches for
    golden    three known proteins get the answers they got
    code      which rooms of the code have changed since (no fault: the golden proteins say whether it matters)
    body      the weights of the body are the ones it was trained with; of a body that is only named, this finds a
              checkpoint that was replaced
    data      the tables on this machine are the ones it learnt from, dealt in the same way (on request: it reads them)

A finding that does not hold is a reason not to trust the bundle; one that says None could not be looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from anfinsen.errors import AnfinsenError, BundleError, MissingDataError
from anfinsen.hub.body import body_hash
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.lock import BODY, VERSION, changed_rooms
from anfinsen.hub.record import TaskRecord
from anfinsen.tasks import TASKS
from anfinsen.training.recipe import Recipe
from anfinsen.training.run import Lesson, adjusted


class Finding(NamedTuple):
    """One thing that was looked at: whether it holds (None where that cannot be said), and a sentence."""

    about: str
    holds: bool | None
    sentence: str


LookAtOwn = Callable[[Bundle, str], Iterable[Finding]]
"""Looks at the table of its owner's that a task of a bundle was trained on."""


def audit(folder: Path, *, with_data: bool = False, own: LookAtOwn | None = None) -> list[Finding]:
    """Look at everything; a folder that cannot be opened is one finding. `own` looks at a table of one's own."""
    try:
        bundle = Bundle.load(folder)
    except BundleError as error:
        return [Finding("files", False, str(error))]
    return list(_findings(bundle, with_data, own))


def _findings(bundle: Bundle, with_data: bool, own: LookAtOwn | None) -> Iterator[Finding]:
    yield Finding("files", True, "Every file is the one that bundle.json vouches for.")
    yield golden(bundle)
    yield _code(bundle.lock)
    yield _body(bundle)
    if not with_data:
        yield Finding("data", None, "Its tables were not read; --data compares them too.")
        return
    for name, record in bundle.records.items():
        if record.custom is not None and own is not None:
            yield from own(bundle, name)
        else:
            yield from _data(bundle, name, record)


def golden(bundle: Bundle) -> Finding:
    """Whether the known proteins get the answers they got."""
    count, differences = len(bundle.golden_sequences), bundle.verify()
    if not count:
        return Finding("golden", None, " ".join(differences))
    if differences:
        return Finding("golden", False, f"Its {count} golden proteins get other answers: {' '.join(differences)}")
    return Finding("golden", True, f"Its {count} golden proteins get the answers they got when it was made.")


def _code(lock: dict[str, str]) -> Finding:
    if VERSION not in lock:
        return Finding("code", None, "It was made before bundles kept hashes of the code.")
    changed = changed_rooms(lock)
    if not changed:
        return Finding("code", True, f"The code is the one that made it (anfinsen {lock[VERSION]}).")
    rooms = ", ".join(changed)
    return Finding(
        "code",
        None,
        f"The code has changed since anfinsen {lock[VERSION]} made it ({rooms}); the golden proteins say whether it "
        "matters.",
    )


def _body(bundle: Bundle) -> Finding:
    if BODY not in bundle.lock:
        return Finding("body", None, "It was made before bundles kept a hash of the body.")
    if bundle.lock[BODY] == body_hash(bundle.network.body):
        return Finding("body", True, "Its body has the weights that it was made with.")
    name = getattr(bundle.network.body, "name", "its body")
    return Finding("body", False, f"'{name}' has other weights than when the bundle was made.")


def _data(bundle: Bundle, name: str, record: TaskRecord) -> Iterator[Finding]:
    about = f"data of {name}"
    if name not in TASKS:
        yield Finding(about, None, "Its table is its owner's; name it to have it compared: --data TABLE.")
        return
    if not record.data_sha256:
        yield Finding(about, None, "The bundle keeps no hash of it.")
        return
    try:
        lesson = _lesson(bundle, name)
    except MissingDataError:
        yield Finding(about, None, f"The table '{TASKS[name].table.files}' is not on this machine.")
        return
    except AnfinsenError as error:
        yield Finding(about, None, f"It cannot be read as it was: {error}")
        return
    yield from compared(lesson, record, name, f"'{lesson.task.table.files}'")


def compared(lesson: Lesson, record: TaskRecord, name: str, table: str) -> Iterator[Finding]:
    """Whether the rows of a table and the way they are dealt are those that a task was trained on."""
    about = f"data of {name}"
    if len(lesson.train) != record.trained_on:
        counts = f"{len(lesson.train):,} training rows come of it, and it learnt from {record.trained_on:,}"
        yield Finding(about, False, f"The table {table} is not the one it learnt from: {counts}.")
        return
    if lesson.data_sha256 != record.data_sha256:
        known = f"SHA-256 {lesson.data_sha256[:12]} here, {record.data_sha256[:12]} in the bundle"
        yield Finding(about, False, f"The table {table} is not the one it learnt from: {known}.")
        return
    noun = "pairs" if lesson.task.of_pairs else "proteins"
    yield Finding(about, True, f"The {len(lesson.train):,} training {noun} are the ones it learnt from.")
    if record.split_sha256:
        holds = lesson.split_sha256 == record.split_sha256
        words = "is dealt as it was" if holds else "is dealt otherwise than it was"
        yield Finding(
            f"split of {name}", holds, f"The table {words}: who trains, who decides when to stop, who calibrates."
        )


def _lesson(bundle: Bundle, name: str) -> Lesson:
    """The examples as the recipe of the bundle deals them."""
    settings = json.loads(bundle.provenance.get("recipe", "{}"))
    own = {task: changes for task, changes in settings.get("task", {}).items() if task == name}
    recipe = Recipe(task=own, validate_on=settings.get("validate_on", Recipe().validate_on))
    (task,) = adjusted([TASKS[name]], recipe)
    return Lesson(task, recipe)

"""In which order answers are shown: by the parts that `tasks.base.GROUPS` names, leaders first, then by title.

A task says its group itself; one that says none, or is not installed here, stands where its kind of answer usually
does. So a new task finds its place without a line here.
"""

from __future__ import annotations

from collections.abc import Mapping

from anfinsen.report.answer import Kind, kind_of
from anfinsen.targets.base import Answer
from anfinsen.tasks.base import GROUPS, Task

_USUAL: Mapping[Kind, str] = {
    "number": "behaviour",
    "tokens": "structure",
    "values": "structure",
    "tracks": "structure",
}
_ORDER = list(GROUPS)


def group_of(answer: Answer, task: Task | None) -> str:
    """The group that an answer belongs to."""
    return (task.group if task is not None else "") or _USUAL.get(kind_of(answer), "function")


def arranged(answers: Mapping[str, Answer], tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    """The names of the tasks asked, by group in the order of the report; empty groups are left out."""
    found: dict[str, list[str]] = {group: [] for group in _ORDER}
    for name, answer in answers.items():
        found.setdefault(group_of(answer, tasks.get(name)), []).append(name)

    def place(name: str) -> tuple[bool, str]:
        task = tasks.get(name)
        return (True, name.casefold()) if task is None else (not task.leads, task.title.casefold())

    return {group: sorted(names, key=place) for group, names in found.items() if names}


def leaders(answers: Mapping[str, Answer], tasks: Mapping[str, Task]) -> list[str]:
    """One task a group, which speaks for it where there is no room for all."""
    return [names[0] for names in arranged(answers, tasks).values()]

"""One dictionary with manners: a name leads to a thing, a wrong name lists the choices.

A plug-in package adds to a registry by an entry point of the registry's group, for example

    [project.entry-points."anfinsen.tasks"]
    my-task = "my_package:MY_TASK"
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import Generic, TypeVar

from anfinsen.errors import UnknownNameError, UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names and things of one kind; `group` is the entry-point group that plug-ins use."""

    def __init__(self, kind: str, group: str = "") -> None:
        self.kind = kind
        self._group = group
        self._things: dict[str, T] = {}
        self._plugins_are_loaded = not group

    def add(self, name: str, thing: T) -> T:
        """Register `thing`; a name is taken once."""
        if name in self._things and self._things[name] is not thing:
            raise UsageError(f"The {self.kind} '{name}' is registered twice.", remedy="Choose another name.")
        self._things[name] = thing
        return thing

    def remove(self, name: str) -> None:
        """Forget `name` (a test that registers a thing takes it away again)."""
        self._things.pop(name, None)

    def __getitem__(self, name: str) -> T:
        self._load_plugins()
        if name not in self._things:
            raise UnknownNameError(self.kind, name, self._things)
        return self._things[name]

    def __contains__(self, name: object) -> bool:
        self._load_plugins()
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        self._load_plugins()
        return iter(self._things)

    def __len__(self) -> int:
        self._load_plugins()
        return len(self._things)

    def _load_plugins(self) -> None:
        if self._plugins_are_loaded:
            return
        self._plugins_are_loaded = True
        for point in metadata.entry_points(group=self._group):
            self.add(point.name, point.load())

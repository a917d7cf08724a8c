"""Every task that ships with the platform: one file each, found by lying in this folder."""

from importlib import import_module
from pkgutil import iter_modules

from anfinsen.tasks.base import TASKS, Task

for _module in iter_modules(__path__):
    _task = getattr(import_module(f"{__name__}.{_module.name}"), "TASK", None)
    if isinstance(_task, Task):
        TASKS.add(_task.name, _task)

__all__ = ["TASKS", "Task"]

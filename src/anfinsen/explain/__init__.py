"""Why a network answers as it does. The room can be called: `anfinsen.explain(protein, task)`.

Python puts a room that was imported under its name on the package, where it would hide a function of that name. So the
room itself is what is called, and `anfinsen.explain` is the same whoever has imported what before.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """A module that can be called, as `explain.door` says."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        from anfinsen.explain.door import explain

        return explain(*given, **named)


sys.modules[__name__].__class__ = _Room

"""Arrays that travel as one file beside the models: what a frozen dataclass holds, by the names of its fields.

    dataclass of arrays  <->  safetensors, nothing packed and nothing derived

It knows nothing of what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Self

import numpy
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from anfinsen.errors import BundleError


@dataclass(frozen=True)
class Arrays:
    """What is held as arrays alone; whoever inherits names them as fields."""

    HOLDS: ClassVar[str]
    """What a file of them holds, in words."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """A file that `save` wrote. Raises `BundleError` where it is none."""
        try:
            return cls(**load_file(path))
        except (OSError, SafetensorError, TypeError) as error:
            raise BundleError(f"'{path}' holds no {cls.HOLDS}: {error}.", remedy="Get it again.") from None

    def save(self, path: Path) -> None:
        """Write it as it is held."""
        save_file(self._held(), path)

    def is_same(self, other: Self) -> bool:
        """Whether another holds the very same."""
        theirs = other._held()
        return all(numpy.array_equal(array, theirs[name]) for name, array in self._held().items())

    def _held(self) -> dict[str, numpy.ndarray]:
        return {part.name: getattr(self, part.name) for part in fields(self)}

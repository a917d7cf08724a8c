"""What a head remembers word for word: arrays that are no weights, of a size that only their content decides.

A network keeps of its training proteins what its weights have made of them. A head with a recall also keeps the
proteins themselves, packed, so that a near relative can be looked up. The arrays travel with the head's weights.
It knows neither what they mean nor who reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Arrays = Mapping[str, NDArray[Any]]
T = TypeVar("T")


class Recall(nn.Module):
    """Named arrays; empty until something is kept."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self._read: object = None
        for name in names:
            self.register_buffer(name, torch.zeros(0, dtype=torch.uint8))

    def keep(self, arrays: Arrays) -> None:
        """Remember these arrays, one for each name, in the place of what was there."""
        for name in self.names:
            kept = numpy.array(arrays[name])  # a copy that may be written to
            setattr(self, name, torch.from_numpy(kept).to(getattr(self, name).device))
        self._read = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is remembered; empty arrays where nothing is."""
        return {name: getattr(self, name).cpu().numpy() for name in self.names}

    def read(self, reader: Callable[[dict[str, NDArray[Any]]], T]) -> T:
        """What `reader` makes of the arrays; made once, until something else is kept."""
        if self._read is None:
            self._read = reader(self.arrays())
        return cast(T, self._read)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the size of the arrays from what is loaded: a recall is as large as what was put into it.

        What was saved without a memory has none.
        """
        state_dict = {prefix + name: torch.zeros(0, dtype=torch.uint8) for name in self.names} | state_dict
        for name in self.names:
            kept = state_dict.get(prefix + name)
            if isinstance(kept, Tensor):
                setattr(self, name, torch.empty(kept.shape, dtype=kept.dtype, device=getattr(self, name).device))
        self._read = None
        super()._load_from_state_dict(state_dict, prefix, *rest)

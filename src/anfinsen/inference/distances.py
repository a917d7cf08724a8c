"""From a protein to what is believed of its fold: the embedded folder is asked, and its memory is told beforehand.

    protein -> language-model states and attention maps -> pair trunk -> Distogram

Coordinates are made from the distogram elsewhere; this file knows none.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from anfinsen import runtime
from anfinsen.data.example import Example
from anfinsen.errors import BundleError, UnknownNameError
from anfinsen.hub.bundle import WEIGHTS, Bundle
from anfinsen.models.fast import quicken
from anfinsen.models.folding import FoldingHead
from anfinsen.models.network import Network
from anfinsen.structure.distogram import Distogram
from anfinsen.structure.protein import Protein
from anfinsen.targets.distances import Distances
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import ask

TASK = "contacts"
FOLDER = WEIGHTS / "anfinsen-fold"
"""The bundle that folds and comes with the package."""
_BYTES = 4
_AT_ONCE = 3
"""Arrays of one kind that are held at the same time: what goes in, what comes out, and one between."""


class Folder:
    """Believes something of the fold of a protein; holds one bundle that answers 'contacts'."""

    def __init__(self, bundle: Bundle, *, device: str = "auto") -> None:
        if TASK not in bundle.records:
            raise UnknownNameError(f"task in the bundle '{bundle.name}'", TASK, bundle.records)
        self.bundle = bundle
        self._network = quicken(bundle.network.to(runtime.pick_device(device)).eval())

    @classmethod
    def load(cls, folder: str | Path | None = None, *, device: str = "auto") -> Folder:
        """Open a bundle's folder, that of the embedded folder if none is given."""
        return cls(Bundle.load(folder or default_folder()), device=device)

    def distogram(self, protein: Protein) -> Distogram:
        """What is believed of one protein."""
        (outputs,) = ask(self._network, [TASKS[TASK]], [Example(protein)])
        return distances_target().distogram(outputs[TASK], self.bundle.records[TASK].calibration)

    def memory(self, length: int) -> int:
        """About how many bytes a protein of so many residues takes beside the weights."""
        return memory_of(self._network, length)


def memory_of(network: Network, length: int) -> int:
    """About how many bytes the pairs of a chain of `length` residues take: all of it grows with the square."""
    head = network.heads[TASK]
    assert isinstance(head, FoldingHead)  # the only head of its kind
    config = head.config
    pair = head.maps + config.fine + head.size
    point = 2 * config.dim / config.patch**2
    return int(_BYTES * _AT_ONCE * (pair + point) * length**2)


@cache
def distances_target() -> Distances:
    """The target of the task that folds."""
    target = TASKS[TASK].target
    assert isinstance(target, Distances)
    return target


def default_folder() -> Path:
    """The folder of the bundle that folds."""
    if not (FOLDER / "bundle.json").is_file():
        raise BundleError(
            "This copy of Anfinsen has no embedded folder.",
            remedy="Train one: anfinsen train contacts --recipe recipes/fold-xs.toml, and give its bundle.",
        )
    return FOLDER

"""Tasks whose head remembers its training proteins: a protein's relatives among them are looked up and heard.

remember   after training: the training proteins and their names go into the head's memory
consult    when asked: the votes of a protein's relatives are put behind the head's outputs (see `voices`)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy
from torch import nn

from anfinsen.data.example import Example
from anfinsen.kinship.homology import Library
from anfinsen.models.recall import Recall
from anfinsen.targets.base import Floats
from anfinsen.targets.hierarchy import Hierarchy
from anfinsen.targets.voices import Shares, Voices
from anfinsen.tasks.base import Task


@dataclass(frozen=True)
class RecallingTask(Task):
    """A task about names in a hierarchy whose head has a memory."""

    hierarchy: Hierarchy | None = None
    sharpness: float = 1.0
    """The power of a relative's score with which it votes: the higher, the more the best one counts alone."""

    def remember(self, head: nn.Module, train: Sequence[Example]) -> None:
        """Put the training proteins with their names into the head's memory."""
        known = [example for example in train if example.value is not None]
        library = Library.of([example.protein for example in known], [self.places(example) for example in known])
        cast(Recall, head.memory).keep(library.to_arrays())

    def consult(self, head: nn.Module, examples: Sequence[Example], outputs: Sequence[Floats]) -> list[Floats]:
        """The outputs of each example with what its relatives say behind them; as they are without a memory."""
        library = cast(Recall, head.memory).read(Library.from_arrays)
        if not len(library):
            return list(outputs)
        return [
            Voices(row, *self.asked(library, example.protein.sequence), True).row()
            for row, example in zip(outputs, examples, strict=True)
        ]

    def asked(self, library: Library, sequence: str) -> tuple[Shares, float, float]:
        """What the relatives of a sequence say (see `Voices`): votes (N,), identity and sureness of the best one.

        Each votes for its names and all above them, by its score in bits (DiamondScore of DeepGOPlus; Kulmanov &
        Hoehndorf 2020, Bioinformatics 36:422). Doubtful ones vote too: how little they count is learnt.
        """
        assert self.hierarchy is not None
        votes = numpy.zeros(len(self.hierarchy.names))
        hits = library.search(sequence)
        if not hits:
            return votes, 0.0, 0.0
        weights = [hit.bits**self.sharpness for hit in hits]
        for hit, weight in zip(hits, weights, strict=True):
            votes[list(self.hierarchy.upwards(library.labels[hit.place].tolist()))] += weight
        best = hits[0]
        sureness = float(-numpy.log10(max(best.e_value, 1e-10)) / 10)
        return votes / sum(weights), best.identity if best.is_proven else 0.0, sureness

    def places(self, example: Example) -> list[int]:
        """Where the names of an example stand in the hierarchy; names that are not there are left out."""
        assert self.hierarchy is not None
        return [self.hierarchy.place[name] for name in example.names if name in self.hierarchy.place]

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
from anfinsen.kinship.homology import PROVEN, Hit, Kin, Library
from anfinsen.models.recall import Recall
from anfinsen.targets.base import Answer, Floats
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
            Voices(row, *self.asked(library, example.protein.sequence)).row()
            for row, example in zip(outputs, examples, strict=True)
        ]

    def asked(self, library: Library, sequence: str) -> tuple[Shares, Shares, float]:
        """What the relatives of a sequence say (see `Voices`): votes and sureness (N,), and the best one's identity.

        Each votes for its names and all above them, by its score in bits (DiamondScore of DeepGOPlus; Kulmanov &
        Hoehndorf 2020, Bioinformatics 36:422). Doubtful ones vote too: how little they count is learnt.
        """
        kin = library.kin(sequence)
        is_proven = bool(kin) and kin[0].e_value <= PROVEN
        identity = library.identity(sequence, kin[0].place) if is_proven else 0.0
        return self.votes(library, kin), self.sureness(library, kin), identity

    def beside(self, answer: Answer) -> str:
        """Relatives, and whether they or the network decided, as far as the answer tells."""
        if not answer.get("kin", {}).get("labels"):
            return ""
        if answer.get("source") == "homology":
            return "A relative decided this, against the network, whose view of it is all that is explained here."
        return "Relatives were heard beside the network, whose view alone is explained here."

    def votes(self, library: Library, relatives: Sequence[Hit | Kin]) -> Shares:
        """The share of each name in the votes of some relatives, (N,)."""
        votes = self._silence()
        weights = [one.bits**self.sharpness for one in relatives]
        for one, weight in zip(relatives, weights, strict=True):
            votes[self._told(library, one)] += weight / sum(weights)
        return votes

    def sureness(self, library: Library, relatives: Sequence[Hit | Kin]) -> Shares:
        """How little chance explains the best relative of each name, (N,) between 0 and 1 (see `Voices`)."""
        surest = self._silence()
        for one in relatives:
            sure = -numpy.log10(numpy.clip(one.e_value, 1e-10, 1.0)) / 10
            told = self._told(library, one)
            surest[told] = numpy.maximum(surest[told], sure)
        return surest

    def _silence(self) -> Shares:
        assert self.hierarchy is not None
        return numpy.zeros(len(self.hierarchy.names))

    def _told(self, library: Library, relative: Hit | Kin) -> list[int]:
        """The names of a relative and all above them."""
        assert self.hierarchy is not None
        return list(self.hierarchy.upwards(library.labels[relative.place].tolist()))

    def places(self, example: Example) -> list[int]:
        """Where the names of an example stand in the hierarchy; names that are not there are left out."""
        assert self.hierarchy is not None
        return [self.hierarchy.place[name] for name in example.names if name in self.hierarchy.place]

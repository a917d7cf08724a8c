"""Names that stand in a hierarchy: a protease is a hydrolase, the nucleolus is in the nucleus.

    Hierarchy   N names, each with its parents, parents before children; a tree (EC) or a net (Gene Ontology)
    Tree        one path from the root down    outputs (B, N)  ->  a softmax among the children of each parent
    Terms       any set closed upwards         outputs (B, N)  ->  yes or no for each, a child never above its parents

Both say what holds for a protein as {"labels": [{"label", "probability"}]}. Where relatives of the protein were looked
up among those that the head remembers (see `recall`), their votes (N,) and what is known of the nearest stand behind
the N outputs of the head, and a calibration says how much each voice counts, fitted on proteins that neither has seen.
It knows no task.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

import numpy
from numpy.typing import NDArray

from anfinsen.targets.base import Answer

Shares = NDArray[numpy.float64]


@dataclass(frozen=True)
class Hierarchy:
    """Names in an order in which parents come before their children."""

    names: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    """The places of each name's parents; none for a root."""
    titles: tuple[str, ...]
    """What each name means, in words; empty where nobody has said."""
    counts: tuple[int, ...]
    """For how many proteins of a large set each name holds; says how much a name tells."""

    @cached_property
    def place(self) -> dict[str, int]:
        """Where each name stands."""
        return {name: at for at, name in enumerate(self.names)}

    @cached_property
    def level(self) -> NDArray[numpy.int64]:
        """How many steps lie between a name and its furthest root, from 0: (N,)."""
        levels = numpy.zeros(len(self.names), dtype=numpy.int64)
        for at, parents in enumerate(self.parents):
            levels[at] = 1 + max((int(levels[parent]) for parent in parents), default=-1)
        return levels

    def upwards(self, places: Iterable[int]) -> set[int]:
        """Some names and all that stand above them."""
        found: set[int] = set()
        left = list(places)
        while left:
            at = left.pop()
            if at not in found:
                found.add(at)
                left += self.parents[at]
        return found

    @cached_property
    def _steps(self) -> list[tuple[NDArray[numpy.int64], NDArray[numpy.int64]]]:
        """For each level from the top, children and one of their parents, every pair once."""
        pairs = [(at, parent) for at, parents in enumerate(self.parents) for parent in parents]
        steps = []
        for level in range(1, int(self.level.max(initial=0)) + 1):
            chosen = numpy.array([pair for pair in pairs if self.level[pair[0]] == level], dtype=numpy.int64)
            steps.append((chosen[:, 0], chosen[:, 1]))
        return steps

    def raised(self, shares: Shares) -> Shares:
        """Shares (..., N) in which every name is at least as likely as each of its children."""
        raised = numpy.array(shares, dtype=numpy.float64)
        for children, parents in reversed(self._steps):
            numpy.maximum.at(raised.T, parents, raised.T[children])
        return raised

    def lowered(self, shares: Shares) -> Shares:
        """Shares (..., N) in which no name is more likely than the least likely of its parents."""
        lowered = numpy.array(shares, dtype=numpy.float64)
        for children, parents in self._steps:
            numpy.minimum.at(lowered.T, children, lowered.T[parents])
        return lowered

    @classmethod
    def read(cls, *files: str) -> Hierarchy:
        """The hierarchy of files of this folder, one after the other: name, places of parents, title and count."""
        rows = [row for file in files for row in _rows(file)]
        return cls(
            tuple(name for name, _, _, _ in rows),
            tuple(tuple(int(at) for at in parents.split()) for _, parents, _, _ in rows),
            tuple(title for _, _, title, _ in rows),
            tuple(int(count) for _, _, _, count in rows),
        )


EMPTY = Hierarchy((), (), (), ())


def read_split(file: str) -> dict[str, tuple[str, float]]:
    """The split and the identity of the nearest training protein for each id that is not trained on."""
    return {name: (split, float(identity)) for name, split, identity in _rows(file)}


def _rows(file: str) -> list[list[str]]:
    """The cells of each line of a file of this folder, which tabs part; what begins with # is a remark."""
    lines = resources.files("anfinsen.tasks").joinpath(file).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def named(hierarchy: Hierarchy, at: int, share: float) -> Answer:
    """The entry of an answer for one name: label, probability and, where there is one, its name in words."""
    title = hierarchy.titles[at]
    entry: Answer = {"label": hierarchy.names[at], "probability": round(share, 4)}
    return entry | ({"name": title} if title else {})


def siblings(hierarchy: Hierarchy) -> NDArray[numpy.int64]:
    """For each name of a tree the number of its parent, from 1; the roots are children of 0: (N,)."""
    return numpy.array([parents[0] + 1 if parents else 0 for parents in hierarchy.parents], dtype=numpy.int64)


def information(hierarchy: Hierarchy) -> Shares:
    """What each name tells beyond its parents, in bits: log2 of its rarest parent's count over its own; 0 at a root.

    The information accretion of Clark & Radivojac (2013, Bioinformatics 29:i53), in which the proteins that hold all
    parents are estimated by those that hold the rarest one: (N,).
    """
    counts = numpy.maximum(numpy.asarray(hierarchy.counts, dtype=numpy.float64), 1.0)
    above = [
        min((counts[parent] for parent in parents), default=counts[at]) for at, parents in enumerate(hierarchy.parents)
    ]
    bits: Shares = numpy.log2(numpy.maximum(numpy.array(above) / counts, 1.0))
    return bits

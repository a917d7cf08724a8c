"""The whole explanation of one answer: credits, attention, substitutions, how far to believe each, and sentences."""

from __future__ import annotations

from dataclasses import dataclass

from anfinsen.data.example import Example
from anfinsen.explain.attention import Attention, look
from anfinsen.explain.attribution import Credits, attribute
from anfinsen.explain.counterfactual import Substitution, substitutions
from anfinsen.explain.faithfulness import Faithfulness, judge, ranked, shuffled
from anfinsen.explain.lens import Asked, Lens
from anfinsen.models.network import Network
from anfinsen.tasks.base import Task
from anfinsen.wording import listed

GRADIENTS, OCCLUSION = "integrated gradients", "occlusion"
NAMED = 5
"""Residues, and substitutions in each direction, that a sentence names."""
CAUTION = (
    "High means that the network leaned on this residue, not that the protein needs it; "
    "a network may be right for the wrong reason."
)


@dataclass(frozen=True)
class Explanation:
    """Why one answer was given about one protein, as the network sees it."""

    example: Example
    task: Task
    asked: Asked
    value: float
    hidden: float
    """The number for a chain of which every residue is hidden."""
    gap: float
    """What the credits sum to, less what they should (value - hidden)."""
    views: dict[str, Credits]
    """The credits (L,) by the name of the view."""
    faithfulness: dict[str, Faithfulness]
    attention: Attention | None
    """What attention joins; None where no network answers."""
    substitutions: list[Substitution]
    beside: str = ""
    """Who was heard beside the network, which alone is explained; empty where nobody was."""

    @property
    def better(self) -> str:
        """The more faithful view: the one that pictures show."""
        return max(self.views, key=lambda name: self.faithfulness[name].score)

    def sentences(self) -> list[str]:
        """What was found, for a friend; whether to believe it stands before what it says."""
        faith, credits = self.faithfulness[self.better], self.views[self.better]
        unit = f" {self.asked.unit}".rstrip()
        given = (
            f"Explained is {self.asked.words}: {self.value:.2f}{unit} here, "
            f"{self.hidden:.2f}{unit} for a chain of hidden residues."
        )
        heard = [given, self.beside] if self.beside else [given]
        if self.beside and self.value < 0:
            heard.append("By itself the network holds the answer for less likely than not.")
        if not faith.is_faithful:
            doubt = f"Do not read the colours: they say no more than random ones (faithfulness {faith.words})."
            return [*heard, doubt, self._changes()]
        sequence = self.example.protein.sequence
        top = [f"{sequence[place]}{place + 1}" for place in ranked(credits)[:NAMED]]
        leaned = f"It leans most on {listed(top)} (by {self.better})."
        trust = (
            f"The order of the residues is better than {faith.beaten} of {faith.orders} random ones "
            f"(faithfulness {faith.words})."
        )
        return [*heard, leaned, trust, self._changes(), CAUTION]

    def _changes(self) -> str:
        up = [one for one in self.substitutions[:NAMED] if one.change > 0]
        down = [one for one in self.substitutions[::-1][:NAMED] if one.change < 0]
        parts = [
            f"{verb} it most: {listed([f'{one} ({one.change:+.2f})' for one in found])}"
            for verb, found in (("raise", up), ("lower", down))
            if found
        ]
        count, tried = 19 * len(self.example.protein), len(self.substitutions)
        told = "; these ".join(parts) or "none changes it"
        return f"Of {count:,} substitutions {tried} were tried; these {told}."


def explain(
    network: Network, task: Task, example: Example, *, residue: int | None = None, said: str = "", beside: str = ""
) -> Explanation:
    """Explain what a network in evaluation mode tells one task about one protein.

    `said` is the answer as it was given, which need not be what the network alone would say; `beside` tells who else
    was heard.
    """
    lens = Lens(network, task, example, residue=residue, said=said)
    found = attribute(lens)
    views = {GRADIENTS: found.gradients, OCCLUSION: found.occlusion}
    length = len(example.protein)
    return Explanation(
        example=example,
        task=task,
        asked=lens.asked,
        value=found.value,
        hidden=found.hidden,
        gap=found.gap,
        views=views,
        faithfulness=judge(
            lens.without, length, {name: ranked(credits) for name, credits in views.items()}, shuffled(length)
        ),
        attention=look(lens),
        substitutions=substitutions(lens),
        beside=beside,
    )

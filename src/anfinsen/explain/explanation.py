"""The whole explanation of one answer: credits, attention, substitutions, how far to believe each, and sentences."""

from __future__ import annotations

from dataclasses import dataclass

from anfinsen.data.example import Example
from anfinsen.explain.attention import Attention, look
from anfinsen.explain.attribution import Attribution, Credits, attribute
from anfinsen.explain.counterfactual import Substitution, substitutions
from anfinsen.explain.faithfulness import Faithfulness, judge, ranked, shuffled
from anfinsen.explain.lens import Asked, Lens
from anfinsen.models.network import Network
from anfinsen.tasks.base import Task

GRADIENTS, OCCLUSION = "integrated gradients", "occlusion"
NAMED = 5
"""Residues, and substitutions in each direction, that a sentence names."""
CAUTION = (
    "High means that the network leaned on this residue, not that the protein needs it; "
    "a network may be right for the wrong reason."
)


@dataclass(frozen=True)
class Explanation:
    """Why the network gave one answer about one protein."""

    example: Example
    task: Task
    asked: Asked
    attribution: Attribution
    faithfulness: dict[str, Faithfulness]
    attention: Attention
    substitutions: list[Substitution]

    @property
    def views(self) -> dict[str, Credits]:
        """The credits (L,) by the name of the view."""
        return {GRADIENTS: self.attribution.gradients, OCCLUSION: self.attribution.occlusion}

    @property
    def better(self) -> str:
        """The more faithful view: the one that pictures show."""
        return max(self.views, key=lambda name: self.faithfulness[name].score)

    def sentences(self) -> list[str]:
        """What was found, for a friend; whether to believe it stands before what it says."""
        faith, credits = self.faithfulness[self.better], self.views[self.better]
        unit = f" {self.asked.unit}".rstrip()
        given = (
            f"Explained is {self.asked.words}: {self.attribution.value:.2f}{unit} here, "
            f"{self.attribution.hidden:.2f}{unit} for a chain of hidden residues."
        )
        if not faith.is_faithful:
            doubt = f"Do not read the colours: they say no more than random ones (faithfulness {faith.words})."
            return [given, doubt, self._changes()]
        sequence = self.example.protein.sequence
        top = [f"{sequence[place]}{place + 1}" for place in ranked(credits)[:NAMED]]
        leaned = f"It leans most on {_listed(top)} (by {self.better})."
        trust = (
            f"The order of the residues is better than {faith.beaten} of {faith.orders} random ones "
            f"(faithfulness {faith.words})."
        )
        return [given, leaned, trust, self._changes(), CAUTION]

    def _changes(self) -> str:
        up = [one for one in self.substitutions[:NAMED] if one.change > 0]
        down = [one for one in self.substitutions[::-1][:NAMED] if one.change < 0]
        parts = [
            f"{verb} it most: {_listed([f'{one} ({one.change:+.2f})' for one in found])}"
            for verb, found in (("raise", up), ("lower", down))
            if found
        ]
        count, tried = 19 * len(self.example.protein), len(self.substitutions)
        told = "; these ".join(parts) or "none changes it"
        return f"Of {count:,} substitutions {tried} were tried; these {told}."


def explain(network: Network, task: Task, example: Example, *, residue: int | None = None) -> Explanation:
    """Explain what a network in evaluation mode answers to one task about one protein."""
    lens = Lens(network, task, example, residue=residue)
    attribution = attribute(lens)
    views = {GRADIENTS: ranked(attribution.gradients), OCCLUSION: ranked(attribution.occlusion)}
    length = len(example.protein)
    faithfulness = judge(lens.without, length, views, shuffled(length))
    return Explanation(example, task, lens.asked, attribution, faithfulness, look(lens), substitutions(lens))


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

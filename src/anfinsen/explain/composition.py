"""Why the mere shares of its residues answer as they do, where they answer in the network's place.

    shares of the twenty, length -> a straight line -> log-odds of the answer (see `tasks.plain`)

A line is its own explanation: each residue adds the weight of its kind, divided by the length, wherever it stands. A
residue is hidden by letting it be any of the twenty alike; so the credits add up exactly to the way from the hidden
chain to this one, and every substitution is known without being tried. What the answer is and how it is weighed says
the calibration. It knows nothing of biology: a share may merely go along with what matters.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy
import torch
from numpy.typing import NDArray

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.composition import composition
from anfinsen.data.example import Example
from anfinsen.explain.counterfactual import TRIED, Substitution
from anfinsen.explain.explanation import NAMED, Explanation
from anfinsen.explain.faithfulness import ORDERS, Curve, judge, ranked, shuffled
from anfinsen.explain.lens import Asked
from anfinsen.tasks.base import Task
from anfinsen.wording import listed

COMPOSITION = "composition"
"""The one view of such an answer."""

Floats = NDArray[numpy.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class ByComposition(Explanation):
    """The explanation of an answer that a line on composition gave."""

    kinds: Floats
    """(20,) what a chain of one kind of residue alone would add, in log-odds, less the mean of all kinds."""
    rest: float
    """What the network adds to the number, which the credits leave out."""

    def sentences(self) -> list[str]:
        """Which kinds of residue make the answer, that this is exact, and what it does not mean."""
        faith = self.faithfulness[COMPOSITION]
        return [
            f"Explained is {self.asked.words}: {self.value:.2f} log-odds here, {self.hidden:.2f} for a chain of this "
            "length in which all kinds of residue are alike common.",
            "Not the network answers here but a straight line on how common each kind of residue is and on the "
            f"length: on unseen proteins the network knew no better. It adds {self.rest:+.2f}, which is left out.",
            self._kinds(),
            "These credits are exact: they add up to the answer, and the order of the residues says nothing "
            f"(faithfulness {faith.words}).",
            self._changes(),
            "A kind of residue may merely go along with what matters, so do not read causes from this.",
        ]

    def _kinds(self) -> str:
        """What the residues of each kind add together."""
        sequence = self.example.protein.sequence
        counts = Counter(one for one in sequence if one in RESIDUES)
        added = {one: count / len(sequence) * self.kinds[RESIDUES.index(one)] for one, count in counts.items()}
        order = sorted(added, key=lambda one: -added[one])

        def told(verb: str, chosen: list[str]) -> list[str]:
            each = [f"{one} ({counts[one] / len(sequence):.0%} of it, {added[one]:+.2f})" for one in chosen]
            return [f"{verb} {listed(each)}"] if each else []

        speaks = told("for the answer", [one for one in order[:NAMED] if added[one] > 0])
        speaks += told("against it", [one for one in order[::-1][:NAMED] if added[one] < 0])
        return f"There speak, by what each kind adds: {'; '.join(speaks) or 'none'}."

    def _changes(self) -> str:
        changes = {f"{one.wild_type} to {one.mutant}": one.change for one in self.substitutions}
        found = sorted(changes, key=lambda one: -abs(changes[one]))[:NAMED]
        told = listed([f"{one} ({changes[one]:+.3f})" for one in found])
        return f"A substitution does the same wherever it stands; these change it most: {told}."


def explain_composition(task: Task, example: Example, line: Floats, outputs: Floats) -> ByComposition:
    """Explain the answer that a line on composition gives about one protein.

    `line` are its weights and its constant in calibrated logits, (features + 1, K); `outputs` (K,) what the network
    adds to them.
    """
    sequence = example.protein.sequence
    best, next_best = numpy.argsort(-(composition([example])[0] @ line[:-1] + line[-1]))[:2]
    slopes = line[:, best] - line[:, next_best]
    kinds = slopes[: len(RESIDUES)] - slopes[: len(RESIDUES)].mean()
    worth = dict(zip(RESIDUES, kinds, strict=True))
    # a letter that is none of the twenty is counted as none of them, and so lacks what the mean of them would add
    credits = numpy.array([worth.get(one, -slopes[: len(RESIDUES)].mean()) for one in sequence]) / len(sequence)
    value = float(composition([example])[0] @ slopes[:-1] + slopes[-1])
    hidden = value - float(credits.sum())

    def without(taken: NDArray[numpy.bool_]) -> Curve:
        number: Curve = hidden + numpy.where(taken, 0.0, credits).sum(1)
        return number

    answered = task.target.labels[int(best)]
    return ByComposition(
        example=example,
        task=task,
        asked=Asked(f"the answer {answered!r}", "log-odds", torch.tensor([int(best)])),
        value=value,
        hidden=hidden,
        gap=0.0,
        views={COMPOSITION: credits},
        faithfulness=judge(without, len(sequence), {COMPOSITION: ranked(credits)}, shuffled(len(sequence), ORDERS)),
        attention=None,
        substitutions=_substitutions(sequence, credits, worth, value),
        kinds=kinds,
        rest=float(outputs[best] - outputs[next_best]),
    )


def _substitutions(sequence: str, credits: Floats, worth: dict[str, float], value: float) -> list[Substitution]:
    """The substitutions that raise the number most and those that lower it most, `TRIED` in all."""
    every = [
        Substitution(place + 1, sequence[place], mutant, value + change, change)
        for place, mutant in product(range(len(sequence)), RESIDUES)
        if mutant != sequence[place]
        for change in (worth[mutant] / len(sequence) - float(credits[place]),)
    ]
    every.sort(key=lambda one: -one.change)
    return every if len(every) <= TRIED else [*every[: TRIED // 2], *every[-TRIED // 2 :]]

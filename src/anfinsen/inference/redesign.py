"""Molecules that might bind better than a seed: changed step by step, judged at each step, told with their doubts.

    seed -> children (`drug.evolution`) -> still like the seed, no new alert, no harder to make, no fatter
         -> the low end of their affinity, drug-likeness, ease of synthesis -> the best are changed again ...
         -> the best of each family, each with its steps, its gain and what speaks against it

The low end of the interval is climbed, not the value, so that the search is not paid for walking out of what the model
knows; a likeness to the seed of less than `alike` is refused. Every draw is seeded: the same question has the same
answer. A suggestion is a hypothesis, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from anfinsen.drug.diversity import families
from anfinsen.drug.evolution import reason_of, vary
from anfinsen.drug.features import fingerprints, likeness
from anfinsen.drug.molecule import Formula, Molecule, read_formulas
from anfinsen.inference.affinity import AffinityPredictor
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer

HYPOTHESIS = "This is a hypothesis to test at the bench, not a result."
ROUNDS, PARENTS, CHILDREN = 4, 12, 240
"""Rounds of change, molecules that are changed in each, and children that are judged in each."""
ALIKE = 0.4
"""Least Tanimoto likeness (ECFP4) to the seed."""
HEAVY, HARD = 12, 1.0
"""Atoms besides hydrogen that may be added, and how much harder (SA score) the synthesis may become."""
FAMILY = 0.8
"""Likeness from which two suggestions count as the same idea."""
_FAT, _QED, _EASY = 5.5, 1.0, 0.2


@dataclass(frozen=True)
class Idea:
    """A molecule on the way: what it is, what is said of it, and the steps that led to it from the seed."""

    molecule: Molecule
    answer: Answer
    alike: float
    steps: tuple[str, ...]

    @property
    def height(self) -> float:
        """What is climbed: the low end of the affinity, with drug-likeness and against hard synthesis."""
        known = self.molecule.properties
        return float(self.answer["low"]) + _QED * known["qed"] - _EASY * known["synthesis"]


@dataclass(frozen=True)
class Suggestion:
    """A molecule to think about; `low` and `high` hold the gain over the seed nine times in ten."""

    idea: Idea
    gain: float
    low: float
    high: float
    reason: str
    doubts: tuple[str, ...]

    @property
    def claim(self) -> str:
        """How far the gain can be trusted, in words."""
        if self.gain <= 0:
            return f"No gain in binding is predicted. {HYPOTHESIS}"
        if self.low > 0:
            return f"The predicted gain is larger than its uncertainty. {HYPOTHESIS}"
        return f"The predicted gain lies inside its own uncertainty: it may as well be a loss. {HYPOTHESIS}"


@dataclass(frozen=True)
class Found:
    """What a search found: the seed as it is judged, the suggestions, and how many molecules were judged."""

    seed: Idea
    suggestions: tuple[Suggestion, ...]
    judged: int
    passed_over: dict[str, int]
    """How many molecules each rule kept out."""


class Redesigner:
    """Searches around one seed for one protein."""

    def __init__(
        self, predictor: AffinityPredictor, target: Protein, seed: Molecule, *, alike: float = ALIKE, start: int = 1
    ) -> None:
        self.predictor, self.target, self.least, self.start = predictor, target, alike, start
        self._print = fingerprints([seed])
        (answer,) = predictor.predict([target], [seed])
        self.seed = Idea(seed, answer, 1.0, ())
        self._seen = {seed.smiles}
        self._passed: dict[str, int] = {}
        self._judged = 0

    def search(self, count: int = 10, rounds: int = ROUNDS) -> Found:
        """At most `count` suggestions, the tightest low end first, no two of the same idea."""
        pool = [self.seed]
        for number in range(rounds):
            pool = self._best([*pool, *self._children(pool, self.start + number)])
        better = [one for one in pool if one is not self.seed]
        leaders, _ = families([one.molecule.smiles for one in better], count, FAMILY)
        chosen = sorted((better[at] for at in leaders), key=lambda one: -one.answer["low"])
        return Found(self.seed, tuple(self._suggest(one) for one in chosen), self._judged, dict(self._passed))

    def _children(self, pool: Sequence[Idea], draw: int) -> list[Idea]:
        parents = pool[:PARENTS]
        drawn = vary([one.molecule.smiles for one in parents], CHILDREN, draw)
        new = [one for one in drawn if one[0] not in self._seen]
        self._seen |= {smiles for smiles, _, _ in new}
        read = read_formulas((Formula(smiles, f"idea-{at}") for at, (smiles, _, _) in enumerate(new)), is_judged=True)
        kept: list[Molecule] = []
        steps: list[tuple[str, ...]] = []
        for molecule, (_, parent, step) in zip(read, new, strict=True):
            if isinstance(molecule, Molecule) and self._may_stay(molecule):
                kept.append(molecule)
                steps.append((*parents[parent].steps, step))
        self._judged += len(new)
        if not kept:
            return []
        alike = likeness(fingerprints(kept), self._print)[:, 0]
        answers = self.predictor.predict([self.target], kept)
        return [
            Idea(molecule, answer, round(float(near), 3), told)
            for molecule, answer, near, told in zip(kept, answers, alike, steps, strict=True)
        ]

    def _may_stay(self, molecule: Molecule) -> bool:
        """Whether no rule keeps a child out; the first that does is counted."""
        seed, own, was = self.seed.molecule, molecule.properties, self.seed.molecule.properties
        alerts = {alert.name for alert in molecule.alerts} - {alert.name for alert in seed.alerts}
        near = float(likeness(fingerprints([molecule]), self._print)[0, 0])
        rules = {
            "too unlike the seed": near < self.least,
            "a new structural alert": bool(alerts),
            "too large": molecule.heavy_atoms > seed.heavy_atoms + HEAVY,
            "too fatty": own["logp"] > max(_FAT, was["logp"]),
            "too hard to make": own["synthesis"] > was["synthesis"] + HARD,
            "breaks more of Lipinski's rules": own["lipinski_broken"] > was["lipinski_broken"],
        }
        broken = next((name for name, is_broken in rules.items() if is_broken), None)
        if broken is not None:
            self._passed[broken] = self._passed.get(broken, 0) + 1
        return broken is None

    def _best(self, pool: Sequence[Idea]) -> list[Idea]:
        """The best of all so far, highest first; equal ones in the order of their formulas."""
        return sorted(pool, key=lambda one: (-one.height, one.molecule.smiles))[: PARENTS * 10]

    def _suggest(self, idea: Idea) -> Suggestion:
        before, after = self.seed.answer, idea.answer
        gain = after["value"] - before["value"]
        reach = math.hypot(*((one["high"] - one["low"]) / 2 for one in (before, after)))
        reasons = "; ".join(f"{step}: {reason_of(step)}" for step in idea.steps)
        return Suggestion(
            idea, gain, gain - reach, gain + reach, reasons[:1].upper() + reasons[1:] + ".", tuple(self._doubts(idea))
        )

    def _doubts(self, idea: Idea) -> list[str]:
        own, was = idea.molecule.properties, self.seed.molecule.properties
        doubts = []
        if idea.answer["reach"]["far"]:
            doubts.append("it is far from what the model was taught")
        if own["synthesis"] > was["synthesis"] + 0.3:
            doubts.append(f"it is harder to make (SA score {own['synthesis']:.1f} after {was['synthesis']:.1f})")
        if own["qed"] < was["qed"] - 0.05:
            doubts.append(f"it is less drug-like (QED {own['qed']:.2f} after {was['qed']:.2f})")
        if own["logp"] > was["logp"] + 1:
            doubts.append(f"it is fattier (logP {own['logp']:.1f} after {was['logp']:.1f})")
        if len(idea.steps) > 1:
            doubts.append(f"{len(idea.steps)} steps were made at once; try them one by one")
        doubts += [f"structural alert: {alert.name} ({alert.catalog})" for alert in idea.molecule.alerts]
        return doubts

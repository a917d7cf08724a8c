"""How much of a score is the throw of the dice: the same recipe with other seeds, mean and spread.

    recipe x K seeds -> K trainings -> K looks at the test split -> mean, standard deviation, smallest, largest

The split stays as it is, so all seeds are judged on the same proteins; what differs is the first weights of the heads,
the order of the examples and what dropout hides. Nothing is chosen: every seed's score is printed, so every look at
the test split counts. The interval of ONE score says what other test proteins would change; the spread says what
another seed would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy

from anfinsen.targets.metrics import Estimate
from anfinsen.training.recipe import Recipe
from anfinsen.training.trial import Trials, look

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Spread:
    """One score of one task on one split, of each seed in turn."""

    task: str
    split: str
    metric: str
    seeds: tuple[int, ...]
    estimates: tuple[Estimate, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The scores, in the order of the seeds."""
        return tuple(estimate.value for estimate in self.estimates)

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(numpy.mean(self.values))

    @property
    def deviation(self) -> float:
        """Their standard deviation (of a sample: divided by one less than the count)."""
        return float(numpy.std(self.values, ddof=1))

    def sentence(self) -> str:
        """The spread in words, beside the interval of a single score."""
        n, first = self.estimates[0].n, self.estimates[0]
        text = (
            f"{self.task}, {self.split}, n = {n:,}: {self.metric} {self.mean:.3f} with a standard deviation of "
            f"{self.deviation:.3f} over {len(self.seeds)} seeds ({min(self.values):.3f} to {max(self.values):.3f})."
        )
        if first.low is None or first.high is None:
            return text
        wider = "more" if max(self.values) - min(self.values) > first.high - first.low else "less"
        return (
            f"{text} Another seed changes it {wider} than other test proteins would: the 95 % interval of seed "
            f"{self.seeds[0]} alone is {first.low:.3f} to {first.high:.3f}."
        )


def spread_over_seeds(
    trials: Trials, recipe: Recipe, folder: Path, count: int, *, tell: Tell = lambda sentence: None
) -> list[Spread]:
    """Train with `count` seeds from the recipe's on, each in its own folder, and score every test split with each."""
    seeds = tuple(range(recipe.train.seed, recipe.train.seed + count))
    found: dict[tuple[str, str, str], list[Estimate]] = {}
    for seed in seeds:
        trial = trials.run(recipe.replaced(train=recipe.train.replaced(seed=seed)), folder / f"seed-{seed}")
        tell(f"Seed {seed} is trained: a loss of {trial.valid:.4f} on the validation proteins, {trial.seconds:.0f} s.")
        for task in trials.tasks:
            for (split, metric), estimate in look(trial.bundle, task).items():
                found.setdefault((task.name, split, metric), []).append(estimate)
    return [_spread(place, seeds, estimates) for place, estimates in found.items() if len(estimates) == len(seeds)]


def _spread(place: tuple[str, str, str], seeds: Sequence[int], estimates: Sequence[Estimate]) -> Spread:
    return Spread(*place, tuple(seeds), tuple(estimates))

"""A task of one's own: made on the spot from a table, and made again from the few words that a bundle keeps of it.

    Labelled -> describe -> Custom -> Custom.task -> Task          when it is trained
    bundle.json          -> Custom -> Custom.task -> Task          when it is asked, without the table

`Custom` holds what an answer is: its kind, its classes or its unit, its conditions with their usual values. A task
that ships with the platform says that in its own file; this one says it in the bundle.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy

from anfinsen.config import Config
from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError
from anfinsen.sets.catalog import Table
from anfinsen.tables.answers import Kind
from anfinsen.tables.labelled import Labelled
from anfinsen.targets.base import Answer, Label, Number, Target, Tokens
from anfinsen.targets.labels import Labels
from anfinsen.targets.values import Values
from anfinsen.tasks.base import TASKS, Condition, Task

UNEVEN = 1.5
"""So many times as many rows must the commonest class have before classes are weighted."""
METRICS_OF: Mapping[Kind, tuple[str, ...]] = {
    "label": ("accuracy", "macro_f1", "mcc"),
    "labels": ("micro_f1", "fmax"),
    "number": ("rmse", "r2", "spearman"),
    "tokens": ("accuracy per residue",),
    "values": ("rmse per residue", "spearman per residue"),
}
"""The scores of each kind of answer, the headline first."""


class Scale(Config):
    """One condition: its unit and its usual values."""

    name: str
    """How the column is called."""
    unit: str = ""
    """Unit of the numbers."""
    center: float = 0.0
    """The mean of the training rows."""
    spread: float = 1.0
    """Their standard deviation."""


class Custom(Config):
    """What must be known to make a task of one's own again."""

    title: str
    """How the answer is called: the name of its column."""
    kind: Kind
    """Kind of answer."""
    labels: tuple[str, ...] = ()
    """Names of the classes or letters, in the order of the outputs."""
    unit: str = ""
    """Unit of a number."""
    center: float = 0.0
    """Mean of the numbers."""
    spread: float = 1.0
    """Standard deviation of the numbers."""
    conditions: tuple[Scale, ...] = ()
    """Numbers that the answer depends on."""
    table: str = ""
    """The file that it was learned from."""
    of_pairs: bool = False
    """Whether it asks about two proteins at once."""

    def task(
        self, name: str, parts: Mapping[str, Sequence[Example]] | None = None, weights: Sequence[float] = ()
    ) -> Task:
        """The task under a name; `parts` are its examples by split, none where it is only asked."""
        held = dict(parts or {})
        title = self.title.replace("_", " ")
        return Task(
            name=name,
            title=title[:1].upper() + title[1:],
            question=f"What is {self._whose} {title}?",
            explanation=(
                f"Learned from the column '{self.title}' of a table of its owner's ({self.table}); the network reads "
                f"{'both whole chains, in any order,' if self.of_pairs else 'the whole chain'} and answers as that "
                "column does."
            ),
            target=self._target(tuple(weights)),
            table=HeldTable(
                self.table,
                splits={split: (split,) for split in held},
                title=self.table,
                source="your own table",
                licence="as its owner says",
                held=held,
            ),
            metrics=METRICS_OF[self.kind],
            say=self._say(title),
            conditions=tuple(
                Condition(one.name, one.unit, f"the column '{one.name}' of the table", one.center, one.spread)
                for one in self.conditions
            ),
            limits="Learned from one table of its owner's: it knows only proteins like those in it.",
            of_pairs=self.of_pairs,
        )

    @property
    def _whose(self) -> str:
        return "their" if self.of_pairs else "its"

    def _target(self, weights: tuple[float, ...]) -> Target:
        if self.kind == "label":
            return Label(self.labels, weights)
        if self.kind == "labels":
            return Labels(self.labels, weights)
        if self.kind == "tokens":
            return Tokens(self.labels)
        if self.kind == "values":
            return Values(self.unit, self.center, self.spread)
        return Number(self.unit, self.center, self.spread)

    def _say(self, title: str) -> Callable[[Answer], str]:
        def say(answer: Answer) -> str:
            if self.kind == "label":
                others = ", ".join(name for name in answer["set"] if name != answer["label"])
                return f"Most likely {self._whose} {title} is {answer['label']}." + (
                    f" Not ruled out: {others}." if others else ""
                )
            if self.kind == "labels":
                said = ", ".join(one["label"] for one in answer["labels"] if one["probability"] >= 0.5)
                return f"{self._whose} {title}: {said}." if said else f"No {title} is more likely than not."
            if self.kind == "number":
                ends = f"{answer['low']:.3g} and {answer['high']:.3g} {self.unit}".strip()
                return f"{self._whose} {title} should be about {answer['value']:.3g} {self.unit}".strip() + (
                    f" (nine times in ten between {ends})."
                )
            return f"The {title} of each residue is in the table and on the track."

        def sentence(answer: Answer) -> str:
            text = say(answer)
            return text[:1].upper() + text[1:]

        return sentence


@dataclass(frozen=True)
class HeldTable(Table):
    """A table whose examples are in memory already, by split."""

    held: Mapping[str, Sequence[Example]] = field(default_factory=dict)

    def load(self, split: str) -> list[Example]:
        """The examples of one split."""
        if split not in self.held:
            raise UnknownNameError(f"split of {self.name}", split, self.held)
        return list(self.held[split])

    def is_here(self) -> bool:
        """Whether there are examples."""
        return bool(self.held)


def describe(found: Labelled) -> Custom:
    """What the answers of a table are, in the words that a bundle keeps."""
    values = [example.value for example in found.examples]
    labels: tuple[str, ...] = ()
    center, spread = 0.0, 1.0
    if found.kind == "label":
        labels = _commonest_first(Counter(map(str, values)))
    elif found.kind == "labels":
        labels = _commonest_first(
            Counter(str(name).removeprefix("?") for value in values for name in value)  # type: ignore[union-attr]
        )
    elif found.kind == "tokens":
        labels = tuple(sorted({letter for value in values for letter in str(value)}))
    else:
        numbers = numpy.concatenate([numpy.atleast_1d(numpy.array(value, dtype=numpy.float64)) for value in values])
        center, spread = _usual(numbers)
    return Custom(
        title=found.label,
        kind=found.kind,
        labels=labels,
        unit=found.unit,
        center=center,
        spread=spread,
        conditions=tuple(_scale(name, found.examples) for name in found.conditions),
        table=Path(found.file).name,
        of_pairs=found.of_pairs,
    )


def balanced(custom: Custom, examples: Sequence[Example]) -> tuple[float, ...]:
    """A weight for each class so that all count alike; none where no class is much rarer than another.

    Of several labels, how much more a yes counts than a no, at most tenfold.
    """
    if custom.kind not in ("label", "labels") or not examples:
        return ()
    named = [example.value if isinstance(example.value, tuple) else (str(example.value),) for example in examples]
    counts = numpy.array([max(1, sum(name in value for value in named)) for name in custom.labels], dtype=numpy.float64)
    if custom.kind == "labels":
        return tuple(float(one) for one in numpy.clip(numpy.sqrt(len(examples) / counts), 1.0, 10.0))
    if counts.max() < UNEVEN * counts.min():
        return ()
    return tuple(float(one) for one in counts.sum() / (len(counts) * counts))


def task_name(file: str) -> str:
    """The name of a task from the name of its table; one that ships with the platform keeps its own.

    >>> task_name("data/My Proteins.csv"), task_name("localization.csv")
    ('my-proteins', 'my-localization')
    """
    stem = Path(file).name.partition(".")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "my-task"
    return f"my-{name}" if name in TASKS else name


def _commonest_first(counts: Counter[str]) -> tuple[str, ...]:
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def _scale(name: str, examples: Sequence[Example]) -> Scale:
    units = {"temperature": "°C", "growth_temperature": "°C"}
    center, spread = _usual(numpy.array([one.conditions[name] for one in examples if name in one.conditions]))
    return Scale(name=name, unit=units.get(name, ""), center=center, spread=spread)


def _usual(numbers: numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float64]]) -> tuple[float, float]:
    known = numbers[numpy.isfinite(numbers)]
    if not len(known):
        return 0.0, 1.0
    return float(known.mean()), float(known.std()) or 1.0

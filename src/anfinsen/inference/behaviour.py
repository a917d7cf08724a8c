"""How a protein behaves when it gets hot, acid, squeezed or mixed with a denaturant: curves with bands, and a map.

    Tm and optima from the bundle + size relations (`structure.thermodynamics`) + charge (`structure.titration`)
        -> one Curve for each condition, a Map for exactly two -> Behaviour

While one condition is changed the others rest (25 °C, pH 7, no denaturant, one atmosphere, or as they are set). A band
holds the share nine times in ten, as far as the interval of Tm and the spreads of the constants are right. Nothing
here knows how folding depends on pH, so a curve over pH shows the charge and no folded share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray

from anfinsen.data.example import Example
from anfinsen.errors import BundleError, UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.prediction import Prediction
from anfinsen.inference.predictor import Predictor, tasks_of
from anfinsen.structure.conditions import CONDITIONS, Sweep
from anfinsen.structure.protein import Message
from anfinsen.structure.thermodynamics import (
    LONGEST,
    SHORTEST,
    Quantity,
    Unfolding,
    central,
    drawn,
    size_relations,
)
from anfinsen.structure.titration import charge, charge_band, isoelectric_point
from anfinsen.targets.base import COVERAGE

MELTING = "melting-temperature"
OPTIMA = {"temperature": "optimal-temperature", "ph": "optimal-ph"}
"""The task that knows the best value of a condition."""
MEASURED_WITHIN = 1.0
"""A measured melting temperature is taken to be right within so many °C, nine times in ten."""
COLDEST_TM, HOTTEST_TM = 20.0, 130.0
SIDE = 41
"""Points along each side of a map."""
MAP_DRAWS = 200
"""Draws behind the widths of a map, which has many more points than a curve."""

Floats = NDArray[numpy.float64]


class Interval(NamedTuple):
    """A value and the range that holds it nine times in ten; an end may be infinite: beyond what was looked at."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """Three numbers; None where an end lies beyond the range."""
        return {name: round(end, 3) if math.isfinite(end) else None for name, end in self._asdict().items()}


@dataclass(frozen=True)
class Band:
    """A quantity along a sweep: its value and the band around it, each (P,)."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Curve:
    """What happens along one sweep; `half` is where half of the protein is unfolded, if that is reached."""

    sweep: Sweep
    values: Floats
    folded: Band | None = None
    charge: Band | None = None
    half: Interval | None = None


@dataclass(frozen=True)
class Map:
    """The folded share over two sweeps, (U, A), and how wide its band is at each point."""

    across: Sweep
    up: Sweep
    folded: Floats
    width: Floats


@dataclass(frozen=True)
class Behaviour:
    """Everything that is told about one protein."""

    prediction: Prediction
    melting: Interval
    is_measured: bool
    relations: Mapping[str, Quantity]
    resting: Mapping[str, float]
    stability: Interval
    folded: Interval
    isoelectric_point: float
    curves: tuple[Curve, ...]
    map: Map | None
    missing: tuple[str, ...]
    messages: tuple[Message, ...]

    @property
    def constants(self) -> list[Quantity]:
        """The size relations that the curves were drawn with."""
        names = {curve.sweep.condition.name for curve in self.curves} | {"enthalpy", "heat_capacity"}
        names |= {"volume"} if "pressure" in names else set()
        names |= {name for name in ("urea", "guanidinium") if self.resting[name]}
        return [one for name, one in self.relations.items() if name in names]


class Observer:
    """Asks a bundle for what it knows of melting and optima, and draws the curves."""

    def __init__(
        self, bundle: Bundle, sweeps: Sequence[Sweep], resting: Mapping[str, float], *, tm: float | None = None
    ) -> None:
        known = tasks_of(bundle)
        if tm is None and MELTING not in known:
            raise BundleError(
                f"The bundle '{bundle.name}' cannot tell a melting temperature, and without one there is no curve.",
                remedy="Give a measured one with --tm, or a bundle that was trained on 'melting-temperature'.",
            )
        if tm is not None and not COLDEST_TM <= tm <= HOTTEST_TM:
            raise UsageError(
                f"--tm {tm:g} is no melting temperature in °C.",
                remedy=f"Give one from {COLDEST_TM:g} to {HOTTEST_TM:g} °C, such as --tm 56.",
            )
        self.sweeps = tuple(sweeps)
        self.resting = {name: condition.rest for name, condition in CONDITIONS.items()} | dict(resting)
        self.tm = tm
        asked = [name for name in (MELTING, *OPTIMA.values()) if name in known and (tm is None or name != MELTING)]
        self.missing = tuple(name for name in OPTIMA.values() if name not in known)
        self.predictor = Predictor(bundle, asked) if asked else None
        self.tasks = self.predictor.tasks if self.predictor is not None else ()

    def observe(self, examples: Iterable[Example]) -> Iterator[Behaviour]:
        """One behaviour a protein, in order."""
        if self.tm is not None and len(examples := list(islice(examples, 2))) > 1:
            raise UsageError(
                "--tm is the melting temperature of one protein, and the file holds more than one.",
                remedy="Give a file with that protein alone.",
            )
        predictions = self.predictor.predict(examples) if self.predictor is not None else map(_unasked, examples)
        yield from map(self._behaviour, predictions)

    def _behaviour(self, prediction: Prediction) -> Behaviour:
        melting = self._melting(prediction)
        relations = size_relations(len(prediction.sequence))
        middle, draws = central(melting.value, relations), drawn(*melting, relations)
        curves = tuple(self._curve(sweep, prediction.sequence, middle, draws) for sweep in self.sweeps)
        folding = [sweep for sweep in self.sweeps if sweep.condition.name != "ph"]
        state = self._state()
        return Behaviour(
            prediction=prediction,
            melting=melting,
            is_measured=self.tm is not None,
            relations=relations,
            resting=self.resting,
            stability=_around(middle.energy(**state), draws.energy(**state)),
            folded=_around(middle.folded(**state), draws.folded(**state)),
            isoelectric_point=isoelectric_point(prediction.sequence),
            curves=curves,
            map=self._map(folding, middle, drawn(*melting, relations, MAP_DRAWS))
            if len(self.sweeps) == len(folding) == 2
            else None,
            missing=self.missing,
            messages=prediction.messages + self._notes(prediction, len(folding)),
        )

    def _melting(self, prediction: Prediction) -> Interval:
        if self.tm is not None:
            return Interval(self.tm, self.tm - MEASURED_WITHIN, self.tm + MEASURED_WITHIN)
        answer = prediction.answers[MELTING]
        return Interval(answer["value"], answer["low"], answer["high"])

    def _state(self, changed: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """All that folding depends on, with some of it changed."""
        return {name: value for name, value in self.resting.items() if name != "ph"} | dict(changed or {})

    def _curve(self, sweep: Sweep, sequence: str, middle: Unfolding, draws: Unfolding) -> Curve:
        values, name = sweep.values(), sweep.condition.name
        if name == "ph":
            return Curve(sweep, values, charge=Band(charge(sequence, values), *charge_band(sequence, values)))
        state = self._state({name: values})
        many = draws.folded(**state)
        low, high = numpy.quantile(many, _ends(), axis=0)
        half = _crossing(values, middle.energy(**state)[None])
        between = _crossing(values, draws.energy(**state))
        # an infinite end must not be averaged with a finite one
        ends = numpy.quantile(between, _ends(), method="nearest")
        found = Interval(float(half[0]), float(ends[0]), float(ends[1]))
        return Curve(sweep, values, Band(middle.folded(**state), low, high), half=found)

    def _map(self, folding: Sequence[Sweep], middle: Unfolding, draws: Unfolding) -> Map:
        across, up = folding
        grid = numpy.meshgrid(across.values(SIDE), up.values(SIDE))
        flat = self._state({sweep.condition.name: axis.ravel() for sweep, axis in zip(folding, grid, strict=True)})
        low, high = numpy.quantile(draws.folded(**flat), _ends(), axis=0)
        return Map(across, up, middle.folded(**flat).reshape(SIDE, SIDE), (high - low).reshape(SIDE, SIDE))

    def _notes(self, prediction: Prediction, folding: int) -> tuple[Message, ...]:
        length, notes = len(prediction.sequence), []
        if length > LONGEST:
            notes.append(
                f"With {length:,} residues it has probably several domains that unfold one by one; the curves are "
                f"those of one domain of {LONGEST} residues."
            )
        if length < SHORTEST:
            notes.append(f"With {length} residues it is shorter than the proteins that the size relations come from.")
        cysteines = prediction.sequence.count("C")
        if cysteines >= 4 and any(sweep.condition.thin for sweep in self.sweeps):
            notes.append(
                f"Its {cysteines} cysteines may form disulfide bonds, with which a protein stands more denaturant "
                "than its length tells."
            )
        if (answer := prediction.answers.get(MELTING)) is not None and answer["reach"]["far"]:
            notes.append(
                "It is far from the proteins that the melting temperature was learned from: treat every curve as a "
                "guess, and give a measured one with --tm if there is one."
            )
        told = [Message("warning", text) for text in notes]
        if len(self.sweeps) == 2 and folding == 1:
            text = "There is no map over pH, because nothing here knows how folding depends on pH."
            told.append(Message("info", text))
        return tuple(told)


def _unasked(example: Example) -> Prediction:
    """A protein about which a bundle has nothing to say."""
    protein = example.protein
    return Prediction(
        id=protein.id,
        sequence=protein.sequence,
        sha256=protein.sha256,
        answers={},
        messages=protein.messages,
        numbering=protein.numbering,
        conditions=dict(example.conditions),
        description=protein.description,
    )


def _ends() -> tuple[float, float]:
    return (1 - COVERAGE) / 2, (1 + COVERAGE) / 2


def _around(middle: Floats, draws: Floats) -> Interval:
    low, high = numpy.quantile(draws, _ends())
    return Interval(float(middle), float(low), float(high))


def _crossing(values: Floats, energy: Floats) -> Floats:
    """Where each row of `energy` (D, P) last falls through zero: (D,); inf if it ends above, -inf if it never was.

    >>> _crossing(numpy.array([0.0, 1.0, 2.0]), numpy.array([[3.0, 1.0, -1.0], [3.0, 2.0, 1.0], [-1.0, -2.0, -3.0]]))
    array([ 1.5,  inf, -inf])
    """
    falls = (energy[:, :-1] >= 0) & (energy[:, 1:] < 0)
    last = falls.shape[1] - 1 - falls[:, ::-1].argmax(axis=1)
    rows = numpy.arange(len(energy))
    before, after = energy[rows, last], energy[rows, last + 1]
    with numpy.errstate(divide="ignore", invalid="ignore"):
        place = values[last] + (values[last + 1] - values[last]) * before / (before - after)
    never = numpy.where(energy[:, -1] >= 0, numpy.inf, -numpy.inf)
    found: Floats = numpy.where((energy[:, -1] >= 0) | ~falls.any(axis=1), never, place)
    return found

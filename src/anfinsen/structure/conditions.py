"""What a protein may be put through: temperature, pH, a denaturant, pressure; each as a range that is read strictly.

    --temperature 20:90    °C            --denaturant urea:0:8    mol/L
    --ph 3:10                            --pressure 0.1:400       MPa

A range is START:END, with a point as decimal mark. What looks like another unit (kelvin, bar) is refused with the
range in the right one, because a curve in the wrong unit looks just as good.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from anfinsen.errors import UnknownNameError, UsageError

POINTS = 121
"""Points of a curve."""


@dataclass(frozen=True)
class Condition:
    """One thing that can be changed: where it rests, and between which values it can be told anything about."""

    name: str
    title: str
    unit: str
    rest: float
    lowest: float
    highest: float
    example: str
    thin: str = ""
    """Why the evidence is thin, where it is."""


_BY_SIZE = "m-values are taken from the length of the chain alone, and disulfide bonds are not counted"
CONDITIONS = {
    one.name: one
    for one in (
        Condition("temperature", "Temperature", "°C", 25.0, -20.0, 150.0, "20:90"),
        Condition("ph", "pH", "", 7.0, 0.0, 14.0, "3:10"),
        Condition("urea", "Urea", "mol/L", 0.0, 0.0, 10.0, "urea:0:8", _BY_SIZE),
        Condition("guanidinium", "Guanidinium chloride", "mol/L", 0.0, 0.0, 8.0, "guanidinium:0:6", _BY_SIZE),
        Condition(
            "pressure", "Pressure", "MPa", 0.101325, 0.0, 1000.0, "0.1:400",
            "the volume change is the middle of a wide published range and does not depend on the protein",
        ),
    )
}  # fmt: skip
"""Every condition by name, with its resting value: what holds while another one is changed."""
DENATURANTS = {
    "urea": "urea",
    "guanidinium": "guanidinium",
    "guanidine": "guanidinium",
    "gdmcl": "guanidinium",
    "gdnhcl": "guanidinium",
    "gdn": "guanidinium",
    "guhcl": "guanidinium",
}
"""What people call the two, and what they are called here."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_KELVIN_FROM, _BAR_IN_MPA = 200.0, 10.0


@dataclass(frozen=True)
class Sweep:
    """A condition that is changed from `start` to `end` while the others rest."""

    condition: Condition
    start: float
    end: float

    def values(self, points: int = POINTS) -> NDArray[numpy.float64]:
        """Evenly spaced values, both ends included."""
        return numpy.linspace(self.start, self.end, points)


def read_sweep(flag: str, text: str) -> Sweep:
    """'20:90' of the flag 'temperature' as a sweep; of 'denaturant' with its name before, as 'urea:0:8'."""
    if flag != "denaturant":
        return _read(CONDITIONS[flag], flag, text, text)
    name, _, rest = text.partition(":")
    if _NUMBER.fullmatch(name.strip()):
        raise UsageError(f"--denaturant {text} does not name a denaturant.", remedy=f"Write it as urea:{text}.")
    known = DENATURANTS.get(name.strip().lower())
    if known is None:
        raise UnknownNameError("denaturant", name, ("urea", "guanidinium"))
    return _read(CONDITIONS[known], flag, rest, text)


def read_setting(text: str) -> tuple[Condition, float]:
    """'temperature=37' as a condition and where it rests instead."""
    name, _, number = text.partition("=")
    key = DENATURANTS.get(name.strip().lower(), name.strip().lower())
    if key not in CONDITIONS:
        raise UnknownNameError("condition", name, CONDITIONS)
    condition = CONDITIONS[key]
    if not _NUMBER.fullmatch(number.strip()):
        raise UsageError(f"--at {text} has no number.", remedy=f"Write it as --at {key}={condition.rest:g}.")
    value = float(number)
    _refuse_outside(condition, value, value, f"--at {text}", "--at " + key + "={:g}")
    return condition, value


def _read(condition: Condition, flag: str, text: str, given: str) -> Sweep:
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 2 or not all(_NUMBER.fullmatch(part) for part in parts):
        comma = " Use a point as decimal mark." if "," in text else ""
        raise UsageError(
            f"--{flag} {given} is no range.{comma}", remedy=f"Write START:END, such as --{flag} {condition.example}."
        )
    start, end = (float(part) for part in parts)
    prefix = f"{condition.name}:" if flag == "denaturant" else ""
    if start == end:
        raise UsageError(
            f"--{flag} {given} starts and ends at the same value.",
            remedy=f"Write START:END, such as --{flag} {condition.example}.",
        )
    if start > end:
        raise UsageError(f"--{flag} {given} runs backwards.", remedy=f"Write --{flag} {prefix}{end:g}:{start:g}.")
    _refuse_outside(condition, start, end, f"--{flag} {given}", f"--{flag} {prefix}" + "{:g}:{:g}")
    return Sweep(condition, start, end)


def _refuse_outside(condition: Condition, start: float, end: float, given: str, form: str) -> None:
    """Refuse what lies outside; say which unit was probably meant."""
    low, high, unit = condition.lowest, condition.highest, f" {condition.unit}".rstrip()
    if low <= start and end <= high:
        return
    if condition.name == "temperature" and start >= _KELVIN_FROM:
        moved = [round(value - 273.15, 2) for value in (start, end)]
        raise UsageError(f"{given} looks like kelvin.", remedy=f"Write it in °C, as {form.format(*moved)}.")
    if condition.name == "pressure" and end / _BAR_IN_MPA <= high and start >= 0:
        moved = [value / _BAR_IN_MPA for value in (start, end)]
        raise UsageError(f"{given} looks like bar.", remedy=f"Write it in MPa, as {form.format(*moved)}.")
    raise UsageError(
        f"{given} leaves what can be answered: {condition.title if condition.name == 'ph' else condition.title.lower()}"
        f" from {low:g} to {high:g}{unit}.",
        remedy="Give a range within it.",
    )

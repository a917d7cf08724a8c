"""Behaviour under conditions in sentences, as one tells a friend: what it bears, how sure, on how thin a ground."""

from __future__ import annotations

import math
from collections.abc import Mapping

from anfinsen.drawing.plots import THIN
from anfinsen.drawing.small import quantity_short
from anfinsen.inference.behaviour import MEASURED_WITHIN, OPTIMA, Behaviour, Curve, Interval
from anfinsen.report.answer import coverage, percent, quantity
from anfinsen.structure.conditions import CONDITIONS, Condition
from anfinsen.structure.thermodynamics import AIR_PRESSURE
from anfinsen.structure.titration import charge
from anfinsen.tasks.base import Task
from anfinsen.wording import listed


def sentences(behaviour: Behaviour, tasks: Mapping[str, Task]) -> list[str]:
    """What the curves say, for a friend: the melting first, then a sentence or two a condition."""
    found = [_melting(behaviour), _rest(behaviour)]
    for curve in behaviour.curves:
        found.append(_about(curve, behaviour, tasks))
    return found


def _melting(behaviour: Behaviour) -> str:
    value, low, high = behaviour.melting
    if behaviour.is_measured:
        return (
            f"Half of it is unfolded at {quantity_short(value)} °C, as it was measured "
            f"(taken to be right within {MEASURED_WITHIN:g} °C)."
        )
    return f"Half of it is unfolded at {value:.0f} °C ({coverage()} between {low:.0f} and {high:.0f} °C)."


def _rest(behaviour: Behaviour) -> str:
    energy = behaviour.stability
    return (
        f"At {_state(behaviour)} {_share(behaviour.folded)} is folded; unfolding it would take "
        f"{quantity(energy.value)} kJ/mol ({quantity(energy.low)} to {quantity(energy.high)})."
    )


def _share(share: Interval) -> str:
    """'67% of it (5% to 99%)'; the range is left out where it says nothing more."""
    value, low, high = (percent(end) for end in share)
    return f"{value} of it" if value == low == high else f"{value} of it ({low} to {high})"


def _state(behaviour: Behaviour) -> str:
    """The resting conditions in words, those that are nought or one atmosphere left out."""
    rest = behaviour.resting
    parts = [f"{rest['temperature']:g} °C"]
    parts += [dose(CONDITIONS[name], rest[name]) for name in ("urea", "guanidinium") if rest[name]]
    if abs(rest["pressure"] - AIR_PRESSURE) > 1e-9:
        parts.append(f"{rest['pressure']:g} MPa")
    return listed(parts)


def dose(condition: Condition, value: float) -> str:
    """'4 mol/L urea', '200 MPa', '37 °C', 'pH 5'."""
    if condition.name == "ph":
        return f"pH {figure(value)}"
    name = f" {condition.title.lower()}" if condition.unit == "mol/L" else ""
    return f"{figure(value)} {condition.unit}{name}"


def figure(value: float) -> str:
    """Three digits are more than is known."""
    return quantity_short(float(f"{value:.3g}"))


def _about(curve: Curve, behaviour: Behaviour, tasks: Mapping[str, Task]) -> str:
    condition = curve.sweep.condition
    if curve.charge is not None or curve.folded is None or curve.half is None:
        return _charge_words(behaviour) + _optimum_words("ph", behaviour, tasks)
    text = _half_words(curve.half, curve)
    if condition.name == "temperature":
        text += _steep_words(curve)
    else:
        middle = len(curve.values) // 2
        band = curve.folded
        share = Interval(*(float(part[middle]) for part in (band.value, band.low, band.high)))
        text = f"At {dose(condition, float(curve.values[middle]))} {_share(share)} is still folded. {text}"
    if condition.thin:
        text += f" {THIN.capitalize()}: {condition.thin}."
    return text + _optimum_words(condition.name, behaviour, tasks)


def _half_words(half: Interval, curve: Curve) -> str:
    condition, sweep = curve.sweep.condition, curve.sweep
    if half.value == math.inf:
        doubt = f", though half could be lost from {figure(half.low)} on" if math.isfinite(half.low) else ""
        return f"Up to {dose(condition, sweep.end)} more than half of it stays folded{doubt}."
    if half.value == -math.inf:
        return f"From {dose(condition, sweep.start)} on more than half of it is unfolded."
    low, high = (figure(end) if math.isfinite(end) else "" for end in (half.low, half.high))
    between = f"from {low or 'the start of the range'} to {high or 'beyond the range'}"
    return f"Half is unfolded at {dose(condition, half.value)} ({coverage()} {between})."


def _steep_words(curve: Curve) -> str:
    """Over how many degrees it falls apart, where the curve shows all of it."""
    assert curve.folded is not None  # a curve over temperature has it
    shares = curve.folded.value
    if not (shares[0] > 0.9 and shares[-1] < 0.1):
        return ""
    start, end = (float(curve.values[shares >= share][-1]) for share in (0.9, 0.1))
    return f" From nine tenths folded to one tenth it takes {end - start:.0f} degrees."


def _charge_words(behaviour: Behaviour) -> str:
    rest = behaviour.resting["ph"]
    now = float(charge(behaviour.prediction.sequence, rest))
    signed = f"{now:+.1f}".replace("-", "\N{MINUS SIGN}")
    return (
        f"It has no net charge at pH {behaviour.isoelectric_point:.1f}, its isoelectric point; at pH {rest:g} its "
        f"charge is {signed}. How well it stays folded at another pH is not told by this curve."
    )


def _optimum_words(name: str, behaviour: Behaviour, tasks: Mapping[str, Task]) -> str:
    task = OPTIMA.get(name, "")
    if (answer := behaviour.prediction.answers.get(task)) is not None and task in tasks:
        return f" {tasks[task].say(answer)}"
    if task in behaviour.missing:
        return f" The {'temperature' if name == 'temperature' else 'pH'} at which it works best is not in this model."
    return ""

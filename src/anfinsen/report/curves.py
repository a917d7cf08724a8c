"""Behaviour under conditions for people: sentences, a table of points, lines of JSON and a page of curves.

    behaviour.jsonl   one protein a line: answers, constants with sources, curves, map, sentences
    curves.csv        one point a row: id, condition, unit, value, folded, low, high, charge, ...
    map.csv           one point a row, where two conditions made a map
    behaviour.html    the curves, drawn, with what was assumed

Where evidence is thin, the sentence, the picture, the JSON and the table all say so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from anfinsen.drawing.plots import SHARES, THIN, Axis, Mark, curve_plot, map_plot
from anfinsen.errors import InputError
from anfinsen.inference.behaviour import OPTIMA, Behaviour, Curve
from anfinsen.report.answer import coverage, percent, quantity
from anfinsen.report.html import MOST_SECTIONS
from anfinsen.report.paper import make_template, write_page
from anfinsen.report.phrases import dose, figure, sentences
from anfinsen.report.tables import Row, write_table, written_beside
from anfinsen.structure.conditions import Condition
from anfinsen.structure.titration import SOURCE
from anfinsen.tasks.base import Task

POINT_COLUMNS = (
    "id", "condition", "unit", "value", "folded", "low", "high", "charge", "charge_low", "charge_high", "evidence",
)  # fmt: skip
MAP_COLUMNS = ("id", "across", "across_value", "up", "up_value", "folded", "band_width")
ASSUMED = (
    "The protein unfolds in one step and can fold back.",
    "Nothing holds it: no ligand, metal, partner or membrane, and no other protein to clump with.",
    "Heat capacity, m-values and the change of volume stay the same over the whole range.",
    "Only the melting temperature comes from the sequence; everything else comes from the length of the chain.",
    "The band is as right as the interval of the melting temperature and the spreads of the constants below.",
)
_DIGITS = 4


def to_json(behaviour: Behaviour, tasks: Mapping[str, Task]) -> dict[str, Any]:
    """One line of behaviour.jsonl."""
    prediction, chart = behaviour.prediction, behaviour.map
    return {
        "id": prediction.id,
        "length": len(prediction.sequence),
        "sha256": prediction.sha256,
        "sentences": sentences(behaviour, tasks),
        "answers": dict(prediction.answers),
        "not_in_bundle": list(behaviour.missing),
        "melting": behaviour.melting.to_json() | {"unit": "°C", "measured": behaviour.is_measured},
        "at_rest": dict(behaviour.resting),
        "stability": behaviour.stability.to_json() | {"unit": "kJ/mol"},
        "folded": behaviour.folded.to_json(),
        "isoelectric_point": round(behaviour.isoelectric_point, 2),
        "charge_source": SOURCE,
        "constants": [one.to_json() for one in behaviour.constants],
        "assumed": list(ASSUMED),
        "curves": [_curve_json(curve) for curve in behaviour.curves],
        "map": None
        if chart is None
        else {
            "across": chart.across.condition.name,
            "across_values": _rounded(chart.across.values(chart.folded.shape[1])),
            "up": chart.up.condition.name,
            "up_values": _rounded(chart.up.values(chart.folded.shape[0])),
            "folded": [_rounded(row) for row in chart.folded],
            "band_width": [_rounded(row) for row in chart.width],
            "thin_evidence": bool(chart.across.condition.thin or chart.up.condition.thin),
        },
        "messages": [message.to_json() for message in behaviour.messages],
    }


def write_behaviours(
    folder: Path,
    behaviours: Sequence[Behaviour],
    tasks: Mapping[str, Task],
    *,
    about: Mapping[str, str],
    refused: Sequence[InputError] = (),
    raw_csv: bool = False,
) -> None:
    """Write every file of the folder; each takes its place when it is whole."""
    with written_beside(folder / "behaviour.jsonl") as file:
        for behaviour in behaviours:
            file.write(json.dumps(to_json(behaviour, tasks), ensure_ascii=False) + "\n")
    write_table(folder / "curves.csv", POINT_COLUMNS, _points(behaviours), raw=raw_csv)
    if any(behaviour.map is not None for behaviour in behaviours):
        write_table(folder / "map.csv", MAP_COLUMNS, _map_points(behaviours), raw=raw_csv)
    _write_page(folder / "behaviour.html", behaviours, tasks, about=about, refused=refused)


# Tables -------------------------------------------------------------------------------------------------------------


def _curve_json(curve: Curve) -> dict[str, Any]:
    condition = curve.sweep.condition
    found: dict[str, Any] = {
        "condition": condition.name,
        "unit": condition.unit,
        "thin_evidence": bool(condition.thin),
        "why_thin": condition.thin,
        "values": _rounded(curve.values),
    }
    for name, band in (("folded", curve.folded), ("charge", curve.charge)):
        if band is not None:
            found[name] = {
                "value": _rounded(band.value),
                "low": _rounded(band.low),
                "high": _rounded(band.high),
            }
    if curve.half is not None:
        found["half_unfolded"] = curve.half.to_json()
    return found


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]


def _points(behaviours: Iterable[Behaviour]) -> Iterator[Row]:
    for behaviour in behaviours:
        for curve in behaviour.curves:
            condition = curve.sweep.condition
            for place, value in enumerate(curve.values):
                row: Row = {
                    "id": behaviour.prediction.id,
                    "condition": condition.name,
                    "unit": condition.unit,
                    "value": round(float(value), _DIGITS),
                    "evidence": THIN if condition.thin else "",
                }
                if curve.folded is not None:
                    row |= _cells(("folded", "low", "high"), curve.folded, place)
                if curve.charge is not None:
                    row |= _cells(("charge", "charge_low", "charge_high"), curve.charge, place)
                yield row


def _cells(names: Sequence[str], band: Any, place: int) -> Row:
    parts = (band.value, band.low, band.high)
    return {name: round(float(part[place]), _DIGITS) for name, part in zip(names, parts, strict=True)}


def _map_points(behaviours: Iterable[Behaviour]) -> Iterator[Row]:
    for behaviour in behaviours:
        if (chart := behaviour.map) is None:
            continue
        rows, columns = chart.folded.shape
        across, up = _rounded(chart.across.values(columns)), _rounded(chart.up.values(rows))
        for row in range(rows):
            for column in range(columns):
                yield {
                    "id": behaviour.prediction.id,
                    "across": chart.across.condition.name,
                    "across_value": across[column],
                    "up": chart.up.condition.name,
                    "up_value": up[row],
                    "folded": round(float(chart.folded[row, column]), _DIGITS),
                    "band_width": round(float(chart.width[row, column]), _DIGITS),
                }


# The page -----------------------------------------------------------------------------------------------------------


def _write_page(
    path: Path,
    behaviours: Sequence[Behaviour],
    tasks: Mapping[str, Task],
    *,
    about: Mapping[str, str],
    refused: Sequence[InputError],
) -> None:
    write_page(
        path,
        make_template("behaviour.html.jinja", filters={"thousands": "{:,}".format, "quantity": quantity}),
        styles=("report.css", "behaviour.css"),
        proteins=[_section(behaviour, tasks) for behaviour in behaviours[:MOST_SECTIONS]],
        count=len(behaviours),
        assumed=ASSUMED,
        coverage=coverage(),
        charge_source=SOURCE,
        about=about,
        refused=refused,
    )


def _section(behaviour: Behaviour, tasks: Mapping[str, Task]) -> dict[str, Any]:
    lead, rest, *others = sentences(behaviour, tasks)
    figures = [
        (_title(curve), text, _picture(curve, behaviour), bool(curve.sweep.condition.thin))
        for curve, text in zip(behaviour.curves, others, strict=True)
    ]
    if behaviour.map is not None:
        figures.append(_map_figure(behaviour))
    return {
        "name": behaviour.prediction.id,
        "description": behaviour.prediction.description,
        "length": len(behaviour.prediction.sequence),
        "lead": lead,
        "rest": rest,
        "messages": behaviour.messages,
        "figures": figures,
        "constants": behaviour.constants,
    }


def _title(curve: Curve) -> str:
    return "Charge against pH" if curve.charge is not None else f"Folded against {curve.sweep.condition.title.lower()}"


def _axis(condition: Condition, start: float, end: float) -> Axis:
    title = f"{condition.title}, {condition.unit}" if condition.unit else condition.title
    return Axis.over(title, start, end)


def _picture(curve: Curve, behaviour: Behaviour) -> Markup:
    condition = curve.sweep.condition
    across = _axis(condition, curve.sweep.start, curve.sweep.end)
    marks = []
    band = curve.folded or curve.charge
    assert band is not None  # a curve shows one or the other
    up = SHARES
    if curve.charge is not None:
        up = Axis.over("net charge", min(0.0, float(band.low.min())), max(0.0, float(band.high.max())))
        if curve.sweep.start <= behaviour.isoelectric_point <= curve.sweep.end:
            marks.append(Mark(behaviour.isoelectric_point, f"no charge at pH {behaviour.isoelectric_point:.1f}"))
    elif curve.half is not None and math.isfinite(curve.half.value):
        marks.append(Mark(curve.half.value, f"half at {figure(curve.half.value)} {condition.unit}"))
    answer = behaviour.prediction.answers.get(OPTIMA.get(condition.name, ""))
    if answer is not None and curve.sweep.start <= answer["value"] <= curve.sweep.end:
        best = f"works best at {dose(condition, answer['value'])}"
        marks.append(Mark(answer["value"], best, answer["low"], answer["high"]))
    return curve_plot(
        list(map(float, curve.values)),
        list(map(float, band.value)),
        list(map(float, band.low)),
        list(map(float, band.high)),
        across=across,
        up=up,
        title=_title(curve),
        description="The line is the expected value, the band holds it nine times in ten.",
        marks=marks,
        is_thin=bool(condition.thin),
    )


def _map_figure(behaviour: Behaviour) -> tuple[str, str, Markup, bool]:
    chart = behaviour.map
    assert chart is not None  # asked for only where there is one
    names = [sweep.condition.title.lower() for sweep in (chart.across, chart.up)]
    is_thin = bool(chart.across.condition.thin or chart.up.condition.thin)
    drawn = map_plot(
        [[float(share) for share in row] for row in chart.folded],
        across=_axis(chart.across.condition, chart.across.start, chart.across.end),
        up=_axis(chart.up.condition, chart.up.start, chart.up.end),
        title=f"Folded over {names[0]} and {names[1]}",
        description="Full colour is folded, none is unfolded; along the line half is unfolded.",
        is_thin=is_thin,
    )
    text = (
        "Full colour: all of it is folded. None: all of it is unfolded. Along the line half is. "
        f"At its widest the band of a point spans {percent(float(chart.width.max()))}."
    )
    return f"Folded over {names[0]} and {names[1]}", text, drawn, is_thin

"""What an affinity question leaves behind: tables, and a report with every drug drawn.

affinity.csv    protein, drug, pkd, low, high, how far from training; one row a pair, tightest first
molecules.csv   each molecule in its standard form, what was changed, its properties and its alerts
refused.csv     what was not answered, why, and what to do
reasons.csv     of the tightest pairs, if asked for: what the answer loses without each atom and each residue
report.html     drawings in which the atoms that hold the answer up are coloured, with intervals and warnings
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
from markupsafe import Markup
from numpy.typing import NDArray

from anfinsen.drug.alerts import CATALOGS
from anfinsen.drug.drawing import draw
from anfinsen.drug.molecule import Molecule, elements_of
from anfinsen.drug.properties import MEANINGS
from anfinsen.errors import InputError
from anfinsen.explain.binding import Reason, reason
from anfinsen.explain.faithfulness import ORDERS
from anfinsen.hub.record import Score
from anfinsen.inference.affinity import AffinityPredictor
from anfinsen.report.glossary import anchor
from anfinsen.report.paper import make_template, write_page
from anfinsen.report.standing import Standing, find_standing
from anfinsen.report.tables import Row, write_refused, write_table
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer
from anfinsen.tasks.affinity import LIMITS, PUBLISHED, QUESTION, TERMS, say

COLUMNS = ("protein", "drug", "pkd", "low", "high")
"""The columns that others rely on; what follows them may grow."""
REASONS = ("protein", "drug", "kind", "position", "name", "weight")
"""The columns of reasons.csv; positions count from 1, of atoms in the order of the standard formula."""
SPLITS_ASKED = {
    "both were measured, not together": "davis",
    "the drug is new": "davis-cold-drug",
    "the protein is new": "davis-cold-target",
    "both are new": "davis-both-cold",
}
"""What is asked of a pair, and the split that judges it."""
MOST_LINES = 1000
"""Pairs in the report; the table has all."""
SCALE = (4.0, 11.0)
"""Ends of the picture's axis, in pKd."""
_TRACK = 720


def write_drug_folder(
    folder: Path,
    predictor: AffinityPredictor,
    answers: Sequence[Answer],
    proteins: Sequence[Protein],
    molecules: Sequence[Molecule],
    refused: Sequence[InputError],
    reasons: int,
    *,
    is_judged: bool = False,
    remarks: Sequence[str] = (),
) -> list[str]:
    """Write the tables, and the report with the reasons of the first so many answers.

    `is_judged` holds each reason against random ones, writes the reasons as a table and tells in sentences how far
    they can be believed; `remarks` stand at the head of the report.
    """
    folder.mkdir(parents=True, exist_ok=True)
    further = ("regime", "measured", "far", "nearest_drug", "drug_likeness", "nearest_protein", "protein_likeness")
    write_table(folder / "affinity.csv", (*COLUMNS, *further), [_row(answer) for answer in answers], raw=False)
    chemistry = ("drug", "smiles", "given", *MEANINGS, "alerts", "messages")
    write_table(folder / "molecules.csv", chemistry, [_chemistry(one) for one in molecules], raw=False)
    write_refused(folder / "refused.csv", refused, has_lines=True)
    chains, drugs = {one.id: one for one in proteins}, {one.id: one for one in molecules}
    found = [
        (answer, chains[answer["protein"]], drugs[answer["drug"]]) for answer in answers[:reasons]
    ]  # fmt: skip
    why = [reason(predictor, protein, molecule, orders=ORDERS if is_judged else 0) for _, protein, molecule in found]
    cards = [_card(*one, because) for one, because in zip(found, why, strict=True)]
    if is_judged:
        rows = [row for one, because in zip(found, why, strict=True) for row in _credits(*one, because)]
        write_table(folder / "reasons.csv", REASONS, rows, raw=False)
    record = predictor.bundle.record
    write_page(
        folder / "report.html",
        make_template("drug.html.jinja"),
        question=QUESTION,
        answers=[_line(answer) for answer in answers[:MOST_LINES]],
        count=len(answers),
        cards=cards,
        refused=refused,
        remarks=remarks,
        terms=[(anchor(term), term, text) for term, text in sorted(TERMS.items(), key=lambda one: one[0].casefold())],
        limits=LIMITS,
        standings=_standings(record.scores),
        scale=SCALE,
        about={
            "Model": record.name,
            "Learnt from": f"{record.trained_on:,} pairs of {record.table}",
            "Published figures on this table": "; ".join(
                f"{one.model} {one.metric} {one.value}" for one in PUBLISHED["davis"]
            ),
        },
    )  # fmt: skip
    titled = zip(cards, why, strict=True)
    return [f"{card['title']}: {because.sentence()}" for card, because in titled] if is_judged else []


def _standings(scores: Sequence[Score]) -> list[tuple[str, Standing]]:
    """How often the tighter of two pairs is put first, by what is new in them, with the probes beside it."""
    found = []
    for asks, name in SPLITS_ASKED.items():
        standing = find_standing([one for one in scores if (one.split, one.metric) == (name, "CI")], None)
        if standing is not None:
            found.append((asks, standing))
    return found


def _row(answer: Answer) -> Row:
    reach: Mapping[str, Any] = answer["reach"]
    return {
        "protein": answer["protein"],
        "drug": answer["drug"],
        "pkd": answer["value"],
        "low": answer["low"],
        "high": answer["high"],
        "regime": answer["regime"],
        "measured": str(answer["measured"]).lower(),
        **{name: str(value).lower() if isinstance(value, bool) else value for name, value in reach.items()},
    }


def _chemistry(molecule: Molecule) -> Row:
    return {
        "drug": molecule.id,
        "smiles": molecule.smiles,
        "given": molecule.given,
        **molecule.properties,
        "alerts": "; ".join(f"{alert.catalog}: {alert.name}" for alert in molecule.alerts),
        "messages": " | ".join(message.text for message in molecule.messages),
    }


def _line(answer: Answer) -> dict[str, Any]:
    low, high = SCALE
    at = [100 * (min(max(answer[end], low), high) - low) / (high - low) for end in ("low", "value", "high")]
    return {**answer, "left": at[0], "middle": at[1], "width": at[2] - at[0]}


def _credits(answer: Answer, protein: Protein, molecule: Molecule, because: Reason) -> list[Row]:
    place = {"protein": protein.id, "drug": molecule.id}
    sides = ("atom", elements_of(molecule), because.atoms), ("residue", protein.sequence, because.residues)
    return [
        {**place, "kind": kind, "position": at, "name": name, "weight": round(weight, 4)}
        for kind, names, one in sides
        for at, (name, weight) in enumerate(zip(names, one.weights.tolist(), strict=True), 1)
    ]


def _card(answer: Answer, protein: Protein, molecule: Molecule, because: Reason) -> dict[str, Any]:
    residues = because.residues.weights
    strongest = numpy.argsort(-residues)[:1]
    return {
        "title": f"{molecule.id} and {protein.id}",
        "sentence": say(answer),
        # drawn from atoms and bonds by our own child process: it holds no text of a stranger
        "picture": Markup(draw(molecule.smiles, because.atoms.weights.tolist())),
        "track": Markup(track(residues)),
        "track_words": _stretch(residues, int(strongest[0])),
        "believed": because.sentence() if because.is_judged else "",
        "smiles": molecule.smiles,
        "messages": molecule.messages,
        "alerts": [(alert.catalog, alert.name, CATALOGS[alert.catalog]) for alert in molecule.alerts],
        "properties": [(name, f"{value:g}", MEANINGS[name]) for name, value in molecule.properties.items()],
        "reach": answer["reach"],
    }


def track(weights: NDArray[numpy.float64]) -> str:
    """A strip of the chain as SVG: how much the answer falls when a stretch is taken away, up for what holds it up."""
    cut = numpy.unique(numpy.r_[0, numpy.flatnonzero(numpy.diff(weights)) + 1, len(weights)])
    top = float(numpy.abs(weights).max()) or 1.0
    bars = []
    for start, end in zip(cut[:-1].tolist(), cut[1:].tolist(), strict=True):
        height = 22 * abs(weights[start]) / top
        x, width = _TRACK * start / len(weights), _TRACK * (end - start) / len(weights)
        y, kind = (24 - height, "up") if weights[start] > 0 else (24, "down")
        bars.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width - 0.5, 0.5):.1f}" height="{height:.1f}" class="{kind}"/>'
        )
    line = f'<line x1="0" x2="{_TRACK}" y1="24" y2="24"/>'
    return f'<svg viewBox="0 0 {_TRACK} 48" class="strip" role="img">{"".join(bars)}{line}</svg>'


def _stretch(weights: NDArray[numpy.float64], at: int) -> str:
    if weights[at] <= 0:
        return "No stretch of the chain holds the answer up by itself."
    same = numpy.flatnonzero(weights == weights[at])
    return f"Most is lost without residues {same[0] + 1} to {same[-1] + 1}."

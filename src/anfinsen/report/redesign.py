"""Suggested molecules as a table and a page: each drawn with what changed marked, with reason, range and doubts.

suggestions.csv   drug, smiles, pkd, low, high, gain with its range, likeness to the seed, properties, steps, doubts
report.html       the seed and every suggestion as drawings; what is new is coloured
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from anfinsen.drug.drawing import draw
from anfinsen.drug.evolution import changed_atoms
from anfinsen.drug.properties import MEANINGS
from anfinsen.inference.redesign import Found, Redesigner, Suggestion
from anfinsen.report.glossary import anchor
from anfinsen.report.paper import make_template, write_page
from anfinsen.report.tables import Row, write_table
from anfinsen.tasks.affinity import TERMS as AFFINITY_TERMS
from anfinsen.tasks.affinity import say
from anfinsen.tasks.screening import TERMS

COLUMNS = ("protein", "drug", "pkd", "low", "high")
"""The columns that others rely on; what follows them may grow."""
_FURTHER = ("smiles", "gain", "gain_low", "gain_high", "likeness", *MEANINGS, "steps", "doubts", "claim")
_NAMES = {"weight": "weight", "logp": "logP", "qed": "QED", "synthesis": "SA score", "polar_area": "polar area"}


def write_redesign_folder(folder: Path, redesigner: Redesigner, found: Found) -> None:
    """Write the table and the page."""
    rows = [_row(number, one, redesigner.target.id) for number, one in enumerate(found.suggestions, 1)]
    write_table(folder / "suggestions.csv", (*COLUMNS, *_FURTHER), rows, raw=False)
    terms = sorted({**AFFINITY_TERMS, **TERMS}.items(), key=lambda one: one[0].casefold())
    write_page(
        folder / "report.html",
        make_template("redesign.html.jinja"),
        target=redesigner.target.id,
        seed=_seed(found),
        cards=[_card(number, one, found) for number, one in enumerate(found.suggestions, 1)],
        judged=found.judged,
        passed=sorted(found.passed_over.items(), key=lambda one: -one[1]),
        least=redesigner.least,
        terms=[(anchor(term), term, text) for term, text in terms],
        about={"Model": redesigner.predictor.bundle.name, "Seed of the draws": str(redesigner.start)},
    )


def signed(number: float) -> str:
    """A gain with its sign.

    >>> signed(0.25)
    '+0.2'
    """
    return f"{number:+.1f}".replace("-", "\N{MINUS SIGN}")


def _row(number: int, one: Suggestion, protein: str) -> Row:
    answer, molecule = one.idea.answer, one.idea.molecule
    return {
        "protein": protein,
        "drug": f"suggestion-{number}",
        "pkd": answer["value"],
        "low": answer["low"],
        "high": answer["high"],
        "smiles": molecule.smiles,
        "gain": round(one.gain, 3),
        "gain_low": round(one.low, 3),
        "gain_high": round(one.high, 3),
        "likeness": one.idea.alike,
        **molecule.properties,
        "steps": " > ".join(one.idea.steps),
        "doubts": "; ".join(one.doubts),
        "claim": one.claim,
    }


def _seed(found: Found) -> dict[str, Any]:
    molecule = found.seed.molecule
    return {
        "name": molecule.id,
        "smiles": molecule.smiles,
        "picture": Markup(draw(molecule.smiles)),
        "sentence": say(found.seed.answer),
        "properties": _properties(molecule.properties),
        "messages": molecule.messages,
        "alerts": molecule.alerts,
    }


def _card(number: int, one: Suggestion, found: Found) -> dict[str, Any]:
    molecule = one.idea.molecule
    return {
        "title": f"Suggestion {number}",
        # drawn from atoms and bonds by our own child process: it holds no text of a stranger
        "picture": Markup(draw(molecule.smiles, changed_atoms(found.seed.molecule.smiles, molecule.smiles))),
        "sentence": say({**one.idea.answer, "drug": f"Suggestion {number}"}),
        "gain": f"{signed(one.gain)} ({signed(one.low)} to {signed(one.high)})",
        "claim": one.claim,
        "reason": one.reason,
        "doubts": one.doubts,
        "alike": one.idea.alike,
        "smiles": molecule.smiles,
        "properties": _properties(molecule.properties),
    }


def _properties(properties: Any) -> list[tuple[str, str, str]]:
    return [(_NAMES[name], f"{properties[name]:g}", MEANINGS[name]) for name in _NAMES]

"""An explanation for people and machines: tracks, substitutions, a coloured structure and a page.

explanation.jsonl           one protein a line: credits, curves of faithfulness, substitutions, sentences
residues/ID.csv             one residue a row, for a spreadsheet or another viewer's track
substitutions/ID.csv        one tried substitution a row: position, wild_type, mutant, score (the change)
attention/ID.csv            one pair a row that attention joins, the strongest first, and whether the two touch; none
                            where no network answers
structures/ID.pdb           where a structure was given: credits in the B-factor column, 50 is none
explanation.html            the pictures: what the answer leans on, what attention joins, and whether to believe it
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gemmi
import numpy
from markupsafe import Markup

from anfinsen.drawing.plots import Axis
from anfinsen.explain.attribution import Credits
from anfinsen.explain.explanation import Explanation
from anfinsen.report.attention import PAIR, attention_json, attention_section, pairs
from anfinsen.report.faithfulness import DIGITS, Way, faith_json, faith_plot, rounded
from anfinsen.report.paper import make_template, write_page
from anfinsen.report.tables import Row, safe_name, write_table, written_beside
from anfinsen.structure.formats import STRUCTURE_ENDINGS
from anfinsen.structure.protein import Protein

NEUTRAL, REACH = 50.0, 50.0
"""B-factor of a residue without credit, and how far from it the most credited one lies."""
LINE = 60
"""Residues in a line of the picture."""
_WIDTH, _HEIGHT = 15, 30


def write_explanations(
    folder: Path,
    explanations: Sequence[Explanation],
    *,
    about: Mapping[str, str],
    known: str = "",
    raw_csv: bool = False,
) -> None:
    """Write every file of the folder; each takes its place when it is whole.

    `known` is what was measured of contacts in the model's attention.
    """
    with written_beside(folder / "explanation.jsonl") as file:
        for one in explanations:
            file.write(json.dumps(to_json(one), ensure_ascii=False) + "\n")
    for one in explanations:
        protein = one.example.protein
        name = safe_name(protein.id, protein.sha256)
        columns = ["position", "author_number", "residue", *one.views]
        write_table(folder / "residues" / f"{name}.csv", columns, _residues(one), raw=raw_csv)
        changes: Iterator[Row] = (
            {"position": s.position, "wild_type": s.wild_type, "mutant": s.mutant, "score": round(s.change, DIGITS)}
            for s in one.substitutions
        )
        table = folder / "substitutions" / f"{name}.csv"
        write_table(table, ["position", "wild_type", "mutant", "score"], changes, raw=raw_csv)
        if one.attention is not None:
            joined = pairs(protein.sequence, one.attention)
            write_table(folder / "attention" / f"{name}.csv", PAIR, joined, raw=raw_csv)
        coloured = coloured_structure(protein, one.views[one.better])
        if coloured is not None:
            with written_beside(folder / "structures" / f"{name}.pdb") as file:
                file.write(coloured)
    _write_page(folder / "explanation.html", explanations, about, known)


def to_json(one: Explanation) -> dict[str, Any]:
    """One line of explanation.jsonl."""
    return {
        "id": one.example.protein.id,
        "sha256": one.example.protein.sha256,
        "sequence": one.example.protein.sequence,
        "task": one.task.name,
        "explained": one.asked.words,
        "unit": one.asked.unit,
        "value": round(one.value, DIGITS),
        "hidden": round(one.hidden, DIGITS),
        "completeness_gap": round(one.gap, DIGITS),
        "sentences": one.sentences(),
        "credits": {name: rounded(credits) for name, credits in one.views.items()},
        "faithfulness": {name: faith_json(faith) for name, faith in one.faithfulness.items()},
        "attention": None if one.attention is None else attention_json(one.example.protein.sequence, one.attention),
        "substitutions": [
            {"variant": str(s), "value": round(s.value, DIGITS), "change": round(s.change, DIGITS)}
            for s in one.substitutions
        ],
    }


def coloured_structure(protein: Protein, credits: Credits) -> str | None:
    """The chain as PDB text with its credits as B-factors, 0 to 100; None where no structure was given."""
    if protein.numbering is None or not protein.source.lower().removesuffix(".gz").endswith(STRUCTURE_ENDINGS):
        return None
    structure = gemmi.read_structure(protein.source)
    structure.setup_entities()
    name = protein.id.rpartition(":")[2]
    model = structure[0]
    chain = next((chain for chain in model if chain.name == name), None)
    if chain is None:
        return None
    scale = float(numpy.abs(credits).max()) or 1.0
    values = dict(zip(protein.numbering, NEUTRAL + REACH * credits / scale, strict=True))
    for residue in chain:
        value = values.get(str(residue.seqid))
        for atom in residue:
            atom.b_iso = NEUTRAL if value is None else float(value)
    for other in [other.name for other in model if other.name != name]:
        model.remove_chain(other)
    while len(structure) > 1:
        del structure[-1]
    text: str = structure.make_pdb_string()
    return text


def _residues(one: Explanation) -> Iterator[Row]:
    protein = one.example.protein
    for place, residue in enumerate(protein.sequence):
        author = protein.numbering[place] if protein.numbering else str(place + 1)
        row: Row = {"position": place + 1, "author_number": author, "residue": residue}
        yield row | {name: round(float(credits[place]), DIGITS) for name, credits in one.views.items()}


# The page -----------------------------------------------------------------------------------------------------------


def _write_page(path: Path, explanations: Sequence[Explanation], about: Mapping[str, str], known: str) -> None:
    write_page(
        path,
        make_template("explanation.html.jinja"),
        styles=("report.css", "behaviour.css", "explanation.css"),
        proteins=[_section(one, known) for one in explanations],
        about=about,
    )


def _section(one: Explanation, known: str) -> dict[str, Any]:
    first, *others = one.sentences()
    return {
        "name": one.example.protein.id,
        "question": one.task.question,
        "lead": first,
        "sentences": others,
        "is_faithful": one.faithfulness[one.better].is_faithful,
        "view": one.better,
        "lines": list(_lines(one.example.protein.sequence, one.views[one.better])),
        "plots": [_plot(one, way) for way in ("deletion", "insertion")],
        "attention": None
        if one.attention is None
        else attention_section(one.example.protein.sequence, one.attention, one.asked.unit, known),
    }


def _lines(sequence: str, credits: Credits) -> Iterator[tuple[int, Markup]]:
    """The chain in lines of letters, each on a block: up and filled speaks for the answer, down and hollow against."""
    scale = float(numpy.abs(credits).max()) or 1.0
    for start in range(0, len(sequence), LINE):
        parts = []
        for place, residue in enumerate(sequence[start : start + LINE]):
            share = float(credits[start + place]) / scale
            high = abs(share) * _HEIGHT
            top, style = (_HEIGHT - high, "for") if share > 0 else (_HEIGHT + 16, "against")
            word = f"{residue}{start + place + 1}: {credits[start + place]:+.3f}"
            drawn = Markup(
                '<g><title>{}</title><rect x="{}" y="{:.1f}" width="{}" height="{:.1f}" class="{}"/>'
                '<text x="{}" y="{}" text-anchor="middle" class="residues">{}</text></g>'
            )
            x = place * _WIDTH
            middle = x + _WIDTH / 2
            parts.append(drawn.format(word, x + 1, top, _WIDTH - 2, high, style, middle, _HEIGHT + 12, residue))
        frame = Markup('<svg class="credits" width="{}" height="{}" aria-hidden="true">{}</svg>')
        count = min(LINE, len(sequence) - start)
        yield start + 1, frame.format(count * _WIDTH, 2 * _HEIGHT + 16, Markup("").join(parts))


def _plot(one: Explanation, way: Way) -> tuple[str, Markup]:
    """One curve of faithfulness of the credits that the page shows."""
    verb = "hidden" if way == "deletion" else "shown"
    return faith_plot(
        one.faithfulness[one.better],
        way,
        across=Axis(f"share of residues {verb}", 0.0, 1.0, [(0.0, "0%"), (0.5, "50%"), (1.0, "100%")]),
        unit=one.asked.unit,
        title=f"{way.capitalize()}: most credited residues {verb} first",
    )

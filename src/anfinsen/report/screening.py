"""What a screen leaves behind: tables made from its scores in one pass, and a page with the first of each family.

scores/         every row of the library, a Parquet data set (written while it ran)
ranking.csv     the best rows, best first, with their families and the known binder that each is most like
molecules.csv   chemistry of the first of each family: properties, alerts, what was changed
panel.csv       the first of each family with every protein of the panel: protein,drug,pkd,low,high
refused.csv     every refused row with its place, its reason and what to do
report.html     drawings, ranges, families, off-targets, far-from-training marks
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy
from markupsafe import Markup

from anfinsen.drug.alerts import CATALOGS
from anfinsen.drug.diversity import ALIKE
from anfinsen.drug.drawing import draw
from anfinsen.drug.features import circles_shared
from anfinsen.drug.molecule import Formula, Molecule, read_formulas
from anfinsen.drug.properties import MEANINGS
from anfinsen.hub.record import Score
from anfinsen.inference.affinity import FAR_DRUG
from anfinsen.inference.screening import Hit, Screener, best, in_families, off_targets, refused
from anfinsen.report.glossary import anchor
from anfinsen.report.paper import make_template, write_page
from anfinsen.report.standing import Standing, find_standing
from anfinsen.report.tables import Row, write_refused, write_table
from anfinsen.sandbox import run_limited
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Answer
from anfinsen.tasks.affinity import TERMS as AFFINITY_TERMS
from anfinsen.tasks.affinity import say
from anfinsen.tasks.screening import HONEST, QUESTION, TERMS
from anfinsen.tasks.screening import say as say_known

SCALE = (4.0, 11.0)
"""Ends of the picture's axis, in pKd."""
LINES, SHOWN = 100, 200
"""Rows of the ranking, and refused rows, on the page; the tables have all."""
LISTS = {
    "DUD-E, kinases": "dude-kinases", "DUD-E, others": "dude-others", "DUD, kinases": "dud-kinases",
    "DUD, others": "dud-others", "MUV, kinases": "muv-kinases", "MUV, others": "muv-others",
}  # fmt: skip
"""The lists that judge a ranking, and the splits by which the card knows them."""
COLUMNS = ("protein", "drug", "pkd", "low", "high")
"""The columns that others rely on; what follows them may grow."""
_FURTHER = (
    "rank", "score", "family", "row", "smiles", "regime", "measured", "far", "nearest_drug", "drug_likeness",
    "known_ligand", "known_likeness", "known_itself", "messages",
)  # fmt: skip
_NAMES = {"weight": "weight", "logp": "logP", "qed": "QED", "synthesis": "SA score", "polar_area": "polar area"}


@dataclass(frozen=True)
class Counts:
    """What a screen did."""

    rows: int
    answered: int

    @property
    def refused(self) -> int:
        """Rows that were not answered."""
        return self.rows - self.answered


def write_screen_folder(
    folder: Path, screener: Screener, source: str, counts: Counts, *, keep: int, top: int, panel: Sequence[Protein] = ()
) -> list[Hit]:
    """Write the tables and the page of a finished screen; returns the first of each family, best first."""
    ranked = best(folder, keep)
    first, family = in_families(ranked, top)
    rows = [{"protein": screener.target.id} | {name: _cell(hit.get(name)) for name in hit} for hit in ranked]
    write_table(folder / "ranking.csv", (*COLUMNS, *_FURTHER), rows, raw=False)
    write_refused(folder / "refused.csv", refused(folder, Path(source).name), has_lines=True)
    asked = [Formula(hit["smiles"], hit["drug"]) for hit in first]
    studied = [one for one in read_formulas(asked, is_judged=True) if isinstance(one, Molecule)]
    chemistry = ("drug", "smiles", *MEANINGS, "alerts")
    write_table(folder / "molecules.csv", chemistry, [_chemistry(one) for one in studied], raw=False)
    grid = off_targets(screener.predictor, panel, studied) if panel else []
    if panel:
        write_table(
            folder / "panel.csv", (*COLUMNS, "far"), [_panel_row(one) for line in grid for one in line], raw=False
        )
    write_page(
        folder / "report.html",
        make_template("screening.html.jinja"),
        question=QUESTION,
        target=screener.target.id,
        counts=counts,
        source=Path(source).name,
        choice=screener.choice,
        is_alike=len(screener.binders) > 0,
        honest=HONEST,
        remarks=_remarks(ranked, counts, screener),
        cards=[
            _card(hit, one, screener, family.count(at))
            for at, (hit, one) in enumerate(zip(first, studied, strict=True))
        ],
        lines=[_line(hit) for hit in ranked[:LINES]],
        kept=len(ranked),
        scale=SCALE,
        alike=ALIKE,
        panel=[protein.id for protein in panel],
        grid=[
            (hit, one.id, [_shade(answer) for answer in line])
            for hit, one, line in zip(first, studied, grid, strict=False)
        ],
        refused=list(islice(refused(folder, Path(source).name), SHOWN)),
        terms=[(anchor(term), term, text) for term, text in sorted({**AFFINITY_TERMS, **TERMS}.items(), key=_by_name)],
        standings=_standings(screener.predictor.bundle.record.scores),
        about=_about(screener),
    )
    return first


def _standings(scores: Sequence[Score]) -> list[tuple[str, Standing]]:
    """How early rankings like this name what binds, by list and kind of target, with the probes beside it."""
    asked = {
        asks: [one for one in scores if (one.split, one.metric) == (split, "BEDROC")] for asks, split in LISTS.items()
    }
    return [(asks, found) for asks, rows in asked.items() if (found := find_standing(rows, None)) is not None]


def _remarks(ranked: Sequence[Hit], counts: Counts, screener: Screener) -> Iterator[str]:
    far = sum(bool(hit["far"]) for hit in ranked)
    if far:
        guessed = "places" if screener.by == "affinity" else "affinities"
        yield f"{far:,} of the best {len(ranked):,} are far from training: treat their {guessed} as guesses."
    unlike = sum(hit["known_likeness"] < FAR_DRUG for hit in ranked) if len(screener.binders) else 0
    if unlike:
        yield f"{unlike:,} of the best {len(ranked):,} are hardly like any known binder (below {FAR_DRUG})."
    itself = sum(bool(hit["known_itself"]) for hit in ranked)
    if itself:
        yield f"{itself:,} of the best {len(ranked):,} are known binders themselves: remembered, not found."
    taught = sum(bool(hit["measured"]) for hit in ranked)
    if taught:
        yield f"The affinity of {taught:,} of the best {len(ranked):,} was taught with this very target."
    if counts.refused:
        yield f"{counts.refused:,} of {counts.rows:,} rows were refused; their places and reasons are in refused.csv."


def _card(hit: Hit, molecule: Molecule, screener: Screener, size: int) -> dict[str, Any]:
    return {
        "hit": hit,
        "line": _line(hit),
        "sentence": say(_answer(hit, screener.target.id)),
        "alike": say_known(hit) if len(screener.binders) else "",
        # drawn from atoms and bonds by our own child process: it holds no text of a stranger
        "picture": Markup(draw(molecule.smiles, _shared(molecule, screener))),
        "size": size,
        "alerts": [(alert.catalog, alert.name, CATALOGS[alert.catalog]) for alert in molecule.alerts],
        "properties": [(_NAMES[name], f"{molecule.properties[name]:g}", MEANINGS[name]) for name in _NAMES],
    }


def _shared(molecule: Molecule, screener: Screener) -> list[float] | None:
    """How much of each atom's surroundings the nearest known binder has too, 0 to 1; None where none is known."""
    if not len(screener.binders):
        return None
    (near,) = screener.binders.nearest([molecule])
    circles = numpy.flatnonzero(screener.binders.fragments[near.place]).tolist()
    found: list[float] = run_limited(circles_shared, molecule.smiles, circles)
    return found


def _answer(hit: Hit, protein: str) -> Answer:
    return {
        "protein": protein, "drug": hit["drug"], "value": hit["pkd"], "low": hit["low"], "high": hit["high"],
        "regime": hit["regime"], "measured": hit["measured"], "reach": {"far": hit["far"]},
    }  # fmt: skip


def _line(hit: Hit) -> dict[str, Any]:
    low, high = SCALE
    at = [100 * (min(max(hit[end], low), high) - low) / (high - low) for end in ("low", "pkd", "high")]
    return {**hit, "left": at[0], "middle": at[1], "width": at[2] - at[0]}


def _shade(answer: Answer) -> dict[str, Any]:
    low, high = SCALE
    share = (min(max(answer["value"], low), high) - low) / (high - low)
    return {**answer, "share": round(100 * share), "far": answer["reach"]["far"]}


def _panel_row(answer: Answer) -> Row:
    cells: Row = {name: answer[name] for name in ("protein", "drug", "low", "high")}
    return cells | {"pkd": answer["value"], "far": str(answer["reach"]["far"]).lower()}


def _chemistry(molecule: Molecule) -> Row:
    alerts = "; ".join(f"{alert.catalog}: {alert.name}" for alert in molecule.alerts)
    return {"drug": molecule.id, "smiles": molecule.smiles, **molecule.properties, "alerts": alerts}


def _about(screener: Screener) -> Mapping[str, str]:
    record = screener.predictor.bundle.record
    return {
        "Model": record.name,
        "Learnt from": f"{record.trained_on:,} pairs of {record.table}",
        "Fingerprint of the model": "".join(record.hashes.values())[:16],
        "Ligands that were given": ", ".join(one.id for one in screener.known[:20]) or "none",
    }


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _by_name(one: tuple[str, str]) -> str:
    return one[0].casefold()

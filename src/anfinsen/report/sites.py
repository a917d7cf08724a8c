"""What `anfinsen sites` leaves behind: tables, files for structure viewers, and a page with pictures.

sites.csv         one row a residue: author number, chance for every kind of ligand, what is said, the pockets it lines
pockets.csv       one row a pocket: rank, chance, kind, centre, volume, residues by author number, known or new, and a
                  sentence
NAME.sites.pdb    the backbone with chances as B-factors, and the pockets' points
NAME.pml, .cxc    scripts for PyMOL and ChimeraX that open it
NAME.svg          the picture
report.html       all of it in one file that can be mailed
refused.csv       what was not answered, why, and what to do
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from anfinsen.drawing.scene import LEGEND, chimerax_script, numbers, pdb_text, picture, pymol_script, strips
from anfinsen.errors import InputError
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.sites import TERMS, Site, SiteAnswer, headline, say
from anfinsen.report.answer import plain
from anfinsen.report.paper import make_template, write_page
from anfinsen.report.tables import Cell, Row, safe_name, write_refused, write_table, written_beside
from anfinsen.sets.coordinates import called
from anfinsen.tasks.ligand_sites import HELD, LETTERS, TASK

POCKET_COLUMNS = (
    "protein", "rank", "chance", "score", "kind", "x", "y", "z", "volume", "enclosure", "residues", "novel", "known",
    "known_in", "identity", "confidence", "sentence",
)  # fmt: skip
PAGE = "report.html"


@dataclass(frozen=True)
class Section:
    """One protein on the page."""

    name: str
    lead: str
    notes: Sequence[tuple[str, str]]
    pictures: Sequence[tuple[str, Markup]]
    rows: Sequence[tuple[Site, str, str]]
    """Pockets, each with its residues by author number and its sentence."""


def write_sites_folder(
    folder: Path,
    found: Sequence[SiteAnswer],
    refused: Sequence[InputError],
    *,
    about: Mapping[str, str],
    record: TaskRecord | None = None,
    raw: bool = False,
) -> None:
    """Write everything about some proteins into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = [*LETTERS]
    head = ["protein", "position", "author_number", "residue", *kinds, "said", "pockets"]
    write_table(folder / "sites.csv", head, (row for one in found for row in _residue_rows(one)), raw=raw)
    rows = (_pocket_row(one, site) for one in found for site in one.sites)
    write_table(folder / "pockets.csv", list(POCKET_COLUMNS), rows, raw=raw)
    write_refused(folder / "refused.csv", refused, raw=raw)
    for one in found:
        _write_views(folder, one)
    _write_page(folder / PAGE, [_section(one) for one in found], refused, about, record)


def _residue_rows(found: SiteAnswer) -> list[Row]:
    answer, rows = found.answer, []
    for place, number in enumerate(numbers(found.protein)):
        shares = {kind: answer["probabilities"][kind][place] for kind in LETTERS}
        said = [kind for kind, share in shares.items() if share >= answer["thresholds"][kind]]
        lined = [str(site.rank) for site in found.sites if place in site.pocket.residues]
        row: Row = {
            "protein": found.protein.id,
            "position": place + 1,
            "author_number": number,
            "residue": found.protein.sequence[place],
            **shares,
            "said": "; ".join(said),
            "pockets": "; ".join(lined),
        }
        rows.append(row)
    return rows


def _pocket_row(found: SiteAnswer, site: Site) -> dict[str, Cell]:
    pocket, known = site.pocket, site.known
    row: dict[str, Cell] = {
        "protein": found.protein.id,
        "rank": site.rank,
        "chance": round(site.chance, 3),
        "score": round(pocket.score, 3),
        "kind": site.kind,
        **{axis: round(value, 2) for axis, value in zip("xyz", pocket.centre, strict=True)},
        "volume": round(pocket.volume, 1),
        "enclosure": round(pocket.enclosure, 3),
        "residues": _residues(found, site),
        "novel": str(site.is_novel).lower(),
        "sentence": say(site, found.protein),
    }
    if known is not None:
        row |= {"known": known.ligand, "known_in": known.chain, "identity": round(known.identity, 3)}
    if site.confidence is not None:
        row["confidence"] = round(site.confidence, 1)
    return row


def _residues(found: SiteAnswer, site: Site) -> str:
    """The residues of a pocket as a person names them, such as 'H57 S195'."""
    named = numbers(found.protein)
    return " ".join(f"{found.protein.sequence[place]}{named[place]}" for place in site.pocket.residues)


def _write_views(folder: Path, found: SiteAnswer) -> None:
    """The files for structure viewers and the picture, for a protein with a structure."""
    drawn = picture(found)
    if drawn is None:
        return
    stem = safe_name(found.protein.id, found.protein.sha256)
    file = f"{stem}.sites.pdb"
    for name, text in (
        (file, pdb_text(found)),
        (f"{stem}.pml", pymol_script(found, file)),
        (f"{stem}.cxc", chimerax_script(found, file)),
        (f"{stem}.svg", str(drawn)),
    ):
        with written_beside(folder / name) as out:
            out.write(text)


def _section(found: SiteAnswer) -> Section:
    pictures = [(LEGEND["strips"], strips(found))]
    drawn = picture(found)
    if drawn is not None:
        pictures.insert(0, (LEGEND["structure"], drawn))
    notes = [(message.level, message.text) for message in found.messages]
    if found.answer["reach"]["far"]:
        notes.insert(0, ("warning", "It is far from anything that the network was trained on: take it as a guess."))
    notes.append(("info", _relatives(found)))
    rows = [(site, _residues(found, site), say(site, found.protein)) for site in found.sites]
    return Section(plain(found.protein.id), headline(found), notes, pictures, rows)


def _relatives(found: SiteAnswer) -> str:
    near = found.comparison
    if near.nearest is None:
        return "No structure with a ligand in our library is related, so nothing can be called known."
    noun = "structure" if near.relatives == 1 else "structures"
    return (
        f"Compared with {near.relatives} related {noun} with ligands; the nearest is {called(near.nearest)} "
        f"({near.identity:.0%} identical)."
    )


def _write_page(
    path: Path,
    sections: Sequence[Section],
    refused: Sequence[InputError],
    about: Mapping[str, str],
    record: TaskRecord | None,
) -> None:
    scores = [row for row in (record.scores if record is not None else ()) if row.is_ours]
    write_page(
        path,
        make_template("sites.html.jinja"),
        styles=("heat.css",),
        sections=sections,
        refused=refused,
        about=about,
        terms=dict(sorted((dict(TERMS) | dict(TASK.terms)).items())),
        limits=TASK.limits,
        scores=scores,
        held=HELD,
        called=called,
    )

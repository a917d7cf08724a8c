"""What `anfinsen fold` leaves behind: structures that others open, tables, and a page with pictures.

NAME/model.cif        ModelCIF with the pLDDT of each residue, which viewers colour by
NAME/model.pdb        the same as PDB, pLDDT 0 to 100 in the B-factor column
NAME/pae.json         expected errors, Å, in the layout of the AlphaFold database
NAME/contacts.csv     pairs that may touch: residues, probability, expected distance
NAME/distogram.npz    probabilities of each pair and bin, edges, torsions: what the model was built from
NAME/chain.svg        the chain in space, coloured by confidence
folds.jsonl           one protein a line: sentence, pLDDT, flags, files
fold.html             all of it in one file that can be mailed
refused.csv           what was not folded, why, and what to do
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from anfinsen.drawing.fold import chain_picture, confidence_strip, contact_map, error_map, legend
from anfinsen.errors import InputError
from anfinsen.inference.fold import Fold
from anfinsen.report.html import MOST_SECTIONS
from anfinsen.report.paper import POLICY, make_template, write_page
from anfinsen.report.tables import Row, safe_name, write_refused, write_table, written_beside
from anfinsen.structure.confidence import BANDS, LARGEST_ERROR, band
from anfinsen.structure.writing import as_error_json, as_modelcif, as_pdb, as_structure

PAGE = "fold.html"
CONTACT_COLUMNS = ("first", "first_residue", "second", "second_residue", "separation", "probability", "distance")
LEAST = 0.15
"""Probability below which a pair is left out of contacts.csv."""
NEAREST = 6
"""Least separation along the chain of a pair in contacts.csv: nearer ones touch in every protein."""
TERMS = {
    "pLDDT": "How well the surroundings of a residue are expected to be right, 0 to 100. Above 90 very high, above 70 "
    "confident, above 50 low, else very low.",
    "expected error": "By how many ångström the place of one residue may be wrong, seen from another: small within a "
    "domain that is known well, large between parts whose arrangement is a guess. Ours is symmetric, AlphaFold's not.",
    "contact": "Two residues whose CB atoms are closer than 8 ångström.",
    "distogram": "For each pair of residues, how likely each distance is. The model is built from it.",
    "known structure": "A measured chain with a sequence like this one, from the bank that comes with the package. Its "
    "distances count as far as the alignment and the network bear them out.",
    "identity": "Of two aligned sequences, the share of places at which both have the same residue.",
    "TM-score": "How alike two structures are, 0 to 1; above 0.5 they have the same fold. Here it is what the errors "
    "promise, not what was measured.",
}


class FoldFolder:
    """Writes folds as they come, so that nothing is lost when a long job is stopped."""

    def __init__(self, folder: Path, *, raw: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._raw = folder, raw
        self._lines: list[str] = []
        self._sections: list[dict[str, Any]] = []

    def add(self, fold: Fold) -> Path:
        """Write the files of one fold; its folder."""
        place = self.folder / safe_name(fold.protein.id, fold.protein.sha256)
        write_fold(place, fold, raw=self._raw)
        self._lines.append(json.dumps(to_json(fold, place.name), ensure_ascii=False))
        if len(self._sections) < MOST_SECTIONS:
            self._sections.append(_section(fold, place.name))
        return place

    def close(self, refused: Sequence[InputError], about: Mapping[str, str]) -> None:
        """Write what is about all of them."""
        with written_beside(self.folder / "folds.jsonl") as file:
            file.writelines(f"{line}\n" for line in self._lines)
        write_refused(self.folder / "refused.csv", refused, raw=self._raw)
        self._write_page(refused, about)

    def _write_page(self, refused: Sequence[InputError], about: Mapping[str, str]) -> None:
        write_page(
            self.folder / PAGE,
            make_template("fold.html.jinja"),
            # maps are drawn as pictures inside the page: nothing is asked of any host
            policy=f"{POLICY}; img-src data:",
            sections=self._sections,
            count=len(self._lines),
            legend=legend(),
            bands=BANDS,
            terms=TERMS,
            refused=refused,
            about=about,
        )


def write_fold(folder: Path, fold: Fold, *, raw: bool = False) -> None:
    """Write every file of one fold into a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    structure = as_structure(folder.name, fold.chains, fold.atoms, fold.plddt)
    texts = {
        "model.cif": as_modelcif(structure, fold.maker, fold.chains, fold.plddt),
        "model.pdb": as_pdb(structure, fold.maker),
        "pae.json": as_error_json(fold.errors),
        "chain.svg": str(chain_picture(fold)),
    }
    for name, text in texts.items():
        with written_beside(folder / name) as file:
            file.write(text)
    write_table(folder / "contacts.csv", list(CONTACT_COLUMNS), contact_rows(fold), raw=raw)
    if fold.distogram is not None:
        numpy.savez_compressed(
            folder / "distogram.npz",
            probabilities=fold.distogram.probabilities.astype(numpy.float16),
            edges=fold.distogram.edges,
            torsions=fold.distogram.torsions.astype(numpy.float32),
            sureness=fold.distogram.sureness.astype(numpy.float32),
        )


def contact_rows(fold: Fold) -> Iterator[Row]:
    """The pairs that may touch, the likeliest first; places count all chains through, from 1."""
    shares = numpy.triu(fold.contacts, NEAREST)
    apart = None if fold.distogram is None else fold.distogram.distances
    sequence = fold.protein.sequence
    first, second = numpy.nonzero(shares >= LEAST)
    for place in numpy.argsort(-shares[first, second], kind="stable"):
        one, other = int(first[place]), int(second[place])
        yield {
            "first": one + 1,
            "first_residue": sequence[one],
            "second": other + 1,
            "second_residue": sequence[other],
            "separation": other - one,
            "probability": round(float(shares[one, other]), 4),
            "distance": None if apart is None else round(float(apart[one, other]), 2),
        }


def to_json(fold: Fold, folder: str) -> dict[str, Any]:
    """One line of folds.jsonl."""
    sanity = fold.sanity
    return {
        "id": fold.protein.id,
        "length": len(fold),
        "sha256": fold.protein.sha256,
        "chains": [len(chain) for chain in fold.chains],
        "model": fold.maker.model,
        "sentence": fold.say(),
        "plddt": [round(float(value), 2) for value in fold.plddt],
        "mean_plddt": round(float(fold.plddt.mean()), 2),
        "bands": {one.word: round(share, 4) for one, share in shares_of_bands(fold)},
        "predicted_tm": round(fold.predicted_tm, 3),
        "mean_error": round(float(fold.errors.mean()), 2),
        "templates": [
            {
                "id": one.id,
                "identity": round(one.identity, 4),
                "coverage": round(one.coverage, 4),
                "e_value": float(f"{one.e_value:.3g}"),
            }
            for one in fold.templates
        ],
        "sanity": {
            name: getattr(sanity, name) for name in ("clashes", "breaks", "strained", "right_handed", "left_handed")
        },
        "messages": [message.to_json() for message in fold.messages],
        "folder": folder,
    }


def shares_of_bands(fold: Fold) -> Iterable[tuple[Any, float]]:
    """Each band with the share of residues in it."""
    words = [band(float(value)).word for value in fold.plddt]
    return [(one, words.count(one.word) / len(words)) for one in BANDS]


def _section(fold: Fold, folder: str) -> dict[str, Any]:
    return {
        "name": fold.protein.id,
        "description": fold.protein.description,
        "length": len(fold),
        "chains": fold.chains,
        "lead": fold.say(),
        "bands": [(one, f"{share:.0%}") for one, share in shares_of_bands(fold)],
        "promise": f"The errors promise a TM-score of {fold.predicted_tm:.2f}; the mean of them is "
        f"{float(fold.errors.mean()):.1f} Å of at most {LARGEST_ERROR:g}.",
        "origins": fold.origins(),
        "messages": fold.messages,
        "maker": fold.maker,
        "folder": folder,
        "chain": chain_picture(fold),
        "strip": confidence_strip(fold),
        "contacts": contact_map(fold),
        "errors": error_map(fold),
    }

"""What binds to a protein, looked at closely in the child that holds the models.

    sites     residues by kind of ligand and, on a structure or a trusted fold, ranked pockets
    interact  whether two proteins meet, with the map between them
    affinity  how tightly drugs hold proteins, each drug drawn with the atoms that hold it
    screen    a small library ranked against a protein, families first

Each model is opened when it is first asked for. Text of a request is read by the reader of files, from a file of its
own that is gone afterwards. It knows no network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy

from anfinsen.data.example import Example
from anfinsen.drug.drawing import draw
from anfinsen.drug.molecule import Molecule
from anfinsen.drug.properties import MEANINGS
from anfinsen.drug.reading import read_molecules
from anfinsen.errors import InputError
from anfinsen.explain.binding import reason
from anfinsen.hub.bundle import Bundle
from anfinsen.inference import partners, sites
from anfinsen.inference.affinity import AffinityPredictor
from anfinsen.inference.fold import Builder
from anfinsen.inference.screening import Screener, in_families
from anfinsen.reading.kept import Shelf
from anfinsen.report.partners import pair_map, sentence, spoken
from anfinsen.sets.known_binders import find_binders
from anfinsen.tasks import affinity, interaction, ligand_sites, screening

Told = dict[str, Any]
Look = Callable[[list[Example], Mapping[str, Any]], Told]
REASONS = 6
"""Pairs, from the tightest, of which is told what of the drug and of the protein holds them."""
REFUSED = 50
"""Refused molecules of a library that are told; all of them are counted."""
_DIGITS = 3


class Binder:
    """Looks at what binds; `builder` opens what folds a protein that comes without a structure, where there is one."""

    def __init__(self, builder: Callable[[], Builder | None]) -> None:
        self._builder = builder
        self.looks: dict[str, Look] = {"affinity": self._affinity, "screen": self._screen}
        """What can be looked at here; a small package may lack a model."""
        if sites.EMBEDDED.is_dir():
            self.looks["sites"] = self._sites
        if partners.EMBEDDED.is_dir():
            self.looks["interact"] = self._interact

    @cached_property
    def _finder(self) -> sites.SiteFinder:
        return sites.SiteFinder(Bundle.load(sites.EMBEDDED), builder=self._builder())

    @cached_property
    def _pairer(self) -> partners.Pairer:
        return partners.Pairer.load()

    @cached_property
    def _drugs(self) -> AffinityPredictor:
        return AffinityPredictor.load()

    def _sites(self, examples: list[Example], about: Mapping[str, Any]) -> Told:
        task = ligand_sites.TASK
        return {
            "question": task.question,
            "limits": task.limits,
            "terms": {**task.terms, **sites.TERMS},
            "model": self._finder.predictor.bundle.name,
            "proteins": [_site_answer(found) for found in self._finder.find(one.protein for one in examples)],
        }

    def _interact(self, examples: list[Example], about: Mapping[str, Any]) -> Told:
        chains = [chain for example in examples for chain in example.chains]
        if len(chains) != 2:
            raise InputError(
                f"A pair is two proteins, and {len(chains)} came.",
                remedy="Give two; one with itself is written as a protein with a 'partner'.",
            )
        pair, task, pairer = (chains[0], chains[1]), interaction.TASK, self._pairer
        if about["expected"] is not None:
            pairer = copy(pairer)  # the next asker expects something else
            pairer.expect(about["expected"])
        (answer,) = pairer.answers([pair])
        why = pairer.reason(*pair)
        return {
            "question": task.question,
            "limits": task.limits,
            "terms": dict(task.terms),
            "model": pairer.bundle.name,
            "ids": [chain.id for chain in pair],
            "answer": answer,
            "sentence": sentence(pair, answer),
            "reason": spoken(pair, why),
            "places": [[at + 1 for at in side] for side in (why.one, why.other)],
            "drawing": str(pair_map(pair, why)),
            "messages": [message.to_json() for chain in pair for message in chain.messages],
        }

    def _affinity(self, examples: list[Example], about: Mapping[str, Any]) -> Told:
        found, refused = _molecules(about["drugs"], is_judged=True)
        drugs = {one.id: one for one in found}
        proteins = {example.protein.id: example.protein for example in examples}
        answers = list(self._drugs.predict(list(proteins.values()), drugs.values()))
        answers.sort(key=lambda answer: -answer["value"])
        pairs = []
        for at, answer in enumerate(answers):
            told: Told = {"answer": answer, "sentence": affinity.say(answer)}
            if at < REASONS:
                why = reason(self._drugs, proteins[answer["protein"]], drugs[answer["drug"]])
                told["drawing"] = draw(drugs[answer["drug"]].smiles, why.atoms.weights.tolist())
                told["residues"], told["faith"] = rounded(why.residues.weights), why.sentence()
            pairs.append(told)
        return {
            "question": affinity.QUESTION,
            "limits": affinity.LIMITS,
            "terms": dict(affinity.TERMS),
            "meanings": dict(MEANINGS),
            "model": self._drugs.bundle.record.name,
            "sequences": {name: protein.sequence for name, protein in proteins.items()},
            "pairs": pairs,
            "drugs": {name: _drug(one) for name, one in drugs.items()},
            "refused": [_refusal(one) for one in refused],
        }

    def _screen(self, examples: list[Example], about: Mapping[str, Any]) -> Told:
        (example,) = examples
        library, refused = _molecules(about["library"])
        known, unknown = _molecules(about["known"]) if about["known"].strip() else ([], [])
        if unknown:
            raise unknown[0]  # a ranking by likeness to some of them would mislead
        target = example.protein
        along = find_binders(target.sequence)
        screener = Screener(self._drugs, target, Shelf(None), known=known, along=along, by=about["by"])
        ranked = sorted(screener.score(library), key=lambda hit: -hit["score"])
        best = ranked[: about["keep"]]
        in_families(best, len(best))
        return {
            "question": screening.QUESTION,
            "limits": screening.HONEST,
            "terms": {**affinity.TERMS, **screening.TERMS},
            "model": self._drugs.bundle.record.name,
            "target": target.id,
            "by": screener.by,
            "sentence": screener.choice,
            "answered": len(ranked),
            "far": sum(hit["far"] for hit in ranked),
            "ranking": best,
            "refused_count": len(refused),
            "refused": [_refusal(one) for one in refused[:REFUSED]],
        }


def _molecules(text: str, *, is_judged: bool = False) -> tuple[list[Molecule], list[InputError]]:
    """The molecules of a text, one formula a line, and what is refused of it; raises where nothing is left."""
    with tempfile.TemporaryDirectory(prefix="anfinsen-") as folder:
        file = Path(folder) / "molecules.smi"
        file.write_text(text, encoding="utf-8")
        read = list(read_molecules(file, is_judged=is_judged))
    refused = [one for one in read if isinstance(one, InputError)]
    for one in refused:
        one.file = ""  # which is ours, and nobody knows
    if len(refused) == len(read):
        raise refused[0] if refused else InputError("No molecule came.", remedy="Give one SMILES a line.")
    return [one for one in read if isinstance(one, Molecule)], refused


def _site_answer(found: sites.SiteAnswer) -> Told:
    protein = found.protein
    return {
        "id": protein.id,
        "sequence": protein.sequence,
        "ground": found.ground,
        "sentence": sites.headline(found),
        "answer": found.answer,
        "pockets": [_pocket(site, found) for site in found.sites],
        "messages": [message.to_json() for message in found.messages],
    }


def _pocket(site: sites.Site, found: sites.SiteAnswer) -> Told:
    pocket, known = site.pocket, site.known
    return {
        "rank": site.rank,
        "chance": rounded(site.chance),
        "kind": site.kind,
        "residues": [int(place) + 1 for place in pocket.residues],
        "centre": rounded(pocket.centre),
        "volume": rounded(pocket.volume),
        "enclosure": rounded(pocket.enclosure),
        "known": None
        if known is None
        else {"ligand": known.ligand, "chain": known.chain, "identity": rounded(known.identity)},
        "is_novel": site.is_novel,
        "confidence": None if site.confidence is None else rounded(site.confidence),
        "sentence": sites.say(site, found.protein),
    }


def _drug(one: Molecule) -> Told:
    return {
        "smiles": one.smiles,
        "given": one.given,
        "properties": dict(one.properties),
        "alerts": [{"catalog": alert.catalog, "name": alert.name} for alert in one.alerts],
        "messages": [message.to_json() for message in one.messages],
    }


def _refusal(one: InputError) -> Told:
    return {"where": one.place(), "reason": one.reason, "remedy": one.remedy}


def rounded(values: Any) -> Any:
    """A number, or an array as lists of them, with few digits; None where there is none.

    >>> rounded([[0.12345, float("nan")]])
    [[0.123, None]]
    """
    array = numpy.asarray(numpy.round(numpy.asarray(values, numpy.float64), _DIGITS))
    told = array.astype(object)
    told[numpy.isnan(array)] = None
    return told.tolist()

"""Looking closer, in the child that holds the model: one protein, one question, an answer in full.

    scan      what each of the 20 L substitutions would do, and what it would do to stability
    hidden    one residue is hidden: which of the twenty does the language model expect?
    explain   which residues an answer rests on, and whether that can be believed
    fold      the protein in space, with how far to trust each residue
    affinity  how tightly drugs hold proteins, each drug drawn with the atoms that hold it

Answers are plain JSON. What is needed for a look is opened when it is first asked for. It knows no network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.example import Example
from anfinsen.drug.drawing import draw
from anfinsen.drug.molecule import Molecule
from anfinsen.drug.properties import MEANINGS
from anfinsen.drug.reading import read_molecules
from anfinsen.errors import InputError
from anfinsen.explain.binding import reason
from anfinsen.explain.explanation import explain
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.affinity import AffinityPredictor
from anfinsen.inference.distances import FOLDER
from anfinsen.inference.fold import Builder, refusal, seconds
from anfinsen.inference.scan import Scanner
from anfinsen.inference.variants import marginals
from anfinsen.limits import LIMITS
from anfinsen.report.explanation import to_json
from anfinsen.report.tables import safe_name
from anfinsen.structure.writing import as_modelcif, as_structure
from anfinsen.tasks import Task
from anfinsen.tasks.affinity import LIMITS as DRUG_LIMITS
from anfinsen.tasks.affinity import QUESTION, TERMS, say

Told = dict[str, Any]
REASONS = 6
"""Pairs, from the tightest, of which is told what of the drug and of the protein holds them."""
_DIGITS = 3


class Closer:
    """Looks closer with one bundle."""

    def __init__(self, bundle: Bundle, tasks: Mapping[str, Task]) -> None:
        self._bundle, self._tasks = bundle, tasks
        self._looks = {
            "scan": self._scan,
            "hidden": self._hidden,
            "explain": self._explain,
            "fold": self._fold,
            "affinity": self._affinity,
        }

    @property
    def names(self) -> list[str]:
        """What can be looked at here; folding needs the folder's bundle, which a small package may lack."""
        return [name for name in self._looks if name != "fold" or FOLDER.is_dir()]

    @property
    def fold_seconds(self) -> list[float]:
        """About how long folding takes, by the length of the chain; none for chains that are too long for it."""
        return [round(seconds(length), 1) for length in range(LIMITS.fold_residues_cpu + 1)]

    def look(self, what: str, examples: list[Example], about: Mapping[str, Any]) -> Told:
        """One look at the examples; `about` is what else was asked."""
        return self._looks[what](examples, about)

    @cached_property
    def _scanner(self) -> Scanner:
        return Scanner(self._bundle)

    @cached_property
    def _drugs(self) -> AffinityPredictor:
        return AffinityPredictor.load()

    def _scan(self, examples: list[Example], about: Mapping[str, Any]) -> Told:
        (example,) = examples
        found = self._scanner.scan(example.protein, about["conditions"])
        return {
            "id": example.protein.id,
            "sequence": example.protein.sequence,
            "residues": RESIDUES,
            "scores": rounded(found.scores),
            "ddg": rounded(found.ddg),
            "tolerance": rounded(found.tolerance),
            "ranked": found.ranked(),
            "sentence": found.sentence(),
            "basis": found.basis(),
            "messages": [message.to_json() for message in found.messages],
        }

    def _hidden(self, examples: list[Example], about: Mapping[str, Any]) -> Told:
        (example,) = examples
        protein, position = example.protein, int(about["position"])
        if not 1 <= position <= len(protein):
            raise InputError(
                f"There is no residue {position} in a chain of {len(protein)}.",
                remedy=f"Ask for one from 1 to {len(protein)}.",
            )
        (row,) = numpy.nan_to_num(marginals(self._scanner.network, protein.sequence, [position]))
        shares = numpy.exp(row - row.max())
        shares = shares / shares.sum()
        order = numpy.argsort(-shares)
        return {
            "position": position,
            "residue": protein.sequence[position - 1],
            "guesses": [{"residue": RESIDUES[at], "probability": round(float(shares[at]), 4)} for at in order],
        }

    def _explain(self, examples: list[Example], about: Mapping[str, Any]) -> Told:
        (example,) = examples
        one = explain(self._bundle.network.eval(), self._tasks[about["task"]], example, residue=about.get("residue"))
        return to_json(one) | {"better": one.better}

    @cached_property
    def _builder(self) -> Builder:
        return Builder.load()

    def _fold(self, examples: list[Example], about: Mapping[str, Any]) -> Told:
        (example,) = examples
        protein = example.protein
        if (error := refusal(protein, self._builder)) is not None:
            raise error
        found = self._builder.fold(protein)
        structure = as_structure(safe_name(protein.id, protein.sha256), found.chains, found.atoms, found.plddt)
        return {
            "cif": as_modelcif(structure, found.maker, found.chains, found.plddt),
            "plddt": rounded(found.plddt),
            "predicted_tm": round(found.predicted_tm, _DIGITS),
            "sentence": found.say(),
            "messages": [message.to_json() for message in found.messages],
        }

    def _affinity(self, examples: list[Example], about: Mapping[str, Any]) -> Told:
        with tempfile.TemporaryDirectory(prefix="anfinsen-") as folder:
            file = Path(folder) / "drugs.smi"
            file.write_text(about["drugs"], encoding="utf-8")
            read = list(read_molecules(file, is_judged=True))
        drugs = {one.id: one for one in read if isinstance(one, Molecule)}
        refused = [one for one in read if isinstance(one, InputError)]
        if not drugs:
            raise refused[0] if refused else InputError("No molecule came.", remedy="Give one SMILES a line.")
        proteins = {example.protein.id: example.protein for example in examples}
        answers = list(self._drugs.predict(list(proteins.values()), drugs.values()))
        answers.sort(key=lambda answer: -answer["value"])
        pairs = []
        for at, answer in enumerate(answers):
            told: Told = {"answer": answer, "sentence": say(answer)}
            if at < REASONS:
                why = reason(self._drugs, proteins[answer["protein"]], drugs[answer["drug"]])
                told["drawing"] = draw(drugs[answer["drug"]].smiles, why.atoms.weights.tolist())
                told["residues"], told["faith"] = rounded(why.residues.weights), why.sentence()
            pairs.append(told)
        return {
            "question": QUESTION,
            "limits": DRUG_LIMITS,
            "terms": dict(TERMS),
            "meanings": dict(MEANINGS),
            "model": self._drugs.bundle.record.name,
            "sequences": {name: protein.sequence for name, protein in proteins.items()},
            "pairs": pairs,
            "drugs": {name: _drug(one) for name, one in drugs.items()},
            "refused": [{"where": one.place(), "reason": one.reason, "remedy": one.remedy} for one in refused],
        }


def _drug(one: Molecule) -> Told:
    return {
        "smiles": one.smiles,
        "given": one.given,
        "properties": dict(one.properties),
        "alerts": [{"catalog": alert.catalog, "name": alert.name} for alert in one.alerts],
        "messages": [message.to_json() for message in one.messages],
    }


def rounded(values: Any) -> Any:
    """An array as lists of short numbers, None where there is none.

    >>> rounded([[0.12345, float("nan")]])
    [[0.123, None]]
    """
    array = numpy.round(numpy.asarray(values, numpy.float64), _DIGITS)
    told = array.astype(object)
    told[numpy.isnan(array)] = None
    return told.tolist()

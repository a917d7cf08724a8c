"""Looking closer, in the child that holds the model: one protein, one question, an answer in full.

    scan      what each of the 20 L substitutions would do, and what it would do to stability
    hidden    one residue is hidden: which of the twenty does the language model expect?
    explain   which residues an answer rests on, and whether that can be believed
    fold      the protein in space, with how far to trust each residue
    and what binds to it: see `binder`

Answers are plain JSON. What is needed for a look is opened when it is first asked for. It knows no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.example import Example
from anfinsen.errors import InputError
from anfinsen.explain.door import explain_answer
from anfinsen.hub.bundle import Bundle
from anfinsen.inference.distances import FOLDER
from anfinsen.inference.fold import Builder, refusal, seconds
from anfinsen.inference.scan import Scanner
from anfinsen.inference.variants import marginals
from anfinsen.kinship.kin import Kin
from anfinsen.limits import LIMITS
from anfinsen.report.explanation import to_json
from anfinsen.report.tables import safe_name
from anfinsen.serve.binder import Binder, Look, Told, rounded
from anfinsen.structure.writing import as_modelcif, as_structure
from anfinsen.tasks import Task

_DIGITS = 3


class Closer:
    """Looks closer with one bundle, and with relatives where somebody knows some."""

    def __init__(self, bundle: Bundle, tasks: Mapping[str, Task], kin: Kin | None = None) -> None:
        self._bundle, self._tasks, self._kin = bundle, tasks, kin
        self._looks: dict[str, Look] = {"scan": self._scan, "hidden": self._hidden, "explain": self._explain}
        has_folder = (FOLDER / "bundle.json").is_file()
        if has_folder:  # which a small package may lack
            self._looks["fold"] = self._fold
        self._looks |= Binder(lambda: self._builder if has_folder else None).looks

    @property
    def names(self) -> list[str]:
        """What can be looked at here."""
        return list(self._looks)

    @property
    def fold_seconds(self) -> list[float]:
        """About how long folding takes, by the length of the chain; none for chains that are too long for it."""
        return [round(seconds(length), 1) for length in range(LIMITS.fold_residues_cpu + 1)]

    def look(self, what: str, examples: list[Example], about: Mapping[str, Any]) -> Told:
        """One look at the examples; `about` is what else was asked."""
        return self._looks[what](examples, about)

    @cached_property
    def _scanner(self) -> Scanner:
        return Scanner(self._bundle, kin=self._kin)

    @cached_property
    def _builder(self) -> Builder:
        return Builder.load()

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
        one = explain_answer(self._bundle, self._tasks[about["task"]], example, residue=about.get("residue"))
        return to_json(one) | {"better": one.better}

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

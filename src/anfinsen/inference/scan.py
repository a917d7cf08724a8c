"""The whole deep mutational scan of a protein without an experiment: what each of 20 L substitutions would do.

    protein -> every residue hidden in turn -> what the network says of the place -> terms -> weighted sum -> (L, 20)

The score is 0 for the wild type; the lower it is, the more likely the change does harm. Its weights were fitted on
other proteins' experiments (`bench/mutations.py`, `benchmarks/mutations.py`): a language model's masked marginals
(Meier et al. 2021) are joined with what is known of residues without any network, because a small language model
alone ranks worse than the table of swaps between relatives. Stability (ddG, negative = more stable) comes along.

Where relatives of the protein are known, they are asked as well, and they know far more than either: what stands at a
place in a hundred relatives is what a hundred experiments of evolution have left over. The language model hears them
before it says what it expects at a hidden place (`models.listening`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy
from numpy.typing import NDArray

from anfinsen import runtime
from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.substitutions import Surroundings, Weights, effect_terms, places_of, state_terms
from anfinsen.data.variants import Substitution, Variant
from anfinsen.hub.body import body_hash
from anfinsen.hub.bundle import MASKED, Bundle
from anfinsen.inference.variants import CONSERVATION, STRUCTURE, look_around
from anfinsen.kinship.family import Family
from anfinsen.kinship.kin import Kin
from anfinsen.models.fast import quicken
from anfinsen.models.network import Network
from anfinsen.structure.protein import Message, Protein
from anfinsen.targets.base import Answer
from anfinsen.tasks.stability_change import stability_answer, stability_changes, stability_weights

Floats = NDArray[numpy.float64]

WEIGHTS, WEIGHTS_WITH_FAMILY = "scan.json", "scan_with_family.json"
PARTS = {
    "family": "what its relatives have there",
    "relatives": "what relatives swap (BLOSUM62)",
    "size and water": "size and hydrophobicity",
    "residues": "the kinds of residue",
    "language model": "masked marginals of the language model",
    "conservation": "predicted conservation",
}
"""The groups of terms in words."""
NAMED = 5
"""Residues that a sentence names."""
_NEEDS = {"language model": MASKED, "conservation": CONSERVATION}


@dataclass(frozen=True)
class Scan:
    """All substitutions of a protein of L residues, columns in the order of `RESIDUES`, rows by position.

    `scores` (L, 20) are 0 at the wild type, NaN where the wild type is no standard residue; `ddg` (L, 20) in kcal/mol,
    negative = more stable. After learning from measured variants, `scores` are in the unit of the measurements and
    `low` and `high` hold the measured value nine times in ten.
    """

    protein: Protein
    scores: Floats
    ddg: Floats
    around: Surroundings
    parts: tuple[str, ...]
    weights: Weights
    low: Floats | None = None
    high: Floats | None = None
    messages: tuple[Message, ...] = ()
    findings: tuple[str, ...] = field(default=())

    @property
    def tolerance(self) -> Floats:
        """The mean score of the nineteen substitutions at each place, (L,); low means that it bears no change."""
        found: Floats = self.scores.sum(1) / (len(RESIDUES) - 1)
        if self.low is not None:
            wild = places_of(self.protein.sequence)
            own = self.scores[numpy.arange(len(wild)), wild]
            found = (self.scores.sum(1) - own) / (len(RESIDUES) - 1)
        return found

    def ranked(self) -> list[int]:
        """The 1-based positions from the one that bears least change to the one that bears most."""
        tolerance = self.tolerance
        order = numpy.argsort(tolerance, kind="stable")
        return [int(place) + 1 for place in order if numpy.isfinite(tolerance[place])]

    def sentence(self) -> str:
        """What the picture shows, in words."""
        order = self.ranked()
        if not order:
            return "None of its residues is one of the twenty, so no substitution can be scored."
        named = [self._named(order[:NAMED])]
        if len(order) > 2 * NAMED:
            named.append(f"those that bear most are {self._named(order[-NAMED:][::-1])}")
        return f"The residues that bear least change are {'; '.join(named)}."

    def basis(self) -> str:
        """From what the scores come."""
        used = [PARTS.get(part, part) for part in self.parts]
        return f"The scores come from {', '.join(used[:-1])}{' and ' if used[1:] else ''}{used[-1]}."

    def stability(self, variant: Substitution) -> Answer:
        """The change of stability that one substitution makes, as a JSON answer."""
        return stability_answer(float(self.ddg[variant.position - 1, RESIDUES.index(variant.mutant)]), 1)

    def score(self, variant: Variant) -> float:
        """The summed score of a variant's substitutions."""
        return float(sum(self.scores[one.position - 1, RESIDUES.index(one.mutant)] for one in variant))

    def substitutions(self) -> list[Substitution]:
        """All 19 L substitutions of standard residues, by position and residue."""
        return [
            Substitution(place, there, residue)
            for place, there in enumerate(self.protein.sequence, 1)
            for residue in RESIDUES
            if there in RESIDUES and residue != there
        ]

    def _named(self, positions: Sequence[int]) -> str:
        words = [f"{self.protein.sequence[position - 1]}{position}" for position in positions]
        return ", ".join(words[:-1]) + (f" and {words[-1]}" if words[1:] else words[-1])


class Scanner:
    """Scans proteins with one bundle, and with their relatives where somebody knows some."""

    def __init__(self, bundle: Bundle, *, kin: Kin | None = None, device: str = "auto") -> None:
        self.bundle, self.kin = bundle, kin
        self.network = quicken(bundle.network.to(runtime.pick_device(device)).eval())

    def scan(self, protein: Protein, conditions: Mapping[str, float] | None = None) -> Scan:
        """Every substitution of one protein; `conditions` (ph, temperature) are those of the stability."""
        messages = protein.messages
        family = None if self.kin is None else self.kin.family(protein.sequence)
        if family is not None:
            messages += (Message("info", family.told),)
        found = scan_with(self.network, protein, conditions, family)
        return replace(found, messages=messages + self._notes(found.weights))

    def change(self, protein: Protein, variants: Sequence[Variant], conditions: Mapping[str, float]) -> list[Answer]:
        """The change of stability of each variant as a JSON answer; its residues are hidden together."""
        groups = [[one.position for one in variant] for variant in variants]
        around = look_around(self.network, protein.sequence, groups)
        found = stability_changes(variants, around, conditions)
        return [stability_answer(float(ddg), len(variant)) for ddg, variant in zip(found, variants, strict=True)]

    def _notes(self, weights: Weights) -> tuple[Message, ...]:
        """What a reader must know of weights that were fitted with another model, and of parts that are missing."""
        notes = []
        lost = [part for part in weights.groups if _NEEDS.get(part, part) not in (part, *self.network.heads)]
        if lost:
            named = " and ".join(PARTS[part] for part in lost)
            notes.append(Message("warning", f"This bundle gives no {named}: the scores do without."))
        asks_the_bundle = bool(_NEEDS.keys() & weights.groups.keys())
        if asks_the_bundle and body_hash(self.network.body) != weights.about["body"]:
            text = f"The weights of the scan were fitted to the answers of another model, {weights.about['model']}."
            notes.append(Message("info", text))
        if "family" in weights.groups and MASKED not in self.network.listeners:
            notes.append(Message("info", "Its language model listens to nobody: relatives speak for themselves."))
        if STRUCTURE not in self.network.heads and "secondary structure" in stability_weights().groups:
            notes.append(Message("warning", "This bundle predicts no secondary structure: stability does without."))
        return tuple(notes)


def scan_with(
    network: Network, protein: Protein, conditions: Mapping[str, float] | None = None, family: Family | None = None
) -> Scan:
    """The scan that a network gives of a protein, before anything is said about the bundle it comes from.

    A family without relatives is none.
    """
    around, weights = look_around(network, protein.sequence, family=family), effect_weights(family)
    scores, ddg = tables(protein.sequence, around, weights, conditions)
    parts = tuple(part for part in weights.groups if _NEEDS.get(part, part) in (part, *network.heads))
    return Scan(protein, scores, ddg, around, parts, weights)


def effect_weights(family: Family | None = None) -> Weights:
    """The fitted weights of the scan; of one that asks relatives where there are some."""
    return _read(WEIGHTS_WITH_FAMILY if family is not None and family.relatives else WEIGHTS)


@cache
def _read(name: str) -> Weights:
    return Weights.read("anfinsen.inference", name)


def tables(
    sequence: str, around: Surroundings, weights: Weights, conditions: Mapping[str, float] | None = None
) -> tuple[Floats, Floats]:
    """Scores and ddG of all substitutions, (L, 20) each; NaN in rows without a standard residue."""
    wild, told = places_of(sequence), conditions or {}
    known = wild >= 0
    scores = weights(effect_terms(wild.clip(0), around)).astype(numpy.float64)
    count = len(RESIDUES)
    repeated = around.at(numpy.repeat(numpy.arange(len(wild)), count).tolist())
    mutants = numpy.tile(numpy.arange(count), len(wild))
    terms = state_terms(numpy.repeat(wild.clip(0), count), mutants, repeated, told.get("ph"), told.get("temperature"))
    ddg = stability_weights()(terms).reshape(len(wild), count).astype(numpy.float64)
    scores[~known], ddg[~known] = numpy.nan, numpy.nan
    return scores, ddg


def learned(scan: Scan, scores: Floats, low: Floats, high: Floats, findings: Sequence[str]) -> Scan:
    """The scan with scores in the unit of measured variants."""
    parts = (*scan.parts, "the variants that were measured")
    return replace(scan, scores=scores, low=low, high=high, parts=parts, findings=tuple(findings))

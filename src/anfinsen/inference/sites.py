"""Sites of one protein after another: residues by kind of ligand, pockets where there is a structure, what is known.

    protein -> network (`ligand-sites`) -> chances a residue -> + geometry (`structure.pockets`) -> ranked sites
                                                             -> + known structures (`data.known_sites`) -> known or new

From a sequence alone residues are answered and no pocket is: where a residue is in space nobody knows then. Each answer
says which ground it stands on. A site is new where its pocket is likely and no structure that is near holds anything
there. Chains are asked one at a time, so that a pocket between two chains is seen from either side only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy
from numpy.typing import NDArray

from anfinsen.data.known_sites import Comparison, KnownSite, KnownSites, known_sites
from anfinsen.errors import BundleError
from anfinsen.hub.bundle import WEIGHTS, Bundle
from anfinsen.inference.predictor import Predictor
from anfinsen.structure.pockets import Pocket, find_pockets
from anfinsen.structure.protein import Message, Protein
from anfinsen.tasks.ligand_sites import DRUG, HELD, TASK, counts, listed
from anfinsen.tasks.targets import Answer

EMBEDDED = WEIGHTS / "anfinsen-sites"
"""The model of sites that comes with the package."""
IN_SPACE = (DRUG, "PRO")
"""Kinds that the network has learnt from structures; of the others it knows sequences, and is asked by these."""
CONFIDENT = 0.5
"""Chance from which on a pocket is called likely, and new where nothing is known of it."""
TRUSTED = 70.0
"""pLDDT below which a computed structure is not trusted in its details."""
SHOWN = 10
"""Pockets of a protein that are answered."""
_CHANCE = (-5.58, 1.475)
"""Constant and slope of the chance over the logarithm of the score: a logistic line through the first ten pockets of
each of the 67 validation chains of `ligand_sites` (511 pockets, of which 58 held a ligand)."""
_TOP, _SURE = 6, 0.4
"""Residues of a pocket that decide its kind, and the mean chance from which on they do."""

Floats = NDArray[numpy.floating[Any]]


@dataclass(frozen=True, eq=False)
class Site:
    """A pocket with what residues, relatives and the model's confidence say of it."""

    rank: int
    pocket: Pocket
    chance: float
    """How likely a ligand has an atom within 4 Å of the centre, as on chains that judged."""
    kind: str
    """The kind of ligand that its residues are most like."""
    known: KnownSite | None
    """A ligand that sits there in a related structure."""
    is_novel: bool
    """Whether it is likely and no related structure holds anything there."""
    confidence: float | None
    """Mean pLDDT of its residues, where the structure was computed."""

    @property
    def is_doubtful(self) -> bool:
        """Whether it stands on a part of a computed structure that is not trusted."""
        return self.confidence is not None and self.confidence < TRUSTED


@dataclass(frozen=True, eq=False)
class SiteAnswer:
    """What is known of one protein's sites."""

    protein: Protein
    answer: Answer
    """Residues: the answer of the task `ligand-sites`, with its `ground` and `reach`."""
    sites: tuple[Site, ...]
    """Pockets, the best first; none without a structure."""
    comparison: Comparison
    messages: tuple[Message, ...]

    @property
    def ground(self) -> str:
        """'structure' or 'sequence'."""
        return str(self.answer["ground"])


class SiteFinder:
    """Answers proteins with one bundle that knows `ligand-sites` and one library of known sites."""

    def __init__(self, bundle: Bundle, known: KnownSites | None = None, *, device: str = "auto") -> None:
        self.predictor = Predictor(bundle, [TASK.name], device=device)
        self.known = known if known is not None else known_sites()

    @classmethod
    def load(cls, folder: str | Path | None = None, *, device: str = "auto") -> Self:
        """Open a bundle's folder, the one for sites that comes with the package if none is given."""
        if folder is None and not (EMBEDDED / "bundle.json").is_file():
            raise BundleError(
                "This copy of Anfinsen has no model of sites.", remedy="Give the folder of one with --bundle."
            )
        return cls(Bundle.load(folder or EMBEDDED), device=device)

    def find(self, proteins: Iterable[Protein]) -> Iterator[SiteAnswer]:
        """One answer a protein, in order."""
        for protein in proteins:
            (prediction,) = self.predictor.predict([protein])
            answer = prediction.answers[TASK.name]
            if protein.backbone is not None:
                (alone,) = self.predictor.predict([replace(protein, backbone=None)])
                answer = blended(answer, alone.answers[TASK.name])
            yield self.judge(protein, answer, prediction.messages)

    def judge(self, protein: Protein, answer: Answer, messages: tuple[Message, ...] = ()) -> SiteAnswer:
        """The pockets of a protein whose residues are answered."""
        comparison = self.known.compare(protein.sequence)
        found: list[Pocket] = []
        if protein.backbone is not None:
            found = find_pockets(protein.sequence, protein.backbone, evidence(answer), most=SHOWN)
        sites = tuple(self._site(rank, pocket, protein, answer, comparison) for rank, pocket in enumerate(found, 1))
        return SiteAnswer(protein, answer, sites, comparison, messages + _notes(protein, sites))

    def _site(self, rank: int, pocket: Pocket, protein: Protein, answer: Answer, comparison: Comparison) -> Site:
        chance, known = chance_of(pocket.score), comparison.at(pocket.residues)
        sure = protein.backbone.confidence if protein.backbone is not None else None
        confidence = None if sure is None else float(numpy.nanmean(sure[list(pocket.residues)]))
        is_novel = known is None and chance >= CONFIDENT and not (confidence is not None and confidence < TRUSTED)
        return Site(rank, pocket, chance, kind_of(pocket, answer), known, is_novel, confidence)


def blended(in_space: Answer, alone: Answer) -> Answer:
    """What the structure says of the kinds of `IN_SPACE`, and the sequence alone of the others.

    Chains of the other kinds were learnt from almost without structures, and what is unknown moves nothing: shown a
    structure, the network calls far too many of their residues.
    """
    shares = {
        kind: (in_space if kind in IN_SPACE else alone)["probabilities"][kind] for kind in in_space["probabilities"]
    }
    kept = {name: part for name, part in in_space.items() if name not in ("tokens", "sets")}
    return {**kept, "probabilities": shares}


def evidence(answer: Answer) -> Floats:
    """The chance of each residue to touch a drug-like molecule, (L,)."""
    return numpy.array(answer["probabilities"][DRUG], dtype=numpy.float64)


def chance_of(score: float) -> float:
    """How often a pocket of such a score had a ligand within 4 Å of its centre, on validation chains.

    >>> chance_of(1e-6) < 0.01 < chance_of(100.0) < 1
    True
    """
    constant, slope = _CHANCE
    return float(1 / (1 + numpy.exp(-(constant + slope * numpy.log(max(score, 1e-9))))))


def kind_of(pocket: Pocket, answer: Answer) -> str:
    """The kind that the pocket's likeliest residues hold most surely; drug-like where none is sure."""
    around = list(pocket.residues)
    means = {
        kind: float(numpy.sort(numpy.array(answer["probabilities"][kind])[around])[::-1][:_TOP].mean())
        for kind in HELD
        if around
    }
    best = max(means, key=lambda kind: means[kind], default=DRUG)
    return best if means.get(best, 0.0) >= _SURE else DRUG


def _notes(protein: Protein, sites: tuple[Site, ...]) -> tuple[Message, ...]:
    """What must be said of the ground that the answer stands on."""
    if protein.backbone is None:
        return (
            Message(
                "info",
                "No structure was given, so there are residues and no pockets; `anfinsen fetch` or `anfinsen fold` "
                "brings a structure.",
            ),
        )
    notes = []
    if not sites:
        notes.append(Message("info", "Nothing on this structure is enclosed enough to be a pocket."))
    sure = protein.backbone.confidence
    if sure is not None and numpy.nanmean(sure) < TRUSTED:
        text = f"The structure is computed and unsure of itself (mean pLDDT {numpy.nanmean(sure):.0f}): its pockets are"
        notes.append(Message("warning", f"{text} guesses."))
    if doubtful := [str(site.rank) for site in sites if site.is_doubtful]:
        noun = "Pocket" if len(doubtful) == 1 else "Pockets"
        where = "parts of the computed structure that are not trusted (pLDDT below 70)."
        notes.append(Message("warning", f"{noun} {', '.join(doubtful)} lie in {where}"))
    return tuple(notes)


def say(site: Site, protein: Protein) -> str:
    """One pocket as a sentence."""
    size = f"{len(site.pocket.residues)} residues around {site.pocket.volume:,.0f} Å³"
    parts = [f"Pocket {site.rank}: {size}, {_likely(site)} ({site.chance:.0%}), most like one for {HELD[site.kind]}"]
    if site.known is not None:
        parts.append(f"{site.known.ligand} sits there in {site.known.chain} ({site.known.identity:.0%} identical)")
    elif site.is_novel:
        parts.append("no known structure that is near holds a ligand there: it may be new")
    if site.is_doubtful:
        parts.append(f"the computed structure is unsure here (pLDDT {site.confidence:.0f})")
    return "; ".join(parts) + "."


def _likely(site: Site) -> str:
    return "likely to hold a ligand" if site.chance >= CONFIDENT else "less likely to hold one"


def headline(found: SiteAnswer) -> str:
    """A protein's residues as a sentence, with the ground of each kind."""
    if found.ground != "structure":
        return TASK.say(found.answer)
    said = counts(found.answer)
    parts = []
    for ground, is_in_space in (("structure", True), ("sequence", False)):
        mine = [f"{count} {HELD[kind]}" for kind, count in said.items() if (kind in IN_SPACE) == is_in_space]
        if mine:
            count, _, held = mine[0].partition(" ")
            parts.append(f"by its {ground} {listed([f'{count} may hold {held}', *mine[1:]])}")
    return f"Of its residues, {'; '.join(parts)}." if parts else TASK.say(found.answer)


TERMS: Mapping[str, str] = {
    "pocket": "A hollow on the surface of a protein that is enclosed by it on most sides.",
    "chance of a pocket": "Of pockets with such a score on chains that nothing was learnt from, the share that had an "
    "atom of a ligand within 4 ångström of their centre.",
    "enclosure": "The share of directions from a point in which protein is met within 9 ångström.",
    "new site": "A likely pocket where no structure of a related protein that we know of holds a ligand.",
    "pLDDT": "How sure a computed structure is of a residue's surroundings, 0 to 100; below 70 no detail is trusted.",
}
"""Words of this answer for the glossary."""

"""Sites of one protein after another: residues by kind of ligand, pockets where there is a structure, what is known.

    protein -> its structure, else a predicted fold if that is sure enough, else predicted contacts
            -> network (`ligand-sites`) -> chances a residue -> + geometry (`structure.pockets`) -> ranked sites
                                                             -> + sequence and sites (`site_residues`) -> residues
                                                             -> + known structures (`sets.known_sites`) -> known or new

Without a structure the protein is folded. Only a fold of a mean pLDDT of 60 or more has its pockets ranked; of any
other the contacts alone are heard, residues are answered and no pocket is. Each answer says which ground it stands on.
A site is new where its pocket is likely and no structure that is near holds anything there. Chains are asked one at a
time, so that a pocket between two chains is seen from either side only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, cast

import numpy
from numpy.typing import NDArray

from anfinsen.errors import BundleError
from anfinsen.hub.bundle import WEIGHTS, Bundle
from anfinsen.inference.distances import FOLDER
from anfinsen.inference.fold import Builder, refusal
from anfinsen.inference.predictor import Predictor
from anfinsen.inference.site_residues import (
    BESIDE,
    IN_SPACE,
    NEVER,
    RIGHT,
    blended,
    by_sequence,
    evidence,
    joined,
    sparing,
    voices,
)
from anfinsen.sets.coordinates import called
from anfinsen.sets.known_sites import Comparison, KnownSite, KnownSites, known_sites
from anfinsen.structure.graph import GROUNDS, Ground
from anfinsen.structure.pockets import Pocket, find_cavities, gather
from anfinsen.structure.protein import Message, Protein
from anfinsen.targets.base import Answer
from anfinsen.tasks.ligand_sites import DRUG, HELD, TASK, counts
from anfinsen.wording import listed

EMBEDDED = WEIGHTS / "anfinsen-sites"
"""The model of sites that comes with the package."""
CONFIDENT = 0.5
"""Chance from which on a pocket is called likely, and new where nothing is known of it."""
TRUSTED = 70.0
"""pLDDT below which a computed structure is not trusted in its details."""
FOLDED = 60.0
"""Mean pLDDT from which on a fold of ours has its pockets ranked: below it they were of no use, see `_ON_FOLDS`."""
_ON_FOLDS = (
    "On 20 chains folded that surely the first pocket held the ligand in 9, the first three in 9; on their measured "
    "structures in 10 and 13."
)
"""Chains of the validation and the test of `ligand_sites` that have a relative among the known structures and are not
among them themselves; below a mean pLDDT of 60 it was 2 and 3 of 10, on their measured structures 8 and 9. Pockets were
ranked by their shape times the geometric mean of their residues' chances then."""
WORTH = 60.0
"""Mean confidence of the folding network, 0 to 100, below which nothing is built unless a known structure is leant on:
no such fold was ever trusted."""
SHOWN = 10
"""Pockets of a protein that are answered."""
_CHANCE = (-4.14, 2.075)
"""Constant and slope of the chance over the logarithm of the score: a logistic line through the first ten pockets of
each of the 67 validation chains of `ligand_sites` (584 pockets, of which 59 held a ligand)."""
_TOP, _SURE = 6, 0.4
"""Residues of a pocket that decide its kind, and the mean chance from which on they do."""

_RESIDUES_ONLY = "So there are residues and no pockets; `anfinsen fetch` may bring a structure."

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
    def ground(self) -> Ground:
        """What the answer stands on."""
        return cast(Ground, self.answer["ground"])


class SiteFinder:
    """Answers proteins with one bundle that knows `ligand-sites` and one library of known sites."""

    def __init__(
        self,
        bundle: Bundle,
        known: KnownSites | None = None,
        *,
        builder: Builder | None = None,
        device: str = "auto",
    ) -> None:
        self.predictor = Predictor(bundle, [TASK.name], device=device)
        beside = [name for name in bundle.records if name == BESIDE]
        self.listener = Predictor(bundle, [TASK.name, *beside], device=device)
        """What reads sequences alone."""
        self.known = known if known is not None else known_sites()
        self.builder = builder
        """What folds a protein that comes without a structure; None to ask its sequence alone."""

    @classmethod
    def load(cls, folder: str | Path | None = None, *, device: str = "auto") -> Self:
        """Open a bundle's folder, the one for sites that comes with the package if none is given."""
        if folder is None and not (EMBEDDED / "bundle.json").is_file():
            raise BundleError(
                "This copy of Anfinsen has no model of sites.", remedy="Give the folder of one with --bundle."
            )
        builder = Builder.load() if (FOLDER / "bundle.json").is_file() else None
        return cls(Bundle.load(folder or EMBEDDED), builder=builder, device=device)

    def find(self, proteins: Iterable[Protein]) -> Iterator[SiteAnswer]:
        """One answer a protein, in order."""
        for given in proteins:
            protein, notes = self.placed(given)
            (prediction,) = self.predictor.predict([protein])
            answer, alone = prediction.answers[TASK.name], prediction
            if answer["ground"] != "sequence":
                (alone,) = self.listener.predict([replace(protein, backbone=None, contacts=None)])
                answer = blended(answer, alone.answers[TASK.name])
            answer = sparing(answer, self.predictor.bundle.records[TASK.name].calibration)
            heard = by_sequence(alone.answers)
            yield self.judge(protein, answer, heard, prediction.messages + notes + _silence(answer))

    def placed(self, protein: Protein) -> tuple[Protein, tuple[Message, ...]]:
        """The protein with what is known of its fold: as it is, with a trusted fold, or with predicted contacts.

        And a word on what was done, for a protein that came without a structure.
        """
        if protein.backbone is not None:
            return protein, ()
        if self.builder is None:
            return protein, _note(f"No structure was given and none was predicted. {_RESIDUES_ONLY}")
        if (error := refusal(protein, self.builder)) is not None:
            return protein, _note(f"No structure was given, and it was not folded: {error.reason} {_RESIDUES_ONLY}")
        believed, templates = self.builder.believed(protein)
        sure = 0.0 if believed.confidence is None else 100 * float(numpy.mean(believed.confidence))
        if templates or sure >= WORTH:
            fold = self.builder.built(protein, believed, templates)
            sure = float(fold.plddt.mean())
            if sure >= FOLDED:
                text = f"No structure was given: it was folded first. {fold.say()} {_ON_FOLDS}"
                return replace(protein, backbone=fold.backbone), _note(text)
        text = f"No structure was given, and the predicted fold is too unsure (pLDDT about {sure:.0f}, {FOLDED:.0f} is "
        text = f"{text}asked): only its contacts are heard. {_RESIDUES_ONLY}"
        return replace(protein, contacts=believed.contacts), _note(text)

    def judge(self, protein: Protein, answer: Answer, alone: Floats, messages: tuple[Message, ...] = ()) -> SiteAnswer:
        """The pockets of a protein whose residues are answered; `alone` (L,) is what its sequence says of a drug."""
        comparison, backbone = self.known.compare(protein.sequence), protein.backbone
        hollows = None if backbone is None else find_cavities(protein.sequence, backbone)
        found = [] if hollows is None else gather(hollows, evidence(answer), most=SHOWN)
        sites = tuple(self._site(rank, pocket, protein, answer, comparison) for rank, pocket in enumerate(found, 1))
        if backbone is not None and hollows is not None:
            answer = joined(answer, voices(evidence(answer), alone, backbone, hollows, found[0] if found else None))
        return SiteAnswer(protein, answer, sites, comparison, messages + _notes(protein, sites))

    def _site(self, rank: int, pocket: Pocket, protein: Protein, answer: Answer, comparison: Comparison) -> Site:
        chance, known = chance_of(pocket.score), comparison.at(pocket.residues)
        sure = protein.backbone.confidence if protein.backbone is not None else None
        confidence = None if sure is None else float(numpy.nanmean(sure[list(pocket.residues)]))
        is_novel = known is None and chance >= CONFIDENT and not (confidence is not None and confidence < TRUSTED)
        return Site(rank, pocket, chance, kind_of(pocket, answer), known, is_novel, confidence)


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
    """What must be said of the structure that pockets stand on."""
    if protein.backbone is None:
        return ()
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


def _silence(answer: Answer) -> tuple[Message, ...]:
    """Which kinds are not said, whatever their chances."""
    silent = [HELD[kind] for kind, threshold in answer["thresholds"].items() if threshold >= NEVER]
    if not silent:
        return ()
    return _note(
        f"A sequence says too little of {listed(silent)} to name residues: of those named on chains that judged, fewer "
        f"than {RIGHT:.0%} were right. Their chances stand in the table."
    )


def _note(text: str) -> tuple[Message, ...]:
    return (Message("info", text),)


def say(site: Site, protein: Protein) -> str:
    """One pocket as a sentence."""
    size = f"{len(site.pocket.residues)} residues around {site.pocket.volume:,.0f} Å³"
    parts = [f"Pocket {site.rank}: {size}, {_likely(site)} ({site.chance:.0%}), most like one for {HELD[site.kind]}"]
    if site.known is not None:
        where = f"{called(site.known.chain)} ({site.known.identity:.0%} identical)"
        parts.append(f"{site.known.ligand} sits there in {where}")
    elif site.is_novel:
        parts.append("no known structure that is near holds a ligand there: it may be new")
    if site.is_doubtful:
        parts.append(f"the computed structure is unsure here (pLDDT {site.confidence:.0f})")
    return "; ".join(parts) + "."


def _likely(site: Site) -> str:
    return "likely to hold a ligand" if site.chance >= CONFIDENT else "less likely to hold one"


def headline(found: SiteAnswer) -> str:
    """A protein's residues as a sentence, with the ground of each kind."""
    if found.ground == "sequence":
        return TASK.say(found.answer)
    said = counts(found.answer)
    parts = []
    grounds: tuple[tuple[Ground, bool], ...] = ((found.ground, True), ("sequence", False))
    for ground, is_in_space in grounds:
        mine = [f"{count} {HELD[kind]}" for kind, count in said.items() if (kind in IN_SPACE) == is_in_space]
        if mine:
            count, _, held = mine[0].partition(" ")
            parts.append(f"{listed([f'{count} may hold {held}', *mine[1:]])} (by {GROUNDS[ground]})")
    return f"Of its residues {'; '.join(parts)}." if parts else TASK.say(found.answer)


TERMS: Mapping[str, str] = {
    "pocket": "A hollow on the surface of a protein that is enclosed by it on most sides.",
    "chance of a pocket": "Of pockets with such a score on chains that nothing was learnt from, the share that had an "
    "atom of a ligand within 4 ångström of their centre.",
    "enclosure": "The share of directions from a point in which protein is met within 9 ångström.",
    "new site": "A likely pocket where no structure of a related protein that we know of holds a ligand.",
    "pLDDT": "How sure a computed structure is of a residue's surroundings, 0 to 100; below 70 no detail is trusted.",
}
"""Words of this answer for the glossary."""

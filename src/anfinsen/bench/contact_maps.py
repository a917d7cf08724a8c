"""Contacts that were taught: how many of the surest long-range pairs of a folding network really touch.

    chains of the test split, one a cluster     -> distogram -> the L surest pairs at least 24 apart -> P@L, P@L/5
    50 CAMEO targets of August to October 2022  ->

Which pairs are judged, what L is and how ties count is the protocol of `contacts`, whose code this shares: the network
reads the whole molecule where a table tells it, and a pair counts if both residues were seen. No chain of either set,
and none of their clusters, was trained on. Beside it stand

    network alone        the folder without known structures
    separation           the nearest pairs of those that are judged: near pairs touch more often
    nearest structure    the training chain of the best local alignment lends its distances to the residues aligned with
                         its own; what it does not cover is ordered by separation

Rows of 'no relative' are of the chains to which no training chain aligns beyond doubt (E-value above 0.001): new folds,
or folds whose relatives are too far to be found. The published figures are of other targets, and of regressions on
attention that were never taught contacts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy

from anfinsen.bench.contacts import LONG_RANGE, PUBLISHED, SEPARATION, SHARES, Floats, Pairs, pairs_of, precision
from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import STRUCTURE
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.distances import TASK, Folder
from anfinsen.inference.fold import Builder
from anfinsen.kinship.homology import PROVEN
from anfinsen.sets.coordinates import Chain, load_chains
from anfinsen.sets.folds import fold_examples
from anfinsen.sets.known_structures import KnownStructures
from anfinsen.structure.lending import Template
from anfinsen.structure.protein import Protein
from anfinsen.targets.metrics import Estimate, measure

SPLITS = ("test", "cameo2022-dev")
"""One chain a cluster of our own test split, and the CAMEO targets that are open for development."""
ELSEWHERE = "CAMEO Apr-Jun 2022 (another set)"
NEAREST, ALONE = "nearest structure", "network alone"
NEW = "no relative"
"""What is added to the name of a split for the part of it that has no proven relative among the training chains."""
SHORTEST, LONGEST = 40, 400
"""Residues of a chain of our test split that is judged."""
_BEYOND = 1e3

Rank = Callable[[Pairs], Floats]
"""How likely each pair is to touch, by any measure that rises with it: (P,)."""


def contact_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """P@L and P@L/5 of the bundle if it answers contacts, else of the embedded folder, and of the baselines."""
    known = training_structures()
    builder = Builder(folder_of(bundle), known)
    rows = []
    for split in SPLITS:
        pairs = [pairs_of(chain, LONG_RANGE) for chain in judged(split, limit)]
        reachable = numpy.mean([min(1.0, one.touching.sum() / one.length) for one in pairs])
        tell(f"{TASK}, {split}: {len(pairs)} chains; who knew every contact would reach {reachable:.3f} P@L.")
        rows += _split_rows(split, pairs, builder, known)
    for name, value in PUBLISHED.items():
        rows.append(Question(STRUCTURE, TASK, "chains", ELSEWHERE, "P@L").published(name, value))
    return rows


def training_structures() -> KnownStructures:
    """The bank as the tables tell it; that of the package holds the same chains."""
    return KnownStructures.of([example.protein for example in fold_examples("train")])


def folder_of(bundle: Bundle) -> Folder:
    """What folds: the bundle, with what was fitted for it, if it answers contacts, else the folder that comes along."""
    return Folder(bundle) if TASK in bundle.records else Folder.load()


def judged(split: str, limit: int | None = None) -> list[Chain]:
    """The chains of `SPLITS` that are judged, all with a whole backbone; `limit` draws so many, always the same."""
    if split == SPLITS[0]:
        chains = load_chains("test", kinds=("bb5",), representatives=True)
        chains = [one for one in chains if SHORTEST <= len(one) <= LONGEST and not one.is_target]
    else:
        chains = load_chains("test", kinds=("bb5",), targets=True)
    return draw(chains, limit)


def _split_rows(split: str, pairs: Sequence[Pairs], builder: Builder, known: KnownStructures) -> list[Score]:
    answers: list[dict[str, Floats]] = []
    is_new = []
    for one in pairs:
        templates = known.search(one.text)
        is_new.append(not any(template.e_value <= PROVEN for template in templates))
        answers.append(_answer(one, builder, templates))
    rows = []
    new = [place for place, alone in enumerate(is_new) if alone]
    for name, places in ((split, range(len(pairs))), (f"{split}, {NEW}", new)):
        for model in answers[0] if places else ():
            for metric in SHARES:
                scores = [answers[place][model] for place in places]
                question = Question(STRUCTURE, TASK, "chains", name, metric)
                rows.append(question.row(model, score(metric, scores, [pairs[place] for place in places])))
    return rows


def _answer(pairs: Pairs, builder: Builder, templates: Sequence[Template]) -> dict[str, Floats]:
    """How each candidate ranks the pairs of one protein."""
    alone = builder.folder.distogram(Protein(pairs.id, pairs.text))
    at = pairs.first, pairs.second
    ranks = {builder.folder.bundle.label: builder.leaning(alone, templates)[0].contacts[at]}
    if builder.known is not None:
        ranks[ALONE] = alone.contacts[at]
    return ranks | {SEPARATION: by_separation(pairs), NEAREST: by_template(pairs, templates)}


def score(metric: str, scores: Sequence[Floats], pairs: Sequence[Pairs]) -> Estimate:
    """P@L or P@L/5 of the ranks that somebody gave to the pairs of each chain, with its interval over chains."""
    examples = [Example(Protein(one.id, one.text), float(one.touching.sum())) for one in pairs]
    part = SHARES[metric]
    precisions = [precision(given, one.touching, one.length // part) for given, one in zip(scores, pairs, strict=True)]
    return measure(metric, examples, [{metric: one} for one in precisions])


# Who ranks the pairs ------------------------------------------------------------------------------------------------


def taught(folder: Folder) -> Rank:
    """A folding network ranks pairs by the probability that they touch."""

    def rank(pairs: Pairs) -> Floats:
        shares: Floats = folder.distogram(Protein(pairs.id, pairs.text)).contacts[pairs.first, pairs.second]
        return shares

    return rank


def by_separation(pairs: Pairs) -> Floats:
    """The nearer along the chain, the likelier."""
    return -pairs.separation.astype(numpy.float64)


def by_template(pairs: Pairs, templates: Sequence[Template]) -> Floats:
    """The structure of the best alignment lends its distances; what it does not cover is ordered by separation."""
    scores = by_separation(pairs) - _BEYOND
    if not templates:
        return scores
    lent = numpy.linalg.norm(templates[0].betas[pairs.first] - templates[0].betas[pairs.second], axis=-1)
    return numpy.where(numpy.isnan(lent), scores, -lent)

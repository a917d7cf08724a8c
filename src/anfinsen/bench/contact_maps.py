"""Contacts that were taught: how many of the surest long-range pairs of a folding network really touch.

    chains of the test split, one a cluster     -> distogram -> the L surest pairs at least 24 apart -> P@L, P@L/5
    50 CAMEO targets of August to October 2022  ->

Which pairs are judged, what L is and how ties count is the protocol of `contacts`, whose code this shares: the network
reads the whole molecule where a table tells it, and a pair counts if both residues were seen. No chain of either set,
and none of their clusters, was trained on. Beside it stand

    separation           the nearest pairs of those that are judged: near pairs touch more often
    nearest structure    the training chain of the best local alignment lends its distances to the residues aligned with
                         its own; what it does not cover is ordered by separation

The published figures are of other targets, and of regressions on attention that were never taught contacts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy
from biotite.sequence.align import SubstitutionMatrix, align_optimal

from anfinsen.bench.contacts import LONG_RANGE, PUBLISHED, SEPARATION, SHARES, Floats, Pairs, pairs_of, precision
from anfinsen.bench.study import Question, Tell
from anfinsen.data.blosum import GAPS, as_biotite
from anfinsen.data.coordinates import Chain, load_chains
from anfinsen.data.example import Example
from anfinsen.data.folds import fold_examples
from anfinsen.data.homology import Library
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score, TaskRecord
from anfinsen.inference.distances import TASK, Folder
from anfinsen.models.network import Network
from anfinsen.structure.geometry import distances
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.tasks.distances import betas_of
from anfinsen.tasks.metrics import Estimate, measure

STRUCTURE = "structure"
SPLITS = ("test", "cameo2022-dev")
"""One chain a cluster of our own test split, and the CAMEO targets that are open for development."""
ELSEWHERE = "CAMEO Apr-Jun 2022 (another set)"
NEAREST = "nearest structure"
SHORTEST, LONGEST = 40, 400
"""Residues of a chain of our test split that is judged."""
_SEED = 1
_BEYOND = 1e3

Rank = Callable[[Pairs], Floats]
"""How likely each pair is to touch, by any measure that rises with it: (P,)."""


def contact_rows(network: Network, model: str, *, limit: int | None, tell: Tell) -> list[Score]:
    """P@L and P@L/5 of the embedded folder, or of `network` if it answers contacts itself, and of the baselines."""
    folder = folder_of(network, model)
    candidates = {folder.bundle.label: taught(folder), SEPARATION: by_separation, NEAREST: by_nearest_structure()}
    rows = []
    for split in SPLITS:
        pairs = [pairs_of(chain, LONG_RANGE) for chain in judged(split, limit)]
        reachable = numpy.mean([min(1.0, one.touching.sum() / one.length) for one in pairs])
        tell(f"{TASK}, {split}: {len(pairs)} chains; who knew every contact would reach {reachable:.3f} P@L.")
        rows += _split_rows(split, pairs, candidates, tell)
    for name, value in PUBLISHED.items():
        rows.append(Question(STRUCTURE, TASK, "chains", ELSEWHERE, "P@L").published(name, value))
    return rows


def folder_of(network: Network, model: str) -> Folder:
    """What folds: the network itself if it answers contacts, else the folder that comes with the package."""
    if TASK not in network.shapes:
        return Folder.load()
    target = TASKS[TASK].target
    return Folder(Bundle(model, network, {TASK: TaskRecord(kind=target.head, size=target.size)}))


def judged(split: str, limit: int | None = None) -> list[Chain]:
    """The chains of `SPLITS` that are judged, all with a whole backbone; `limit` draws so many, always the same."""
    if split == SPLITS[0]:
        chains = load_chains("test", kinds=("bb5",), representatives=True)
        chains = [one for one in chains if SHORTEST <= len(one) <= LONGEST and not one.is_target]
    else:
        chains = load_chains("test", kinds=("bb5",), targets=True)
    places = numpy.random.default_rng(_SEED).permutation(len(chains))[:limit]
    return [chains[place] for place in sorted(places)]


def _split_rows(split: str, pairs: Sequence[Pairs], candidates: dict[str, Rank], tell: Tell) -> list[Score]:
    rows = []
    for name, rank in candidates.items():
        tell(f"{TASK}, {split}: {name} answers {len(pairs)} chains.")
        scores = [rank(one) for one in pairs]
        for metric in SHARES:
            question = Question(STRUCTURE, TASK, "chains", split, metric)
            rows.append(question.row(name, score(metric, scores, pairs)))
    return rows


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


def by_nearest_structure() -> Rank:
    """The training chain whose local alignment with the asked one scores highest lends its distances."""
    known = [example.protein for example in fold_examples("train")]
    library = Library.of(known, [() for _ in known])

    def rank(pairs: Pairs) -> Floats:
        scores = by_separation(pairs) - _BEYOND
        hits = library.search(pairs.text)
        if not hits:
            return scores
        template = known[hits[0].place]
        assert template.backbone is not None  # every training chain has one
        place = aligned(pairs.text, template.sequence)
        apart = distances(betas_of(template.backbone))
        first, second = place[pairs.first], place[pairs.second]
        lent = numpy.where((first >= 0) & (second >= 0), apart[first, second], numpy.nan)
        return numpy.where(numpy.isnan(lent), scores, -lent)

    return rank


def aligned(sequence: str, other: str) -> numpy.ndarray[tuple[int], numpy.dtype[numpy.int64]]:
    """For each residue of `sequence` the place in `other` of the one it is aligned with, -1 for none: (L,)."""
    place = numpy.full(len(sequence), -1, dtype=numpy.int64)
    matrix = SubstitutionMatrix.std_protein_matrix()
    found = align_optimal(as_biotite(sequence), as_biotite(other), matrix, GAPS, local=True, max_number=1)
    trace = found[0].trace if found else numpy.zeros((0, 2), dtype=numpy.int64)
    both = trace[(trace >= 0).all(axis=1)]
    place[both[:, 0]] = both[:, 1]
    return place

"""Contacts that nobody taught: what the attention of a language model knows about which residues touch.

    20 training structures -> attention maps, corrected -> logistic regression -> one weight a head
    50 CAMEO targets       -> attention maps, corrected -> the L surest long-range pairs -> how many touch: P@L

The field's protocol (Rao et al. 2021, ICLR; Lin et al. 2023, Science 379:1123; facebookresearch/esm). Two residues
touch where their CB atoms are closer than 8 Å. The regression learns from pairs at least 6 residues apart, with an L1
penalty of C = 0.15; judged are pairs at least 24 apart. With 20 structures it can learn which heads look at contacts,
and hardly anything about proteins: what it finds, the language model has found out by itself. Which 20 they are is luck
that the interval over targets does not show; so five regressions are fitted on five sets without a structure in
common, and the precision of a target is the mean over them.

What is counted where a crystal does not show every residue: the model reads the whole molecule where a table tells it
(all targets), else the residues that were seen, as the ESM example does. A pair is judged if both residues were seen,
its separation counts the unseen ones between them, and L is the number of residues seen. A protein with fewer contacts
than L cannot reach 1; such targets stay in, and what is within reach is told.

Beside it, by the same protocol: the same network with random weights (whose attention is mostly so even that the
penalty keeps no head, and it guesses), and the separation of a pair alone. Structures of a target's cluster are never
fitted on. It judges our own encoder and knows no other body's attention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from anfinsen.bench.study import UNTRAINED, Question, Tell, untrained
from anfinsen.bench.suite import LANGUAGE_MODEL
from anfinsen.data.batch import pack
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.errors import MissingDataError
from anfinsen.hub.body import bare
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.models.contacts import evidence
from anfinsen.models.encoder import Encoder
from anfinsen.models.network import NativeBody, Network
from anfinsen.sets.coordinates import Chain, load_chains
from anfinsen.structure.geometry import contacts, distances
from anfinsen.structure.protein import Protein
from anfinsen.targets.metrics import measure

Places = NDArray[numpy.int64]
Truths = NDArray[numpy.bool_]
Floats = NDArray[numpy.floating[Any]]
Describe = Callable[["Pairs"], Floats]
"""What a candidate knows about each pair: (P, K)."""

TASK = "contacts"
QUESTION = Question(LANGUAGE_MODEL, TASK, "chains", "cameo2022-dev", "P@L")
ELSEWHERE = replace(QUESTION, split="CAMEO Apr-Jun 2022 (another set)")
"""What the published figures answer: the same question on other proteins."""
PUBLISHED = {"ESM-2 8M": 0.157, "ESM-2 35M": 0.284}
"""P@L in the table of facebookresearch/esm."""
SEPARATION = "separation"
BASELINES = (UNTRAINED, SEPARATION)
"""The same network before any training, and the rule that near pairs touch more often."""
SHARES = {"P@L": 1, "P@L/5": 5}
"""The scores, each with the part of L that is judged."""
STRUCTURES = 20
"""Training structures that a regression is fitted on."""
DRAWS = 5
"""Regressions, each on structures of its own; a target's precision is the mean over them."""
NEAREST, LONG_RANGE = 6, 24
"""Least separation of a pair that is fitted on, and of one that is judged."""
PENALTY = 0.15
"""The inverse strength C of the L1 penalty."""
NON_CONTACTS = 5_000
"""Pairs that do not touch, drawn from each training structure and weighted to stand for all of them."""
_SEED = 1


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of residues of one protein, and which of them touch.

    `first` and `second` are places in `text`, which the model reads; `length` is the number of residues seen.
    """

    id: str
    text: str
    length: int
    first: Places
    second: Places
    separation: Places
    touching: Truths


def contact_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """P@L and P@L/5 of the bundle's body, of the baselines, and the published ones; none without attention.

    `limit` draws so many targets at random, always the same ones. Raises `MissingDataError` where the structures are
    not here.
    """
    twin = untrained(bundle.network)
    if twin is None:
        tell(f"{TASK} is passed over: this body gives no attention maps. Take our own encoder or an ESM-2.")
        return []
    fitted, judged = _structures(limit)
    touching = [min(1.0, pairs.touching.sum() / pairs.length) for pairs in judged]
    tell(
        f"{TASK}: fitted on {len(fitted)} x {len(fitted[0])} training structures, scored on {len(judged)} targets; "
        f"who knew every contact would reach {numpy.mean(touching):.3f} P@L."
    )
    candidates: dict[str, Describe] = {
        bundle.label: attention_of(_encoder(bundle.network)),
        UNTRAINED: attention_of(_encoder(twin)),
        SEPARATION: lambda pairs: numpy.log(pairs.separation)[:, None],
    }
    examples = [Example(Protein(pairs.id, pairs.text), float(pairs.touching.sum())) for pairs in judged]
    rows = []
    for name, describe in candidates.items():
        tell(f"{TASK}: {name} answers {len(judged)} proteins.")
        found = _answers(describe, fitted, judged)
        for metric in SHARES:
            rows.append(replace(QUESTION, metric=metric).row(name, measure(metric, examples, found)))
    return rows + [ELSEWHERE.published(name, value) for name, value in PUBLISHED.items()]


def _answers(describe: Describe, fitted: Sequence[Sequence[Pairs]], judged: Sequence[Pairs]) -> list[dict[str, Any]]:
    """The precisions of each judged protein, each the mean over the regressions."""
    regressions = [fit(describe, structures) for structures in fitted]
    answers = []
    for pairs in judged:
        known = describe(pairs)
        scores = [regression.decision_function(known) for regression in regressions]
        answers.append(
            {
                metric: float(numpy.mean([precision(one, pairs.touching, pairs.length // part) for one in scores]))
                for metric, part in SHARES.items()
            }
        )
    return answers


# Which proteins, which pairs ----------------------------------------------------------------------------------------


def _structures(limit: int | None) -> tuple[list[list[Pairs]], list[Pairs]]:
    """The pairs to fit on, a list a draw, and those to judge, of chains with CB; no target's cluster is fitted on."""
    targets = load_chains("test", kinds=("bb5",), targets=True)
    held_out = {chain.cluster for chain in targets}
    train = load_chains("train", kinds=("bb5",), representatives=True)
    train = [chain for chain in train if chain.cluster not in held_out]
    if not train or not targets:
        raise MissingDataError(
            "The tables of chains hold no training structure or no CAMEO target.", remedy="Get the whole tables."
        )
    drawn = [pairs_of(chain, NEAREST) for chain in draw(train, DRAWS * STRUCTURES)]
    draws = min(DRAWS, max(1, len(drawn) // STRUCTURES))
    return [drawn[draw::draws] for draw in range(draws)], [
        pairs_of(chain, LONG_RANGE) for chain in draw(targets, limit)
    ]


def pairs_of(chain: Chain, nearest: int) -> Pairs:
    """All pairs of seen residues at least `nearest` apart whose distance is known."""
    assert chain.betas is not None  # only chains with a backbone are asked for
    apart = distances(chain.betas)
    one, two = numpy.triu_indices(len(chain), 1)
    separation = chain.places[two] - chain.places[one]
    judged = (separation >= nearest) & ~numpy.isnan(apart[one, two])
    one, two = one[judged], two[judged]
    where = numpy.arange(len(chain)) if chain.whole is None else chain.places
    text = chain.whole or chain.sequence
    touching = contacts(apart)[one, two]
    return Pairs(chain.id, text, len(chain), where[one], where[two], separation[judged], touching)


# What the attention says --------------------------------------------------------------------------------------------


def attention_of(encoder: Encoder) -> Describe:
    """How an encoder describes pairs: by the corrected map of each head of each layer, (P, layers x heads)."""

    def describe(pairs: Pairs) -> Floats:
        device = next(encoder.parameters()).device
        tokens, _ = pack([pairs.text])
        with torch.inference_mode():
            first, second = (torch.from_numpy(places).to(device) for places in (pairs.first, pairs.second))
            columns = [head[first, second].float().cpu() for head in evidence(encoder, tokens.to(device))]
        described: Floats = torch.stack(columns, dim=1).numpy()
        return described

    return describe


def _encoder(network: Network) -> Encoder:
    """The encoder of a network whose body is our own."""
    return cast(Encoder, cast(NativeBody, bare(network.body)).encoder)


def fit(describe: Describe, structures: Sequence[Pairs]) -> LogisticRegression:
    """Logistic regression on all contacts and a share of the other pairs, weighted so that none is missed on average.

    All pairs of twenty structures described by a hundred heads would fill gigabytes.
    """
    generator = numpy.random.default_rng(_SEED)
    rows, truths, weights = [], [], []
    for pairs in structures:
        others = (~pairs.touching).nonzero()[0]
        drawn = generator.permutation(others)[:NON_CONTACTS]
        chosen = numpy.concatenate((pairs.touching.nonzero()[0], drawn))
        rows.append(describe(pairs)[chosen])
        truths.append(pairs.touching[chosen])
        weights.append(numpy.where(truths[-1], 1.0, len(others) / max(1, len(drawn))))
    regression = LogisticRegression(l1_ratio=1, C=PENALTY, solver="liblinear", random_state=_SEED)
    return regression.fit(numpy.concatenate(rows), numpy.concatenate(truths), numpy.concatenate(weights))


# The score ----------------------------------------------------------------------------------------------------------


def precision(scores: Floats, touching: Truths, count: int) -> float:
    """Share of the `count` pairs of highest score that touch; pairs that a short protein lacks count as wrong.

    Of pairs that tie for the last places each counts by its chance to be among them.
    """
    if count < 1 or not len(scores):
        return 0.0
    if count >= len(scores):
        return float(touching.sum() / count)
    last = numpy.partition(scores, -count)[-count]
    sure, tied = scores > last, scores == last
    hits = touching[sure].sum() + (count - sure.sum()) * touching[tied].mean()
    return float(hits / count)

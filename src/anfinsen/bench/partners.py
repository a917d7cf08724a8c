"""Who meets whom: every table and every split, each figure beside the probes that read no chain or one side only.

    table -> dealt -> both voices learn -> weighed on held-out training pairs -> the test once -> rows beside probes

majority            one answer for all
degree only         how often each protein occurs in training
one side only       what is usual for the first protein alone, and for the second
composition         a straight line through both compositions
circles alone       the memory's judge without any chain: who is friend of whose friend (two known proteins only)
like pairs          the similarity kernel: what pairs of proteins like these do
places alone        three numbers of where in the cell both work: negatives of Guo's table were chosen by it
mean states         a straight line through the mean states of both
told the share      our model, told how many of the pairs meet (`interact --expected`)

On random folds circles alone come near the best published figures. That is how the negative pairs of this table were
chosen and no knowledge of proteins: the classes C2 (one protein new) and C3 (both new) show what is left without it.
Pairs of other organisms are asked of what yeast has taught, D-SCRIPT's of what the other organisms have taught; its own
figures are of a network trained on human pairs, which are not to be had, so they are quoted and not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, cast

import numpy
import polars
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anfinsen.bench.degree import rules_for
from anfinsen.bench.study import Question, Tell
from anfinsen.data.address import cache_folder
from anfinsen.data.draw import draw
from anfinsen.data.example import Example, proteins_of
from anfinsen.errors import MissingDataError
from anfinsen.hub.body import body_hash
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.models.acquaintance import CIRCLES
from anfinsen.models.heads import PooledHead, joined
from anfinsen.models.pairing import PairingHead
from anfinsen.targets.base import Calibration
from anfinsen.targets.metrics import LEVEL, Estimate
from anfinsen.tasks.interaction import GUO, TASK, YES, PairTable, Verdict, is_held, odds_where
from anfinsen.tasks.meeting import Meeting, PlacesOf
from anfinsen.training.engine import TrainConfig
from anfinsen.training.partners import States, asked_of, kept_states, outputs_of, places_of, read_places, taught

SUITE = "partners"
FOLDS = 5
RESAMPLES = 300
MODEL, MEMORY, NETWORK = "interaction", "memory alone", "network alone"
LINE = "mean states"
TOLD = "told that one pair in eleven meets"
RARE = 1 / 11
"""The share of D-SCRIPT's pairs that meet, by design."""
TEACHING = TrainConfig(steps=300, tokens=65536, learning_rate=2e-3, warmup=20, decay=0.9, weight_decay=0.05)
"""How the network of each split is taught: as recipes/partners-xs.toml says, in half the steps."""
_HALF = 0.5
ASKED = 4000
"""Pairs of a table from another organism that are asked at most, drawn at random and always the same ones."""
SPECIES = PairTable(
    "ppi/multispecies_pairs.parquet",
    sequences="ppi/multispecies_seqs.parquet",
    splits={},
    title="Pairs of fly and E. coli (Guo et al. 2008)",
    source="github.com/chilutong/HGNNPIP",
    licence="MIT repository; sequences UniProt CC BY 4.0",
)
DSCRIPT = {
    name: PairTable(
        f"ppi/dscript_{name}_pairs.parquet",
        sequences=f"ppi/dscript_{name}_seqs.parquet",
        splits={},
        title=f"D-SCRIPT's test pairs of {name}",
        source="github.com/samsledje/D-SCRIPT",
        licence="MIT repository; sequences STRING CC BY 4.0",
    )
    for name in ("yeast", "ecoli")
}
PUBLISHED = {
    ("guo-5fold", "accuracy"): (
        ("PIPR", 0.971),
        ("DPPI", 0.946),
        ("DeepPPI", 0.944),
        ("SVM on autocovariance", 0.874),
    ),
    ("dscript-yeast", "AUPR"): (("D-SCRIPT, taught by human pairs", 0.405), ("Topsy-Turvy, by human pairs", 0.534)),
    ("dscript-ecoli", "AUPR"): (("D-SCRIPT, taught by human pairs", 0.513), ("Topsy-Turvy, by human pairs", 0.556)),
}
"""Figures from the literature, as the data notes recall them."""

Floats = NDArray[numpy.float64]
Said = dict[str, Floats]


@dataclass(frozen=True)
class Sitting:
    """One question: what teaches, what is asked, and what it is called."""

    dataset: str
    split: str
    train: list[Example]
    test: list[Example]
    expected: float | None = None
    """The share of the test's pairs that meet, where its makers say so."""


def partner_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """The rows of every table that is here; `limit` takes so many pairs of each and is a quick look."""
    said: dict[str, list[tuple[Sitting, Said]]] = {}
    sha256 = body_hash(bundle.network.body)
    kept = cache_folder() / f"windows-{sha256[:16]}.h5"
    head = bundle.network.heads[TASK.name] if TASK.name in bundle.records else None
    # it was taught by proteins and no pair, so it is the same in every sitting
    place = head.place if isinstance(head, PairingHead) else read_places(bundle.network, sha256, kept, tell)
    questions = list(sittings(limit, tell))
    everyone = proteins_of([pair for sitting in questions for pair in (*sitting.train, *sitting.test)])
    tell(f"{len(everyone):,} proteins are read once; their states stay in {kept}.")
    # by the body alone: bundles that share it share its states
    states = kept_states(bundle.network, sha256, sha256, everyone, kept)
    places = places_of(place, states, everyone)
    voices, taught_by = None, None
    for sitting in questions:
        if voices is None or taught_by is not sitting.train:
            tell(f"{sitting.split}: learns from {len(sitting.train):,} pairs.")
            voices, taught_by = Voices.learnt(place, sitting.train, states, places, tell), sitting.train
        tell(f"{sitting.split}: answers {len(sitting.test):,} pairs.")
        said.setdefault(sitting.split, []).append((sitting, answers(voices, sitting, states, places)))
    return [row for parts in said.values() for row in _scored(parts, bundle.label, tell)]


def sittings(limit: int | None, tell: Tell) -> Iterator[Sitting]:
    """The random folds, the strict classes, and the pairs of other organisms."""
    guo = GUO.rows()
    pairs = GUO.pairs(guo)
    fold, strict = guo["fold"].to_numpy(), guo["strict"].to_numpy()
    for number in range(1 if limit else FOLDS):
        train, test = (_at(pairs, found) for found in (fold != number, fold == number))
        yield Sitting(GUO.name, "guo-5fold", train, draw(test, limit))
    taught = _at(pairs, strict == "train")
    for name in ("C2", "C3"):
        yield Sitting(GUO.name, f"guo-{name}", taught, draw(_at(pairs, strict == name), limit))
    try:
        species = SPECIES.rows().filter(polars.col("in_orig"))
    except MissingDataError as error:
        tell(str(error))
        return
    of = {
        name: SPECIES.pairs(species.filter(polars.col("species") == full))
        for name, full in (("fly", "D. melanogaster"), ("ecoli", "E. coli"))
    }
    for name, asked in of.items():
        yield Sitting(f"{SPECIES.name}-{name}", name, pairs, draw(asked, min(limit or ASKED, ASKED)))
    for name, teachers in (("yeast", draw(of["fly"], 8000) + of["ecoli"]), ("ecoli", pairs + draw(of["fly"], 8000))):
        asked = DSCRIPT[name].pairs(DSCRIPT[name].rows())
        seen = {chain.sha256 for example in asked for chain in example.chains}
        apart = [one for one in teachers if not any(chain.sha256 in seen for chain in one.chains)]
        yield Sitting(DSCRIPT[name].name, f"dscript-{name}", apart, draw(asked, min(limit or ASKED, ASKED)), RARE)


class Voices(NamedTuple):
    """What has learnt from the pairs of a sitting."""

    head: PairingHead
    meeting: Meeting
    calibration: Calibration

    @classmethod
    def learnt(cls, place: PooledHead, train: Sequence[Example], states: States, places: PlacesOf, tell: Tell) -> Self:
        """Both voices are weighed on pairs that are held back, and then learn from these too."""
        rest = [example for example in train if not is_held(example)]
        held = [example for example in train if is_held(example)]
        head, partial = taught(place, states, places, rest, TEACHING, tell), Meeting.fit(rest, YES, places)
        calibration = TASK.target.calibrate(list(outputs_of(head, partial, states, places, held)), held)
        head = taught(place, states, places, train, TEACHING, tell)
        return cls(head, Meeting.fit(train, YES, places), calibration)


def answers(voices: Voices, sitting: Sitting, states: States, places: PlacesOf) -> Said:
    """The log-odds that every test pair meets, by the model, by each of its voices and by each probe."""
    rows = outputs_of(voices.head, voices.meeting, states, places, sitting.test)
    each = rows[:, 1] - rows[:, 0], rows[:, 2], rows[:, 3]
    chance, _, _ = cast(Verdict, TASK.target).chances(*each, voices.calibration)
    found = {MODEL: _log_odds(chance), MEMORY: each[1], NETWORK: each[0]}
    if sitting.expected is not None:
        share = float(numpy.mean([example.value == YES for example in sitting.train]))
        found[TOLD] = found[MODEL] + numpy.log(odds_where(sitting.expected, share))
    return found | probes(voices.meeting, sitting, states, places)


def probes(meeting: Meeting, sitting: Sitting, states: States, places: PlacesOf) -> Said:
    """What the simple rivals say of the test pairs, as log-odds."""
    found: Said = {}
    for rule in rules_for(TASK):
        told = rule.answer(sitting.train, sitting.test, TASK)
        found[rule.name] = _log_odds(numpy.array([answer["probabilities"][YES] for answer in told]))
    one, other = asked_of(meeting, places, sitting.test)
    found["like pairs"] = meeting.known.likeness_clues(one, other)[:, 0].astype(numpy.float64)
    both = meeting.known.knows(one) & meeting.known.knows(other)
    if both.mean() > _HALF:
        found["circles alone"] = numpy.where(both, circles_alone(meeting, one.own, other.own), 0.0)
    rows = [_mean_states(states, examples) for examples in (sitting.train, sitting.test)]
    truth = numpy.array([example.value == YES for example in sitting.train])
    rooms = [meeting.known.place_clues(*sides) for sides in (asked_of(meeting, places, sitting.train), (one, other))]
    found["places alone"] = LogisticRegression(max_iter=300).fit(rooms[0], truth).decision_function(rooms[1])
    line = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300)).fit(rows[0], truth)
    found[LINE] = line.decision_function(rows[1])
    return found


def circles_alone(meeting: Meeting, one: NDArray[numpy.int64], other: NDArray[numpy.int64]) -> Floats:
    """What who-meets-whom alone says of two known proteins: one circle, or how much theirs quarrel."""
    clues = meeting.known.circle_clues(one, other).astype(numpy.float64)
    same, quarrels = clues[:, 0], clues[:, CIRCLES.index("alike quarrels")]
    more = clues[:, CIRCLES.index("quarrels more than chance")]
    return 20 * (same - 0.5) + 2 * (quarrels - 0.5) - more


def over_proteins(
    metric: str, truth: Floats, said: Floats, sides: NDArray[numpy.int64], beside: Floats | None = None
) -> Estimate:
    """A score of P pairs with its 95 % interval over proteins (P, 2): each is drawn so often, a pair as both are.

    With `beside` it is how much higher the score is than that of another rule, in the same draws.
    """

    def score(weights: NDArray[Any]) -> float:
        return _score(metric, truth, said, weights) - (
            0.0 if beside is None else _score(metric, truth, beside, weights)
        )

    generator = numpy.random.default_rng(1)
    names, places = numpy.unique(sides, return_inverse=True)
    places = places.reshape(sides.shape)
    drawn = []
    for _ in range(RESAMPLES):
        times = numpy.bincount(generator.integers(0, len(names), len(names)), minlength=len(names))
        weights = times[places[:, 0]] * times[places[:, 1]]
        if min(weights[truth > 0].sum(), weights[truth == 0].sum()) > 0:
            drawn.append(score(weights))
    ends = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    low, high = numpy.quantile(drawn, ends).tolist() if drawn else (None, None)
    return Estimate(score(numpy.ones(len(truth))), low, high, len(truth))


def _score(metric: str, truth: Floats, said: Floats, weights: NDArray[Any]) -> float:
    if metric == "accuracy":
        return float(numpy.average((said > 0) == (truth > 0), weights=weights))
    return float(average_precision_score(truth, said, sample_weight=weights))


def _scored(parts: Sequence[tuple[Sitting, Said]], model: str, tell: Tell) -> list[Score]:
    """The rows of one split, whose folds are scored together."""
    sitting = parts[0][0]
    test = [example for part, _ in parts for example in part.test]
    truth = numpy.array([float(example.value == YES) for example in test])
    place: dict[str, int] = {}
    sides = numpy.array([[place.setdefault(chain.sha256, len(place)) for chain in one.chains] for one in test])
    rows = []
    for metric in ("accuracy", "AUPR"):
        question = Question(SUITE, TASK.name, sitting.dataset, sitting.split, metric)
        every = {who: numpy.concatenate([told[who] for _, told in parts]) for who in parts[0][1]}
        ahead = over_proteins(metric, truth, every[MODEL], sides, every[LINE])
        tell(f"{sitting.split}, {metric}: {ahead.value:+.3f} ({ahead.low:+.3f} to {ahead.high:+.3f}) beside {LINE}.")
        for who, said in every.items():
            name = model if who == MODEL else f"{model}, {who}" if who in (MEMORY, NETWORK, TOLD) else who
            rows.append(question.row(name, over_proteins(metric, truth, said, sides)))
        quoted: Mapping[tuple[str, str], tuple[tuple[str, float], ...]] = PUBLISHED
        rows += [question.published(*one) for one in quoted.get((sitting.split, metric), ())]
    return rows


def _mean_states(states: States, examples: Sequence[Example]) -> Floats:
    means = {key: value.float().mean(0) for key, value in states.items()}
    chains = torch.stack([means[chain.sha256] for example in examples for chain in example.chains])
    rows: Floats = joined(chains).double().numpy()
    return rows


def _log_odds(chance: NDArray[numpy.floating[Any]]) -> Floats:
    inside = numpy.asarray(chance, dtype=numpy.float64).clip(1e-12, 1 - 1e-12)
    found: Floats = numpy.log(inside / (1 - inside))
    return found


def _at(pairs: Sequence[Example], chosen: NDArray[numpy.bool_]) -> list[Example]:
    return [pairs[at] for at in numpy.flatnonzero(chosen).tolist()]

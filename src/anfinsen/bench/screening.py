"""Screening judged: per target the ranking of a list of binders and decoys, by the model and by simple rivals.

    list -> targets with a sequence -> molecules -> what a screen ranks by, and rivals -> AUROC, BEDROC, EF1
         -> mean over targets with its interval; kinases and other proteins apart

ours          what `screen` does when it is told nothing but the protein: likeness to the known binders that come along,
              affinity where there is none
affinity      the low end of the affinity's interval for every target
any drug      likeness to the nearest of all binders that come along, whatever they bind: what is reached by knowing
              what drugs look like, and no protein
properties    gradient trees on nine simple properties of the molecule, taught to tell binders from decoys on all other
              targets of the same list: what it reaches was in the making of the list and is no knowledge of binding
likeness      to the most alike of five known binders (ECFP4), drawn at random; nobody is judged on those five
random        a random order

A molecule that the model was taught together with this very target, or that has all fragments of a known binder of it
or of a relative, is left out for everybody. Decoys are drawn (2,000
a target) and each stands for so many of its list. Decoys of DUD and DUD-E are presumed not to bind, not measured; on
BindingDB both sides were measured, which is the hard question and the only one that no decoy gives away.

How many molecules are answered in a second is a study by itself (`rate_rows`), for a machine that does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from anfinsen.bench.study import Question, Tell
from anfinsen.drug.features import fingerprints, likeness
from anfinsen.drug.molecule import Formula, Molecule
from anfinsen.drug.properties import simple_properties
from anfinsen.errors import MissingDataError, UndefinedScoreError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.screening import Screener, height, open_predictor
from anfinsen.reading.kept import Shelf, kept_folder
from anfinsen.sandbox import run_limited
from anfinsen.sets.known_binders import Binders, find_binders, known_binders
from anfinsen.sets.screening import DECOYS, MEASURED, SETS, Target, load_targets
from anfinsen.targets.metrics import Estimate
from anfinsen.tasks.screening import MOST, NAME, SCORES, measure_targets

SUITE = "drug"
KNOWN = 5
"""Binders that likeness is told."""
FOLDS = 5
"""Parts into which targets are dealt for the probe of properties."""
GROUPS = {"kinases": True, "others": False}
RATE = 2048
"""Molecules of a block whose time is taken."""
ROUNDS = 6
"""Blocks: of six, the slowest and the fastest hold the median with probability 1 - 2 / 2^6 = 0.97."""
_SEED, _AT_ONCE = 1, 200


@dataclass(frozen=True)
class Judged:
    """One target with what is known to bind it, and what everybody says of its N molecules."""

    target: Target
    binders: Binders
    kept: NDArray[numpy.bool_]
    said: dict[str, NDArray[numpy.float64]]

    def score(self, metric: str, who: str) -> float:
        """A score of somebody's ranking."""
        active, weight = self.target.active[self.kept], self.target.weight[self.kept]
        return SCORES[metric](active, self.said[who][self.kept], weight)


def screening_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """The rows of every list; `limit` draws so few molecules a target."""
    rows: list[Score] = []
    missing = None
    predictor = open_predictor()
    for name in SETS:
        try:
            targets, left = load_targets(name, decoys=min(limit or DECOYS, DECOYS))
        except MissingDataError as error:
            tell(str(error))
            missing = error
            continue
        tell(f"{name}: {len(targets)} targets; without a sequence here, so left out: {', '.join(left) or 'none'}.")
        judged = judge(targets, predictor, f"{bundle.label} affinity, known binders first")
        out = sum(int((~one.kept).sum()) for one in judged)
        asked = sum(len(one.kept) for one in judged)
        tell(f"{name}: {asked:,} molecules; {out:,} known, told, taught or refused, so not judged.")
        for one in judged:
            tell(f"{name}, {one.target.name}: {one.binders.say('it')}.")
        groups = {f"{name}-{group}": _only(judged, flag) for group, flag in GROUPS.items()}
        for split, chosen in {name: judged, **(groups if name != MEASURED else {})}.items():
            rows += _rows(name, split, chosen, tell)
    if missing is not None and not rows:
        raise missing
    return rows


def judge(targets: Sequence[Target], predictor: Any, model: str) -> list[Judged]:
    """What the model and each rival say of every molecule of every target."""
    found = []
    table: list[NDArray[numpy.float64]] = []
    for target in targets:
        read = Shelf(kept_folder()).read([Formula(text, str(at)) for at, text in enumerate(target.smiles)])
        there = numpy.array([isinstance(one, Molecule) for one in read])
        molecules = [one for one in read if isinstance(one, Molecule)]
        draw = numpy.random.default_rng([_SEED, *target.name.encode()])
        known = draw.permutation(numpy.flatnonzero(there & target.active))[:KNOWN]
        screener = Screener(predictor, target.protein, Shelf(None), along=find_binders(target.protein.sequence))
        hits = screener.score(molecules)
        kept = there.copy()
        kept[numpy.flatnonzero(there)[[bool(hit["measured"] or hit["known_itself"]) for hit in hits]]] = False
        kept[known] = False
        prints = fingerprints(molecules)
        place = numpy.cumsum(there) - 1
        said = {
            model: _spread([hit["score"] for hit in hits], there),
            "affinity": _spread([height(hit["pkd"], hit["low"], screener.floor) for hit in hits], there),
            f"likeness to {KNOWN} known": _spread(likeness(prints, prints[place[known]]).max(1), there),
            "like any drug": _spread(_like_any(prints), there),
            "random": draw.random(len(there)),
        }
        found.append(Judged(target, screener.binders, kept, said))
        rows = [
            row
            for at in range(0, len(molecules), _AT_ONCE)
            for row in run_limited(simple_properties, [one.smiles for one in molecules[at : at + _AT_ONCE]])
        ]
        wide = numpy.full((len(there), len(rows[0])), numpy.nan)
        wide[there] = rows
        table.append(wide)
    for one, value in zip(found, _by_properties(found, table), strict=True):
        one.said["properties alone"] = value
    return found


def _like_any(prints: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    """Likeness to the nearest of all binders that come along, (M,)."""
    every = known_binders().circles.astype(numpy.float32)
    found = [likeness(prints[at : at + _AT_ONCE], every).max(1) for at in range(0, len(prints), _AT_ONCE)]
    return numpy.concatenate(found)


def _by_properties(found: Sequence[Judged], table: Sequence[NDArray[Any]]) -> list[NDArray[numpy.float64]]:
    """The chance of being a binder by trees that were taught on other targets."""
    fold = numpy.random.default_rng(_SEED).permutation(len(found)) % min(FOLDS, len(found))
    said: list[NDArray[numpy.float64]] = [numpy.zeros(0)] * len(found)
    for number in range(int(fold.max()) + 1):
        taught = [at for at in range(len(found)) if fold[at] != number] or list(range(len(found)))
        rows = numpy.concatenate([table[at] for at in taught])
        labels = numpy.concatenate([found[at].target.active for at in taught])
        trees = HistGradientBoostingClassifier(class_weight="balanced", max_iter=100, random_state=_SEED)
        trees.fit(rows, labels)
        for at in numpy.flatnonzero(fold == number).tolist():
            said[at] = trees.predict_proba(table[at])[:, 1]
    return said


def _rows(name: str, split: str, judged: Sequence[Judged], tell: Tell) -> list[Score]:
    if not judged:
        return []
    rows = []
    for metric in list(SCORES)[: 1 if name == MEASURED else None]:
        question = Question(SUITE, NAME, name, split, metric)
        for who in judged[0].said:
            try:
                rows.append(
                    question.row(who, measure_targets([one.score(metric, who) for one in judged], MOST[metric]))
                )
            except UndefinedScoreError as error:
                tell(f"{split}, {who}: {error}")
    return rows


def rate_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """Molecules a second, first with chemistry and then from what was kept: the median of six blocks and its ends."""
    size = min(limit or RATE, RATE)
    targets, _ = load_targets("dude", decoys=(ROUNDS + 1) * size)
    target = max(targets, key=lambda one: len(one.smiles))
    texts = target.smiles[: (ROUNDS + 1) * size]
    rows = []
    with TemporaryDirectory() as folder:
        source = Path(folder) / "library.smi"
        source.write_text("\n".join(texts), encoding="utf-8")
        shelf, along = Shelf(Path(folder) / "kept"), find_binders(target.protein.sequence)
        screener = Screener(open_predictor(), target.protein, shelf, along=along, size=size)
        for split in ("first time", "kept"):
            rates, before = [], time.perf_counter()
            for done in screener.run(str(source), Path(folder) / split):
                after = time.perf_counter()
                rates.append(done.rows / (after - before))
                before = after
            rates = sorted(rates[1 : ROUNDS + 1])  # the first block has the start in it
            tell(f"{target.name}, {split}: {len(rates)} blocks of {size:,} molecules.")
            question = Question(SUITE, NAME, "dude", split, "molecules_per_s")
            ends = Estimate(median(rates), rates[0], rates[-1], size * len(rates))
            rows.append(question.row(f"{bundle.label} affinity", ends))
    return rows


def _only(judged: Sequence[Judged], is_kinase: bool) -> list[Judged]:
    return [one for one in judged if one.target.is_kinase == is_kinase]


def _spread(values: Any, there: NDArray[numpy.bool_]) -> NDArray[numpy.float64]:
    """Values of the molecules that could be read, at their places among all."""
    whole = numpy.full(len(there), -numpy.inf)
    whole[there] = values
    return whole

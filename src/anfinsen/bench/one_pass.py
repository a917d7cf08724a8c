"""How long a person waits for every answer about one protein: `anfinsen bench one-pass`.

    10 real proteins of about 300 residues, one at a time, warm -> all tasks in one pass of the body
                                                                -> the same tasks, a pass for each
    six rounds, the two ways in turns -> seconds a protein, the mean of a round -> median, lowest and highest of them

The clock runs from the sequence to the finished answers: body, heads, relatives that are looked up, calibration, and
how far the protein is from training. It needs the records of a bundle, so it asks the one that comes with the package.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean, median

from anfinsen.bench.speed import ROUNDS
from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import SPEED
from anfinsen.data.draw import draw
from anfinsen.hub.body import body_hash
from anfinsen.hub.bundle import Bundle, default_bundle
from anfinsen.hub.record import Score
from anfinsen.inference.predictor import Predictor
from anfinsen.kinship.kin import Kin
from anfinsen.targets.metrics import Estimate
from anfinsen.tasks import TASKS

PROTEINS = 10
SHORTEST, LONGEST = 290, 310
"""Residues of the proteins that are asked."""
ONE_EACH = "a pass for each task"
_SEED = 300


def one_pass_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """Seconds for all answers about one protein, in one pass and in a pass for each task; `limit` takes fewer."""
    embedded = Bundle.load(default_bundle())
    if body_hash(embedded.network.body) != body_hash(bundle.network.body):
        tell("one-pass is passed over: it asks the model that comes with the package.")
        return []
    kin = Kin.find()
    together = Predictor(embedded, kin=kin)
    alone = [Predictor(embedded, [task.name], kin=kin) for task in together.tasks]
    proteins = _proteins(limit or PROTEINS)
    ways = {bundle.label: [together], ONE_EACH: alone}
    seconds = _seconds(ways, proteins)
    asked = Question(
        SPEED, "one-pass", TASKS["masked"].table.name, f"{len(alone)} tasks, {SHORTEST}-{LONGEST} residues", "seconds"
    )
    return [
        asked.row(way, Estimate(median(taken), min(taken), max(taken), len(proteins))) for way, taken in seconds.items()
    ]


def _seconds(ways: dict[str, list[Predictor]], proteins: Sequence[str]) -> dict[str, list[float]]:
    """Seconds a protein of each way in each round, after a round that only warms up."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS + 1):
        for way, predictors in ways.items():
            passed = fmean(_time(predictors, protein) for protein in proteins)
            if number:
                taken[way].append(passed)
    return taken


def _time(predictors: Sequence[Predictor], protein: str) -> float:
    start = time.perf_counter()
    for predictor in predictors:
        list(predictor.predict(protein))
    return time.perf_counter() - start


def _proteins(count: int) -> list[str]:
    """Sequences of the right length, drawn by lot from the valid split of the corpus, always the same."""
    every = [example.protein.sequence for example in TASKS["masked"].examples("valid")]
    fitting = [sequence for sequence in every if SHORTEST <= len(sequence) <= LONGEST]
    return draw(fitting, count, seed=_SEED, in_order=False)

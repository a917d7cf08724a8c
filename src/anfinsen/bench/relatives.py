"""What relatives are worth: the same proteins and the same network, alone, with known families, with a collection.

    150 test proteins of each task that asks relatives -> network                                        -> score
                      -> families that come with the package ----------------> listener                  -> score
                      -> relatives in the pre-training corpus, all of them --> listener                  -> score

The corpus is the training part of what the language model was trained on, without the proteins of official tests: some
400,000 sequences, fewer than Swiss-Prot has, and the same from which the families were gathered. Beside them stand the
relatives alone, and all again for proteins that have many. Zero-shot mutations with relatives are judged by
`anfinsen bench variants`, hidden residues by `anfinsen bench perplexity`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import SEQUENCE
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError
from anfinsen.hub.bundle import MASKED, Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.predictor import with_family
from anfinsen.kinship.collection import Collection
from anfinsen.kinship.families import known_families
from anfinsen.kinship.family import Family
from anfinsen.kinship.kin import Kin
from anfinsen.models.fast import quicken
from anfinsen.models.network import Network
from anfinsen.targets.base import Floats
from anfinsen.targets.metrics import measure
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import Outputs, ask
from anfinsen.tasks.base import Task
from anfinsen.tasks.conservation import TASK as CONSERVATION

PROTEINS = 150
MANY = 20
"""Different relatives from which on a protein has many."""
ALONE = "variety among relatives"
_SEED = 3
_STEP = 10.0


def relatives_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """The headline of every task that asks relatives, without and with them; `limit` takes fewer proteins."""
    asking = [TASKS[name] for name in TASKS if name in bundle.network.listeners and name != MASKED]
    if not asking:
        raise UnknownNameError(f"task that asks relatives in '{bundle.label}'", CONSERVATION.name, bundle.records)
    kin, collection = Kin(known_families()), Kin(corpus())
    return [
        row
        for task in asking
        for split in task.tests
        for row in _task_rows(bundle, task, split, (kin, collection), limit or PROTEINS, tell)
    ]


def _task_rows(bundle: Bundle, task: Task, split: str, asked: tuple[Kin, Kin], count: int, tell: Tell) -> list[Score]:
    network, calibration = quicken(bundle.network.eval()), bundle.records[task.name].calibration
    examples = asked_about(task, split, count)
    outputs = list(ask(network, [task], examples))
    known, collected = ([kin.family(example.protein.sequence) for example in examples] for kin in asked)
    depths = numpy.array([family.depth.mean() for family in known])
    tell(f"relatives, {task.name}: half of {len(known)} proteins have {numpy.median(depths):.0f} different ones.")
    said = {
        bundle.label: _heard(network, task, outputs, known),
        f"{bundle.label}, with a collection": _heard(network, task, outputs, collected),
        f"{bundle.label}, alone": [output[task.name] for output in outputs],
    }
    if task is CONSERVATION:
        said[ALONE] = [_by_variety(family, len(task.target.labels)) for family in collected]
    rows = []
    for part, chosen in (("relatives", range(len(examples))), ("many relatives", numpy.flatnonzero(depths >= MANY))):
        question = Question(SEQUENCE, task.name, task.table.name, f"{split}, {part}", task.metrics[0])
        for name, answers in said.items():
            posed = [examples[place] for place in chosen]
            if posed:
                told = task.answers([answers[place] for place in chosen], posed, calibration)
                rows.append(question.row(name, measure(question.metric, posed, told)))
    return rows


def _heard(network: Network, task: Task, outputs: Sequence[Outputs], families: Sequence[Family]) -> list[Floats]:
    pairs = zip(outputs, families, strict=True)
    return [(output | with_family(network, output, family))[task.name] for output, family in pairs]


def asked_about(task: Task, split: str, count: int) -> list[Example]:
    """So many examples of a split, drawn by lot, always the same; none whose residues are all of one kind.

    Of membrane proteins there would be few otherwise, and the others do not count.
    """
    every = [example for example in task.examples(split) if len(set(str(example.value))) > 1]
    return draw(every, count, seed=_SEED)


def corpus() -> Collection:
    """The training part of the pre-training corpus, without proteins of official tests."""
    task = TASKS[MASKED]
    return Collection.of(task.table.name, (example.protein.sequence for example in task.examples("train")))


def _by_variety(family: Family, grades: int) -> Floats:
    """Grades by rank of variety within the protein, the steadiest tenth the highest; as outputs (L, grades)."""
    rank = (-family.variety).argsort(kind="stable").argsort(kind="stable")
    found: Floats = _STEP * numpy.eye(grades)[grades * rank // len(rank)]
    return found

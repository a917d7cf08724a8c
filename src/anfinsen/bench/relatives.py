"""What relatives are worth: the same proteins and the same network, without and with a collection to find relatives in.

    150 test proteins of each task that asks relatives -> network                              -> score
                      -> relatives in the pre-training corpus -> counted, read as well, joined -> score

Relatives are looked for in the training part of the corpus on which the language model was trained, without the
proteins of official tests: some 400,000 sequences, fewer than Swiss-Prot has. Beside both stand the relatives alone,
and both again for proteins that have many. Zero-shot mutations with relatives are judged by `anfinsen bench variants`.
"""

from __future__ import annotations

import numpy

from anfinsen.bench.study import Question, Tell
from anfinsen.bench.suite import SEQUENCE
from anfinsen.data.example import Example
from anfinsen.errors import UnknownNameError
from anfinsen.hub.bundle import MASKED, Bundle
from anfinsen.hub.record import Score
from anfinsen.inference.predictor import with_family
from anfinsen.kinship.collection import Collection
from anfinsen.kinship.family import Family
from anfinsen.models.fast import quicken
from anfinsen.targets.base import Floats
from anfinsen.targets.metrics import measure
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import ask
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
    asking = [task for task in map(TASKS.__getitem__, TASKS) if task.asks_relatives and task.name in bundle.records]
    if not asking:
        raise UnknownNameError(f"task in '{bundle.label}'", CONSERVATION.name, bundle.records)
    collection = corpus()
    return [
        row
        for task in asking
        for split in task.tests
        for row in _task_rows(bundle, task, split, collection, limit or PROTEINS, tell)
    ]


def _task_rows(bundle: Bundle, task: Task, split: str, collection: Collection, count: int, tell: Tell) -> list[Score]:
    network, calibration = quicken(bundle.network.eval()), bundle.records[task.name].calibration
    examples = asked_about(task, split, count)
    outputs = list(ask(network, [task], examples))
    families = [collection.family(example.protein.sequence) for example in examples]
    depths = numpy.array([family.depth.mean() for family in families])
    tell(f"relatives, {task.name}: half of {len(families)} proteins have {numpy.median(depths):.0f} different ones.")
    said = {
        f"{bundle.label}, with relatives": [
            with_family(network, [task], *pair)[task.name] for pair in zip(outputs, families, strict=True)
        ],
        bundle.label: [output[task.name] for output in outputs],
    }
    if task is CONSERVATION:
        said[ALONE] = [_by_variety(family, len(task.target.labels)) for family in families]
    rows = []
    for part, chosen in (("relatives", range(len(examples))), ("many relatives", numpy.flatnonzero(depths >= MANY))):
        question = Question(SEQUENCE, task.name, task.table.name, f"{split}, {part}", task.metrics[0])
        for name, answers in said.items():
            asked = [examples[place] for place in chosen]
            if asked:
                told = task.answers([answers[place] for place in chosen], asked, calibration)
                rows.append(question.row(name, measure(question.metric, asked, told)))
    return rows


def asked_about(task: Task, split: str, count: int) -> list[Example]:
    """So many examples of a split, drawn by lot, always the same; none whose residues are all of one kind.

    Of membrane proteins there would be few otherwise, and the others do not count.
    """
    every = [example for example in task.examples(split) if len(set(str(example.value))) > 1]
    return [every[place] for place in sorted(numpy.random.default_rng(_SEED).permutation(len(every))[:count].tolist())]


def corpus() -> Collection:
    """The training part of the pre-training corpus, without proteins of official tests."""
    task = TASKS[MASKED]
    return Collection.of(task.table.name, (example.protein.sequence for example in task.examples("train")))


def _by_variety(family: Family, grades: int) -> Floats:
    """Grades by rank of variety within the protein, the steadiest tenth the highest; as outputs (L, grades)."""
    rank = (-family.variety).argsort(kind="stable").argsort(kind="stable")
    found: Floats = _STEP * numpy.eye(grades)[grades * rank // len(rank)]
    return found

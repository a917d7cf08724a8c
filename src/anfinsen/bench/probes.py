"""Linear probes: how much of an answer lies open in the states of a frozen body, one straight line away.

    secondary structure   state of a residue              -> logistic regression -> helix, strand or coil   (Q3)
    localization          mean state of a whole protein   -> logistic regression -> one of ten compartments (Q10)

A head with layers of its own can make up for a poor body; a line cannot. Beside our body stand the same body with
random weights, and what needs no body: the residue itself (one-hot) and the protein's composition. All are fitted
and judged alike: on the same fixed draw of training proteins (for localization from DeepLoc's own part, without the
extra proteins of the task), with the penalty that does best on a draw of validation proteins, then scored on the test
splits. The interval draws proteins. Of proteins beyond `LONGEST` residues the middle is left out, as DeepLoc itself
does (Almagro Armenteros et al. 2017): the signals for a place in the cell stand at the ends.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from anfinsen.bench.study import UNTRAINED, Question, Tell, untrained
from anfinsen.bench.suite import LANGUAGE_MODEL
from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.batch import pack
from anfinsen.data.composition import composition
from anfinsen.data.draw import draw
from anfinsen.data.example import Example
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import Score
from anfinsen.models.network import Network
from anfinsen.targets.base import UNKNOWN, Answer
from anfinsen.targets.metrics import measure
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.ask import in_groups

Floats = NDArray[numpy.floating[Any]]
Places = NDArray[numpy.int64]
Describe = Callable[[Sequence[Example]], Iterator[Floats]]
"""Examples -> what is known of each: (L, K) a residue, or (1, K) a protein."""

LONGEST = 512
"""Residues of a protein that are read for its place in the cell, half of them from either end."""
PENALTIES = (0.003, 0.1)
"""Inverse strengths C of the L2 penalty among which validation chooses."""
ITERATIONS = 150
"""Steps of the solver; a probe that is not quite at its optimum loses in the third digit."""
_LETTERS = numpy.frombuffer(RESIDUES.encode(), dtype=numpy.uint8)


@dataclass(frozen=True)
class Probe:
    """One task with its score, and how many proteins of each split are fitted on and chosen by."""

    task: str
    metric: str
    train: int
    valid: int
    published: tuple[tuple[str, float], ...] = ()

    @property
    def target(self) -> Task:
        """The task that gives the table, the classes and the answers' form."""
        return TASKS[self.task]


LINEAR = (("linear probe on ProtT5", 0.81), ("linear probe on ProtBert", 0.74), ("linear probe on ProtTXL", 0.66))
"""Q10 of public bodies, fitted on all of DeepLoc's training proteins (github.com/HannesStark/protein-localization)."""
PROBES = (Probe("secondary-structure", "Q3", 300, 100), Probe("localization", "Q10", 1000, 300, LINEAR))


def probe_rows(bundle: Bundle, *, limit: int | None, tell: Tell) -> list[Score]:
    """The rows of both probes; `limit` draws so many proteins of each split."""
    rows: list[Score] = []
    for probe in PROBES:
        task = probe.target
        splits = {"train": probe.train, "valid": probe.valid} | dict.fromkeys(task.tests)
        drawn = {
            split: _draw(task, split, min(filter(None, (count, limit)), default=None))
            for split, count in splits.items()
        }
        for name, describe in _candidates(task, bundle.network, bundle.label).items():
            tell(f"probes: {name} learns {task.name} from {len(drawn['train']):,} proteins.")
            answers = answer_probe(task, describe, drawn)
            for split, said in answers.items():
                estimate = measure(probe.metric, drawn[split], said)
                rows.append(
                    Question(LANGUAGE_MODEL, task.name, task.table.name, split, probe.metric).row(name, estimate)
                )
        quoted = [
            (one.split, one.model, one.value) for one in task.published if one.metric in (probe.metric, "accuracy")
        ]
        quoted += [("test", name, value) for name, value in probe.published]
        rows += [
            Question(LANGUAGE_MODEL, task.name, task.table.name, split, probe.metric).published(name, value)
            for split, name, value in quoted
        ]
    return rows


def _draw(task: Task, split: str, count: int | None) -> list[Example]:
    """A fixed random draw of a split of the task's own table, in its order."""
    drawn = draw(task.table.load(split), count)
    return drawn if task.target.per_residue else [ends_of(example, LONGEST) for example in drawn]


def ends_of(example: Example, longest: int) -> Example:
    """The example without the middle of a long protein: at most `longest` residues, half of them from either end."""
    sequence, half = example.protein.sequence, longest // 2
    if len(sequence) <= longest:
        return example
    return replace(
        example, protein=replace(example.protein, sequence=sequence[:half] + sequence[-half:], numbering=None)
    )


# What each candidate knows of a protein -----------------------------------------------------------------------------


def _candidates(task: Task, network: Network, model: str) -> dict[str, Describe]:
    """Ours, the same untrained, and what needs no network, by name."""
    per_residue = task.target.per_residue
    found: dict[str, Describe] = {f"{model} linear probe": _states_of(network, per_residue)}
    twin = untrained(network)
    if twin is not None:
        found[UNTRAINED] = _states_of(twin, per_residue)
    if per_residue:
        found["one-hot"] = lambda examples: (one_hot(example.protein.sequence) for example in examples)
    found["composition"] = lambda examples: (
        numpy.repeat(row[None], len(example.protein) if per_residue else 1, axis=0)
        for row, example in zip(composition(examples), examples, strict=True)
    )
    return found


def _states_of(network: Network, per_residue: bool) -> Describe:
    """The last layer's states: of each residue (L, C), or their mean (1, C)."""

    @torch.inference_mode()
    def read(group: Sequence[Example]) -> list[Floats]:
        device = next(network.parameters()).device
        tokens, lengths = pack([example.protein.sequence for example in group])
        states, residues = network.states(tokens.to(device), lengths)
        parts = states.float().split(residues)
        return [(part if per_residue else part.mean(0, keepdim=True)).cpu().numpy() for part in parts]

    return lambda examples: in_groups(examples, read)


def one_hot(sequence: str) -> Floats:
    """Which of the twenty residues stands at each place, (L, 20); zeros for any other."""
    letters = numpy.frombuffer(sequence.encode(), dtype=numpy.uint8)
    found: Floats = (letters[:, None] == _LETTERS).astype(numpy.float32)
    return found


# The line -----------------------------------------------------------------------------------------------------------


def answer_probe(task: Task, describe: Describe, drawn: dict[str, list[Example]]) -> dict[str, list[Answer]]:
    """Fit on 'train', choose the penalty on 'valid', and answer all other splits."""
    fitted = fit(*_table(task, describe, drawn["train"]), *_table(task, describe, drawn["valid"]))
    answers = {}
    for split in task.tests:
        rows = list(describe(drawn[split]))
        classes = fitted.predict(numpy.concatenate(rows))
        ends = numpy.cumsum([len(row) for row in rows])[:-1]
        answers[split] = [_answer(task, part) for part in numpy.split(classes, ends)]
    return answers


def fit(rows: Floats, truth: Places, valid_rows: Floats, valid_truth: Places) -> Pipeline:
    """The line that does best on the validation rows, among those fitted with each penalty."""
    lines = []
    for penalty in PENALTIES:
        line = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=ITERATIONS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of steps is fixed on purpose
            lines.append(line.fit(rows, truth))
    return max(lines, key=lambda line: float(line.score(valid_rows, valid_truth)))


def _table(task: Task, describe: Describe, examples: Sequence[Example]) -> tuple[Floats, Places]:
    """What is known (n, K) and true (n,) wherever the truth is known."""
    rows = numpy.concatenate(list(describe(examples)))
    truth = numpy.concatenate([numpy.atleast_1d(task.target.encode(example)) for example in examples])
    known = truth != UNKNOWN
    return rows[known], truth[known]


def _answer(task: Task, classes: Places) -> Answer:
    letters = [task.target.labels[number] for number in classes]
    return {"tokens": "".join(letters)} if task.target.per_residue else {"label": letters[0]}

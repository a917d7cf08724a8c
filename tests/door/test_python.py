"""The calls of the door that have no file of tests of their own: `anfinsen.explain` and `anfinsen.distill`."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy
import pytest

import anfinsen
from anfinsen.errors import UnknownNameError, UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.models.network import Network
from anfinsen.tasks import TASKS
from anfinsen.training.distill import TAUGHT_BY

TASK = "localization"
CHAIN = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRV"


@pytest.fixture
def tiny(tiny_network: Network, tmp_path: Path) -> Path:
    """A bundle that answers one task, badly."""
    task = TASKS[TASK]
    record = TaskRecord(kind=task.shape.kind, size=task.shape.size, labels=task.target.labels)
    Bundle("tiny", Network(tiny_network.body, {TASK: task.shape}).eval(), {TASK: record}).save(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_an_explanation_is_one_call_whoever_has_imported_its_room_before(tiny: Path) -> None:
    why = anfinsen.explain(CHAIN, TASK, bundle=tiny)
    importlib.import_module("anfinsen.explain.lens")  # which puts the room where the call was
    again = anfinsen.explain(CHAIN, TASK, bundle=tiny)
    assert why.sentences() == again.sentences() and why.views[why.better].shape == (len(CHAIN),)
    assert isinstance(anfinsen.explain, ModuleType) and callable(anfinsen.explain)


def test_an_explanation_of_nothing_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'localization'"):
        anfinsen.explain(CHAIN, "localisation")
    with pytest.raises(UsageError, match="An answer is explained for one protein"):
        anfinsen.explain((CHAIN, CHAIN), "localization")  # type: ignore[arg-type]


def test_a_student_of_ones_own_model_says_what_it_saves_and_what_that_costs(tmp_path: Path, body: Path) -> None:
    generator = numpy.random.default_rng(2)
    sequences = ["".join(generator.choice(list("AGLSTVFYHPQN" + "KDRE"[at % 2 :: 2] * 4), size=30)) for at in range(40)]
    labels = ["positive" if chain.count("K") else "negative" for chain in sequences]
    model = anfinsen.train(sequences, labels, start=body, table__folds=2, train__steps=4)
    student = anfinsen.distill(model, student="1x16", train__steps=2)
    (comparison,) = student.comparisons
    assert comparison.task == "my-task" and comparison.compute_ratio < 1
    assert "my-task: the student needs" in str(student) and "95 % interval of the loss" in str(student)
    (prediction,) = student.answers(sequences[:1])
    assert prediction.answers["my-task"]["label"] in ("negative", "positive")
    kept = Bundle.load(student.save(tmp_path / "student"))
    assert kept.provenance[TAUGHT_BY].split()[0] == model.bundle.name
    teacher = model.save(tmp_path / "teacher")
    with pytest.raises(UsageError, match="learnt from a table of your own, which the bundle does not keep"):
        anfinsen.distill(teacher, student="1x16", train__steps=2)

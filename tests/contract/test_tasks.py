"""What every registered task must be able to do, on a network small enough to learn eight proteins by heart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from anfinsen.data.batch import Stream, crop
from anfinsen.data.example import Example, Value
from anfinsen.errors import BundleError
from anfinsen.hub.body import round_weights
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.predictor import Predictor, answer
from anfinsen.kinship.neighbours import Reach
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import HeadShape, NativeBody, Network
from anfinsen.models.pair_trunk import TrunkConfig
from anfinsen.structure.backbone import Backbone, find_breaks
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Classes, Label, Number, Tokens
from anfinsen.targets.cleavage import Cut
from anfinsen.targets.tracks import Tracks
from anfinsen.targets.values import Values
from anfinsen.tasks import TASKS, Task
from anfinsen.tasks.ask import ask, validation_loss
from anfinsen.training.engine import Course, TrainConfig, Trainer

NAMES = list(TASKS)


def make_examples(task: Task, count: int = 8) -> list[Example]:
    """Invented proteins with invented answers that a network can learn by heart."""
    generator = numpy.random.default_rng(1)
    made = []
    for index in range(count):
        sequence = "".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=int(generator.integers(20, 50))))
        value: Value | None = None
        mask = None
        if isinstance(task.target, Cut):
            value, cut = task.target.classes[index % 2], (8 + index) * (index % 2)
            mask = "1" * cut + "0" * (len(sequence) - cut)
        elif isinstance(task.target, Label):
            value = task.target.classes[index % len(task.target.classes)]
        elif isinstance(task.target, Classes):  # any of several names
            value = (task.target.classes[-1 - index % len(task.target.classes)],)
        elif isinstance(task.target, Number):
            value = task.target.center + task.target.spread * float(generator.normal())
        elif isinstance(task.target, Tokens) and task.target.head == "residue":
            value = "".join(generator.choice(list(task.target.letters), size=len(sequence)))
        elif isinstance(task.target, Tracks):
            value = tuple("".join(generator.choice(["0", "1"], size=len(sequence))) for _ in task.target.names)
        elif isinstance(task.target, Values):
            value = tuple(generator.normal(task.target.center, task.target.spread, size=len(sequence)).tolist())
        conditions = {condition.name: condition.center for condition in task.conditions if index % 2}
        backbone = coiled(len(sequence)) if task.target.per_pair else None
        protein = Protein(f"p{index}", sequence, backbone=backbone)
        made.append(task.pose(Example(protein, value, mask, conditions), index))
    return made


def coiled(length: int) -> Backbone:
    """A chain that winds up like a spring."""
    turn = numpy.arange(length)[:, None] + 0.2 * numpy.arange(5)
    points = numpy.stack([4 * numpy.cos(turn), 4 * numpy.sin(turn), 1.5 * turn], axis=-1).astype(numpy.float32)
    return Backbone(points, find_breaks(points))


def make_network(task: Task) -> Network:
    torch.manual_seed(1)
    shape = EncoderConfig(layers=1, dim=32, heads=2, inner_dim=64)
    return Network(NativeBody(Encoder(shape), shape.dim, shape.longest), {task.name: shape_of(task)})


def shape_of(task: Task) -> HeadShape:
    """The task's head, with a small trunk where it has one."""
    small = TrunkConfig(dim=16, fine=8, blocks=2)
    return task.shape if task.shape.trunk is None else task.shape._replace(trunk=small)


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_eight_proteins_by_heart(name: str, tmp_path: Path) -> None:
    task, network = TASKS[name], make_network(TASKS[name])
    examples = make_examples(task)
    before = validation_loss(network, task, examples)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    config = TrainConfig(steps=200, tokens=600, learning_rate=5e-3, warmup=5)
    trainer = Trainer(network, [Course(task, Stream(examples, budget=600, seed=1))], config, tmp_path)
    after, goal = before, min(0.5 * before, before - 0.5)
    while trainer.step < config.steps and not after < goal:
        for _ in range(10):
            trainer.train_step()
        after = validation_loss(network, task, examples)
    assert after < goal


@pytest.mark.parametrize("name", NAMES)
def test_its_answer_is_json_and_has_a_sentence(name: str) -> None:
    task = TASKS[name]
    examples = make_examples(task)
    outputs = [output[name] for output in ask(make_network(task), [task], examples)]
    calibration = {} if task.target.head == "masked" else task.target.calibrate(outputs, examples)
    answers = task.answers(outputs, examples, calibration)
    assert json.loads(json.dumps(answers)) == answers
    sentence = task.say(answers[0])
    assert sentence[0].isupper() and sentence.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_answers_do_not_depend_on_the_neighbours_in_the_row(name: str) -> None:
    task, network = TASKS[name], make_network(TASKS[name]).eval()
    examples = make_examples(task)
    together = [output[name] for output in ask(network, [task], examples)]
    for example, expected in zip(examples, together, strict=True):
        (alone,) = (output[name] for output in ask(network, [task], [example]))
        numpy.testing.assert_allclose(alone, expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_through_a_bundle_unchanged(name: str, tmp_path: Path) -> None:
    task, network = TASKS[name], make_network(TASKS[name]).eval()
    examples = make_examples(task)
    record = TaskRecord(
        kind=task.shape.kind,
        size=task.shape.size,
        conditions=tuple(condition.name for condition in task.conditions),
        calibration={"temperature": 1.25},
        trunk=shape_of(task).trunk,
    ).shaped(task.shape)
    round_weights(network)
    bundle = Bundle("tiny", network, {name: record}, {name: Reach.fit([example.protein for example in examples])})
    bundle.remember()
    bundle.save(tmp_path)
    back = Bundle.load(tmp_path)
    assert back.records == {name: record}
    assert back.verify() == []
    assert back.reaches[name].nearest(examples[0].protein.sequence)[1] == examples[0].protein.id
    for before, after in zip(ask(network, [task], examples), ask(back.network, [task], examples), strict=True):
        numpy.testing.assert_allclose(before[name], after[name], atol=2e-2)


@pytest.mark.parametrize(
    ("change", "came"),
    [
        ({"size": 5}, "a head of kind 'pooled' with 5 outputs"),
        ({"kind": "centres"}, "a head of kind 'centres' with 2 outputs"),
    ],
)
def test_a_head_of_another_kind_or_size_is_refused_in_words(change: dict[str, Any], came: str) -> None:
    task = TASKS["melting-temperature"]
    conditions = tuple(condition.name for condition in task.conditions)
    record = TaskRecord(kind="pooled", size=2, conditions=conditions)
    Predictor(Bundle("tiny", make_network(task), {task.name: record}), [task.name])
    bundle = Bundle("tiny", make_network(task), {task.name: record.replaced(**change)})
    for ask_it in (lambda: Predictor(bundle, [task.name]), lambda: answer(bundle, task, make_examples(task))):
        with pytest.raises(BundleError) as told:
            ask_it()
        assert str(told.value) == (
            f"The bundle 'tiny' has {came} for 'melting-temperature', which needs one of kind 'pooled' with 2 today. "
            "Use the version of Anfinsen that made it, or train it again."
        )


def test_a_cropped_example_keeps_the_answers_of_its_own_residues() -> None:
    sequence = "".join(numpy.random.default_rng(1).choice(list("ACDEFGHIKLMNPQRSTVWY"), size=40))
    codes = tuple(float(ord(letter)) for letter in sequence)
    metal, basic = ("".join(str(int(letter in kind)) for letter in sequence) for kind in ("CHDE", "KRH"))
    for seed in range(5):
        letters, numbers, tracks, label, labels, quantity = (
            crop(Example(Protein("p", sequence), value, metal), 12, numpy.random.default_rng(seed))
            for value in (sequence.lower(), codes, (metal, basic), "Nucleus", ("Nucleus", "Cytoplasm"), 37.0)
        )
        kept = letters.protein.sequence
        at = sequence.index(kept)
        assert len(kept) == 12 and letters.mask == metal[at : at + 12]
        assert letters.value == kept.lower()
        assert numbers.value == tuple(map(float, map(ord, kept)))
        assert tracks.value == (metal[at : at + 12], basic[at : at + 12])
        assert (label.value, labels.value, quantity.value) == ("Nucleus", ("Nucleus", "Cytoplasm"), 37.0)


@pytest.mark.parametrize("name", NAMES)
def test_its_words_are_complete(name: str) -> None:
    task = TASKS[name]
    assert task.question.endswith("?")
    assert task.explanation.endswith(".")
    assert len(task.explanation) > 60
    assert {"train", "valid"} <= set(task.table.splits)
    assert set(task.tests) <= set(task.table.splits)
    assert task.table.licence
    assert task.table.source
    for term, meaning in task.terms.items():
        assert meaning.endswith("."), term

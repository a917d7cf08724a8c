"""The straight lines on structures: they find what can be counted in space, and are kept to tasks of structures."""

from __future__ import annotations

from dataclasses import replace

import numpy

from anfinsen.bench.baselines import baselines_for
from anfinsen.data.example import Example
from anfinsen.structure.backbone import from_alphas
from anfinsen.structure.protein import Protein
from anfinsen.targets.metrics import measure
from anfinsen.tasks import TASKS

TASK = TASKS["interface"]


def chain(seed: int) -> Example:
    """Sixty residues that wander; those far from the middle are sites, whatever residue they are."""
    draw = numpy.random.default_rng(seed)
    steps = draw.normal(size=(60, 3))
    alphas = numpy.cumsum(3.8 * steps / numpy.linalg.norm(steps, axis=-1, keepdims=True), axis=0)
    depth = numpy.linalg.norm(alphas - alphas.mean(0), axis=-1)
    label = "".join("1" if one > numpy.quantile(depth, 0.8) else "0" for one in depth)
    sequence = "".join(draw.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=60))
    return Example(Protein(f"p{seed}", sequence, backbone=from_alphas(alphas)), label)


def test_lines_on_structures_find_what_stands_outside_and_letters_do_not() -> None:
    train, test = [chain(seed) for seed in range(30)], [chain(seed) for seed in range(30, 42)]
    reached = {}
    for name in ("residue type", "exposure", "surroundings"):
        (one,) = (one for one in baselines_for(TASK) if one.name == name)
        reached[name] = measure("site AUROC", test, one.answer(train, test, TASK), resamples=1).value
    assert reached["residue type"] < 0.65 < 0.8 < reached["exposure"] < reached["surroundings"]


def test_they_answer_about_a_sequence_too() -> None:
    train = [chain(seed) for seed in range(8)]
    blind = [replace(one, protein=replace(one.protein, backbone=None)) for one in train[:2]]
    for one in baselines_for(TASK):
        if one.needs_structures:
            answers = one.answer(train, blind, TASK)
            assert [answer["ground"] for answer in answers] == ["sequence", "sequence"]
            assert all(numpy.isfinite(answer["probabilities"]["interface"]).all() for answer in answers)


def test_tasks_of_sequences_are_spared_them() -> None:
    assert not any(one.needs_structures for one in baselines_for(TASKS["disorder"]))
    assert sum(one.needs_structures for one in baselines_for(TASK)) == 2

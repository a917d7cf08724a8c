"""The ablation of ligand sites: every arm learns, is shown what it may see and nothing else, and is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy
import pytest
import torch

from anfinsen.bench.site_ablation import (
    ARMS,
    CONFIG,
    GRAPH,
    JOINED,
    LATE,
    MULTISCALE,
    SEQUENCE,
    Said,
    answered,
    compared,
    late,
    learn,
)
from anfinsen.bench.sites import only
from anfinsen.data.example import Example
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.network import NativeBody
from anfinsen.structure.backbone import from_alphas
from anfinsen.structure.protein import Protein
from anfinsen.targets.tracks import Tracks
from anfinsen.tasks.ligand_sites import DRUG, LETTERS, TASK, told

ONE = replace(TASK, target=Tracks(names=(DRUG,), letters=(LETTERS[DRUG],)))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    draw = numpy.random.default_rng(1)
    made = []
    for at in range(6):
        sequence = "".join(draw.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=30))
        alphas = numpy.cumsum(draw.normal(scale=2.0, size=(30, 3)), axis=0).astype(numpy.float32)
        label = "".join("1" if letter in "HC" else "0" for letter in sequence)
        example = Example(Protein(f"p{at}", sequence, backbone=from_alphas(alphas)), told(30, {DRUG: label}))
        made.append(only(example, DRUG))
    return made


def body() -> FrozenBody:
    torch.manual_seed(1)
    shape = EncoderConfig(layers=1, dim=32, heads=2, inner_dim=64)
    return FrozenBody(NativeBody(Encoder(shape), shape.dim, shape.longest))


def said(arm: str, train: Sequence[Example], test: Sequence[Example], steps: int = 2) -> Said:
    config = CONFIG.replaced(steps=steps, tokens=256, warmup=1, average=0.0, learning_rate=1e-2)
    return learn(ONE, ARMS[arm], body(), train, train, test, config)


def shares(arm: str, train: Sequence[Example], test: Sequence[Example], steps: int = 2) -> numpy.ndarray:
    answers = answered(ONE, said(arm, train, test, steps), train, test)
    return numpy.array([one["probabilities"][DRUG] for one in answers])


def test_arms_without_a_fold_or_without_words_do_not_see_them(examples: list[Example]) -> None:
    bare = [replace(one, protein=replace(one.protein, backbone=None)) for one in examples]
    assert shares("sequence", examples, examples) == pytest.approx(shares("sequence", examples, bare))
    assert numpy.abs(shares("graph", examples, examples) - shares("graph", examples, bare)).max() > 1e-3
    one = f"{JOINED} in one network"
    assert shares(one, examples, examples) == pytest.approx(shares(one, examples, examples))


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_learns_what_a_residue_tells(arm: str, examples: list[Example]) -> None:
    truth = numpy.array([[letter == "1" for letter in one.value[0]] for one in examples])  # type: ignore[index]
    said = shares(arm, examples, examples, steps=30)
    assert said[truth].mean() > 2 * said[~truth].mean()


def test_what_is_joined_late_hears_its_voices_and_the_last_arm_hears_all(examples: list[Example]) -> None:
    told = late(ONE, {arm: said(arm, examples, examples) for arm in (SEQUENCE, GRAPH)}, examples, examples)
    assert list(told) == [SEQUENCE, f"{GRAPH}, network alone", *LATE]
    assert list(LATE)[-1] == MULTISCALE and set(LATE[GRAPH]) < set(LATE[JOINED]) < set(LATE[MULTISCALE])

    def right(arm: str) -> float:
        truth = numpy.array([[letter == "1" for letter in one.value[0]] for one in examples])  # type: ignore[index]
        odds = numpy.array([one["probabilities"][DRUG] for one in told[arm]])
        return float(odds[truth].mean() - odds[~truth].mean())

    assert right(MULTISCALE) >= right(JOINED) - 0.01 >= right(GRAPH) - 0.02


def test_gains_are_those_of_the_last_arm_over_each_other(examples: list[Example]) -> None:
    def answers(right: float) -> list[dict[str, object]]:
        rows = []
        for one in examples:
            truth = numpy.array([letter == "1" for letter in one.value[0]], dtype=float)  # type: ignore[index]
            noise = numpy.random.default_rng(len(rows)).random(len(truth))
            rows.append(
                {"probabilities": {DRUG: (right * truth + (1 - right) * noise).tolist()}, "thresholds": {DRUG: 0.5}}
            )
        return rows

    rows = compared(examples, {"graph": answers(0.2), "joined": answers(0.9)})
    found = {(row.metric, row.model): row.value for row in rows}
    assert found["AUPR", "joined"] == pytest.approx(1.0) and found["AUPR", "graph"] < 0.9
    gain = found["AUPR", "joined"] - found["AUPR", "graph"]
    assert found["AUPR gain over graph", "joined"] == pytest.approx(gain)

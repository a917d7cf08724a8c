"""Relatives from a collection to an answer: who asks them, what is said of them, and the rows of their benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch

from anfinsen.bench import relatives
from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.inference.predictor import Predictor
from anfinsen.kinship.collection import Collection
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
ASKING = ("secondary-structure", "conservation", "membrane-topology")


def relative(step: int) -> str:
    """Ubiquitin with other residues in every third to fifth place."""
    letters = list(UBIQUITIN)
    letters[step::step] = reversed(letters[step::step])
    return "".join(letters)


@pytest.fixture
def collection() -> Collection:
    return Collection.of("three relatives", [relative(step) for step in (3, 4, 5)])


@pytest.fixture
def bundle() -> Bundle:
    torch.manual_seed(1)
    config = EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32)
    names = (*ASKING, "localization")
    network = Network(
        NativeBody(Encoder(config), config.dim, config.longest), {name: TASKS[name].shape for name in names}
    )
    records = {name: TaskRecord(kind=TASKS[name].shape.kind, size=TASKS[name].shape.size) for name in names}
    return Bundle("tiny", network.eval(), records)


def test_tasks_that_ask_relatives_say_which_and_how_many(bundle: Bundle, collection: Collection) -> None:
    assert {name for name in TASKS if TASKS[name].asks_relatives} == set(ASKING)
    (alone,), (asked,) = (list(Predictor(bundle, collection=one).predict(UBIQUITIN)) for one in (None, collection))
    for name in ASKING:
        assert alone.answers[name]["probabilities"] != asked.answers[name]["probabilities"], name
    assert alone.answers["localization"] == asked.answers["localization"] and alone.messages == ()
    (message,) = asked.messages
    assert message.text.startswith("3 relatives among the 3 sequences of three relatives")
    assert "asked about: conservation, way through the membrane, helices" in message.text


def test_without_a_relative_the_answers_stay_as_they_were(bundle: Bundle) -> None:
    strangers = Collection.of("strangers", ["MKT" * 30, "WHP" * 30])
    (alone,), (asked,) = (list(Predictor(bundle, collection=one).predict(UBIQUITIN)) for one in (None, strangers))
    assert alone.answers == asked.answers and "None of the 2 sequences" in asked.messages[0].text
    assert "asked about" not in asked.messages[0].text


def test_a_collection_for_tasks_that_ask_nobody_is_refused(bundle: Bundle, collection: Collection) -> None:
    with pytest.raises(UsageError, match="localization asks relatives"):
        Predictor(bundle, ["localization"], collection=collection)


def test_a_conserved_place_is_told_from_one_that_changes(bundle: Bundle, collection: Collection) -> None:
    """What the relatives never change comes out as conserved, whatever the untrained network thinks."""
    family = collection.family(UBIQUITIN)
    task = TASKS["conservation"]
    found = task.with_family(numpy.zeros((len(UBIQUITIN), 9)), family, ())
    steady = family.variety <= numpy.quantile(family.variety, 0.3)
    expected = (numpy.exp(found) / numpy.exp(found).sum(1, keepdims=True)) @ numpy.arange(1, 10)
    assert expected[steady].mean() > expected[~steady].mean() + 0.5


def test_the_benchmark_has_a_row_without_and_a_row_with(
    bundle: Bundle, collection: Collection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    letters = {"secondary-structure": "HEC", "conservation": "123456789", "membrane-topology": "12H"}

    def examples(task: object, split: str, count: int) -> list[Example]:
        values = letters[task.name]  # type: ignore[attr-defined]
        text = (values * len(UBIQUITIN))[: len(UBIQUITIN)]
        return [Example(Protein(f"p{step}", relative(step)), text) for step in (2, 6, 7)][:count]

    monkeypatch.setattr(relatives, "corpus", lambda: collection)
    monkeypatch.setattr(relatives, "asked_about", examples)
    told: list[str] = []
    rows = relatives.relatives_rows(bundle, limit=2, tell=told.append)
    assert {row.task for row in rows} == set(ASKING) and all(row.n == 2 for row in rows)
    assert {row.model for row in rows if row.task == "conservation"} == {
        f"{bundle.label}, with relatives",
        bundle.label,
        relatives.ALONE,
    }
    assert all(", relatives" in row.split for row in rows) and len(told) == len({(row.task, row.split) for row in rows})

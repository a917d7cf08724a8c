"""Relatives from where they are known to an answer: who listens, what is said of them, and how a listener is taught."""

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
from anfinsen.kinship.family import EVIDENCE, Family
from anfinsen.kinship.kin import Kin
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.listening import Listener
from anfinsen.models.network import NativeBody, Network
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.training.listening import Heard, heard, in_folds, teach

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
ASKING = ("binding-residues", "conservation", "membrane-topology", "secondary-structure")


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
    for name in ASKING:
        listener = Listener(TASKS[name].target.size, EVIDENCE)
        torch.nn.init.normal_(listener.out.weight)
        network.listeners[name] = listener
    return Bundle("tiny", network.eval(), records)


def test_tasks_that_ask_relatives_say_which_and_how_many(bundle: Bundle, collection: Collection) -> None:
    assert {name for name in TASKS if TASKS[name].asks_relatives} == {*ASKING, "masked"}
    (alone,), (asked,) = (list(Predictor(bundle, kin=one).predict(UBIQUITIN)) for one in (None, Kin(collection)))
    for name in ASKING:
        assert alone.answers[name] != asked.answers[name], name
    assert alone.answers["localization"] == asked.answers["localization"] and alone.messages == ()
    (message,) = asked.messages
    assert message.text.startswith("3 relatives among the 3 sequences of three relatives")
    assert "asked about: binding residues, conservation, way through the membrane, helices" in message.text


def test_without_a_relative_the_answers_stay_as_they_were(bundle: Bundle) -> None:
    strangers = Collection.of("strangers", ["MKT" * 30, "WHP" * 30])
    (alone,), (asked,) = (list(Predictor(bundle, kin=one).predict(UBIQUITIN)) for one in (None, Kin(strangers)))
    assert alone.answers == asked.answers and asked.messages[0].text.startswith("No relative among the 2 sequences")
    assert "asked about" not in asked.messages[0].text


def test_nobody_is_searched_for_tasks_that_listen_to_nobody(bundle: Bundle, collection: Collection) -> None:
    assert Predictor(bundle, ["localization"], kin=Kin(collection)).kin is None
    predictor = Predictor(bundle, kin=Kin(collection))
    predictor.tasks = (TASKS["localization"],)  # as a server narrows its questions
    (told,) = predictor.predict(UBIQUITIN)
    assert told.messages == ()


def test_a_collection_for_tasks_that_ask_nobody_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path / "tiny")
    (tmp_path / "some.fasta").write_text(f">a\n{UBIQUITIN}\n")
    with pytest.raises(UsageError, match="localization asks relatives") as caught:
        Predictor.load(tmp_path / "tiny", ["localization"], relatives=tmp_path / "some.fasta")
    assert "secondary-structure" in str(caught.value)
    assert Predictor.load(tmp_path / "tiny", ["conservation"], relatives="none").kin is None


def test_a_bundle_keeps_its_listeners_and_remembers_what_they_make_of_known_proteins(
    bundle: Bundle, tmp_path: Path
) -> None:
    bundle.network.half().float()  # what is stored is halved
    bundle.remember()
    bundle.save(tmp_path / "tiny")
    opened = Bundle.load(tmp_path / "tiny")
    assert list(opened.network.listeners) == list(ASKING) and opened.verify() == []
    assert not any(weight.requires_grad for weight in opened.network.listeners.parameters())  # taught apart
    listener = opened.network.listeners["conservation"]
    listener.load_state_dict(listener.state_dict() | {"trust": torch.zeros(9)})
    assert any("conservation, with relatives" in told for told in opened.verify())


def test_a_new_listener_repeats_what_the_head_said_and_a_taught_one_hears_the_family() -> None:
    """The head knows nothing here; what is conserved stands in the families alone."""
    task, generator = TASKS["conservation"], numpy.random.default_rng(1)
    lessons = []
    for number in range(20):
        steady = generator.random(60) < 0.5
        rows = generator.integers(0, 20, (30, 60))
        rows[:, steady] = rows[0, steady]
        sequence = "".join("ACDEFGHIKLMNPQRSTVWY"[at] for at in rows[0])
        value = "".join("9" if one else "1" for one in steady)
        lessons.append(
            Heard(Example(Protein(f"p{number}", sequence), value), _nothing(60), Family.of(sequence, list(rows[1:])))
        )
    new = Listener(9, EVIDENCE).eval()
    assert all((said == 0).all() for said in heard(new, lessons))
    told = in_folds(task, lessons, steps=150)
    truth = numpy.array([list(str(lesson.example.value)) for lesson in lessons])
    assert ((numpy.stack(told).argmax(2) == 8) == (truth == "9")).mean() > 0.9
    one, other = (numpy.stack(heard(teach(task, lessons, steps=5), lessons)) for _ in range(2))
    assert (one == other).all()


def _nothing(length: int) -> numpy.ndarray:
    return numpy.zeros((length, 9), dtype=numpy.float32)


def test_the_benchmark_has_a_row_alone_and_rows_with_relatives(
    bundle: Bundle, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    del bundle.network.listeners["binding-residues"], bundle.network.listeners["membrane-topology"]
    letters = {"secondary-structure": "HEC", "conservation": "123456789"}

    def examples(task: object, split: str, count: int) -> list[Example]:
        values = letters[task.name]  # type: ignore[attr-defined]
        text = (values * len(UBIQUITIN))[: len(UBIQUITIN)]
        return [Example(Protein(f"p{step}", relative(step)), text) for step in (2, 6, 7)][:count]

    monkeypatch.setattr(relatives, "corpus", lambda: collection)
    monkeypatch.setattr(relatives, "known_families", lambda: collection)
    monkeypatch.setattr(relatives, "asked_about", examples)
    told: list[str] = []
    rows = relatives.relatives_rows(bundle, limit=2, tell=told.append)
    assert {row.task for row in rows} == set(letters) and all(row.n == 2 for row in rows)
    ours = {f"{bundle.label}{part}" for part in ("", ", alone", ", with a collection")}
    assert {row.model for row in rows if row.task == "conservation"} == {*ours, relatives.ALONE}
    assert all(", relatives" in row.split for row in rows) and len(told) == len({(row.task, row.split) for row in rows})

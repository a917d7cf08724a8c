"""An explanation is of who answered: of composition where that answers, else of the network, and says who was heard."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch

from anfinsen.data.alphabet import RESIDUES
from anfinsen.data.composition import composition
from anfinsen.data.example import Example
from anfinsen.errors import UsageError
from anfinsen.explain.composition import COMPOSITION, ByComposition
from anfinsen.explain.door import explain_answer
from anfinsen.hub.bundle import Bundle
from anfinsen.hub.record import TaskRecord
from anfinsen.models.heads import PLAIN
from anfinsen.models.network import Network
from anfinsen.report.explanation import to_json, write_explanations
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import BESIDE
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import ask

SEQUENCE = "MKWVTFISLLFLFSSAYSRGVFRRDAHKSEVAHR"
EXAMPLE = Example(Protein("one", SEQUENCE))
SOLUBILITY, EC = TASKS["solubility"], TASKS["ec"]
ALONE = {"temperature": 12.0, BESIDE: 1.5, "shift insoluble": 0.3, "shift soluble": -0.3}


def bundle(body: Network, name: str, calibration: dict[str, float]) -> Bundle:
    torch.manual_seed(4)
    shape = TASKS[name].shape
    network = Network(body.body, {name: shape}).eval()
    record = TaskRecord(kind=shape.kind, size=shape.size, calibration=calibration)
    return Bundle("tiny", network, {name: record})


@pytest.fixture
def plain(tiny_network: Network) -> Bundle:
    """A bundle whose solubility is told by a line with a weight for every kind of residue and for the length."""
    made = bundle(tiny_network, "solubility", ALONE)
    line = numpy.random.default_rng(3).normal(size=(len(RESIDUES) + 2, 2)).astype(numpy.float16)
    made.network.heads["solubility"].memory.keep({PLAIN: line})
    return made


def chance_of(made: Bundle, sequence: str, label: str) -> float:
    """What the platform itself answers."""
    example = Example(Protein("other", sequence))
    (outputs,) = (one["solubility"] for one in ask(made.network, [SOLUBILITY], [example]))
    outputs[:2] = 0  # composition alone
    (answer,) = SOLUBILITY.answers([outputs], [example], made.records["solubility"].calibration)
    return float(answer["probabilities"][label])


def test_what_composition_says_is_explained_exactly(plain: Bundle) -> None:
    one = explain_answer(plain, SOLUBILITY, EXAMPLE)
    assert isinstance(one, ByComposition)
    label = one.asked.words.split("'")[1]
    chance = chance_of(plain, SEQUENCE, label)
    assert one.value == pytest.approx(numpy.log(chance / (1 - chance)), abs=1e-6)
    credits = one.views[COMPOSITION]
    assert credits.sum() == pytest.approx(one.value - one.hidden)
    assert {round(credits[at], 9) for at in range(len(SEQUENCE)) if SEQUENCE[at] == "S"} == {round(credits[7], 9)}
    even = composition([Example(Protein("even", RESIDUES))])[0]
    even[-1] = numpy.log(len(SEQUENCE))
    line = SOLUBILITY.line(plain.network.heads["solubility"], ALONE)
    logits = even @ line[:-1] + line[-1]
    best = SOLUBILITY.target.labels.index(label)
    assert one.hidden == pytest.approx(logits[best] - logits[1 - best])
    for found in (one.substitutions[0], one.substitutions[-1], one.substitutions[30]):
        changed = SEQUENCE[: found.position - 1] + found.mutant + SEQUENCE[found.position :]
        chance = chance_of(plain, changed, label)
        assert found.value == pytest.approx(numpy.log(chance / (1 - chance)), abs=1e-6)
        assert found.change == pytest.approx(found.value - one.value)


def test_its_credits_beat_every_random_order_and_their_opposite_none(plain: Bundle) -> None:
    faith = explain_answer(plain, SOLUBILITY, EXAMPLE).faithfulness[COMPOSITION]
    assert faith.is_faithful and faith.beaten == faith.orders
    assert faith.deletion[0] == faith.insertion[-1] and faith.deletion[-1] == pytest.approx(faith.insertion[0])
    assert (numpy.diff(faith.deletion)[:3] < 0).all() and (numpy.diff(faith.insertion)[:3] > 0).all()


def test_its_words_and_its_page_tell_of_residue_kinds_and_of_no_attention(plain: Bundle, tmp_path: Path) -> None:
    one = explain_answer(plain, SOLUBILITY, EXAMPLE)
    told = " ".join(one.sentences())
    assert "Not the network answers here but a straight line" in told and "These credits are exact" in told
    assert to_json(one)["attention"] is None and to_json(one)["completeness_gap"] == 0.0
    write_explanations(tmp_path, [one], about={}, known="Known.")
    page = (tmp_path / "explanation.html").read_text(encoding="utf-8")
    assert "attention joins" not in page and "Known." not in page and page.count('class="credits"') == 1
    assert not (tmp_path / "attention").exists()


def test_where_the_network_counts_it_is_explained_and_composition_is_named(plain: Bundle) -> None:
    heard = {**ALONE, "temperature": 1.0}
    plain.records["solubility"] = plain.records["solubility"].replaced(calibration=heard)
    one = explain_answer(plain, SOLUBILITY, EXAMPLE)
    assert not isinstance(one, ByComposition) and one.attention is not None
    assert one.sentences()[1].startswith("The mere shares of its residues were weighed beside the network")


def test_what_a_relative_decided_is_explained_as_the_network_sees_it_and_said(tiny_network: Network) -> None:
    votes = {f"{name} {level}": value for level in range(1, 5) for name, value in (("base", -2.0), ("votes", 9.0))}
    made = bundle(tiny_network, "ec", votes)
    EC.remember(made.network.heads["ec"], [Example(Protein("known", SEQUENCE), ("3.4.21.4",))])
    one = explain_answer(made, EC, EXAMPLE)
    assert one.asked.words == "the answer '3.4.21.4'"
    (outputs,) = (row["ec"] for row in ask(made.network, [EC], [EXAMPLE]))
    chance = EC.target.shares(outputs[: EC.target.size])[EC.target.labels.index("3.4.21.4")]
    assert one.value == pytest.approx(float(numpy.log(chance / (1 - chance))), abs=1e-3)
    assert one.sentences()[1].startswith("A relative decided this, against the network")
    assert one.sentences()[2] == "By itself the network holds the answer for less likely than not."
    assert EC.beside({"kin": {"labels": []}}) == ""


def test_a_task_that_reads_the_fold_is_not_explained_from_the_chain(tiny_network: Network) -> None:
    made = bundle(tiny_network, "interface", {})
    with pytest.raises(UsageError, match="'interface' also reads what lies beside each residue"):
        explain_answer(made, TASKS["interface"], EXAMPLE)

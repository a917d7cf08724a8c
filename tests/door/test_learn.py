"""The lessons run, fit eighty columns, and print numbers that are measured when they are read."""

from __future__ import annotations

import re
from io import StringIO

import numpy
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.data.batch import pack
from anfinsen.errors import UsageError
from anfinsen.hub.bundle import MASKED, Bundle, default_bundle
from anfinsen.inference.predictor import Predictor
from anfinsen.learn import confidence, reading, transfer
from anfinsen.learn.lessons import LESSONS, give
from anfinsen.learn.pictures import bars, block, curves
from anfinsen.learn.table import TASK, halves, proteins
from anfinsen.learn.walk import take
from anfinsen.models.frozen import FrozenBody
from anfinsen.models.network import Network
from anfinsen.reading.letters import mend
from anfinsen.tasks import TASKS
from anfinsen.tasks.ask import validation_loss
from anfinsen.training.narrator import figure


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(default_bundle())


@pytest.fixture(scope="module")
def pages() -> dict[int, str]:
    return {number: read(number) for number in range(1, len(LESSONS) + 1)}


def read(number: int) -> str:
    console = Console(width=80, record=True, file=StringIO())
    give(number, console, fast=True)
    return console.export_text()


def flat(page: str) -> str:
    return " ".join(page.split())


def test_the_table_is_real_and_its_halves_are_even() -> None:
    assert len({known.accession for known in proteins()}) == len({known.sequence for known in proteins()}) == 32
    assert all(mend(known.sequence) == (known.sequence, ()) for known in proteins())
    for half in halves():
        assert sorted(example.value for example in half) == ["leaves"] * 8 + ["stays"] * 8
    # the one fact that everybody can check: hen's and man's defensins end in a pair of cysteines
    (defensin,) = (known for known in proteins() if known.accession == reading.PROTEIN)
    assert defensin.sequence.endswith("CCK") and defensin.sequence[reading.HIDDEN - 1] == "C"


@pytest.mark.parametrize("number", range(1, len(LESSONS) + 1))
def test_a_lesson_fits_eighty_columns_and_leads_on(pages: dict[int, str], number: int) -> None:
    lines = pages[number].splitlines()
    assert max(map(len, lines)) <= 80
    assert f"Lesson {number}: {LESSONS[number - 1].title}" in lines
    assert (f"Next: anfinsen learn {number + 1}" in flat(pages[number])) == (number < len(LESSONS))


def test_the_first_lesson_tells_the_models_own_guess(pages: dict[int, str], bundle: Bundle) -> None:
    (known,) = (known for known in proteins() if known.accession == reading.PROTEIN)
    hidden = known.sequence[: reading.HIDDEN - 1] + "#" + known.sequence[reading.HIDDEN :]
    tokens, lengths = pack([hidden])
    with torch.inference_mode():
        states, residues = bundle.network.states(tokens, lengths)
        logits = bundle.network.ask(MASKED, states, residues, torch.zeros(1, 0))[reading.HIDDEN - 1]
    share = float(logits[4:24].softmax(0)[23 - 4])
    rank = 1 + int((logits[4:24] > logits[23]).sum())
    told = re.search(r"The right one comes (\w+) with ([\d.]+)\.", flat(pages[1]))
    assert told is not None
    assert told.groups() == ({1: "first", 2: "second", 3: "third"}.get(rank, f"{rank}th"), f"{share:.2f}")


def test_the_second_lesson_tells_a_step_that_was_taken(pages: dict[int, str]) -> None:
    page = flat(pages[2])
    (before, loss), (after,) = (
        re.findall(r"one figure, ([\d.]+).*?it fell from ([\d.]+)\.", page)[0],
        re.findall(r"has a loss of ([\d.]+):", page),
    )
    assert before == loss and float(after) < float(before)
    assert "The same 4 times, at full speed" in page


def test_the_third_lesson_tells_hits_with_their_interval(pages: dict[int, str]) -> None:
    for name in (transfer.PRETRAINED, transfer.SCRATCH):
        found = re.search(
            rf"{name.capitalize()} +(\d+) of 32 right \((\d+)%; 95 % interval (\d+)% to (\d+)%\)", flat(pages[3])
        )
        assert found is not None
        hits, share, low, high = map(int, found.groups())
        assert share == round(100 * hits / 32) and low < share < high


def test_the_fourth_lesson_counts_what_the_predictor_answers(pages: dict[int, str], bundle: Bundle) -> None:
    predictor = Predictor(bundle, [confidence.TASK])
    answers = [
        prediction.answers[confidence.TASK] for prediction in predictor.predict([k.sequence for k in proteins()])
    ]
    covered = sum(known.place in answer["set"] for known, answer in zip(proteins(), answers, strict=True))
    assert f"the set holds the truth: {covered} of 32 (" in flat(pages[4])
    sizes = [len(answer["set"]) for answer in answers]
    assert f"compartments in a set: {numpy.mean(sizes):.1f} on average, {min(sizes)} to {max(sizes)}" in flat(pages[4])


def test_a_walk_tells_the_loss_and_leaves_the_network_as_it_was(tiny_network: Network) -> None:
    network = Network(tiny_network.body, {TASK.name: TASK.shape}).eval()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    examples = halves()[0][:4]
    walk = take(network, TASK, examples)
    assert walk.loss == pytest.approx(validation_loss(network, TASK, examples), rel=1e-5)
    assert walk.embedding is not None and walk.attention is not None
    assert walk.embedding.shape == (len(walk.sequence), 32)
    assert walk.attention.shape == (len(walk.sequence), len(walk.sequence))
    assert set(walk.gradients) == set(walk.changes) == {"embed", "block 1", "block 2", "rest", "heads"}
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())


@pytest.mark.parametrize("name", ["secondary-structure", "melting-temperature", "masked"])
def test_a_walk_can_be_told_of_every_kind_of_task(name: str, tiny_network: Network) -> None:
    from anfinsen.data.example import Example
    from anfinsen.learn.pictures import Page
    from anfinsen.learn.walk import tell

    task, proteins_ = TASKS[name], [example.protein for example in halves()[0][:3]]
    values = {
        "secondary-structure": lambda p: "H" * len(p),
        "melting-temperature": lambda p: 61.5,
        "masked": lambda p: None,
    }
    examples = [task.pose(Example(protein, values[name](protein)), number) for number, protein in enumerate(proteins_)]
    network = Network(FrozenBody(tiny_network.body), {name: task.shape}).eval()
    console = Console(width=80, record=True, file=StringIO())
    walk = take(network, task, examples)
    tell(walk, task, Page(console))
    page = flat(console.export_text())
    assert "Only the heads heard it" in page
    assert f"The loss puts that into one figure, {figure(walk.loss)}" in page


def test_pictures_are_of_the_numbers() -> None:
    assert [line.plain for line in bars({"a": 1.0, "bb": 0.5}, width=4, mark="bb")] == [
        "a      1.00 ████",
        "bb     0.50 ██ ◄",
    ]
    assert [line.plain for line in block(numpy.array([[0.0, 1.0], [2.0, 3.0]]), ["x", "y"], wide=2)] == [
        "x   ░░",
        "y ▒▒▓▓",
    ]
    drawn = [line.plain for line in curves({"up": [0.0, 1.0], "flat": [0.5, 0.5]}, [0, 4], height=3, width=5)]
    assert drawn[:3] == [" 1.00 │   ●●", "      │○○●○○", " 0.00 │●●   "]


def test_the_verb_lists_and_refuses() -> None:
    listed = CliRunner().invoke(app, ["learn"])
    assert listed.exit_code == 0
    assert "Begin with: anfinsen learn 1" in listed.stdout
    refused = CliRunner().invoke(app, ["learn", "9"])
    assert isinstance(refused.exception, UsageError)
    assert str(refused.exception) == "There is no lesson 9. Choose one from 1 to 4."

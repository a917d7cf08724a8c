"""The narrator's sentences, word for word: each figure in them is one of the record."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from anfinsen.targets.base import UNKNOWN, Label, Number
from anfinsen.tasks import TASKS
from anfinsen.training.narrator import Narrator, backward, forward, heat, loss, step
from anfinsen.training.witness import Witness


def record(at: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "step": at,
        "steps": 400,
        "task": "localization",
        "heat": "hot",
        "loss": 1.17,
        "right": 0.312,
        "chance": 0.1,
        "learning_rate": 0.00003,
        "rate_share": 0.03,
        "gradient_norm": 0.8,
        "gradients": {"embed": 0.021, "block 1": 0.11, "block 2": 0.42, "heads": 0.3},
        "moving": 46_858,
        "weights": 2_779_000,
        "proteins": 27,
        "tokens": 8_167,
        "seconds": 0.5,
        "epoch": 0,
        **changes,
    }


def looked(at: int, train: float, valid: float, best: float, best_step: int, **changes: Any) -> dict[str, Any]:
    return record(at, loss=train, valid=valid, best=best, best_step=best_step, **changes)


def test_the_four_parts_of_a_step() -> None:
    assert forward(record()) == (
        "Forward: the network read 27 proteins (8,113 residues) and gave the right answer a probability of 0.31 on "
        "average; a blind guess gives it 0.10."
    )
    assert loss(record()) == (
        "Loss: 1.170. That is how surprised it was by the right answers: 0 is not at all, 2.303 is a blind guess."
    )
    assert backward(record()) == (
        "Backward: the error flowed back, and each weight that may move was told which way is less wrong. The pull was "
        "strongest at block 2 (0.420), weakest at the embedding (0.021)."
    )
    assert step(record()) == (
        "Step: 46,858 weights moved a little that way. The learning rate, the length of the stride, is 0.00003, 3 % of "
        "its full size."
    )


def test_a_number_is_told_in_its_unit() -> None:
    numbers = record(miss=7.42, naive=9.13, unit="°C", center=57.25)
    del numbers["right"], numbers["chance"]
    assert forward(numbers) == (
        "Forward: the network read 27 proteins (8,113 residues) and missed the true value by 7.4 °C on average; "
        "answering 57.2 °C every time would miss by 9.1."
    )
    shares = {**numbers, "miss": 0.043, "naive": 0.071, "unit": "", "center": 0.5}
    assert forward(shares).endswith("by 0.043 on average; answering 0.500 every time would miss by 0.071.")
    assert loss(numbers) == "Loss: 1.170. One figure for how wrong it was; less is better."


def test_a_cut_gradient_and_a_lonely_head_are_told() -> None:
    assert step(record(rate_share=1, learning_rate=0.001, gradient_norm=3.2, clipped=1.0)) == (
        "Step: 46,858 weights moved a little that way. The learning rate, the length of the stride, is 0.001, its full "
        "size. The pull was cut from 3.200 to 1.000, so that one odd batch cannot throw the network off."
    )
    assert backward(record(gradients={"heads": 0.8})) == (
        "Backward: the error flowed back, and each weight that may move was told which way is less wrong. Only the "
        "heads heard it, with a pull of 0.800."
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cold", "Heat: cold. The body of the network is frozen and only the heads learn: {} may move."),
        ("warm", "Heat: warm. Small adapters in the frozen body learn with the heads: {} may move."),
        ("hot", "Heat: hot. Every weight may move now: {}. It can fit best, and also forget most."),
        ("blazing", "Heat: blazing. One body learns several questions at once, and every weight may move: {}."),
    ],
)
def test_each_heat_is_told(name: str, sentence: str) -> None:
    assert heat(record(heat=name)) == sentence.format("46,858 of 2,779,000 weights (1.7 %)")


def test_it_speaks_at_the_first_step_and_then_seldom() -> None:
    narrator = Narrator()
    told = [narrator.tell(record(at)) for at in range(1, 401)]
    assert [sentence.split(":")[0] for sentence in told[0]] == ["Heat", "Forward", "Loss", "Backward", "Step"]
    spoken = [at for at, sentences in enumerate(told, 1) if sentences]
    assert spoken == [1, 45, 90, 135, 180, 225, 270, 315, 360]
    assert [sentence.split(":")[0] for sentence in told[44]] == ["Forward", "Loss"]
    assert [sentence.split(":")[0] for sentence in told[89]] == ["Backward", "Step"]


def test_a_look_says_whether_it_was_a_gain() -> None:
    narrator = Narrator()
    narrator.tell(record(1, start=2.31))
    assert narrator.tell(looked(50, 1.2, 1.842, 1.842, 50)) == [
        "Proteins it never trains on: the loss is 1.842, 0.468 below the best before: what it learns holds for "
        "proteins it has not met."
    ]
    assert narrator.tell(looked(100, 1.1, 1.9, 1.842, 50)) == [
        "Proteins it never trains on: the loss is 1.900; no gain, the best was 1.842 at step 50."
    ]


def test_over_fitting_is_named_once_until_there_is_a_gain() -> None:
    narrator = Narrator()
    narrator.tell(record(1, start=2.31))
    told = [
        narrator.tell(looked(at, train, valid, 1.51, 50))
        for at, train, valid in [(50, 1.2, 1.51), (100, 1.1, 1.55), (150, 0.98, 1.62), (200, 0.9, 1.7)]
    ]
    assert [len(sentences) for sentences in told] == [1, 1, 2, 1]
    assert told[2][1] == (
        "Over-fitting: on its own proteins the loss fell from 1.185 to 0.980, while on the others it rose from 1.510 "
        "to 1.620. It begins to learn its proteins by heart. Kept are the weights with the best loss on the others, "
        "1.510 at step 50."
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"stopped": "steps", "best": 1.51, "best_step": 300},
            "It stops here: all 400 steps are done. Kept are the weights of step 300, whose loss of 1.510 was the "
            "best on proteins it never trains on.",
        ),
        (
            {"stopped": "plateau", "plateau": {"looks": 3, "gain": 0.004, "whole": 0.612, "percent": 2.0}},
            "It stops here: the last 3 looks gained only 0.004 of the 0.612 gained in all, no more than 2 %: a "
            "plateau.",
        ),
        (
            {"stopped": "patience", "best": 2.31, "best_step": 0},
            "It stops here: proteins it never trains on have brought no gain for long enough. No step was better than "
            "the start, so the start is kept.",
        ),
    ],
)
def test_it_says_why_it_stopped(changes: dict[str, Any], sentence: str) -> None:
    narrator = Narrator()
    narrator.tell(record())
    assert narrator.tell(record(299, **changes)) == [sentence]


def test_the_second_round_is_told_once() -> None:
    narrator = Narrator()
    narrator.tell(record())
    round_two = "It has now read every protein of its table once, and begins again in another order."
    assert narrator.tell(record(7, epoch=1)) == [round_two]
    assert narrator.tell(record(8, epoch=1)) == narrator.tell(record(9, epoch=2)) == []


def test_the_witness_reads_probabilities_as_softmax_gives_them() -> None:
    outputs, truth = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [9.0, 0.0, 0.0]]), torch.tensor([0, 2, UNKNOWN])
    witness = Witness()
    witness.see(Label(("a", "b", "c")), outputs[:1], truth[:1])
    witness.see(Label(("a", "b", "c")), outputs[1:], truth[1:])
    expected = (torch.tensor([2.0, 0.0, 0.0]).softmax(0)[0] + 1 / 3) / 2
    assert witness.facts() == {"right": pytest.approx(float(expected)), "chance": pytest.approx(1 / 3)}


def test_the_witness_reads_numbers_in_their_unit() -> None:
    witness = Witness()
    truth = torch.tensor([1.0, -2.0, float("nan")])
    witness.see(Number("K", center=300.0, spread=10.0), torch.tensor([[0.5, 0.0], [-1.0, 0.0], [5.0, 0.0]]), truth)
    assert witness.facts() == {"miss": 7.5, "naive": 15.0, "unit": "K", "center": 300.0}


def test_the_witness_is_silent_where_nothing_is_known() -> None:
    witness = Witness()
    witness.see(TASKS["localization"].target, torch.zeros(1, 10), torch.tensor([UNKNOWN]))
    assert witness.facts() == {}

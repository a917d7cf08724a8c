"""Explanations against what is known beforehand: completeness, Captum's own delta, planted truths, real sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy
import pytest
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from anfinsen.data.batch import pack
from anfinsen.data.example import Example
from anfinsen.errors import BundleError, InputError, UsageError
from anfinsen.explain.attribution import attribute
from anfinsen.explain.counterfactual import substitutions
from anfinsen.explain.explanation import Explanation, explain
from anfinsen.explain.faithfulness import judge, ranked, shuffled
from anfinsen.explain.lens import Lens
from anfinsen.models.network import Network
from anfinsen.sets.catalog import Table
from anfinsen.structure.protein import Protein
from anfinsen.targets.base import Label, Number, Target, Tokens
from anfinsen.tasks.base import Task

SEQUENCE = "MKWVTFISLLFLFSSAYSRG"
EXAMPLE = Example(Protein("one", SEQUENCE))


def a_task(name: str, target: Target) -> Task:
    table = Table("none/none.parquet", splits={}, title="A table", source="a paper", licence="CC0")
    return Task(name, name.title(), "Which?", "Words.", target, table, ("accuracy",), lambda answer: "It is so.")


POOLED = a_task("pooled", Label(("a", "b", "c", "d")))
RESIDUE = a_task("residue", Tokens(("H", "E", "C"), ("helix", "strand", "coil")))


@pytest.fixture
def network(tiny_network: Network) -> Network:
    """Heads that were never trained say almost nothing; these are made loud, and blind to conditions."""
    from anfinsen.models.heads import make_head

    torch.manual_seed(3)
    tiny_network.heads["pooled"] = make_head("pooled", 32, 4)
    for name, weight in tiny_network.named_parameters():
        # the embedding stays faint: a norm makes all of a loud one's path pass in its first step
        if weight.ndim > 1 and "embed" not in name:
            nn.init.normal_(weight, std=0.15)
    return tiny_network.eval()


class Counting(nn.Module):
    """A head whose number is the mean of one channel over three residues, so that the truth is known."""

    def __init__(self, places: list[int]) -> None:
        super().__init__()
        self.places = places

    def forward(self, states: Tensor, lengths: list[int], conditions: Tensor) -> Tensor:
        chosen = states.unflatten(0, (len(lengths), lengths[0]))[:, self.places, 0].mean(1)
        return torch.stack((chosen, torch.zeros_like(chosen)), dim=1)


@pytest.fixture
def planted(network: Network) -> Lens:
    """A number that only residues 4, 9 and 15 can move: the encoder's blocks are made to pass everything through."""
    for block in network.body.encoder.blocks:
        for layer in (block.mix, block.narrow):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    network.heads["number"] = Counting([3, 8, 14])
    return Lens(network, a_task("number", Number("K", 0.0, 1.0)), EXAMPLE)


def test_the_lens_says_what_the_network_says(network: Network) -> None:
    tokens, lengths = pack([SEQUENCE])
    states, residues = network.states(tokens, lengths)
    for task in (POOLED, RESIDUE):
        lens = Lens(network, task, EXAMPLE)
        expected = network.ask(task.name, states, residues, torch.zeros(1, 0))
        both = lens.outputs(lens.embedded.repeat(2, 1, 1))
        assert torch.allclose(both[0], expected.reshape(both[0].shape), atol=1e-5)
        assert torch.allclose(both[0], both[1], atol=1e-6)
    lens = Lens(network, POOLED, EXAMPLE)
    shares = lens.outputs(lens.embedded)[0].detach().double().softmax(0)
    best = float(shares.max())
    assert float(lens.of(lens.embedded)) == pytest.approx(numpy.log(best / (1 - best)), rel=1e-3)


@pytest.mark.parametrize("task", [POOLED, RESIDUE], ids=lambda task: task.name)
def test_the_credits_sum_to_the_difference_and_the_gap_is_captums_delta(network: Network, task: Task) -> None:
    lens = Lens(network, task, EXAMPLE)
    found = attribute(lens, steps=200)
    assert found.value - found.hidden != pytest.approx(0.0, abs=1e-3)  # else there is nothing to credit
    assert found.gradients.sum() == pytest.approx(found.value - found.hidden, rel=0.02)
    assert found.gap == pytest.approx(found.gradients.sum() - (found.value - found.hidden), abs=1e-4)
    method = IntegratedGradients(lens)
    theirs = method.attribute(lens.embedded, baselines=lens.hidden, n_steps=200)
    delta = method.compute_convergence_delta(theirs, lens.hidden, lens.embedded)
    assert found.gap == pytest.approx(float(delta[0]), abs=1e-4)


def test_more_steps_close_the_gap(network: Network) -> None:
    lens = Lens(network, POOLED, EXAMPLE)
    few, many = (abs(attribute(lens, steps=steps).gap) for steps in (4, 256))
    assert many < few


def test_occlusion_is_the_loss_of_hiding_each_residue_alone(network: Network) -> None:
    lens = Lens(network, POOLED, EXAMPLE)
    credits = attribute(lens, steps=8).occlusion
    for place in (0, 7, len(SEQUENCE) - 1):
        chain = lens.embedded.clone()
        chain[0, place] = 0
        assert credits[place] == pytest.approx(float(lens.of(lens.embedded) - lens.of(chain)), abs=1e-4)


def test_only_the_residues_that_can_move_the_number_are_credited(planted: Lens) -> None:
    found = attribute(planted)
    for credits in (found.gradients, found.occlusion):
        assert set(numpy.flatnonzero(numpy.abs(credits) > 1e-5)) == {3, 8, 14}
    for one in substitutions(planted, tried=40):
        assert one.position in (4, 9, 15) or one.change == pytest.approx(0.0, abs=1e-5)


def test_a_planted_truth_is_faithful_and_its_opposite_is_not(planted: Lens) -> None:
    found = attribute(planted)
    noise = numpy.random.default_rng(0).standard_normal(len(SEQUENCE))
    views = {"truth": ranked(found.gradients), "lie": ranked(-found.gradients), "noise": ranked(noise)}
    faith = judge(planted.without, len(SEQUENCE), views, shuffled(len(SEQUENCE), 30))
    assert faith["truth"].is_faithful and faith["truth"].beaten == 30
    assert faith["lie"].score < faith["lie"].low and not faith["lie"].is_faithful
    assert not faith["noise"].is_faithful
    assert faith["truth"].low < 0 < faith["truth"].high
    for curve, first, last in (
        (faith["truth"].deletion, "value", "hidden"),
        (faith["truth"].insertion, "hidden", "value"),
    ):
        assert curve[[0, -1]] == pytest.approx([getattr(found, first), getattr(found, last)], abs=1e-5)


def test_every_substitution_is_the_networks_answer_to_the_real_sequence(network: Network) -> None:
    lens = Lens(network, POOLED, EXAMPLE)
    found = substitutions(lens, tried=30)
    assert len(found) == 30 and [one.change for one in found] == sorted((one.change for one in found), reverse=True)
    for one in (found[0], found[-1]):
        sequence = SEQUENCE[: one.position - 1] + one.mutant + SEQUENCE[one.position :]
        other = Lens(network, POOLED, Example(Protein("other", sequence)))
        other.asked = lens.asked  # the same class, even if another one is answered now
        assert float(other.of(other.embedded)) == pytest.approx(one.value, abs=1e-4)
        assert one.change == pytest.approx(one.value - float(lens.of(lens.embedded)), abs=1e-5)


def test_gradients_find_the_strongest_substitutions(network: Network) -> None:
    lens = Lens(network, POOLED, EXAMPLE)
    everything = substitutions(lens, tried=19 * len(SEQUENCE))
    assert len(everything) == 19 * len(SEQUENCE)
    best = substitutions(lens, tried=120)[0]
    assert best.change >= sorted(one.change for one in everything)[-10]


def test_a_doubtful_picture_is_called_doubtful(network: Network) -> None:
    one = explain(network, POOLED, EXAMPLE)

    def told(one: Explanation) -> str:
        return " ".join(one.sentences())

    doubted = {name: replace(faith, score=faith.low) for name, faith in one.faithfulness.items()}
    assert "Do not read the colours" in told(replace(one, faithfulness=doubted))
    trusted = {name: replace(faith, score=faith.high + 1) for name, faith in one.faithfulness.items()}
    assert "It leans most on " in told(replace(one, faithfulness=trusted))
    assert "Of 380 substitutions 120 were tried; these raise it most: " in told(one)


def test_one_residues_answer_can_be_asked_about(network: Network) -> None:
    lens = Lens(network, RESIDUE, EXAMPLE, residue=5)
    outputs = lens.outputs(lens.embedded)[0, 4].detach().double()
    best = outputs.softmax(0).max()
    assert float(lens.of(lens.embedded)) == pytest.approx(float((best / (1 - best)).log()), rel=1e-4)
    assert lens.asked.words.endswith("at residue T5")


@pytest.mark.parametrize(
    ("task", "residue", "length", "error", "sentence"),
    [
        (RESIDUE, 21, 20, UsageError, "There is no residue 21. Give one from 1 to 20 with --residue."),
        (POOLED, 3, 20, UsageError, "'pooled' has one answer for the whole protein. Leave --residue out."),
        (
            POOLED,
            None,
            1100,
            InputError,
            "one: With 1,100 residues it is longer than the 1,024 that are read at once. "
            "Give the domain that you ask about.",
        ),
    ],
)
def test_what_cannot_be_explained_is_refused_with_the_reason(
    network: Network, task: Task, residue: int | None, length: int, error: type[Exception], sentence: str
) -> None:
    example = Example(Protein("one", (SEQUENCE * 60)[:length]))
    with pytest.raises(error) as told:
        Lens(network, task, example, residue=residue)
    assert str(told.value) == sentence


def test_a_foreign_body_is_refused(network: Network) -> None:
    class Foreign(nn.Module):
        dim, longest = 32, 1024

    with pytest.raises(BundleError, match="Only answers of our own encoder can be explained"):
        Lens(Network(Foreign(), {}), POOLED, EXAMPLE)

"""Adapters begin as nothing, end inside the weights, and a training with them is resumed like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anfinsen.data.batch import Stream
from anfinsen.data.example import Example
from anfinsen.models.adapters import PRODUCTS, AdapterConfig, adapted, is_adapted, merged
from anfinsen.models.network import Network
from anfinsen.structure.protein import Protein
from anfinsen.tasks import TASKS
from anfinsen.training.engine import Course, TrainConfig, Trainer

TOKENS = torch.tensor([0, 5, 6, 7, 8, 9, 2, 0, 10, 11, 12, 2])
LENGTHS = [7, 5]


def learnt(body: torch.nn.Module) -> torch.nn.Module:
    """The body with adapters that have moved far."""
    torch.manual_seed(2)
    body = adapted(body, AdapterConfig(dim=4, alpha=8)).eval()
    for name, weight in body.named_parameters():
        if "lora" in name:
            torch.nn.init.normal_(weight, std=0.2)
    return body


def test_new_adapters_change_nothing_and_only_they_learn(tiny_network: Network) -> None:
    body = tiny_network.body
    before = body.residues(TOKENS, LENGTHS)[0]
    body = adapted(body, AdapterConfig(dim=4)).eval()
    assert torch.equal(body.residues(TOKENS, LENGTHS)[0], before)
    moving = [name for name, weight in body.named_parameters() if weight.requires_grad]
    assert len(moving) == 2 * 2 * len(PRODUCTS)  # two blocks, two matrices a product
    assert all("lora" in name for name in moving)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_merged_weights_answer_as_the_adapters_did(tiny_network: Network, dtype: torch.dtype, tolerance: float) -> None:
    body = tiny_network.body
    names, plain = list(body.state_dict()), body.residues(TOKENS, LENGTHS)[0]
    body = learnt(body).to(dtype)
    apart = body.residues(TOKENS, LENGTHS)[0]
    body = merged(body)
    together = body.residues(TOKENS, LENGTHS)[0]
    assert (apart - plain).abs().max() > 0.1
    assert (together - apart).abs().max() < tolerance
    assert list(body.state_dict()) == names
    assert not is_adapted(body)
    assert all(type(module) is not type(None) and "peft" not in type(module).__module__ for module in body.modules())
    assert all(weight.requires_grad for weight in body.parameters())
    assert torch.equal(merged(body).residues(TOKENS, LENGTHS)[0], together)  # merging again does nothing


def test_a_resumed_training_of_adapters_equals_an_unbroken_one(tmp_path: Path, tiny_network: Network) -> None:
    places = TASKS["localization"].target.labels
    letters = "ACDEFGHIKLMNPQRSTVWY"
    examples = [Example(Protein(f"p{i}", letters[i:] + letters[:i]), places[i % 4]) for i in range(12)]
    start = {name: weight.clone() for name, weight in tiny_network.state_dict().items()}

    def make(folder: Path) -> Trainer:
        torch.manual_seed(4)
        shapes = {"localization": TASKS["localization"].shape}
        network = Network(tiny_network.body, shapes)
        torch.nn.Module.load_state_dict(network, start, strict=False)
        network.body = adapted(network.body, AdapterConfig(dim=2, dropout=0.3))
        config = TrainConfig(steps=6, tokens=100, warmup=1, learning_rate=0.01, save_every=2)
        return Trainer(network, [Course(TASKS["localization"], Stream(examples, budget=100, seed=3))], config, folder)

    def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
        trainer.fit()
        body = merged(trainer.network.body)  # type: ignore[arg-type]
        return {name: weight.clone() for name, weight in body.state_dict().items()}

    whole = weights(make(tmp_path / "whole"))
    broken = make(tmp_path / "broken")
    broken.network.train()
    for _ in range(3):
        broken.train_step()
    broken.save()
    merged(broken.network.body)  # type: ignore[arg-type]
    resumed = make(tmp_path / "broken")
    again = weights(resumed)
    assert all(torch.equal(weight, again[name]) for name, weight in whole.items())
    changed = {name for name, weight in whole.items() if not torch.equal(weight, start[f"body.{name}"])}
    assert changed == {f"encoder.blocks.{block}.{product}.weight" for block in (0, 1) for product in PRODUCTS}

"""Adapters on somebody else's body: every family learns, the public weights rest, and a reloaded body says the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, EsmConfig, EsmModel, T5Config, T5EncoderModel

from anfinsen.errors import BundleError, ConfigError
from anfinsen.hub.body import body_hash
from anfinsen.models.adapters import AdapterConfig, adapted, corrected, corrections, is_adapted, merged
from anfinsen.models.backbones import PublicBody

TOKENS = torch.tensor([0, 5, 6, 7, 8, 9, 2, 0, 10, 11, 12, 2])
LENGTHS = [7, 5]
SMALL = {"vocab_size": 33, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
T5 = {"vocab_size": 33, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
BODIES: dict[str, Callable[[], nn.Module]] = {
    "ProtBERT": lambda: BertModel(BertConfig(**SMALL), add_pooling_layer=False),
    "ProtT5": lambda: T5EncoderModel(T5Config(**T5)),
    "gated T5": lambda: T5EncoderModel(T5Config(**T5, feed_forward_proj="gated-gelu")),
    "ESM-1b": lambda: EsmModel(EsmConfig(**SMALL, pad_token_id=1, mask_token_id=32), add_pooling_layer=False),
}


def public(family: str) -> PublicBody:
    """A body of a family with random weights, the same ones each time."""
    torch.manual_seed(3)
    begins = "T5" not in family
    return PublicBody(
        BODIES[family]().eval(), torch.arange(33), name=family, dim=16, longest=100, begins=begins, pad=1
    ).eval()


@pytest.mark.parametrize("family", BODIES)
def test_what_a_public_body_learns_stays_beside_its_weights(family: str) -> None:
    body = public(family)
    plain = body.residues(TOKENS, LENGTHS)[0].detach()
    weights = {name: weight.clone() for name, weight in body.state_dict().items()}
    body = adapted(body, AdapterConfig(dim=2, alpha=4)).eval()
    assert torch.allclose(body.residues(TOKENS, LENGTHS)[0], plain, atol=1e-5)
    moving = {name for name, weight in body.named_parameters() if weight.requires_grad}
    assert moving and all("lora" in name for name in moving)
    body.residues(TOKENS, LENGTHS)[0].square().sum().backward()
    assert all(weight.grad is not None for name, weight in body.named_parameters() if "lora_B" in name)
    for name, weight in body.named_parameters():
        if "lora" in name:
            torch.nn.init.normal_(weight, std=0.2)
    apart = body.residues(TOKENS, LENGTHS)[0].detach()
    body = merged(body)
    assert not is_adapted(body)
    together = body.residues(TOKENS, LENGTHS)[0].detach()  # type: ignore[operator]
    assert (apart - plain).abs().max() > 0.05
    assert (together - apart).abs().max() < 0.01  # rounded to what half precision holds

    again = corrected(public(family), corrections(body))
    assert torch.equal(again.residues(TOKENS, LENGTHS)[0], together)  # type: ignore[operator]
    assert body_hash(again) == body_hash(body)
    kept = {name.replace("product.", ""): weight for name, weight in body.state_dict().items()}
    assert all(torch.equal(kept[name], weight) for name, weight in weights.items())
    with pytest.raises(ConfigError, match="has learnt corrections already"):
        adapted(body, AdapterConfig())


def test_corrections_of_another_body_are_refused() -> None:
    learnt = merged(adapted(public("ProtBERT"), AdapterConfig(dim=2)))
    with pytest.raises(BundleError, match="do not fit its backbone"):
        corrected(public("ProtT5"), corrections(learnt))

"""A grown encoder says what the small one said, and can learn in its new parts; Muon is PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from anfinsen.errors import ConfigError
from anfinsen.models.encoder import Encoder, EncoderConfig
from anfinsen.models.growth import grown
from anfinsen.training.optim import Muon, orthogonal

SMALL = EncoderConfig(layers=2, dim=32, heads=2, inner_dim=64)
LARGE = EncoderConfig(layers=3, dim=80, heads=5, inner_dim=160)
TOKENS = torch.tensor([0, 5, 6, 32, 9, 2, 0, 7, 8, 2])
LENGTHS = [6, 4]


def trained_a_little(config: EncoderConfig) -> Encoder:
    """Weights that are not the tidy ones of an initialisation: nothing is centred, no bias is zero."""
    torch.manual_seed(3)
    encoder = Encoder(config)
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            weight.add_(torch.randn_like(weight) * (0.1 if "embed" not in name else 1.0) + 0.05)
        encoder.embed.weight[config.pad_token].zero_()
    return encoder


def test_the_states_are_the_same_and_the_new_channels_are_silent() -> None:
    small = trained_a_little(SMALL)
    large = grown(small, LARGE)
    before, after = small(TOKENS, LENGTHS), large(TOKENS, LENGTHS)
    torch.testing.assert_close(after[:, :32], before, rtol=1e-3, atol=1e-3)
    assert float(after[:, 32:].detach().abs().max()) < 1e-5


def test_every_new_part_is_reached_by_the_gradient() -> None:
    large = grown(trained_a_little(SMALL), LARGE)
    optimizer = torch.optim.SGD(large.parameters(), lr=0.1)
    for _ in range(3):
        large(TOKENS, LENGTHS).pow(3).sum().backward()
        nn.utils.clip_grad_norm_(large.parameters(), 1.0)
        optimizer.step()
        gradients = {name: weight.grad.clone() for name, weight in large.named_parameters() if weight.grad is not None}
        optimizer.zero_grad()
    assert gradients["embed.weight"][5, 32:].abs().min() > 0
    for block in range(3):
        for name in ("qkv", "mix", "widen", "narrow"):
            gradient = gradients[f"blocks.{block}.{name}.weight"]
            assert gradient[-1, -1] != 0, (block, name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"layers": 1}, "A model can grow, not shrink: layers is 2 and would become 1."),
        ({"heads": 4}, "The heads are 16 wide and would become 20 wide."),
        ({"mask_token": 31}, "mask_token cannot change when a model grows."),
    ],
)
def test_what_is_no_growth_is_refused(change: dict[str, int], sentence: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        grown(Encoder(SMALL), LARGE.replaced(**change))
    assert sentence in str(refusal.value)


def test_muon_moves_weights_as_pytorch_does() -> None:
    torch.manual_seed(0)
    shapes = [(24, 8), (8, 8), (24, 8), (8, 32)]
    ours = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [nn.Parameter(weight.detach().clone()) for weight in ours]
    optimizers = [
        Muon(ours, lr=1e-2, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        # theirs reckons in bf16, three digits of an update of about 0.01
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)
        assert (one - other).abs().mean() < 2e-4


def test_orthogonal_keeps_directions_and_evens_lengths() -> None:
    matrices = torch.randn(3, 12, 20, generator=torch.Generator().manual_seed(1))
    product = orthogonal(matrices)
    lengths = torch.linalg.svdvals(product)
    assert float(lengths.min()) > 0.6 and float(lengths.max()) < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    ideal = left @ right
    assert float(nn.functional.cosine_similarity(product.flatten(1), ideal.flatten(1)).min()) > 0.97

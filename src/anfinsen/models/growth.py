"""Growing an encoder: a wider or deeper one that begins by computing exactly what the small one computes.

What a small model has learnt is not thrown away when a larger one is wanted (Chen et al. 2016, arXiv 1511.05641;
Chen et al. 2022, arXiv 2110.07143). Three moves, none of which changes an output:

- New channels of the residual path begin at zero: nothing writes into them yet, but every layer already reads
  them with random weights, so the first gradients tell the writers what to write.
- New heads and new inner channels compute something random that is not yet used: their outgoing weights are zero.
- New blocks at the end add nothing at first: both of their outgoing products are zero.

A LayerNorm over more channels, some of them zero, would see another mean and another spread. The mean is taken
out beforehand (what all channels share is invisible behind a LayerNorm, so writers may be centred), and the
spread is one known factor, sqrt(old width / new width), which goes into the norm's weight.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from anfinsen.errors import ConfigError
from anfinsen.models.encoder import Block, Encoder, EncoderConfig


def grown(encoder: Encoder, config: EncoderConfig) -> Encoder:
    """A new encoder of shape `config` whose states begin with those of `encoder`, and go on with zeros.

    Heads keep their width: more of them, not wider ones. Raises ConfigError where a new size is smaller.

    >>> shape = EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32, norm_eps=1e-12)
    >>> small = Encoder(shape)
    >>> large = grown(small, shape.replaced(layers=2, dim=32, heads=4, inner_dim=64))
    >>> tokens = torch.tensor([0, 5, 6, 2])
    >>> torch.allclose(large(tokens, [4])[:, :16], small(tokens, [4]), atol=1e-4)
    True
    """
    _refuse_smaller(encoder.config, config)
    large = Encoder(config)
    with torch.no_grad():
        _grow_embedding(encoder, large)
        for number, block in enumerate(large.blocks):
            _silence(cast(Block, block))
            if number < len(encoder.blocks):
                _grow_block(cast(Block, encoder.blocks[number]), cast(Block, block))
        _grow_norm(encoder.last_norm, large.last_norm)
    return large


def refuse_other_heads(old: EncoderConfig, new: EncoderConfig) -> None:
    """Heads of another width would hold nothing of what those of `old` have learnt."""
    width = old.dim // old.heads
    if old.dim * new.heads != new.dim * old.heads:
        raise ConfigError(
            f"The heads are {width} wide and would become {new.dim // new.heads} wide.",
            remedy=f"Keep them {width} wide: give a dim that is a multiple of it, and dim / {width} heads.",
        )


def _refuse_smaller(small: EncoderConfig, large: EncoderConfig) -> None:
    for name in ("layers", "dim", "heads", "inner_dim", "longest"):
        if getattr(large, name) < getattr(small, name):
            raise ConfigError(
                f"A model can grow, not shrink: {name} is {getattr(small, name)} and would become "
                f"{getattr(large, name)}.",
                remedy=f"Give {name} of {getattr(small, name)} or more, or distil the model into a smaller one.",
            )
    refuse_other_heads(small, large)
    for name in ("vocabulary", "norm_first", "mask_token", "pad_token", "token_dropout"):
        if getattr(large, name) != getattr(small, name):
            raise ConfigError(f"{name} cannot change when a model grows.", remedy="Leave it as it was.")
    if small.norm_first:
        raise ConfigError("A model that normalises its embeddings cannot grow.", remedy="Train a new one.")


def _silence(block: Block) -> None:
    """Nothing that this block computes is used, and nothing is written into new channels."""
    for linear in (block.mix, block.narrow):
        linear.weight.zero_()
        linear.bias.zero_()


def _grow_embedding(small: Encoder, large: Encoder) -> None:
    old = small.embed.weight
    large.embed.weight.zero_()
    # the zeros of <pad> stay zeros
    large.embed.weight[:, : old.shape[1]] = (old - old.mean(1, keepdim=True)) * (old != 0).any(1, keepdim=True)


def _grow_block(small: Block, large: Block) -> None:
    old, inner = small.mix.weight.shape[0], small.narrow.weight.shape[1]
    _grow_norm(small.attention_norm, large.attention_norm)
    _grow_norm(small.feed_norm, large.feed_norm)
    # qkv is three stacked products, each with its heads one after another
    for part, new in zip(small.qkv.weight.chunk(3), large.qkv.weight.chunk(3), strict=True):
        new[:old, :old] = part
    for part, new in zip(small.qkv.bias.chunk(3), large.qkv.bias.chunk(3), strict=True):
        new[:old] = part
    large.widen.weight[:inner, :old] = small.widen.weight
    large.widen.bias[:inner] = small.widen.bias
    for linear, target, reads in ((small.mix, large.mix, old), (small.narrow, large.narrow, inner)):
        target.weight[:old, :reads] = _centred(linear.weight)
        target.bias[:old] = _centred(linear.bias)


def _grow_norm(small: nn.LayerNorm, large: nn.LayerNorm) -> None:
    old, new = small.weight.shape[0], large.weight.shape[0]
    large.weight[:old] = small.weight * math.sqrt(old / new)
    large.bias[:old] = small.bias


def _centred(outputs: Tensor) -> Tensor:
    """What all channels share taken out of a product's outputs, (out, ...)."""
    return outputs - outputs.mean(0, keepdim=True)

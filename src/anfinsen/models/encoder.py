"""The encoder: ESM-2's architecture, computed on a packed row without a single padding token.

    tokens (T,) -> embed -> [ norm -> attention -> + -> norm -> feed-forward -> + ] x layers -> norm -> states (T, C)

What differs from a textbook transformer, and why:
- Packed: a batch is one row of T = L1 + L2 + ... tokens and the list of lengths. No token is wasted, and
  every linear layer is one large matrix product.
- Pre-norm: each block normalises its input, so the residual path runs free from embedding to output.
- Rotary positions: no learnt position table, hence no longest input except the one it was trained on.
- Query, key and value are one product (`qkv`), three weights in the public layout (see `public`).
- Token dropout: a masked residue enters as zero and the rest is rescaled by the share seen in training,
  as ESM-2 does (Lin et al. 2023, Science 379:1123).
Weights fit `transformers`' EsmModel in both directions. It knows no file, no task and no device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from anfinsen.config import Config
from anfinsen.models.attention import RotaryPrecision, attend, attention_maps, rotary_turns, rotate

TRAINING_MASK_SHARE = 0.15 * 0.8
"""The share of tokens that ESM-2 replaced by <mask> in its own pre-training."""


class EncoderConfig(Config):
    """The shape of an encoder."""

    layers: int = Field(6, ge=1)
    """Number of blocks."""
    dim: int = Field(256, ge=2)
    """Width of a state vector, C."""
    heads: int = Field(8, ge=1)
    """Attention heads; each is dim / heads wide."""
    inner_dim: int = Field(1024, ge=1)
    """Width inside the feed-forward layer."""
    vocabulary: int = Field(33, ge=5)
    """Number of tokens, special ones included."""
    longest: int = Field(1026, ge=12)
    """Most tokens in one window (residues + 2); longer proteins are read in overlapping windows."""
    norm_eps: float = 1e-5
    """Added to the variance in each LayerNorm."""
    token_dropout: bool = True
    """Whether masked residues enter as zero, as in ESM-2."""
    norm_first: bool = False
    """Whether embeddings are normalised before the first block (ESM-1b did, ESM-2 does not)."""
    mask_token: int = 32
    """Number of the <mask> token."""
    pad_token: int = 1
    """Number of the <pad> token, whose embedding stays zero."""
    rotary_precision: RotaryPrecision = "fp32"
    """How the rotary frequencies are rounded; ESM-2's own checkpoints were trained with half-precision ones."""

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim {self.dim} is not an even multiple of heads {self.heads}")
        if not 0 <= self.pad_token < self.vocabulary:
            raise ValueError(f"pad_token {self.pad_token} is none of the {self.vocabulary} tokens")
        return self


class Block(nn.Module):
    """One pre-norm transformer block: (T, C) -> (T, C)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.scale = (config.dim // config.heads) ** -0.5
        self.attention_norm = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.mix = nn.Linear(config.dim, config.dim)
        self.feed_norm = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.widen = nn.Linear(config.dim, config.inner_dim)
        self.narrow = nn.Linear(config.inner_dim, config.dim)

    def forward(self, states: Tensor, lengths: Sequence[int], turns: Tensor) -> Tensor:
        query, key, value = self.project(states, turns)
        attended = attend(query, key, value, lengths, self.scale)
        states = states + self.mix(attended.flatten(1))
        fed: Tensor = self.narrow(functional.gelu(self.widen(self.feed_norm(states))))
        return states + fed

    def project(self, states: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, turned to their places, and values, each (T, H, C / H)."""
        mixed = self.qkv(self.attention_norm(states))
        query, key, value = mixed.unflatten(-1, (3, self.heads, -1)).unbind(1)
        return rotate(query, turns), rotate(key, turns), value


class Encoder(nn.Module):
    """A masked language model's body: tokens of a packed row to states.

    >>> encoder = Encoder(EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32))
    >>> encoder(torch.tensor([0, 5, 6, 2, 0, 7, 2]), [4, 3]).shape
    torch.Size([7, 16])
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocabulary, config.dim, padding_idx=config.pad_token)
        self.first_norm = nn.LayerNorm(config.dim, eps=config.norm_eps) if config.norm_first else nn.Identity()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.last_norm = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.apply(_initialise)

    def forward(self, tokens: Tensor, lengths: Sequence[int]) -> Tensor:
        """States after the last norm: tokens (T,) with T = sum(lengths) -> (T, C)."""
        states: Tensor = self.last_norm(self.layers(tokens, lengths)[-1])
        return states

    def layers(self, tokens: Tensor, lengths: Sequence[int]) -> list[Tensor]:
        """The embedding and the output of each block before the last norm: layers + 1 tensors (T, C)."""
        turns = self._turns(lengths, tokens.device)
        states = [self._embed(tokens, lengths)]
        for block in self.blocks:
            states.append(block(states[-1], lengths, turns))
        return states

    def attentions(self, tokens: Tensor, lengths: Sequence[int]) -> list[Tensor]:
        """Attention probabilities of every layer and head, one (layers * H, L, L) a sequence."""
        return self.with_attentions(tokens, lengths)[1]

    def with_attentions(self, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """States after the last norm, (T, C), and the attention probabilities, from one pass."""
        turns = self._turns(lengths, tokens.device)
        layers = self.layers(tokens, lengths)
        maps: list[list[Tensor]] = [[] for _ in lengths]
        for block, states in zip(self.blocks, layers, strict=False):
            query, key, _ = cast(Block, block).project(states, turns)
            for sequence, one in zip(maps, attention_maps(query, key, lengths, cast(Block, block).scale), strict=True):
                sequence.append(one)
        return self.last_norm(layers[-1]), [torch.cat(layers) for layers in maps]

    def _embed(self, tokens: Tensor, lengths: Sequence[int]) -> Tensor:
        states = self.embed(tokens)
        if self.config.token_dropout:
            is_masked = tokens == self.config.mask_token
            states = states.masked_fill(is_masked[:, None], 0.0)
            seen = torch.stack([1 - part.float().mean() for part in is_masked.split(list(lengths))])
            rescale = (1 - TRAINING_MASK_SHARE) / seen.clamp(min=1e-3)
            states = states * rescale.repeat_interleave(torch.tensor(lengths, device=tokens.device))[:, None]
        return cast(Tensor, self.first_norm(states))

    def _turns(self, lengths: Sequence[int], device: torch.device) -> Tensor:
        return rotary_turns(lengths, self.config.dim // self.config.heads, device, self.config.rotary_precision)


def _initialise(module: nn.Module) -> None:
    """Weights normal(0, 0.02), biases zero, norms one: the initialisation of ESM-2 in `transformers`."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        elif module.padding_idx is not None:
            with torch.no_grad():
                module.weight[module.padding_idx].zero_()

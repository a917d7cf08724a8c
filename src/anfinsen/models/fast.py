"""The encoder's form for inference on a CPU: the same answers, several times as fast, made once from an `Encoder`.

    row of sequences -> tiles of whole sequences -> each tile through all blocks, one core a tile -> states (T, C)

Where the time went, and what is different here (the figures stand in docs/LOG.md):
- A tile is so small that what a block holds of it stays in a core's cache; a whole row of some thousand tokens is
  written to memory and read back between any two layers, and every such piece of memory is asked from the system.
- Each core has a tile of its own. Nobody waits for anybody after every product, as threads that share one do.
- Products by the library that is the fastest here, GELU and the residual addition joined to them (see `product`).
- The rows of the query and key weights are reordered once, so that the two channels of a rotary pair stand side by
  side and turning all of them in place is one complex product.
- The embedding is scaled once by what ESM-2's token dropout multiplies every unmasked sequence with.
- A large tile is filled up to a round number of tokens. The library prepares and keeps a program for every number that
  it meets: without that, 256 proteins took 300 MB more.
In bf16 the products take and give bf16; the residual path, the norms and the turns stay in fp32.
It computes no gradients. Its weights are copies: whoever trains the encoder on makes a new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from anfinsen import runtime
from anfinsen.models.attention import attend, rotary_turns
from anfinsen.models.encoder import TRAINING_MASK_SHARE, Block, Encoder, EncoderConfig
from anfinsen.models.network import NativeBody, Network, residue_places
from anfinsen.models.product import InferencePrecision, Product, choose

TILE_BYTES = 2_621_440
"""What the widest layer makes of one tile, in bytes of fp32: about a core's second-level cache."""
SMALLEST = 64
"""Tokens below which a row is not cut further to feed more cores."""
GRAIN = 32
"""A tile of at least eight times so many tokens is filled up to a multiple of it."""


class FastEncoder:
    """An encoder for inference: called as the `Encoder` it was made from.

    >>> encoder = Encoder(EncoderConfig(layers=1, dim=16, heads=2, inner_dim=32))
    >>> tokens = torch.tensor([0, 5, 6, 2, 0, 7, 2])
    >>> torch.allclose(FastEncoder(encoder)(tokens, [4, 3]), encoder(tokens, [4, 3]), atol=1e-5)
    True
    """

    @torch.no_grad()
    def __init__(self, encoder: Encoder, precision: InferencePrecision = "fp32") -> None:
        self.config = encoder.config
        self._first_norm, self._last_norm = encoder.first_norm, encoder.last_norm
        self._embedding = encoder.embed.weight.detach().clone()
        if self.config.token_dropout:
            self._embedding[self.config.mask_token] = 0.0
            self._embedding *= 1 - TRAINING_MASK_SHARE
        self._blocks = [_FastBlock(cast(Block, block), self.config, precision) for block in encoder.blocks]
        self._turns = self._turns_up_to(self.config.longest)

    @torch.no_grad()
    def __call__(self, tokens: Tensor, lengths: Sequence[int], layer: int | None = None) -> Tensor:
        """States after the last norm, or after `layer` blocks before it: tokens (T,) -> (T, C)."""
        longest = max(lengths, default=0)
        if longest > len(self._turns):
            self._turns = self._turns_up_to(longest)
        parts = list(tiles(lengths, self._tile_tokens(sum(lengths))))
        rows = tokens.split([sum(part) for part in parts])
        count = len(self._blocks) if layer is None else layer

        def read(work: tuple[Tensor, Sequence[int]]) -> Tensor:
            states = self._read(*work, count)
            return self._last_norm(states) if layer is None else states

        # rows are sorted by length, and the longest sequences cost most: they go first, so that all cores end together
        read_back = runtime.in_parallel(read, list(zip(rows, parts, strict=True))[::-1])
        return torch.cat(read_back[::-1])

    def _read(self, tokens: Tensor, lengths: Sequence[int], blocks: int) -> Tensor:
        count = len(tokens)
        if count >= 8 * GRAIN and (missing := -count % GRAIN):
            # one more sequence, of a token that stands for nothing; no other sequence sees it
            tokens = torch.cat((tokens, tokens.new_full((missing,), self.config.pad_token)))
            lengths = [*lengths, missing]
        states = self._embed(tokens, lengths)
        turns = torch.cat([self._turns[:length] for length in lengths])
        for block in self._blocks[:blocks]:
            states = block(states, lengths, turns)
        return states[:count]

    def _embed(self, tokens: Tensor, lengths: Sequence[int]) -> Tensor:
        states = self._embedding[tokens]
        masked = tokens == self.config.mask_token
        if self.config.token_dropout and bool(masked.any()):
            seen = torch.stack([1 - part.float().mean() for part in masked.split(list(lengths))]).clamp(min=1e-3)
            states /= seen.repeat_interleave(torch.tensor(lengths))[:, None]
        return cast(Tensor, self._first_norm(states))

    def _turns_up_to(self, length: int) -> Tensor:
        width = self.config.dim // self.config.heads
        return rotary_turns([length], width, torch.device("cpu"), self.config.rotary_precision)

    def _tile_tokens(self, total: int) -> int:
        """Tokens of a tile: what fits the cache, in equal parts, and at least one for each core."""
        fitting = max(SMALLEST, TILE_BYTES // (4 * max(self.config.inner_dim, 3 * self.config.dim)))
        cores = runtime.threads()
        rounds = max(1, round(total / (fitting * cores)))
        return max(SMALLEST, -(-total // (cores * rounds)))


class FastBody(nn.Module):
    """Our own encoder as a backbone for inference; where gradients or an accelerator are asked, the body it wraps."""

    def __init__(self, body: NativeBody, precision: InferencePrecision = "fp32") -> None:
        super().__init__()
        self.body = body
        self.dim = body.dim
        self.longest = body.longest
        self._precision = precision
        self._fast = FastEncoder(cast(Encoder, body.encoder), precision)

    @property
    def maps(self) -> int:
        """How many attention maps the body has."""
        return self.body.maps

    def with_maps(self, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int], list[Tensor]]:
        """States with attention maps, from the body itself: what is fast here never writes its maps down."""
        return self.body.with_maps(tokens, lengths)

    def __deepcopy__(self, memo: dict[int, Any]) -> FastBody:
        """Made anew from a copy of the body: the library's prepared weights cannot be copied."""
        return FastBody(deepcopy(self.body, memo), self._precision)

    def residues(self, tokens: Tensor, lengths: Sequence[int], layer: int | None = None) -> tuple[Tensor, list[int]]:
        """Residue states (R, C) and lengths; of the last layer after its norm, or after `layer` blocks."""
        if torch.is_grad_enabled() or tokens.device.type != "cpu":
            return self.body.residues(tokens, lengths, layer)
        states = self._fast(tokens, lengths, layer)
        return states[residue_places(lengths)], [length - 2 for length in lengths]


def quick(body: nn.Module, precision: InferencePrecision = "fp32") -> nn.Module:
    """A body in the form for inference on a CPU; another kind of body, and one on an accelerator, stays as it is."""
    on_cpu = all(weight.device.type == "cpu" for weight in body.parameters())
    if not (on_cpu and type(body) is NativeBody and _is_plain(body.encoder)):
        return body
    return FastBody(body, precision)


def quicken(network: Network, precision: InferencePrecision = "fp32") -> Network:
    """The network with its body in the form for inference where there is one; heads and weights are shared."""
    body = quick(network.body, precision)
    if body is network.body:
        return network
    fast = Network(body, {})
    fast.heads, fast.shapes, fast.listeners = network.heads, network.shapes, network.listeners
    return fast.train(network.training)


def tiles(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Neighbours of about `size` tokens together; a longer sequence is a tile of its own.

    >>> list(tiles([10, 10, 10, 50, 10], 24))
    [[10, 10], [10], [50], [10]]
    """
    tile: list[int] = []
    for length in lengths:
        if tile and sum(tile) + length > size:
            yield tile
            tile = []
        tile.append(length)
    if tile:
        yield tile


class _FastBlock:
    """One block: (T, C) -> (T, C), the states it is given being used up."""

    def __init__(self, block: Block, config: EncoderConfig, precision: InferencePrecision) -> None:
        self._heads = block.heads
        self._attention_norm, self._feed_norm = block.attention_norm, block.feed_norm
        way = choose(config.inner_dim, config.dim, precision)
        self._dtype = way.dtype
        self._qkv = Product(*_paired(block), way)
        self._mix, self._widen, self._narrow = (
            Product(linear.weight, linear.bias, way) for linear in (block.mix, block.widen, block.narrow)
        )

    def __call__(self, states: Tensor, lengths: Sequence[int], turns: Tensor) -> Tensor:
        mixed = self._qkv(self._attention_norm(states).to(self._dtype)).float()
        mixed = mixed.unflatten(-1, (3, self._heads, -1))  # (T, 3, H, C / H)
        pairs = mixed[:, :2].unflatten(-1, (-1, 2))
        torch.view_as_complex(pairs).mul_(turns[:, None])
        query, key, value = mixed.unbind(1)
        attended = attend(query, key, value, lengths, scale=1.0).flatten(1)
        states = self._mix.onto(states, attended.to(self._dtype))
        wide = self._widen.gelu(self._feed_norm(states).to(self._dtype))
        return self._narrow.onto(states, wide)


def _paired(block: Block) -> tuple[Tensor, Tensor]:
    """Weights and bias of query, key and value: rotary pairs side by side, the queries scaled beforehand."""
    weight, bias = block.qkv.weight.detach(), block.qkv.bias.detach()
    width = weight.shape[1] // block.heads
    order = torch.arange(width).view(2, -1).t().flatten()  # 0, width / 2, 1, width / 2 + 1, ...
    rows = torch.arange(len(weight)).view(3, block.heads, width)
    rows[:2] = rows[:2, :, order]
    scale = torch.ones(len(weight))
    scale[: weight.shape[1]] = block.scale
    return weight[rows.flatten()] * scale[:, None], bias[rows.flatten()] * scale


def _is_plain(encoder: nn.Module) -> bool:
    """Whether it is our encoder with nothing between its products, as adapters would be."""
    return type(encoder) is Encoder and all(
        type(layer) is nn.Linear
        for block in encoder.blocks
        for layer in (block.qkv, block.mix, block.widen, block.narrow)
    )

"""Shrinking an encoder: fewer blocks, or narrower ones, chosen so that the states change as little as they can.

A student that begins as a piece of its teacher learns in a fraction of the steps that a new network needs. Two cuts:

- Fewer blocks: the block without which the last states change least goes first, until as many are left as are wanted
  (layer drop; Sajjad et al. 2023, Computer Speech & Language 77:101429).
- Narrower ones: the residual path is turned to its main directions, and the faint ones are left out (after SliceGPT,
  Ashkboos et al. 2024, arXiv 2401.15024). Of attention heads and inner channels those with the largest weights stay.

A LayerNorm allows the turning only if the mean of the channels stays zero, so it is taken out of every writer (it is
invisible behind a LayerNorm), all directions are at right angles to it, and each norm's weights move into the
product that reads it. What is left of the norm is one number: how much longer a vector was before the cut. Heads are
cut in the same way, so a student answers like its teacher, a little less well, before it has learnt anything.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from anfinsen.errors import ConfigError
from anfinsen.models.encoder import Block, Encoder, EncoderConfig
from anfinsen.models.folding import FoldingHead
from anfinsen.models.growth import refuse_other_heads
from anfinsen.models.heads import PooledHead, ResidueHead


@dataclass(frozen=True)
class Shrunk:
    """A smaller encoder and how it came out of the large one."""

    encoder: Encoder
    kept: tuple[int, ...]
    """The blocks of the large one that stayed, in order."""
    stages: tuple[int, ...]
    """After each block, how many blocks of the large one had done about the same."""
    lift: Tensor
    """From the small one's channels to the large one's: (C, D)."""
    states: Tensor
    """What the large one, without the blocks that went, made of the row: (T, C)."""


@torch.no_grad()
def shrunk(encoder: Encoder, config: EncoderConfig, tokens: Tensor, lengths: Sequence[int]) -> Shrunk:
    """The encoder cut down to the shape `config`, judged on the packed row `tokens`; the given one stays as it is.

    Raises ConfigError where a new size is larger or heads would change their width.

    >>> large = Encoder(EncoderConfig(layers=4, dim=32, heads=4, inner_dim=64))
    >>> small = EncoderConfig(layers=2, dim=16, heads=2, inner_dim=32)
    >>> shrunk(large, small, torch.tensor([0, 5, 6, 2]), [4]).encoder.config.dim
    16
    """
    _refuse_larger(encoder.config, config)
    kept = _least_missed(encoder, config.layers, tokens, lengths)
    stages = (*kept[1:], len(encoder.blocks))
    fewer = copy.deepcopy(_without(encoder, kept))
    is_narrower = config.dim < encoder.config.dim
    if not is_narrower and config.inner_dim == encoder.config.inner_dim:
        return Shrunk(fewer, kept, stages, torch.eye(config.dim), fewer(tokens, lengths))
    layers = fewer.layers(tokens, lengths)
    lift = _main_directions(layers, config.dim) if is_narrower else torch.eye(config.dim)
    small = Encoder(fewer.config.replaced(dim=config.dim, heads=config.heads, inner_dim=config.inner_dim))
    small.embed.weight.copy_(_centred(fewer.embed.weight) @ lift)
    small.first_norm.load_state_dict(fewer.first_norm.state_dict())
    for old, new, states in zip(fewer.blocks, small.blocks, layers, strict=False):
        _cut_block(cast(Block, old), cast(Block, new), lift, _shortening(states, lift))
    if is_narrower:
        small.last_norm.weight.fill_(_shortening(layers[-1], lift))
    else:
        small.last_norm.load_state_dict(fewer.last_norm.state_dict())
    return Shrunk(small, kept, stages, lift, fewer.last_norm(layers[-1]))


def _refuse_larger(large: EncoderConfig, small: EncoderConfig) -> None:
    for name in ("layers", "dim", "heads", "inner_dim"):
        if getattr(small, name) > getattr(large, name):
            raise ConfigError(
                f"A student cannot be larger than its teacher: {name} is {getattr(large, name)} and would become "
                f"{getattr(small, name)}.",
                remedy=f"Give {name} of {getattr(large, name)} or less.",
            )
    refuse_other_heads(large, small)
    if large.norm_first and small.dim < large.dim:
        raise ConfigError(
            "A model that normalises its embeddings cannot become narrower.", remedy="Take fewer layers instead."
        )


# Heads --------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def cut_head(head: nn.Module, new: nn.Module, large: Encoder, cut: Shrunk) -> None:
    """Give `new`, a head on the small encoder, what `head` knows on the large one.

    Heads of another kind, and the language model's own where the width has changed, begin anew.
    """
    weights = head.state_dict()
    if isinstance(head, FoldingHead) and head.seen is not None:  # it reads the maps of the blocks and heads that stayed
        weights["seen.weight"] = weights["seen.weight"][:, _maps_left(large, cut)]
    if cut.lift.shape[0] == cut.lift.shape[1]:
        new.load_state_dict(weights)
    elif isinstance(head, ResidueHead | PooledHead | FoldingHead):
        new.load_state_dict(_seen_anew(head, weights, large.last_norm, cut), strict=False)


def _maps_left(large: Encoder, cut: Shrunk) -> Tensor:
    """Which of the large encoder's attention maps the small one still makes: (layers * heads,)."""
    blocks = [cast(Block, large.blocks[number]) for number in cut.kept]
    left = [_strongest(block, cut.encoder.config.heads) for block in blocks]
    return torch.cat([number * large.config.heads + heads for number, heads in zip(cut.kept, left, strict=True)])


def _seen_anew(
    head: ResidueHead | PooledHead | FoldingHead, known: Mapping[str, Tensor], last: nn.LayerNorm, cut: Shrunk
) -> dict[str, Tensor]:
    """The head's weights `known`, those that read states rewritten for the small encoder's.

    What the head's norm gave out is about `sight` (C, D) times what the new head's norm gives out, plus `offset`.
    """
    length = cut.states.std(1, correction=0).mean()
    seen = last.weight[:, None] * cut.lift * cut.encoder.last_norm.weight
    sight = head.norm.weight[:, None] * (seen - seen.mean(0)) / length
    offset = head.norm.weight * (last.bias - last.bias.mean()) / length + head.norm.bias
    weights = {name: weight for name, weight in known.items() if not name.startswith("norm.")}
    dim = len(offset)
    for name in ("near.convolve", "value.convolve", "weigh.convolve", "judge.0", "direct", "pair", "residue.0"):
        kernel, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
        if kernel is None:
            continue
        # the means of the states stand behind what the head has pooled, the conditions behind the means
        start = kernel.shape[1] - dim - 2 * _conditions(head) if name in ("judge.0", "direct") else 0
        before, reads, behind = kernel.split([start, dim, kernel.shape[1] - start - dim], dim=1)
        weights[f"{name}.weight"] = torch.cat((before, torch.einsum("oc...,cd->od...", reads, sight), behind), dim=1)
        if bias is not None:  # where there is none, a constant would be taken out again by the softmax
            weights[f"{name}.bias"] = bias + reads.reshape(*reads.shape[:2], -1).sum(-1) @ offset
    return weights


def _conditions(head: nn.Module) -> int:
    return (head.direct.in_features - head.norm.weight.shape[0]) // 2 if isinstance(head, PooledHead) else 0


# Fewer blocks -------------------------------------------------------------------------------------------------------


def _least_missed(encoder: Encoder, count: int, tokens: Tensor, lengths: Sequence[int]) -> tuple[int, ...]:
    """The blocks that stay, in order, when the one that is missed least goes again and again."""
    whole = encoder(tokens, lengths)
    kept = tuple(range(len(encoder.blocks)))
    while len(kept) > count:
        fewer = [kept[:place] + kept[place + 1 :] for place in range(len(kept))]
        kept = min(fewer, key=lambda some: float((_without(encoder, some)(tokens, lengths) - whole).square().mean()))
    return kept


def _without(encoder: Encoder, kept: Sequence[int]) -> Encoder:
    """A copy with these blocks only."""
    fewer = copy.copy(encoder)
    fewer._modules = dict(encoder._modules)
    fewer.blocks = nn.ModuleList([encoder.blocks[number] for number in kept])
    fewer.config = encoder.config.replaced(layers=len(kept))
    return fewer


# Narrower blocks ----------------------------------------------------------------------------------------------------


def _main_directions(layers: Sequence[Tensor], dim: int) -> Tensor:
    """Orthonormal directions (C, D), at right angles to the mean of the channels, along which the states vary most.

    Each layer's states count alike, whatever their length: behind a LayerNorm their length is gone.
    """
    spread = torch.zeros(layers[0].shape[1], layers[0].shape[1], dtype=torch.float64)
    for states in layers:
        rows = nn.functional.layer_norm(states.double(), states.shape[1:])
        spread += rows.T @ rows / len(rows)
    main: Tensor = torch.linalg.eigh(spread).eigenvectors.flip(1)[:, : dim - 1]
    # D - 1 directions, spread over D channels whose mean is zero again
    return (main @ _centred_basis(dim).T).float()


def _centred_basis(dim: int) -> Tensor:
    """An orthonormal basis (D, D - 1) of the vectors whose mean is zero."""
    identity = torch.eye(dim, dtype=torch.float64)
    basis: Tensor = torch.linalg.eigh(identity - 1 / dim).eigenvectors[:, 1:]
    return basis


def _shortening(states: Tensor, lift: Tensor) -> float:
    """By what the norm of the small one must multiply, so that its readers see what those of the large one saw."""
    centred = states - states.mean(1, keepdim=True)
    ratio = (centred @ lift).norm(dim=1) / centred.norm(dim=1).clamp(min=1e-6)
    return float(ratio.mean()) * math.sqrt(lift.shape[0] / lift.shape[1])


def _cut_block(old: Block, new: Block, lift: Tensor, scale: float) -> None:
    width = old.mix.weight.shape[0] // old.heads
    heads = _strongest(old, new.heads)
    channels = (heads[:, None] * width + torch.arange(width)).flatten()
    inner = _largest(old.narrow.weight.norm(dim=0) * old.widen.weight.norm(dim=1), new.widen.weight.shape[0])
    three = torch.cat([channels + part * old.mix.weight.shape[1] for part in range(3)])
    for norm, reader, target, rows in (
        (old.attention_norm, old.qkv, new.qkv, three),
        (old.feed_norm, old.widen, new.widen, inner),
    ):
        target.weight.copy_((reader.weight * norm.weight)[rows] @ lift)
        target.bias.copy_((reader.bias + reader.weight @ norm.bias)[rows])
    for writer, target, columns in ((old.mix, new.mix, channels), (old.narrow, new.narrow, inner)):
        target.weight.copy_(lift.T @ writer.weight[:, columns])
        target.bias.copy_(lift.T @ writer.bias)
    for norm in (new.attention_norm, new.feed_norm):
        norm.weight.fill_(scale)
        norm.bias.zero_()


def _strongest(block: Block, count: int) -> Tensor:
    """The attention heads that write the most: (count,)."""
    apart = (block.heads, block.mix.weight.shape[0] // block.heads)
    written = block.mix.weight.unflatten(1, apart).norm(dim=(0, 2))
    return _largest(written * block.qkv.weight.chunk(3)[2].unflatten(0, apart).norm(dim=(1, 2)), count)


def _largest(sizes: Tensor, count: int) -> Tensor:
    return sizes.topk(count).indices.sort().values


def _centred(rows: Tensor) -> Tensor:
    """Without what all channels share; the zeros of <pad> stay zeros."""
    return rows - rows.mean(1, keepdim=True) * (rows != 0).any(1, keepdim=True)

"""Attention over a packed row of sequences: one call, the best kernel at hand, one answer.

A packed row holds T = L1 + L2 + ... tokens with no padding. A token attends to the tokens of its own
sequence only. On an accelerator in half precision that is one fused call (`varlen_attn`); elsewhere
each sequence is one call of PyTorch's scaled dot-product attention, which on a CPU costs nothing in
comparison, because the linear layers around it still see the whole row.

Rotary positions: Su et al. 2021, arXiv 2104.09864, in the half-split layout of ESM-2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

RotaryPrecision = Literal["fp32", "fp16", "bf16"]
_ROUNDED = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def rotary_frequencies(head_dim: int, precision: RotaryPrecision = "fp32") -> Tensor:
    """The angle that each pair of channels turns from one place to the next, (head_dim / 2,) in fp32 on the CPU.

    An accelerator's powers differ in the last bit, and the place multiplies that; so they are always reckoned here.
    """
    frequencies = 1.0 / 10_000.0 ** (torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu") / head_dim)
    return frequencies.to(_ROUNDED[precision]).float()


def rotary_turns(
    lengths: Sequence[int], head_dim: int, device: torch.device, precision: RotaryPrecision = "fp32"
) -> Tensor:
    """How far each token of a packed row is turned: one complex number of size 1 a pair, (T, 1, head_dim / 2)."""
    longest = max(lengths, default=0)
    frequency = rotary_frequencies(head_dim, precision).to(device)
    angle = torch.arange(longest, device=device, dtype=torch.float32)[:, None] * frequency
    turns = torch.complex(angle.cos(), angle.sin())  # (longest, head_dim / 2)
    return torch.cat([turns[:length] for length in lengths])[:, None]


def rotate(vectors: Tensor, turns: Tensor) -> Tensor:
    """Turn queries or keys, (T, H, head_dim), by the angle of their place.

    Channels i and i + head_dim / 2 are a point in the plane, hence a complex number, and a turn is one product; on a
    CPU that takes half the time of cosines and sines. The two stand side by side in the result. That is another
    order than they came in, which the products of queries with keys do not see.
    """
    first, second = vectors.float().chunk(2, dim=-1)
    return torch.view_as_real(torch.complex(first, second) * turns).flatten(-2).to(vectors.dtype)


def attend(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int], scale: float) -> Tensor:
    """Attention inside each sequence of a packed row.

    Shapes: query, key, value (T, H, head_dim) -> (T, H, head_dim), with T = sum(lengths).
    """
    if query.device.type != "cpu" and query.dtype in (torch.bfloat16, torch.float16):
        return _attend_fused(query, key, value, lengths, scale)
    outputs = []
    start = 0
    for length, run in groupby(lengths):
        count = len(list(run))
        end = start + count * length
        # (count * L, H, C) -> (count, H, L, C) and back; neighbours of one length share a call
        q, k, v = (part[start:end].unflatten(0, (count, length)).transpose(1, 2) for part in (query, key, value))
        one = _products(q, k, v, scale) if _products_are_faster(q) else _kernel(q, k, v, scale)
        outputs.append(one.transpose(1, 2).flatten(0, 1))
        start = end
    return torch.cat(outputs)


def attention_maps(query: Tensor, key: Tensor, lengths: Sequence[int], scale: float) -> list[Tensor]:
    """The attention probabilities themselves, one (H, L, L) a sequence, for contact maps."""
    return [
        (torch.einsum("qhc,khc->hqk", q, k) * scale).softmax(-1)
        for q, k in zip(query.split(lengths), key.split(lengths), strict=True)
    ]


def _kernel(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    return functional.scaled_dot_product_attention(query, key, value, scale=scale)


def _products(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attention as two matrix products with the probabilities in memory."""
    return ((query * scale) @ key.transpose(-1, -2)).softmax(-1) @ value


def _products_are_faster(query: Tensor) -> bool:
    """On a CPU in bf16 the kernel's backward pass was 2 to 8 times slower up to some 1,000 residues."""
    return (
        query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad and query.shape[-2] <= 1024
    )


def _attend_fused(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int], scale: float) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    counts = torch.tensor([0, *lengths], device=query.device)
    offsets = counts.cumsum(0).to(torch.int32)
    longest = max(lengths)
    attended = varlen_attn(query, key, value, offsets, offsets, longest, longest, scale=scale)
    if isinstance(attended, tuple):
        return attended[0]
    return attended

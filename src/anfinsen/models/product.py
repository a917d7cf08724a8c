"""A linear layer prepared for inference on a CPU: the same product, by the fastest library that this machine has.

    x (T, I)  ->  x W' + b              product(x)
              ->  gelu(x W' + b)        product.gelu(x)
              ->  r + x W' + b          product.onto(r, x)

PyTorch holds two libraries for it. "plain" is what `torch.nn.functional.linear` calls. "packed" is oneDNN, with the
weights stored once in the order in which its kernel reads them and GELU and the addition joined to the product. It was
twice as fast as plain on an AMD processor and equal on an Intel one; bf16 was four times as fast as fp32 on the first
and half as fast on the second. So nothing is assumed: the first product of a shape is timed for some milliseconds on
the machine at hand. A library that is absent here, or that computes something else, is not used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional

Library = Literal["packed", "plain"]
InferencePrecision = Literal["fp32", "bf16", "fastest"]
"""How exact: fp32, bf16, or bf16 only where it is clearly faster on this machine."""

_PROBE = 128
"""Tokens of a timed product."""
_REPEATS = 5
_CLEARLY = 1.3
"""Plain before packed, and bf16 before fp32, only for so much more speed, so that noise does not decide."""
_TOO_SMALL = 2**15
"""Weights below which a product is over before its time can be told; it is packed, in fp32."""


class Way(NamedTuple):
    """By which library, and in which type of number."""

    library: Library
    dtype: torch.dtype


_WAYS = [Way(library, dtype) for dtype in (torch.float32, torch.bfloat16) for library in get_args(Library)]


class Product:
    """One linear layer, in one way."""

    def __init__(self, weight: Tensor, bias: Tensor, way: Way) -> None:
        self.dtype = way.dtype
        weight = weight.detach().to(way.dtype).contiguous()
        self._bias = bias.detach().to(way.dtype).contiguous()
        self._packed = way.library == "packed"
        self._weight = _mkldnn()._reorder_linear_weight(weight, None) if self._packed else weight

    def __call__(self, inputs: Tensor) -> Tensor:
        """(T, I) of this product's type -> (T, O)."""
        if not self._packed:
            return functional.linear(inputs, self._weight, self._bias)
        return self._fused(inputs, "none", "")

    def gelu(self, inputs: Tensor) -> Tensor:
        """The exact GELU of the product."""
        if not self._packed:
            product = self(inputs)
            return torch.ops.aten.gelu.out(product, out=product)  # type: ignore[no-any-return]
        return self._fused(inputs, "gelu", "none")

    def onto(self, sums: Tensor, inputs: Tensor) -> Tensor:
        """`sums` (T, O) in fp32 and the product together; `sums` itself may be used up."""
        if self._packed and self.dtype == torch.float32:
            return _mkldnn()._linear_pointwise.binary(inputs, sums, self._weight, self._bias, "add")  # type: ignore[no-any-return]
        return sums.add_(self(inputs))

    def _fused(self, inputs: Tensor, then: str, how: str) -> Tensor:
        return _mkldnn()._linear_pointwise(inputs, self._weight, self._bias, then, [], how)  # type: ignore[no-any-return]


def choose(outer: int, inner: int, precision: InferencePrecision) -> Way:
    """The way for products of (T, inner) to (T, outer) on this machine; timed once in a process."""
    seconds = timings(outer, inner)
    clearly = _CLEARLY if outer * inner >= _TOO_SMALL else math.inf
    exact, half = (_fastest(seconds, dtype, clearly) for dtype in (torch.float32, torch.bfloat16))
    if precision == "bf16":
        return half
    return half if precision == "fastest" and seconds[half] * clearly < seconds[exact] else exact


def ways(outer: int, inner: int, dtype: torch.dtype) -> list[Way]:
    """The ways that work on this machine for one type of number."""
    return [way for way in timings(outer, inner) if way.dtype == dtype]


@cache
def timings(outer: int, inner: int) -> dict[Way, float]:
    """Seconds of one product of 128 tokens, for each way that works here."""
    generator = torch.Generator().manual_seed(1)
    weight, inputs = (torch.randn(rows, inner, generator=generator) for rows in (outer, _PROBE))
    bias = torch.randn(outer, generator=generator)
    expected = functional.gelu(functional.linear(inputs, weight, bias))
    seconds = {}
    for way in _WAYS:
        product = _working(weight, bias, way, inputs, expected)
        if product is not None:
            seconds[way] = min(_seconds(partial(product.gelu, inputs.to(way.dtype))) for _ in range(_REPEATS))
    return seconds


def _working(weight: Tensor, bias: Tensor, way: Way, inputs: Tensor, expected: Tensor) -> Product | None:
    """A product that gives what is expected, or none: a library may be absent or leave out a kind of number."""
    try:
        with torch.no_grad():
            product = Product(weight, bias, way)
            found = product.gelu(inputs.to(way.dtype)).float()
            added = product.onto(expected.clone(), inputs.to(way.dtype))
    except (AttributeError, NotImplementedError, RuntimeError):
        return None
    scale = 1e-5 if way.dtype == torch.float32 else 2e-2
    room = scale * float(expected.abs().max())
    right = (found - expected).abs().max() <= room and (
        functional.gelu(added - expected) - expected
    ).abs().max() <= 2 * room
    return product if bool(right) or way.library == "plain" else None


def _fastest(seconds: dict[Way, float], dtype: torch.dtype, clearly: float) -> Way:
    """Packed where it works and is not clearly slower."""
    packed, plain = Way("packed", dtype), Way("plain", dtype)
    return packed if packed in seconds and seconds[packed] < seconds[plain] * clearly else plain


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _mkldnn() -> Any:
    return torch.ops.mkldnn

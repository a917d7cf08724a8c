"""A frozen body that remembers: each protein passes through it once, later epochs read the states back.

States are kept in memory as bf16 (2 bytes x width a residue); a table of 10,000 proteins of 350 residues at
width 192 takes 1.3 GB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from anfinsen.models.fast import quick
from anfinsen.models.network import Body, NativeBody
from anfinsen.models.windows import read_in_windows


class FrozenBody(nn.Module):
    """Wraps a body whose weights no longer move; satisfies `Body` itself and takes proteins of any length."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = quick(body.eval().requires_grad_(False))
        self.dim = cast(Body, body).dim
        self.longest = 2**31
        self._inner_longest = cast(Body, body).longest
        self._kept: dict[bytes, Tensor] = {}

    def train(self, mode: bool = True) -> FrozenBody:
        """A frozen body never goes into training mode."""
        return self

    @property
    def maps(self) -> int:
        """How many attention maps the body has; none of most public ones."""
        return int(getattr(self.body, "maps", 0))

    @torch.no_grad()
    def with_maps(self, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int], list[Tensor]]:
        """States with attention maps, which are too large to be kept."""
        return cast(NativeBody, self.body).with_maps(tokens, lengths)

    @torch.no_grad()
    def residues(self, tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, list[int]]:
        """Residue states (R, C) and lengths, computed once for each sequence of tokens."""
        rows = tokens.split(list(lengths))
        keys = [row.cpu().numpy().tobytes() for row in rows]
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._kept}
        if new:
            # read apart from automatic mixed precision, so that what is kept does not depend on who asked first
            with torch.autocast(tokens.device.type, enabled=False):
                states, counts = read_in_windows(
                    cast(Body, self.body).residues,
                    torch.cat(list(new.values())),
                    [len(row) for row in new.values()],
                    self._inner_longest,
                )
            for key, part in zip(new, states.split(counts), strict=True):
                self._kept[key] = part.bfloat16()
        return torch.cat([self._kept[key] for key in keys]).float(), [length - 2 for length in lengths]
